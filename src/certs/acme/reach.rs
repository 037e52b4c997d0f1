//! Whether a CA can be reached from here, and what time it is there. Nothing is asked of it.

use std::time::{Duration, SystemTime};

use http::header::DATE;
use http::{Request, StatusCode};
use instant_acme::BodyWrapper;
use tokio::time::timeout;

use crate::certs::acme::http::{Client, Transport as _};
use crate::certs::acme::options::{CaOptions, KeyKind};

/// What a CA's directory answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    pub status: StatusCode,
    /// The CA's clock, if it says.
    pub date: Option<SystemTime>,
}

/// Asks for the directory, by HTTPS that chains to the system's roots or to these.
///
/// # Errors
/// In words, from the outside to the cause.
pub async fn reach(
    directory: &str,
    roots: Option<&[u8]>,
    patience: Duration,
) -> Result<Reached, String> {
    let options = CaOptions {
        directory: directory.to_owned(),
        email: None,
        eab: None,
        profile: None,
        roots: roots.map(<[u8]>::to_vec),
        key: KeyKind::P256,
    };
    let client = Client::new(&options).map_err(|error| chain(&error))?;
    let request = Request::get(directory)
        .body(BodyWrapper::from(Vec::new()))
        .map_err(|error| chain(&error))?;
    let answered = timeout(patience, client.request(request)).await;
    let answer = answered
        .map_err(|_late| format!("no answer within {} s", patience.as_secs()))?
        .map_err(|error| chain(&error))?;
    let date = answer.parts.headers.get(DATE);
    let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Ok(Reached {
        status: answer.parts.status,
        date,
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
