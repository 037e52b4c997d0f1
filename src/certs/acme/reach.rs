//! Whether a CA can be reached from here, and what time it is there. Nothing is asked of it.

use std::time::{Duration, SystemTime};

use http::header::DATE;
use http::{Request, StatusCode};

use crate::causes::one_line;
use crate::certs::http::{Client, bare};

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
    let client = Client::kept(roots, patience).map_err(|error| one_line(&error))?;
    let request = bare(Request::get(directory)).map_err(|error| one_line(&error))?;
    let answer = client
        .send(request)
        .await
        .map_err(|error| one_line(&error))?;
    let date = answer.headers().get(DATE);
    let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Ok(Reached {
        status: answer.status(),
        date,
    })
}
