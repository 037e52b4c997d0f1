//! Whether a target answers, for `onedoor add`, which waits until it does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use rustls::ClientConfig;

use crate::causes::one_line;
use crate::config;
use crate::config::site::{Action, Service};
use crate::config::target::{Scheme, Target};
use crate::control::probe::{Probe, Probed};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::health::Way;
use crate::upstream::health::check::answers;
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
    let path = path.map(PathAndQuery::try_from).transpose();
    let path =
        path.map_err(|error| format!("the path to look under cannot be asked for: {error}"))?;
    let way = Way {
        client: tls(&target)?,
        proxy_protocol: None,
        names: names.clone(),
    };
    let endpoint = Endpoint::of(target);
    answers(&endpoint, &way, path.as_ref(), TRY_TIME)
        .await
        .map_err(|finding| format!("{endpoint}: {}", one_line(&finding)))
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

fn tls(target: &Target) -> Result<Option<Arc<ClientConfig>>, String> {
    match &target.scheme {
        Scheme::Https(options) => {
            let clients = TlsClients::build([options]).map_err(|error| one_line(&error))?;
            Ok(clients.client(options, Offer::Any).cloned())
        }
        Scheme::Http | Scheme::H2c => Ok(None),
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
        healthy(&Names::default(), &target, Path::new("/"), None)
            .await
            .unwrap();
        drop(listener);
        let problem = healthy(&Names::default(), &target, Path::new("/"), None)
            .await
            .unwrap_err();
        assert!(problem.contains(&target), "{problem}");
    }
}
