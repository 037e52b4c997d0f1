//! Whether a target answers, for `onedoor add`, which waits until it does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time;

use crate::config;
use crate::config::site::{Action, Service};
use crate::config::target::{Scheme, Target};
use crate::control::probe::{Probe, Probed};
use crate::upstream::dial::{self, Call, Protocol, Stream};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::names::Names;
use crate::upstream::tls::{Offer, TlsClients};

/// How long one try may take.
const TRY_TIME: Duration = Duration::from_secs(5);
/// A name for the reader of targets, which wants a site.
const SITE: &str = "probe.localhost";

/// Looks for those who ask at the control socket.
pub(super) fn probe(names: &Names) -> Probe {
    let names = names.clone();
    Probe::new(move |probed| {
        let names = names.clone();
        Box::pin(async move {
            let Probed {
                target,
                folder,
                path,
            } = probed;
            healthy(&names, &target, &folder, path.as_deref()).await
        })
    })
}

/// Whether a target accepts, and answers under `path` with a status below 400, if one is given. Relative sockets are below `folder`.
///
/// # Errors
/// What came instead, in words.
async fn healthy(
    names: &Names,
    target: &str,
    folder: &Path,
    path: Option<&str>,
) -> Result<(), String> {
    let target = parsed(target, folder)?;
    time::timeout(TRY_TIME, attempt(names, &target, path))
        .await
        .unwrap_or_else(|_late| Err(format!("{target} did not answer within {TRY_TIME:?}")))
}

fn parsed(target: &str, folder: &Path) -> Result<Arc<Target>, String> {
    let text = match target.strip_prefix("unix:") {
        Some(path) => format!("unix:{}", folder.join(path).display()),
        None => target.to_owned(),
    };
    let unusable = || format!("`{target}` is no target");
    let loaded = config::from_arguments(&[format!("{SITE}={text}")]).map_err(|refused| {
        let first = refused.problems.first();
        first.map_or_else(unusable, |problem| problem.message.clone())
    })?;
    let service = loaded.config.sites.first().map(|site| &site.service);
    let Some(Service::Plain(http) | Service::Secure(_, http)) = service else {
        return Err(unusable());
    };
    match http.root.as_ref().map(|rule| &rule.action) {
        Some(Action::Forward(targets)) => targets.first().cloned().ok_or_else(unusable),
        Some(Action::Redirect(_) | Action::Respond(_)) | None => Err(unusable()),
    }
}

async fn attempt(names: &Names, target: &Arc<Target>, path: Option<&str>) -> Result<(), String> {
    let client = match &target.scheme {
        Scheme::Https(options) => TlsClients::build([options])
            .map_err(|error| error.to_string())?
            .client(options, Offer::Any)
            .cloned(),
        Scheme::Http | Scheme::H2c => None,
    };
    let call = Call {
        endpoint: &Endpoint::of(target.clone()),
        names,
        prelude: &[],
    };
    let (reached, protocol) = dial::dial(call, client.as_ref())
        .await
        .map_err(|error| format!("{target}: {error}"))?;
    let Some(path) = path else {
        return Ok(());
    };
    let answer = get(reached.stream, protocol, target, path)
        .await
        .map_err(|error| format!("{target}: {error}"))?;
    let status = answer.status();
    if status.as_u16() < 400 {
        return Ok(());
    }
    Err(format!("{target} answers {status} under {path}"))
}

async fn get(
    stream: Stream,
    protocol: Protocol,
    target: &Target,
    path: &str,
) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            let request = Request::get(path)
                .header(http::header::HOST, target.authority())
                .body(Empty::<Bytes>::new())?;
            tokio::select! {
                answer = sender.send_request(request) => Ok(answer?),
                ended = connection => Err(ended.err().map_or_else(|| "no answer".into(), Into::into)),
            }
        }
        Protocol::Http2 => {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
            let (mut sender, connection) = handshake.await?;
            let uri = format!("http://{}{path}", target.authority());
            let request = Request::get(uri).body(Empty::<Bytes>::new())?;
            tokio::select! {
                answer = sender.send_request(request) => Ok(answer?),
                ended = connection => Err(ended.err().map_or_else(|| "no answer".into(), Into::into)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_in_a_file() {
        let folder = Path::new("/srv/shop");
        assert_eq!(
            parsed("3000", folder).unwrap().to_string(),
            "localhost:3000"
        );
        let socket = parsed("unix:app.sock", folder).unwrap();
        assert_eq!(socket.to_string(), "unix:/srv/shop/app.sock");
        assert!(parsed("http://", folder).is_err());
    }

    #[tokio::test]
    async fn nobody_there_is_not_healthy() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let target = listener.local_addr().unwrap().to_string();
        healthy(&target, Path::new("/"), None).await.unwrap();
        drop(listener);
        let problem = healthy(&target, Path::new("/"), None).await.unwrap_err();
        assert!(problem.contains(&target), "{problem}");
    }
}
