//! Access-log lines as they come.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body::Body;
use hyper::body::Incoming;
use tokio::time;

use super::exchange::{Carrying, PROTOCOL, begin, compose, connect, whole};
use super::requests::{NotDone, escape, refusal};
use crate::control::place::Place;
use crate::control::server::LOGS_PATH;
use crate::control::session::message::LogForm;

/// Lines of a running onedoor, until this is dropped.
pub struct Logs {
    body: Incoming,
    /// None: the connection ended, and what is left of the body is there.
    carrying: Option<Carrying>,
}

/// Watches the lines of a host, or of all; they begin within the deadline.
///
/// # Errors
/// When nobody is there, or the holder refuses.
pub async fn logs(
    place: &Place,
    host: Option<&str>,
    form: LogForm,
    deadline: Duration,
) -> Result<Logs, NotDone> {
    let form = match form {
        LogForm::Text => "text",
        LogForm::Json => "json",
        LogForm::Combined => "combined",
    };
    let host = host.map_or_else(String::new, |host| format!("&host={}", escape(host)));
    let target = format!("{LOGS_PATH}?form={form}{host}");
    let request = compose(Method::GET, &target, None, Vec::new())?;
    let watching = async {
        let stream = connect(place).await?;
        let (reply, carrying) = begin(stream, request).await.ok_or(PROTOCOL)?;
        let (status, body) = (reply.status(), reply.into_body());
        if status.is_success() {
            let carrying = Some(carrying);
            return Ok(Logs { body, carrying });
        }
        let (body, ()) = tokio::join!(whole(body), carrying);
        Err(refusal(status, &body.ok_or(PROTOCOL)?))
    };
    let watched = time::timeout(deadline, watching).await;
    watched.unwrap_or(Err(NotDone::Unhealthy(super::Unhealthy::TimedOut)))
}

impl Logs {
    /// What comes next, not always whole lines; none when the holder ended. Dropped before it is ready, it has lost nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            let body = &mut self.body;
            let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            let frame = match &mut self.carrying {
                None => frame.await,
                Some(carrying) => tokio::select! {
                    biased;
                    frame = frame => frame,
                    () = carrying => {
                        self.carrying = None;
                        continue;
                    }
                },
            };
            if let Ok(piece) = frame?.ok()?.into_data() {
                return Some(piece);
            }
        }
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}
