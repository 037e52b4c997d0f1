//! One request's journey: judged, routed, answered by an upstream or by ourselves.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::body::{Body, Patience};
use super::client::{Client, facts_of};
use super::compress::{self, Wish};
use super::context::{Held, Sought, Table};
use super::forward::forward;
use super::guard::auth::forward::Granted;
use super::headers::{self, Received, Refusal, inbound};
use super::pages::is_navigation;
use super::record::Record;
use super::redirect;
use super::reply::Reply;
use super::site::{Routed, rule_of, site_of};
use super::visit::Visit;
use super::{guard, replies};
use crate::config::site::{Action, Respond, Rule};
use crate::observe::counters::Refused;

/// A request on its way.
pub(super) struct Asked {
    pub(super) head: Parts,
    pub(super) visit: Rc<Visit>,
    pub(super) table: Held<Table>,
    pub(super) received: Received,
    pub(super) client: Client,
    /// Taken when it is sent on.
    pub(super) body: Option<Incoming>,
    /// The client's stream, once an HTTP/2 client is told that the protocol changed.
    pub(super) switch: Option<OnUpgrade>,
    /// What another server lets it say.
    pub(super) granted: Option<Granted>,
}

/// Why a request is answered by ourselves and not as the site says.
pub(super) enum Fault {
    Refused(Refusal),
    Reply(Reply),
}

impl Fault {
    /// The same, said to whoever asked with `head`: only a browser that goes somewhere waits for a target.
    pub(super) fn said_to(self, head: &Parts) -> Self {
        match self {
            Self::Reply(reply) if !is_navigation(head) => Self::Reply(Reply {
                awaited: None,
                ..reply
            }),
            Self::Reply(_) | Self::Refused(_) => self,
        }
    }
}

/// A request being answered. What needs nobody else is decided at once; only the way to an upstream and back is a future, in a box
/// of its own, so that the many that hyper moves about are small.
#[derive(Debug)]
pub struct Exchange {
    state: State,
    patience: Option<Rc<Patience>>,
}

enum State {
    Answered(Option<Response<Body>>),
    Forwarding(Pin<Box<dyn Future<Output = Response<Body>>>>),
}

/// Answers a request. Its end, good or bad, is one line in the access log. Whatever happens becomes an answer, or the end of the
/// connection by the body.
#[must_use]
pub fn exchange(
    visit: Rc<Visit>,
    mut request: Request<Incoming>,
    patience: Option<Rc<Patience>>,
) -> Exchange {
    let is_switch = request.method() == Method::CONNECT && request.version() == Version::HTTP_2;
    let switch = is_switch.then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let mut record = Record::begin(visit.clone(), &parts);
    let table = visit.context.table();
    let follows = if body.is_end_stream() {
        headers::Body::Absent
    } else {
        headers::Body::Follows
    };
    let judged = Received::judge(&parts, follows, visit.scheme(), &table.limits);
    record.introduce(&parts, judged.as_ref().ok(), &table.trust.proxies);
    let state = match judged {
        Ok(received) => {
            let asked = Box::new(Asked {
                client: Client::of(&record),
                visit,
                table,
                head: parts,
                received,
                body: Some(body),
                switch,
                granted: None,
            });
            respond(asked, record)
        }
        Err(refusal) => State::Answered(Some(own_reply(record, Fault::Refused(refusal)))),
    };
    Exchange { state, patience }
}

impl Future for Exchange {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match &mut self.state {
            State::Forwarding(forwarding) => ready!(forwarding.as_mut().poll(cx)),
            State::Answered(response) => match response.take() {
                Some(response) => response,
                None => return Poll::Pending,
            },
        };
        let patience = self.patience.take();
        Poll::Ready(Ok(response.map(|body| body.watched_by(patience))))
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered(_) => "Answered",
            Self::Forwarding(_) => "Forwarding",
        })
    }
}

fn respond(asked: Box<Asked>, record: Box<Record>) -> State {
    if may_be_a_question(&asked) {
        let (answers, path) = (&asked.table.answers, asked.head.uri.path());
        if let Some(text) = answers.find(path) {
            return State::Answered(Some(own_answer(record, text_answer(&text))));
        }
        if let Some(sought) = answers.seek(path) {
            return State::Forwarding(Box::pin(once_sought(sought, asked, record)));
        }
    }
    route(asked, record)
}

/// Answers what was found elsewhere, or as if nothing had been sought.
async fn once_sought(sought: Sought, asked: Box<Asked>, record: Box<Record>) -> Response<Body> {
    if let Some(text) = sought.await {
        return own_answer(record, text_answer(&text));
    }
    let state = route(asked, record);
    let patience = None;
    let Ok(answer) = Exchange { state, patience }.await;
    answer
}

fn route(asked: Box<Asked>, mut record: Box<Record>) -> State {
    let answered = |response| State::Answered(Some(response));
    let site = match site_of(&asked) {
        Ok(site) => site,
        Err(fault) => return answered(own_reply(record, fault)),
    };
    record.site = Some(site.clone());
    let rule = match rule_of(&asked, &site) {
        Ok(Routed::Rule(rule)) => rule,
        Ok(Routed::ToHttps(response)) => return answered(own_answer(record, response)),
        Err(fault) => return answered(own_reply(record, fault)),
    };
    record.logging = Some(rule.log);
    record.wish = Wish::of(&rule.compress, &asked.head.headers);
    if !rule.errors.is_empty() {
        record.pages = Some(rule.errors.clone());
    }
    if let Some(guard) = &rule.guard {
        match guard::admit(guard, &asked, &mut record) {
            guard::Verdict::Pass => {}
            guard::Verdict::Wait(wait) => {
                return State::Forwarding(Box::pin(after(wait, asked, rule, record)));
            }
            guard::Verdict::Refuse(fault) => return answered(own_reply(record, fault)),
        }
    }
    act(asked, rule, record)
}

/// Answers once it is known who asks.
async fn after(
    wait: guard::Wait,
    mut asked: Box<Asked>,
    rule: Arc<Rule>,
    record: Box<Record>,
) -> Response<Body> {
    let record = match guard::find_out(wait, &mut asked, &rule, record).await {
        Ok(record) => record,
        Err(answer) => return answer,
    };
    let state = act(asked, rule, record);
    let patience = None;
    let Ok(answer) = Exchange { state, patience }.await;
    answer
}

fn act(asked: Box<Asked>, rule: Arc<Rule>, record: Box<Record>) -> State {
    let answered = |response| State::Answered(Some(response));
    match &rule.action {
        Action::Forward(backends) => {
            let backends = backends.clone();
            State::Forwarding(Box::pin(forward(asked, rule, backends, record)))
        }
        Action::Redirect(redirect) => {
            let answer = redirect::redirect(redirect, asked.head.uri.path_and_query());
            answered(match answer {
                Some(answer) => ruled_answer(&asked, &rule, record, answer),
                None => own_reply(record, Fault::Reply(replies::no_location())),
            })
        }
        Action::Respond(respond) => answered(ruled_answer(&asked, &rule, record, fixed(respond))),
    }
}

/// A CA asks on a plain socket (RFC 8555 section 8.3), and is answered whatever the host and the rules.
fn may_be_a_question(asked: &Asked) -> bool {
    let Asked { visit, head, .. } = asked;
    visit.tls.is_none() && matches!(head.method, Method::GET | Method::HEAD)
}

fn text_answer(text: &str) -> Response<bytes::Bytes> {
    fixed(&Respond {
        status: StatusCode::OK,
        body: bytes::Bytes::copy_from_slice(text.as_bytes()),
        content_type: HeaderValue::from_static("text/plain"),
    })
}

fn fixed(respond: &Respond) -> Response<bytes::Bytes> {
    let mut response = Response::new(respond.body.clone());
    *response.status_mut() = respond.status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, respond.content_type.clone());
    response
}

/// An answer that the site's rule gives without an upstream: the rule's response fields apply as ever.
fn ruled_answer(
    asked: &Asked,
    rule: &Rule,
    record: Box<Record>,
    answer: Response<bytes::Bytes>,
) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    let facts = facts_of(&asked.visit, &asked.received, &record);
    match inbound(
        &mut head,
        &asked.received,
        rule,
        &facts,
        &asked.visit.context.date(),
    ) {
        Ok(()) => own_answer(record, Response::from_parts(head, body)),
        Err(broken) => own_reply(record, Fault::Reply(broken.into())),
    }
}

/// An answer made here, body and all.
fn own_answer(mut record: Box<Record>, response: Response<bytes::Bytes>) -> Response<Body> {
    record.status = response.status();
    let (mut head, mut bytes) = response.into_parts();
    let lease = compress::take_on(&mut head, Some(bytes.len() as u64), &record);
    // hyper keeps back the body of an answer to HEAD in HTTP/1 only.
    if record.is_head() && (lease.is_some() || record.version == Version::HTTP_2) {
        let length = HeaderValue::from(std::mem::take(&mut bytes).len());
        if lease.is_none() && head.status != StatusCode::NO_CONTENT {
            head.headers.insert(CONTENT_LENGTH, length);
        }
    }
    Response::from_parts(head, Body::full(bytes, record).through(lease))
}

/// What a reply of our own is counted as, if it is the client's fault.
fn refused_by(status: StatusCode) -> Option<Refused> {
    match status {
        StatusCode::BAD_REQUEST => Some(Refused::BadRequest),
        StatusCode::PAYLOAD_TOO_LARGE => Some(Refused::BodyTooLarge),
        StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            Some(Refused::HeadTooLarge)
        }
        StatusCode::REQUEST_TIMEOUT => Some(Refused::HeadTooSlow),
        _ => None,
    }
}

/// Says what is wrong, in the form the client prefers.
pub(super) fn own_reply(mut record: Box<Record>, fault: Fault) -> Response<Body> {
    let reply = match fault {
        Fault::Refused(refusal) => Reply::from(refusal),
        Fault::Reply(reply) => reply,
    };
    record.outcome = Some(reply.code);
    let reply = Reply {
        pages: record.pages(),
        ..reply
    };
    if let Some(refused) = refused_by(reply.status) {
        record.visit.context.counters.refused(refused);
    }
    let response = reply.into_response(
        record.version,
        &record.accept(),
        &record.id,
        record.audience,
    );
    own_answer(record, response)
}
