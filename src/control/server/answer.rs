//! From a request to its reply.

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json as object;

use super::desk::{ANSWER_TIMEOUT, CHANGE_TIMEOUT, Desk};
use super::patience::Patience;
use super::precondition::{Unconditional, based_on};
use super::query::field;
use super::reply::{self, Content};
use super::route::{Route, Unrouted, route};
use super::{CONNECTION_TIMEOUT, Peer, Rights, leases, logs, sessions};
use crate::control::command::{BasedOn, Command, Extent};
use crate::control::health::{Health, Status};
use crate::control::renewal::RENEWAL_TIMEOUT;
use crate::control::session::message::Refusal;

pub(super) async fn answer(
    request: Request<Incoming>,
    desk: &Arc<Desk>,
    peer: Peer,
    patience: &Patience,
) -> Result<Response<Content>, Infallible> {
    let route = match route(request.method(), request.uri().path()) {
        Ok(route) => route,
        Err(Unrouted::Path) => return Ok(reply::not_found()),
        Err(Unrouted::Method(methods)) => return Ok(reply::only(methods)),
    };
    if peer.rights == Rights::Stranger && !matches!(route, Route::Health | Route::Join) {
        let text = "error[not-allowed]: this door belongs to another user: only they and root may ask that of it\n";
        return Ok(reply::refused(&Refusal::new("not-allowed", text)));
    }
    let answered = serve(route, request, desk, peer.uid, patience).await;
    Ok(answered.unwrap_or_else(|refusal| {
        if refusal.error == reply::STALE {
            return reply::stale(&refusal, desk.revision());
        }
        reply::refused(&refusal)
    }))
}

async fn serve(
    route: Route,
    request: Request<Incoming>,
    desk: &Arc<Desk>,
    uid: u32,
    patience: &Patience,
) -> Result<Response<Content>, Refusal> {
    let query = request.uri().query();
    match route {
        Route::Health => Ok(health(&desk.sources.health.borrow())),
        Route::Renew => {
            patience.last(CONNECTION_TIMEOUT + RENEWAL_TIMEOUT);
            let (status, body) = desk.sources.renewer.answer(query).await;
            Ok(reply::json(status, body))
        }
        Route::Status => {
            let status = desk.ask(ANSWER_TIMEOUT, Command::Status).await?;
            Ok(reply::told(StatusCode::OK, &status))
        }
        Route::Explain => {
            let missing =
                || Refusal::new("bad-request", "`url` is missing, as in `?url=https://…`");
            let url = field(query, "url").ok_or_else(missing)?;
            let explain = |reply| Command::Explain { url, reply };
            let explanation = desk.ask(ANSWER_TIMEOUT, explain).await??;
            Ok(reply::told(StatusCode::OK, &explanation))
        }
        Route::Logs => logs::watch(desk, query, patience).await,
        Route::Join => sessions::join(request, desk, uid, patience).await,
        Route::Succeed => sessions::succeed(request, desk, patience).await,
        Route::Reload => {
            // A reload reads a file, which is of no revision: what somebody saw is all there is to compare.
            if let BasedOn::Revision(seen) = condition(request.headers())?
                && seen != desk.revision()
            {
                let text = format!("revision {seen} is not in service any more");
                return Err(Refusal::new(reply::STALE, text));
            }
            patience.last(CONNECTION_TIMEOUT + CHANGE_TIMEOUT);
            let revision = desk.ask(CHANGE_TIMEOUT, Command::Reload).await??;
            Ok(reply::told(
                StatusCode::OK,
                &object!({ "revision": revision }),
            ))
        }
        Route::Restart => {
            patience.last(CONNECTION_TIMEOUT + CHANGE_TIMEOUT);
            let pid = desk.ask(CHANGE_TIMEOUT, Command::Restart).await??;
            Ok(reply::told(StatusCode::OK, &object!({ "pid": pid })))
        }
        Route::Stop => {
            let extent = extent(query)?;
            let stop = |reply| Command::Stop { extent, reply };
            desk.ask(ANSWER_TIMEOUT, stop).await?;
            Ok(reply::told(StatusCode::OK, &object!({ "stopping": true })))
        }
        Route::Save { host } => {
            let based_on = condition(request.headers())?;
            leases::save(&host, based_on, request.into_body(), desk, uid, patience).await
        }
        Route::Remove { host } => {
            let based_on = condition(request.headers())?;
            leases::remove(host, based_on, desk, uid, patience).await
        }
    }
}

fn health(health: &Health) -> Response<Content> {
    let status = match health.status {
        Status::Ready => StatusCode::OK,
        Status::Starting | Status::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    reply::told(status, health)
}

fn extent(query: Option<&str>) -> Result<Extent, Refusal> {
    match field(query, "extent").as_deref() {
        None | Some("holder") => Ok(Extent::Holder),
        Some("door") => Ok(Extent::Door),
        Some(_unknown) => {
            let text = "`extent` is `holder` or `door`";
            Err(Refusal::new("bad-request", text))
        }
    }
}

fn condition(headers: &HeaderMap) -> Result<BasedOn, Refusal> {
    based_on(headers).map_err(|unconditional| match unconditional {
        Unconditional::Absent => Refusal::new(
            "unconditional",
            "a change says what it is based on: `If-Match: \"REVISION\"`, or `If-Match: *`",
        ),
        Unconditional::Malformed => Refusal::new(
            "bad-request",
            "`If-Match` is one revision in quotes, or `*`",
        ),
    })
}
