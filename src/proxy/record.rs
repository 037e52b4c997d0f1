//! What is remembered of an exchange until it ends: then it is one line in the access log.

use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use http::header::{ACCEPT, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};

use super::compress::Wish;
use super::headers::BrokenAnswer;
use super::headers::Forwarded;
use super::replies::LastWords;
use super::reply::{Audience, Reply};
use super::visit::Visit;
use crate::config::pages::ErrorPage;
use crate::config::site::{AccessLogging, TlsVersion};
use crate::config::target::Target;
use crate::observe::lines::{Reader, Wanted};
use crate::observe::record;
use crate::relay::{Carried, Ending};
use crate::routing::Site;
use crate::upstream::Progress;
use crate::upstream::group::Asking;

/// The client left before there was an answer: no status was sent. nginx's number for it.
const CLIENT_LEFT: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::REQUEST_TIMEOUT,
};

/// An exchange as it will be logged. Dropping it is the end of the exchange.
#[derive(Debug)]
pub struct Record {
    pub(super) visit: Rc<Visit>,
    /// What a trusted peer says of whom it asks for.
    pub(super) forwarded: Option<Box<Forwarded>>,
    /// Who reads what we say ourselves.
    pub(super) audience: Audience,
    pub(super) id: HeaderValue,
    pub(super) version: Version,
    pub(super) site: Option<Arc<Site>>,
    pub(super) target: Option<Arc<Target>>,
    /// Whoever answered is busy with it until the exchange is over.
    pub(super) asking: Option<Asking>,
    pub(super) status: StatusCode,
    /// Octets of the answer's body.
    pub(super) sent: u64,
    pub(super) progress: Option<Rc<Progress>>,
    /// A stable word for what went wrong.
    pub(super) outcome: Option<&'static str>,
    /// As the chosen rule says; none until there is one.
    pub(super) logging: Option<AccessLogging>,
    /// Those of the chosen rule, if it has any.
    pub(super) pages: Option<Arc<[ErrorPage]>>,
    /// What the rule and the client want of the answer's body.
    pub(super) wish: Wish,
    started: Instant,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    accept: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
}

impl Record {
    pub(super) fn begin(visit: Rc<Visit>, parts: &Parts) -> Box<Self> {
        visit.began();
        visit.context.counters.request();
        let field = |name| parts.headers.get(name).cloned();
        Box::new(Self {
            forwarded: None,
            audience: Audience::of(&visit),
            id: visit.context.fresh_id(),
            version: parts.version,
            site: None,
            target: None,
            asking: None,
            status: CLIENT_LEFT,
            sent: 0,
            progress: None,
            outcome: None,
            logging: None,
            pages: None,
            wish: Wish::Off,
            started: Instant::now(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            host: field(http::header::HOST),
            accept: field(ACCEPT),
            referer: field(REFERER),
            user_agent: field(USER_AGENT),
            visit,
        })
    }

    /// For the answer's own part of an exchange that goes on as a tunnel: counted as under way, never logged.
    pub(super) fn silent(visit: &Rc<Visit>) -> Box<Self> {
        visit.began();
        Box::new(Self {
            forwarded: None,
            audience: Audience::Remote,
            id: HeaderValue::from_static(""),
            version: Version::HTTP_11,
            site: None,
            target: None,
            asking: None,
            status: CLIENT_LEFT,
            sent: 0,
            progress: None,
            outcome: None,
            logging: Some(AccessLogging::Omitted),
            pages: None,
            wish: Wish::Off,
            started: Instant::now(),
            method: Method::GET,
            uri: Uri::default(),
            host: None,
            accept: None,
            referer: None,
            user_agent: None,
            visit: visit.clone(),
        })
    }

    /// Whoever answered did so well, or badly.
    pub(super) fn tell_member(&self, broken: Option<&BrokenAnswer>) {
        let now = self.visit.context.groups.now();
        match (&self.asking, broken) {
            (Some(asking), None) => asking.succeeded(now),
            (Some(asking), Some(broken)) => asking.failed_for(now, || broken.to_string()),
            (None, _) => {}
        }
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Whose address counts, as a field value.
    pub(super) fn client_text(&self) -> &HeaderValue {
        match &self.forwarded {
            Some(forwarded) => &forwarded.text,
            None => &self.visit.client_ip,
        }
    }

    /// The site's name, for logs.
    pub(super) fn site_name(&self) -> &str {
        self.site.as_ref().map_or("", |site| &site.name)
    }

    /// What a reply of our own looks at to choose its form.
    pub(super) fn accept(&self) -> HeaderMap {
        self.accept
            .iter()
            .map(|accept| (ACCEPT, accept.clone()))
            .collect()
    }

    /// The site's own pages; before a rule is chosen, those that all its rules have.
    pub(super) fn pages(&self) -> Option<Arc<[ErrorPage]>> {
        let unruled = || self.site.as_ref()?.service.errors().cloned();
        self.pages
            .clone()
            .or_else(|| self.logging.is_none().then(unruled).flatten())
    }

    /// The exchange went on as a tunnel, which ended.
    pub fn tunnelled(mut self: Box<Self>, carried: Carried, ending: Ending) {
        self.sent = carried.back;
        if let Some(progress) = &self.progress {
            progress.received.set(carried.forth);
        }
        self.outcome = outcome(ending);
    }

    fn log(&self) {
        let context = &self.visit.context;
        let received = self
            .progress
            .as_ref()
            .map_or(0, |progress| progress.received.get());
        context.counters.received(received);
        context.counters.sent(self.sent);
        let Some(reader) = reader(self.logging.unwrap_or_else(|| self.unruled())) else {
            return;
        };
        let wanted = context.lines.wanted(reader);
        if wanted == Wanted::Nothing {
            return;
        }
        let mut target = context.text.borrow_mut();
        target.clear();
        if let (Some(known), Wanted::Everything) = (&self.target, wanted) {
            // Writing into a string cannot fail.
            let _written = write!(target, "{known}");
        }
        let since_epoch = context.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = record::Record {
            unix_millis: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            peer: self.client_text().to_str().unwrap_or_default(),
            site: self.site.as_ref().map_or("", |site| &site.name),
            method: self.method.as_str(),
            host: self.host(),
            target: self
                .uri
                .path_and_query()
                .map_or_else(|| self.uri.path(), http::uri::PathAndQuery::as_str)
                .as_bytes(),
            version: version(self.version),
            status: self.status.as_u16(),
            sent: self.sent,
            received,
            duration: self.duration(),
            target_address: self.target.as_ref().map(|_known| target.as_str()),
            request_id: self.id.to_str().unwrap_or_default(),
            referer: self.referer.as_ref().map(HeaderValue::as_bytes),
            user_agent: self.user_agent.as_ref().map(HeaderValue::as_bytes),
            tls: self.visit.tls.map(tls_name),
            outcome: self.outcome,
        };
        context.lines.write(reader, &line);
    }

    /// How a request is logged that was answered before a rule was chosen.
    fn unruled(&self) -> AccessLogging {
        self.site
            .as_ref()
            .map_or_else(|| at_home(&self.visit), |site| site.service.logging())
    }

    fn host(&self) -> &[u8] {
        match (&self.host, self.uri.authority()) {
            (_, Some(authority)) => authority.as_str().as_bytes(),
            (Some(host), None) => host.as_bytes(),
            (None, None) => b"",
        }
    }

    /// When its head was there.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    fn duration(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.log();
        if let Some(progress) = &self.progress {
            progress.abandon();
        }
        self.visit.ended();
    }
}

/// The line of a message that never became a request: what is known is the client, the site its connection is for, and our reply.
pub fn unreadable(visit: &Visit, reply: &Reply, words: &LastWords) {
    let context = &visit.context;
    let home = visit.home(&context.table());
    let sent = words.body as u64;
    context.counters.sent(sent);
    let Some(reader) = reader(at_home(visit)) else {
        return;
    };
    if context.lines.wanted(reader) == Wanted::Nothing {
        return;
    }
    let since_epoch = context.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = record::Record {
        unix_millis: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        peer: visit.client_ip.to_str().unwrap_or_default(),
        site: home.as_ref().map_or("", |home| &home.site.name),
        method: "-",
        host: b"",
        target: b"-",
        version: record::Version::Http11,
        status: reply.status.as_u16(),
        sent,
        received: 0,
        duration: Duration::ZERO,
        target_address: None,
        request_id: words.id.to_str().unwrap_or_default(),
        referer: None,
        user_agent: None,
        tls: visit.tls.map(tls_name),
        outcome: Some(reply.code),
    };
    context.lines.write(reader, &line);
}

/// Whom a line is for; none: it is not written.
pub(super) fn reader(logging: AccessLogging) -> Option<Reader> {
    match logging {
        AccessLogging::Kept => Some(Reader::Log),
        AccessLogging::Guest(lease) => Some(Reader::Guest(lease)),
        AccessLogging::Omitted => None,
    }
}

/// As the site says that the connection was opened for; kept where none is known.
fn at_home(visit: &Visit) -> AccessLogging {
    visit
        .home(&visit.context.table())
        .map_or(AccessLogging::Kept, |home| home.site.service.logging())
}

fn version(version: Version) -> record::Version {
    match version {
        Version::HTTP_2 => record::Version::Http2,
        Version::HTTP_10 => record::Version::Http10,
        _ => record::Version::Http11,
    }
}

/// A stable word for how a tunnel ended, if not by the rules.
pub(super) fn outcome(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::Closed => None,
        Ending::Idle => Some("tunnel-idle"),
        Ending::Stopped => Some("cut"),
        Ending::Broken => Some("tunnel-broken"),
    }
}

pub(super) fn tls_name(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::V1_2 => "TLSv1.2",
        TlsVersion::V1_3 => "TLSv1.3",
    }
}
