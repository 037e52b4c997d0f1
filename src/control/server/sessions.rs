//! `POST /v1/join` and `/v1/succeed`: from a request to a session.

use std::sync::Arc;
use std::time::Duration;

use http::header::UPGRADE;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time;

use super::desk::{CHANGE_TIMEOUT, Desk};
use super::patience::Patience;
use super::reply::{self, Content};
use super::{CONNECTION_TIMEOUT, upload};
use crate::control::command::{Command, Outgoing, Reply, TOLD_MAX};
use crate::control::leases::LeaseId;
use crate::control::session;
use crate::control::session::hosting::{Guest, OFFER_BYTES_MAX, host};
use crate::control::session::message::{Join, Refusal, Succeed, Versions, Welcome};

/// Sessions at once, those that only begin included.
pub const SESSIONS_MAX: usize = 256;
/// From the 101 to the session.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn join(
    mut request: Request<Incoming>,
    desk: &Arc<Desk>,
    uid: u32,
    patience: &Patience,
) -> Result<Response<Content>, Refusal> {
    let begun = Beginning::new(&mut request, desk, patience)?;
    let join: Join = parse(request.into_body()).await?;
    let (line, lines) = mpsc::channel(TOLD_MAX);
    let command = |reply| Command::Join {
        join: Box::new(join),
        uid,
        line,
        reply,
    };
    begun.run(command, lines).await
}

pub(super) async fn succeed(
    mut request: Request<Incoming>,
    desk: &Arc<Desk>,
    patience: &Patience,
) -> Result<Response<Content>, Refusal> {
    let begun = Beginning::new(&mut request, desk, patience)?;
    let succeed: Succeed = parse(request.into_body()).await?;
    let (line, lines) = mpsc::channel(TOLD_MAX);
    let command = |reply| Command::Succeed {
        owner: succeed.owner,
        line,
        reply,
    };
    begun.run(command, lines).await
}

/// What `app` gives to somebody whom it lets in.
trait Admission: Send + 'static {
    fn lease(&self) -> LeaseId;
    fn welcome(self) -> Option<Box<Welcome>>;
}

impl Admission for Welcome {
    fn lease(&self) -> LeaseId {
        self.lease
    }

    fn welcome(self) -> Option<Box<Welcome>> {
        Some(Box::new(self))
    }
}

impl Admission for LeaseId {
    fn lease(&self) -> LeaseId {
        *self
    }

    fn welcome(self) -> Option<Box<Welcome>> {
        None
    }
}

/// A session that has a place and no answer yet.
struct Beginning {
    desk: Arc<Desk>,
    upgrade: OnUpgrade,
    place: OwnedSemaphorePermit,
}

impl Beginning {
    fn new(
        request: &mut Request<Incoming>,
        desk: &Arc<Desk>,
        patience: &Patience,
    ) -> Result<Self, Refusal> {
        let wanted = request.headers().get(UPGRADE);
        if wanted.is_none_or(|protocol| protocol != session::UPGRADE) {
            let text = format!(
                "this is a session: ask with `Upgrade: {}`",
                session::UPGRADE
            );
            return Err(Refusal::new("unsupported-protocol", text));
        }
        let place = Arc::clone(&desk.sessions).try_acquire_owned();
        let place = place.map_err(|_full| {
            let text = format!("{SESSIONS_MAX} guests are here already: end one of them");
            Refusal::new("too-many-leases", text)
        })?;
        patience.last(2 * CONNECTION_TIMEOUT + CHANGE_TIMEOUT);
        Ok(Self {
            desk: Arc::clone(desk),
            upgrade: hyper::upgrade::on(request),
            place,
        })
    }

    /// Asks `app` in a task of its own, so that a guest that does not wait for the answer is lost like any other.
    async fn run<A: Admission>(
        self,
        command: impl FnOnce(Reply<Result<A, Refusal>>) -> Command,
        lines: mpsc::Receiver<Outgoing>,
    ) -> Result<Response<Content>, Refusal> {
        let (reply, answer) = oneshot::channel();
        let asked = self.desk.sources.commands.try_send(command(reply));
        asked.map_err(|_full_or_closed| Refusal::busy())?;
        let (admit, admitted) = oneshot::channel();
        let shutdown = self.desk.shutdown.clone();
        drop(shutdown.spawn_attendant(self.attend(answer, admit, lines)));
        match time::timeout(CHANGE_TIMEOUT, admitted).await {
            Ok(Ok(Ok(()))) => Ok(reply::upgraded()),
            Ok(Ok(Err(refusal))) => Err(refusal),
            Ok(Err(_)) | Err(_) => Err(Refusal::busy()),
        }
    }

    async fn attend<A: Admission>(
        self,
        answer: oneshot::Receiver<Result<A, Refusal>>,
        admit: oneshot::Sender<Result<(), Refusal>>,
        lines: mpsc::Receiver<Outgoing>,
    ) {
        let admission = match answer.await {
            Ok(Ok(admission)) => admission,
            Ok(Err(refusal)) => {
                // Whoever asked may be gone.
                let _told = admit.send(Err(refusal));
                return;
            }
            Err(_unanswered) => return,
        };
        let _place = self.place;
        let lease = admission.lease();
        let commands = self.desk.sources.commands.clone();
        let waits = admit.send(Ok(())).is_ok();
        let upgrade = async {
            time::timeout(UPGRADE_TIMEOUT, self.upgrade)
                .await
                .ok()?
                .ok()
        };
        let upgraded = if waits { upgrade.await } else { None };
        let parts = upgraded.and_then(|stream| stream.downcast::<TokioIo<UnixStream>>().ok());
        let Some(parts) = parts else {
            drop(lines);
            // Without `app` the process is about to end.
            let _told = commands.send(Command::Lost(lease)).await;
            return;
        };
        let guest = Guest::new(lease, commands, lines);
        let stream = parts.io.into_inner();
        host(stream, &parts.read_buf, guest, admission.welcome()).await;
    }
}

/// The versions come first: what else another version says may look different.
async fn parse<T: serde::de::DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    let body = upload::whole(body, OFFER_BYTES_MAX).await?;
    let theirs: Versions = upload::parse(&body)?;
    let ours = Versions::own();
    if ours.meet(&theirs) {
        return upload::parse(&body);
    }
    let way_out = if theirs.min > ours.protocol {
        "`onedoor restart` upgrades the running one without dropping connections"
    } else {
        "use the version that is running, or a newer one"
    };
    let text = format!(
        "the running onedoor {} speaks protocol {} to {}, this onedoor {} speaks {} to {}: {way_out}",
        ours.version, ours.min, ours.protocol, theirs.version, theirs.min, theirs.protocol
    );
    Err(Refusal::new("unsupported-protocol", text))
}
