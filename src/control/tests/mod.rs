//! Both sides of the control socket against each other. The test is `app`: it takes the commands and answers them.

mod changes;
mod leases;
mod sessions;
mod strangers;

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::time;

use crate::config::offer::Offer;
use crate::control::claim::Claim;
use crate::control::command::{COMMANDS_MAX, Command, Line};
use crate::control::health::Health;
use crate::control::leases::{Insistence, LeaseId};
use crate::control::owner::Owner;
use crate::control::place::{Place, Wishes};
use crate::control::probe::Probe;
use crate::control::server::{self, Serving, Sources};
use crate::control::session::guest::{NotJoined, Session, join};
use crate::control::session::message::{Accepted, Join, LogForm, Versions, Welcome};
use crate::shutdown::Shutdown;

const DEADLINE: Duration = Duration::from_secs(60);

/// A holder whose `app` is the test.
struct Holder {
    place: Place,
    claim: Claim,
    commands: mpsc::Receiver<Command>,
    serving: Serving,
    health: watch::Sender<Health>,
    shutdown: Shutdown,
    _root: tempfile::TempDir,
}

impl Holder {
    async fn start() -> Self {
        Self::probing(Probe::new(|_probed| Box::pin(async { Ok(()) }))).await
    }

    async fn probing(probe: Probe) -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let claim = Claim::take(&place).await.unwrap();
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let mut now = Health::starting(noon());
        now.revision = 7;
        let (health, told) = watch::channel(now);
        let shutdown = Shutdown::new();
        let sources = Sources {
            commands,
            probe,
            ..Sources::of(told)
        };
        let serving = server::start(claim.listen().unwrap(), sources, &shutdown).unwrap();
        Self {
            place,
            claim,
            commands: receiver,
            serving,
            health,
            shutdown,
            _root: root,
        }
    }

    /// The next command; a test that waits in vain fails.
    async fn command(&mut self) -> Command {
        let next = time::timeout(DEADLINE, self.commands.recv()).await;
        next.expect("a command comes in time").unwrap()
    }

    /// A guest under this number.
    async fn guest(&mut self, lease: u32) -> (Welcome, Session, Line) {
        let place = self.place.clone();
        let wanted = wanted();
        let joining = join(&place, &wanted, DEADLINE);
        let (joined, line) = tokio::join!(joining, self.admit(lease));
        let (welcome, session) = joined.unwrap();
        (welcome, session, line)
    }

    async fn admit(&mut self, lease: u32) -> Line {
        let Command::Join { line, reply, .. } = self.command().await else {
            panic!("somebody joins");
        };
        reply.send(Ok(welcome(lease))).unwrap();
        line
    }

    /// What is answered to these octets, up to the end of the connection.
    async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        // The holder may refuse before it has read everything.
        let _written = stream.write_all(request.as_bytes()).await;
        let mut reply = Vec::new();
        let _read = stream.read_to_end(&mut reply).await;
        String::from_utf8(reply).unwrap()
    }

    /// Asks for a session with this body, and says more at once.
    async fn upgrade(&self, path: &str, body: &str, more: &str) -> UnixStream {
        let mut stream = self.connect().await;
        let request = upgrade(path, body) + more;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.claim.place().socket())
            .await
            .unwrap()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.shutdown.cut_off();
    }
}

fn upgrade(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: onedoor\r\nconnection: upgrade\r\nupgrade: onedoor-session\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn wanted() -> Join {
    Join {
        versions: Versions::own(),
        owner: owner(),
        offer: Offer::default(),
        insistence: Insistence::Asks,
        log: LogForm::Text,
        token: None,
    }
}

fn welcome(lease: u32) -> Welcome {
    Welcome {
        versions: Versions::own(),
        pid: std::process::id(),
        lease: LeaseId(lease),
        token: format!("token-{lease}"),
        accepted: accepted(7),
        storage: "/storage".into(),
        doorway: None,
        local_ca: None,
    }
}

fn accepted(revision: u64) -> Accepted {
    Accepted {
        revision,
        table: "a.test\n".to_owned(),
        urls: Vec::new(),
        notes: Vec::new(),
        listeners: Vec::new(),
    }
}

fn owner() -> Owner {
    Owner {
        pid: std::process::id(),
        uid: rustix::process::geteuid().as_raw(),
        command: "onedoor up".to_owned(),
        folder: "/srv".into(),
        since: noon(),
    }
}

fn noon() -> jiff::Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

fn place(root: &Path) -> Place {
    Place::choose(Wishes {
        explicit: None,
        runtime: None,
        state: root,
    })
}
