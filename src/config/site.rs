//! A site: the names it is known by, how its connections are secured, and what is done with its requests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use super::backends::Backends;
use super::guard::Guard;
use super::listen::Listen;
use super::pages::ErrorPage;
use super::problem::{At, Located};
use crate::hostname::HostPattern;

/// One entry of `[sites]`, with the defaults filled in.
#[derive(Debug, Clone)]
pub struct Site {
    /// The site's own name, then its aliases. Never empty.
    pub names: Box<[HostPattern]>,
    /// The sockets it is served on: TLS ones, or plain ones when `tls = "off"`. Never empty.
    pub listen: Arc<[Listen]>,
    pub service: Service,
    /// Where the site's key stands.
    pub at: At,
}

/// What is done with a connection for a site.
#[derive(Debug, Clone)]
pub enum Service {
    /// `tls = "off"`: plain HTTP on the `http` sockets (or the site's own `listen`).
    Plain(Http),
    /// TLS ends here, HTTP is spoken inside.
    Secure(Tls, Http),
    /// `passthrough`: raw TLS, routed by SNI, never opened.
    Passthrough(Tunnel),
    /// `tcp`: TLS ends here, the bytes go on.
    Tcp(Tls, Tunnel),
}

impl Service {
    /// What is logged of a connection or request for which no rule was chosen: as the rule for every path says, and where there is none,
    /// to a guest if all paths are that guest's.
    #[must_use]
    pub fn logging(&self) -> AccessLogging {
        let http = match self {
            Self::Plain(http) | Self::Secure(_, http) => http,
            Self::Passthrough(tunnel) | Self::Tcp(_, tunnel) => return tunnel.log,
        };
        if let Some(root) = &http.root {
            return root.log;
        }
        let mut paths = http.paths.iter().map(|path| path.rule.log);
        match paths.next() {
            Some(first @ AccessLogging::Guest(_)) if paths.all(|log| log == first) => first,
            Some(_) | None => AccessLogging::Kept,
        }
    }
}

impl Service {
    /// The pages for replies to requests for which no rule was chosen: those for every path, and where there is no such rule, those that
    /// all paths have.
    #[must_use]
    pub fn errors(&self) -> Option<&Arc<[ErrorPage]>> {
        let http = match self {
            Self::Plain(http) | Self::Secure(_, http) => http,
            Self::Passthrough(_) | Self::Tcp(..) => return None,
        };
        if let Some(root) = &http.root {
            return Some(&root.errors);
        }
        let mut pages = http.paths.iter().map(|path| &path.rule.errors);
        let first = pages.next()?;
        pages.all(|pages| pages == first).then_some(first)
    }
}

/// How TLS ends at the door for a site.
#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: Certificate,
    pub folder: PairFolder,
    pub min: TlsVersion,
    /// Application protocols offered; empty for a `tcp` site without `alpn`.
    pub alpn: Arc<[Box<[u8]>]>,
    /// None: clients are not asked who they are.
    pub client_auth: Option<Arc<ClientAuth>>,
}

/// `client_ca` and `client_auth`: which clients may connect. Equal ones are one and the same demand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientAuth {
    /// Certificates of the authorities, DER. Empty only if the text of the configuration stands alone: nobody passes.
    pub roots: Box<[Box<[u8]>]>,
    pub demand: Demand,
}

/// Whether a client needs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Demand {
    Require,
    /// One that is shown must be good; none is fine.
    Request,
}

/// Where a site's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// `cert` and `key`.
    Pair {
        cert: Located<PathBuf>,
        key: Located<PathBuf>,
    },
    /// `tls = "internal"`: the local CA signs, also where another source would come first.
    LocalCa,
    /// `tls = "auto"`: a pair that covers the name, else the local CA for local suffixes, else what `acme` orders, else an error at loading.
    /// [`super::Config::ordered`] says which names are ordered.
    Auto,
}

/// Where [`Certificate::Auto`] looks for a pair that covers the name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PairFolder {
    /// In [`super::Config::cert_dir`], if there is one.
    #[default]
    OfConfig,
    /// The site came from another configuration, which has no folder.
    Nowhere,
    /// The site came from another configuration: in that one's folder.
    Own(Arc<PathBuf>),
}

/// The oldest TLS version accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

/// Where bytes are carried to without being understood.
#[derive(Debug, Clone)]
pub struct Tunnel {
    /// The scheme of each target is [`super::target::Scheme::Http`] and means nothing.
    pub backends: Arc<Backends>,
    pub timeouts: Timeouts,
    pub log: AccessLogging,
}

/// What is done with the requests of a site.
#[derive(Debug, Clone)]
pub struct Http {
    /// For every path that no entry of `paths` matches; none when the site has only `paths`.
    pub root: Option<Arc<Rule>>,
    pub paths: Box<[PathRule]>,
}

/// One entry of `paths`.
#[derive(Debug, Clone)]
pub struct PathRule {
    /// Starts with `/`; without the trailing `$`, and without a trailing `/` unless it is `/` alone or exact.
    pub prefix: Box<str>,
    pub matching: Matching,
    pub rule: Arc<Rule>,
}

/// How a path rule's prefix is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// On a segment boundary.
    Prefix,
    /// `…$`: exactly this path.
    Exact,
}

/// What is done with a request, once the site and the path have chosen it.
#[derive(Debug, Clone)]
pub struct Rule {
    pub action: Action,
    /// `strip_prefix`, or the rule's own prefix with `strip = true`. Starts with `/`, ends without one.
    pub strip_prefix: Option<Box<str>>,
    pub rewrites: Box<[Rewrite]>,
    pub request_headers: Box<[HeaderRule]>,
    pub response_headers: Box<[HeaderRule]>,
    pub host: HostField,
    pub timeouts: Timeouts,
    /// Octets of a request body; none: unlimited.
    pub max_body: Option<u64>,
    /// The whole value of `Strict-Transport-Security`.
    pub hsts: Option<HeaderValue>,
    /// None: everybody may ask, as often as they like.
    pub guard: Option<Arc<Guard>>,
    /// Content codings in the order of preference; empty: answers are left as they are.
    pub compress: Box<[Coding]>,
    /// For replies of our own, to browsers.
    pub errors: Arc<[ErrorPage]>,
    pub log: AccessLogging,
}

impl Rule {
    /// Everything that requests are sent to: the targets, and the server that is asked who may pass.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<Backends>> {
        let forwarded = match &self.action {
            Action::Forward(backends) => Some(backends),
            Action::Redirect(_) | Action::Respond(_) => None,
        };
        let guard = self.guard.as_ref();
        forwarded
            .into_iter()
            .chain(guard.and_then(|guard| guard.asks()))
    }
}

/// Whether exchanges or tunnels appear in the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLogging {
    Kept,
    /// `log = false`.
    Omitted,
    /// Shown to the guest whose lease has this number, whose rule it is.
    Guest(u32),
}

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Action {
    /// By one of these.
    Forward(Arc<Backends>),
    Redirect(Redirect),
    Respond(Arc<Respond>),
}

/// `redirect` and `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// A URL or a path. A bare origin (`https://host`, no path) keeps the request's path and query; anything else replaces them.
    pub to: Box<str>,
    pub keep: Keep,
    pub status: StatusCode,
}

/// What a redirect keeps of the request's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    PathAndQuery,
    Nothing,
}

/// `respond`: a fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    pub status: StatusCode,
    pub body: bytes::Bytes,
    pub content_type: HeaderValue,
}

/// `rewrite`: a regular expression on the path, after the strip; the query is kept.
#[derive(Debug, Clone)]
pub struct Rewrite {
    pub from: regex::bytes::Regex,
    pub to: Box<[u8]>,
}

/// One edit of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRule {
    pub name: HeaderName,
    pub edit: HeaderEdit,
}

/// What is done to the fields of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// All fields of the name are replaced by these lines.
    Set(Box<[Template]>),
    /// `"+Name"`: the lines are added behind the existing ones.
    Append(Box<[Template]>),
    /// `false`
    Remove,
}

/// A header value with its placeholders found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    Fixed(HeaderValue),
    /// At least one piece is a placeholder.
    Pieces(Box<[Piece]>),
}

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(Box<str>),
    ClientIp,
    Host,
    Scheme,
    RequestId,
    TlsVersion,
}

/// `host`: the Host field sent upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostField {
    /// The client's.
    Preserve,
    /// The target's own authority.
    Upstream,
    Literal(HeaderValue),
}

/// `timeout`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To an established connection, TLS included.
    pub connect: Duration,
    /// From the end of the request to the first octet of the answer.
    pub response: Duration,
    /// Without any progress of a body.
    pub idle: Duration,
    /// Without any progress of an upgraded or tunnelled connection.
    pub tunnel_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            response: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            tunnel_idle: Duration::from_secs(3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::read;

    /// How a site with these rules logs once its rules log so.
    fn logging(rules: &str, logs: &[AccessLogging]) -> AccessLogging {
        let loaded = read(
            Path::new("proxy.toml"),
            &format!("[sites.\"a.test\"]\n{rules}"),
        );
        let mut site = loaded.unwrap().config.sites.remove(0);
        match &mut site.service {
            Service::Plain(http) | Service::Secure(_, http) => {
                let root = http.root.iter_mut();
                let rules = root.chain(http.paths.iter_mut().map(|path| &mut path.rule));
                for (rule, log) in rules.zip(logs) {
                    Arc::make_mut(rule).log = *log;
                }
            }
            Service::Passthrough(tunnel) | Service::Tcp(_, tunnel) => tunnel.log = logs[0],
        }
        site.service.logging()
    }

    #[test]
    fn without_a_chosen_rule_the_sites_own_one_says_what_is_logged() {
        use AccessLogging::{Guest, Kept, Omitted};
        let root = "to = 1\npaths = { \"/a\" = 2 }";
        assert_eq!(logging(root, &[Omitted, Kept]), Omitted);
        assert_eq!(logging(root, &[Guest(3), Kept]), Guest(3));
        assert_eq!(logging("passthrough = 1", &[Guest(3)]), Guest(3));
        let paths = "paths = { \"/a\" = 1, \"/b\" = 2 }";
        assert_eq!(logging(paths, &[Guest(3), Guest(3)]), Guest(3));
        assert_eq!(logging(paths, &[Guest(3), Guest(4)]), Kept);
        assert_eq!(logging(paths, &[Guest(3), Kept]), Kept);
        assert_eq!(logging(paths, &[Omitted, Omitted]), Kept);
    }
}
