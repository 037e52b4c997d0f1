//! Opening the demo's door: on the port of HTTPS if it may, else on the usual other one, else on any that is free.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::upstreams::Upstreams;
use super::{ECHO, HELLO, TICKS};
use crate::app::source::Source;
use crate::app::storing::Depot;
use crate::app::{App, Beginning, Heed, Setup, StartError};
use crate::cli::scratch::Scratch;
use crate::cli::{Exit, say, serving, up};
use crate::control::claim::Claim;
use crate::control::leases::Insistence;
use crate::ports::passed::Passed;
use crate::routing::Kind;

/// Loopback alone, the most wanted first.
const LISTENS: [&str; 3] = ["localhost:443", "localhost:8443", "127.0.0.1:0"];

/// Who makes the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// They like to see each request.
    People,
    Itself,
}

/// A door that serves.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) app: App,
    /// Where clients reach it.
    pub(super) door: SocketAddr,
    /// The local CA's root certificate.
    pub(super) ca: PathBuf,
    /// The addresses that were wanted more, and why they could not be had.
    pub(super) refused: Vec<(SocketAddr, String)>,
}

/// Starts onedoor before these upstreams.
///
/// # Errors
/// What to end with; the reason has been said.
pub(super) async fn open(
    upstreams: &Upstreams,
    scratch: &Scratch,
    audience: Audience,
) -> Result<Opened, Exit> {
    let mut refused = Vec::new();
    for (attempt, listen) in LISTENS.into_iter().enumerate() {
        let text = configuration(listen, upstreams, audience);
        match start(text, scratch, attempt == 0).await {
            Ok(app) => return opened(app, refused),
            Err(StartError::Ports(problem)) if attempt + 1 < LISTENS.len() => {
                refused.extend(problem.reasons());
            }
            Err(error) => return Err(up::not_started(&error)),
        }
    }
    Err(Exit::Failed)
}

fn configuration(listen: &str, upstreams: &Upstreams, audience: Audience) -> String {
    let access = match audience {
        Audience::People => r#""stdout""#,
        Audience::Itself => "false",
    };
    let Upstreams { hello, echo, ticks } = upstreams;
    format!(
        r#"
listen = ["{listen}"]
http = false
drain = "1s"

[log]
access = {access}
level = "warn"

[sites]
"{HELLO}" = "{hello}"
"{ECHO}" = "{echo}"
"{TICKS}" = "{ticks}"
"#
    )
}

async fn start(text: String, scratch: &Scratch, is_first: bool) -> Result<App, StartError> {
    let source = Source::Text {
        name: PathBuf::from("the demo"),
        text,
    };
    let loaded = source.load(None).map_err(StartError::Config)?;
    if is_first {
        up::listen_to_events(&loaded.config);
    }
    let claim = Claim::take(&scratch.control())
        .await
        .map_err(StartError::Control)?;
    App::start(Setup {
        source,
        heed: Heed::Ours,
        doorway: None,
        loaded,
        storage: Depot::at(scratch.storage().path("")),
        owner: serving::owner(),
        insistence: Insistence::Asks,
        origin: Beginning::Fresh {
            claim,
            passed: Passed::none(),
        },
        signals: None,
    })
    .await
}

fn opened(app: App, refused: Vec<(SocketAddr, String)>) -> Result<Opened, Exit> {
    let door = app
        .addresses()
        .into_iter()
        .find(|(address, kind)| *kind == Kind::Tls && address.is_ipv4())
        .map(|(address, _kind)| SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())));
    let ca = app.local_ca_path();
    let (Some(door), Some(ca)) = (door, ca) else {
        say::err("error[demo]: there is no address of IPv4 or no local CA to show it with\n");
        return Err(Exit::Failed);
    };
    Ok(Opened {
        app,
        door,
        ca,
        refused,
    })
}
