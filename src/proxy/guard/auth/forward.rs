//! `auth.forward`: another server is asked who may pass. It sees the head of the request, and what was asked for in
//! `X-Forwarded-Method` and `X-Forwarded-Uri`; its 2xx lets the request pass, and anything else is the answer.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};

use crate::config::guard::ForwardAuth;
use crate::config::site::{HostField, Rule};
use crate::proxy::attempts;
use crate::proxy::body::Body;
use crate::proxy::client::facts_of;
use crate::proxy::exchange::{Asked, Fault, own_reply};
use crate::proxy::headers::{inbound, outbound};
use crate::proxy::record::Record;
use crate::upstream::{Incoming, Progress};

/// What the server says.
pub(in crate::proxy) enum Word {
    Pass(Granted),
    /// This is what the client gets.
    Answer(Box<Asked>, Response<Incoming>, Rc<Progress>),
}

/// The fields that the server wants a request to have, in place of the client's own.
#[derive(Debug)]
pub(in crate::proxy) struct Granted {
    server: Arc<ForwardAuth>,
    fields: HeaderMap,
}

const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// What a question without a body, about the whole of a thing, does not have.
const NOT_ASKED: [HeaderName; 10] = [
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];

/// Asks the server about a request.
///
/// # Errors
/// When it cannot be asked: then nobody passes.
pub(in crate::proxy) async fn ask(
    server: &Arc<ForwardAuth>,
    asked: &Asked,
    rule: &Rule,
    record: &mut Record,
) -> Result<Word, Fault> {
    let rule = Rule {
        strip_prefix: None,
        rewrites: [].into(),
        request_headers: [].into(),
        host: HostField::Upstream,
        ..rule.clone()
    };
    let mut question = question(server, asked, &rule, record)?;
    let context = &asked.visit.context;
    let timeouts = &rule.timeouts;
    let progress = Progress::new(context.wheel.deadline(), timeouts.idle, timeouts.response);
    progress.uploaded.set(true);
    let progress = Rc::new(progress);
    let aim = context.groups.aim(&server.backends, None, asked.client.ip);
    let answer = attempts::send(&mut question, &rule, aim, &progress, record).await?;
    progress.answered();
    record.tell_member(None);
    if !answer.status().is_success() {
        return Ok(Word::Answer(question, answer, progress));
    }
    let granted = Granted::of(server.clone(), answer.headers());
    attempts::discard(answer).await;
    record.asking = None;
    record.target = None;
    Ok(Word::Pass(granted))
}

fn question(
    server: &ForwardAuth,
    asked: &Asked,
    rule: &Rule,
    record: &Record,
) -> Result<Box<Asked>, Fault> {
    let Asked {
        head,
        visit,
        table,
        received,
        client,
        ..
    } = asked;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.uri = Uri::from(server.path.clone());
    parts.version = head.version;
    parts.headers = head.headers.clone();
    for name in &NOT_ASKED {
        parts.headers.remove(name);
    }
    let received = received.bare();
    let facts = facts_of(visit, &received, record);
    outbound(&mut parts, &received, rule, &facts).map_err(Fault::Refused)?;
    tell(&mut parts, head);
    Ok(Box::new(Asked {
        head: parts,
        visit: visit.clone(),
        table: table.clone(),
        received,
        client: client.clone(),
        body: None,
        switch: None,
        granted: None,
    }))
}

/// Says what was asked for.
fn tell(question: &mut Parts, head: &Parts) {
    let path = head.uri.path_and_query();
    let path = path.map_or_else(|| head.uri.path(), |path| path.as_str());
    let fields = [
        (X_FORWARDED_METHOD, head.method.as_str()),
        (X_FORWARDED_URI, path),
    ];
    for (name, text) in fields {
        // Both were read from a head.
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            question.headers.insert(name, value);
        }
    }
}

/// Gives the client the server's own answer.
pub(in crate::proxy) async fn relay(
    question: &Asked,
    method: &Method,
    answer: Response<Incoming>,
    rule: &Rule,
    progress: Rc<Progress>,
    mut record: Box<Record>,
) -> Response<Body> {
    let (mut head, incoming) = answer.into_parts();
    let facts = facts_of(&question.visit, &question.received, &record);
    let date = question.visit.context.date();
    if let Err(broken) = inbound(&mut head, &question.received, rule, &facts, &date) {
        return own_reply(record, Fault::Reply(broken.into()));
    }
    record.status = head.status;
    let answer = Response::from_parts(head, incoming);
    if method == Method::HEAD {
        let (head, incoming) = answer.into_parts();
        attempts::discard(Response::new(incoming)).await;
        return Response::from_parts(head, Body::empty(record));
    }
    record.progress = Some(progress.clone());
    answer.map(|incoming| Body::forwarded(incoming, progress, record))
}

impl Granted {
    fn of(server: Arc<ForwardAuth>, answer: &HeaderMap) -> Self {
        let mut fields = HeaderMap::new();
        for name in &server.copy {
            for value in answer.get_all(name) {
                fields.append(name, value.clone());
            }
        }
        Self { server, fields }
    }

    /// Sets the fields on a head that is sent on. What the client itself said under these names is gone, also where the server says
    /// nothing, and under those that are the same to CGI and its heirs.
    pub(in crate::proxy) fn apply(&self, headers: &mut HeaderMap) {
        let copy = &self.server.copy;
        let is_said = |name: &&HeaderName| copy.iter().any(|own| is_alike(own, name));
        let said: Vec<HeaderName> = headers.keys().filter(is_said).cloned().collect();
        for name in said {
            headers.remove(name);
        }
        for name in copy {
            for value in self.fields.get_all(name) {
                headers.append(name, value.clone());
            }
        }
    }
}

/// Whether two names are one where hyphens become underscores.
fn is_alike(one: &HeaderName, other: &HeaderName) -> bool {
    let fold = |octet: u8| if octet == b'_' { b'-' } else { octet };
    let (one, other) = (one.as_str(), other.as_str());
    one.len() == other.len() && one.bytes().map(fold).eq(other.bytes().map(fold))
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;
    use crate::config::backends::Backends;
    use crate::proxy::testing::{fields_of, lines_of};

    #[test]
    fn the_servers_word_replaces_the_clients_in_any_spelling() {
        let server = ForwardAuth {
            backends: Arc::new(Backends::of([])),
            path: PathAndQuery::from_static("/"),
            copy: ["x-user-id", "x-groups"]
                .map(HeaderName::from_static)
                .into(),
        };
        let answer = fields_of(&["x-user-id: ada", "x-other: 1"]);
        let granted = Granted::of(Arc::new(server), &answer);
        let mut headers = fields_of(&[
            "a: 1",
            "x-user-id: eve",
            "x_user-id: eve",
            "x-user_id: eve",
            "x-groups: root",
            "x_groups: root",
            "x-user: eve",
        ]);
        granted.apply(&mut headers);
        let mut lines = lines_of(&headers);
        lines.sort();
        assert_eq!(lines, ["a: 1", "x-user-id: ada", "x-user: eve"]);
    }
}
