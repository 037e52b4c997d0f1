//! One request to the holder, and its answer.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, IF_MATCH};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time;

use super::{Stranger, Unhealthy};
use crate::control::accounts::Accounts;
use crate::control::command::BasedOn;
use crate::control::place::{Place, Untrusted};
use crate::control::server::may_talk;

/// A longer answer is none of ours.
pub const REPLY_BYTES_MAX: usize = 16 << 20;

pub(super) const PROTOCOL: Unhealthy = Unhealthy::NotOurs(Stranger::Protocol);

/// Asks the holder in this folder for a path and query; the whole answer is there within the deadline. A body is JSON.
///
/// # Errors
/// When nobody is there, or nobody who is ours; whatever an HTTP status says is no error.
pub async fn request(
    place: &Place,
    method: Method,
    target: &str,
    based_on: Option<BasedOn>,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<(StatusCode, Vec<u8>), Unhealthy> {
    let request = compose(method, target, based_on, body)?;
    let asking = async {
        let stream = connect(place).await?;
        fetch(stream, request).await.ok_or(PROTOCOL)
    };
    let asked = time::timeout(deadline, asking).await;
    asked.unwrap_or(Err(Unhealthy::TimedOut))
}

/// A request that can be sent; a target that is no path and query cannot.
pub(super) fn compose(
    method: Method,
    target: &str,
    based_on: Option<BasedOn>,
    body: Vec<u8>,
) -> Result<Request<Full<Bytes>>, Unhealthy> {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, "onedoor");
    if let Some(based_on) = based_on {
        request = request.header(IF_MATCH, tag(based_on));
    }
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let request = request.body(Full::from(body));
    request.map_err(|_malformed| Unhealthy::Failed(ErrorKind::InvalidInput.into()))
}

fn tag(based_on: BasedOn) -> String {
    match based_on {
        BasedOn::Whatever => "*".to_owned(),
        BasedOn::Revision(revision) => format!("\"{revision}\""),
    }
}

/// Whether somebody answers in this folder, or keeps us from asking.
pub async fn is_there(place: &Place) -> bool {
    !matches!(connect(place).await, Err(Unhealthy::NobodyThere))
}

/// A connection to a process that may be believed.
pub(in crate::control) async fn connect(place: &Place) -> Result<UnixStream, Unhealthy> {
    let own = rustix::process::geteuid();
    // Root may ask about anyone's; there is nothing it could be tricked into.
    let owner = if own.is_root() {
        None
    } else {
        Some(trust(place)?)
    };
    let connected = UnixStream::connect(place.socket()).await;
    let stream = connected.map_err(|error| match owner {
        Some(owner) if error.kind() == ErrorKind::PermissionDenied => {
            Unhealthy::NotOurs(Stranger::Closed(Accounts::read().user(owner)))
        }
        Some(_) | None => unreachable(error),
    })?;
    let peer = stream.peer_cred().map_err(Unhealthy::Failed)?.uid();
    if owner.is_some_and(|owner| !may_talk(peer, owner)) {
        return Err(Unhealthy::NotOurs(Stranger::User(peer)));
    }
    Ok(stream)
}

/// Whose process is believed there.
fn trust(place: &Place) -> Result<u32, Unhealthy> {
    match place.owner() {
        Ok(owner) => Ok(owner),
        Err(Untrusted::Failed { source, .. }) => Err(unreachable(source)),
        Err(
            untrusted @ (Untrusted::NoFolder { .. }
            | Untrusted::Owner { .. }
            | Untrusted::Open { .. }),
        ) => Err(Unhealthy::NotOurs(Stranger::Folder(untrusted))),
    }
}

fn unreachable(error: io::Error) -> Unhealthy {
    let nobody = [ErrorKind::NotFound, ErrorKind::ConnectionRefused];
    if nobody.contains(&error.kind()) {
        return Unhealthy::NobodyThere;
    }
    Unhealthy::Failed(error)
}

/// None: no whole answer in our protocol.
async fn fetch(stream: UnixStream, request: Request<Full<Bytes>>) -> Option<(StatusCode, Vec<u8>)> {
    let (reply, connection) = begin(stream, request).await?;
    let status = reply.status();
    let exchange = whole(reply.into_body());
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        body = &mut exchange => Some((status, body?)),
        // The connection may end before its answer has been looked at.
        () = connection => Some((status, exchange.await?)),
    }
}

/// The rest of a connection, which carries the body; it must be polled for the body to come.
pub(super) type Carrying = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The head of the answer. None: that was no HTTP.
pub(super) async fn begin(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> Option<(Response<Incoming>, Carrying)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut carrying: Carrying = Box::pin(async move {
        // A body that broke off says so itself.
        let _ended = connection.await;
    });
    let head = sender.send_request(request);
    tokio::pin!(head);
    let reply = tokio::select! {
        biased;
        reply = &mut head => reply.ok()?,
        () = &mut carrying => {
            let reply = head.await.ok()?;
            return Some((reply, Box::pin(std::future::ready(()))));
        }
    };
    Some((reply, carrying))
}

/// None: the body is too long or broke off.
pub(super) async fn whole(mut body: Incoming) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(piece) = frame.ok()?.into_data() else {
            continue;
        };
        if octets.len() + piece.len() > REPLY_BYTES_MAX {
            return None;
        }
        octets.extend_from_slice(&piece);
    }
    Some(octets)
}
