//! What is done with heads, found by sending examples through the very code that edits them: what comes out different was edited.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};

use super::asked::AskedUrl;
use crate::config::Limits;
use crate::config::site::{HeaderRule, Rule, TlsVersion};
use crate::config::target::{Scheme as Spoken, Target};
use crate::proxy::forward::shape;
use crate::proxy::headers::{
    Authority, Body, BrokenAnswer, Facts, Received, Refusal, Scheme, inbound, outbound,
};
use crate::upstream::dial::Protocol;

/// Stands for what is not known before there is a request. No rule of a user looks like them.
static THE_CLIENTS: HeaderValue = HeaderValue::from_static("(the client's)");
static THE_UPSTREAMS: HeaderValue = HeaderValue::from_static("(the upstream's)");
static CLIENT_IP: HeaderValue = HeaderValue::from_static("(the client's address)");
static FRESH_ID: HeaderValue = HeaderValue::from_static("(a fresh id)");
static NOW: HeaderValue = HeaderValue::from_static("(now)");

/// What clients like to claim, as examples of what does not reach an upstream.
const CLAIMED: [HeaderName; 2] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-real-ip"),
];

/// A `GET` for a URL, judged as if it had come.
#[derive(Debug)]
pub(super) struct Sample<'a> {
    asked: &'a AskedUrl,
    pub(super) received: Received,
    port: HeaderValue,
}

/// A request as it goes out.
#[derive(Debug)]
pub(super) struct Sent {
    /// Path and query.
    pub(super) target: String,
    /// The host that the upstream sees.
    pub(super) host: String,
    pub(super) edits: Vec<String>,
}

impl<'a> Sample<'a> {
    /// # Errors
    /// As any such request is refused.
    pub(super) fn judge(asked: &'a AskedUrl, limits: &Limits) -> Result<Self, Refusal> {
        let head = head(asked);
        Ok(Self {
            asked,
            received: Received::judge(&head, Body::Absent, asked.scheme, limits)?,
            port: HeaderValue::from(asked.port),
        })
    }

    /// What becomes of the request on its way to a target.
    ///
    /// # Errors
    /// When its path cannot be changed as the rule wants.
    pub(super) fn sent(&self, rule: &Rule, target: &Target) -> Result<Sent, Refusal> {
        let mut parts = head(self.asked);
        insert_examples(&mut parts.headers, &CLAIMED, &THE_CLIENTS);
        insert_examples(
            &mut parts.headers,
            names(&rule.request_headers),
            &THE_CLIENTS,
        );
        let received = Received::judge(&parts, Body::Absent, self.asked.scheme, &Limits::default());
        if received.is_err() {
            // A field of the rules is one that cannot have just any value.
            parts = head(self.asked);
        }
        let received = received.as_ref().unwrap_or(&self.received);
        let mut before = parts.headers.clone();
        outbound(&mut parts, received, rule, &self.facts())?;
        let protocol = match target.scheme {
            Spoken::H2c => Protocol::Http2,
            Spoken::Http | Spoken::Https(_) => Protocol::Http1,
        };
        // Only a switch of protocols may be unfit, and the sample is none.
        let _unfit = shape(protocol, &mut parts, received, rule, target);
        // HTTP/2 has the host in its target.
        let authority = parts.uri.authority().map(|own| own.as_str().to_owned());
        let field = parts.headers.get(HOST).map(text);
        let host = authority.or(field).unwrap_or_default();
        let mut lines = vec![format!("host: {host}")];
        before.remove(HOST);
        parts.headers.remove(HOST);
        lines.extend(edits(&before, &parts.headers));
        let target = parts.uri.path_and_query();
        Ok(Sent {
            target: target.map_or_else(|| "/".to_owned(), ToString::to_string),
            host,
            edits: lines,
        })
    }

    /// What becomes of an answer's head on its way to the client, that of an upstream or our own.
    ///
    /// # Errors
    /// When our own answer is none.
    pub(super) fn answered<T>(
        &self,
        rule: &Rule,
        own: Option<&Response<T>>,
    ) -> Result<Vec<String>, BrokenAnswer> {
        let (mut parts, ()) = Response::new(()).into_parts();
        if let Some(own) = own {
            parts.status = own.status();
            parts.headers = own.headers().clone();
        } else {
            insert_examples(
                &mut parts.headers,
                names(&rule.response_headers),
                &THE_UPSTREAMS,
            );
        }
        insert_examples(&mut parts.headers, &[http::header::DATE], &NOW);
        let before = parts.headers.clone();
        inbound(&mut parts, &self.received, rule, &self.facts(), &NOW)?;
        Ok(edits(&before, &parts.headers))
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            client_ip: &CLIENT_IP,
            scheme: self.asked.scheme,
            port: &self.port,
            host: self.received.authority.as_ref().map_or("", Authority::host),
            request_id: &FRESH_ID,
            certificate: None,
            tls_version: match self.asked.scheme {
                Scheme::Https => Some(TlsVersion::V1_3),
                Scheme::Http => None,
            },
            forwarded: None,
        }
    }
}

fn head(asked: &AskedUrl) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::GET;
    parts.version = Version::HTTP_11;
    parts.uri = Uri::from(asked.target.clone());
    parts.headers.insert(HOST, asked.host_field());
    parts
}

fn names(rules: &[HeaderRule]) -> impl Iterator<Item = &HeaderName> {
    rules.iter().map(|rule| &rule.name)
}

fn insert_examples<'n>(
    headers: &mut HeaderMap,
    names: impl IntoIterator<Item = &'n HeaderName>,
    example: &HeaderValue,
) {
    for name in names {
        headers.entry(name).or_insert_with(|| example.clone());
    }
}

/// One line a name that was edited: first what goes, then what comes or changes, in the order of the head.
fn edits(before: &HeaderMap, after: &HeaderMap) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let mut lines: Vec<String> = gone.map(|name| format!("{name} is removed")).collect();
    for name in after.keys() {
        let old: Vec<&HeaderValue> = before.get_all(name).iter().collect();
        let new: Vec<&HeaderValue> = after.get_all(name).iter().collect();
        match new.strip_prefix(&*old) {
            Some([]) => {}
            Some(added) if !old.is_empty() => {
                lines.push(format!("{name} gets one more line: {}", texts(added)));
            }
            Some(_) | None => lines.push(format!("{name}: {}", texts(&new))),
        }
    }
    lines
}

fn texts(values: &[&HeaderValue]) -> String {
    let texts: Vec<String> = values.iter().copied().map(text).collect();
    texts.join(", ")
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
