//! `GET /v1/logs`: access-log lines as they come.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::desk::{ANSWER_TIMEOUT, Desk};
use super::patience::Patience;
use super::query::field;
use super::reply::{self, Content};
use crate::control::command::Command;
use crate::control::session::hosting::GUEST_WRITE_TIMEOUT;
use crate::control::session::message::{LogForm, Refusal};

/// Watchers at once.
pub(super) const WATCHERS_MAX: usize = 16;

pub(super) async fn watch(
    desk: &Desk,
    query: Option<&str>,
    patience: &Patience,
) -> Result<Response<Content>, Refusal> {
    let host = field(query, "host");
    let (log, media_type) = match field(query, "form").as_deref() {
        None | Some("text") => (LogForm::Text, "text/plain; charset=utf-8"),
        Some("json") => (LogForm::Json, "application/x-ndjson"),
        Some("combined") => (LogForm::Combined, "text/plain; charset=utf-8"),
        Some(_unknown) => {
            let text = "`form` is `text`, `json` or `combined`";
            return Err(Refusal::new("bad-request", text));
        }
    };
    let place = Arc::clone(&desk.watchers).try_acquire_owned();
    let place = place.map_err(|_full| {
        let text = format!("{WATCHERS_MAX} commands watch the logs already: end one of them");
        Refusal::new("too-many-waits", text)
    })?;
    let watch = |reply| Command::Watch { host, log, reply };
    let lines = desk.ask(ANSWER_TIMEOUT, watch).await?;
    let body = Endless {
        lines,
        patience: patience.clone(),
        _place: place,
    };
    Ok(reply::endless(body, media_type))
}

/// Lines until `app` or the watcher ends. A watcher that reads nothing of what there is gets no more patience than a guest.
#[derive(Debug)]
pub(super) struct Endless {
    lines: mpsc::Receiver<Bytes>,
    patience: Patience,
    _place: OwnedSemaphorePermit,
}

impl Endless {
    pub(super) fn poll_lines(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let lines = self.lines.poll_recv(context);
        match &lines {
            // Asked for more, so everything before was written.
            Poll::Pending => self.patience.last_forever(),
            Poll::Ready(_lines) => self.patience.last(GUEST_WRITE_TIMEOUT),
        }
        lines
    }
}
