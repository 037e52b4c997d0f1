//! The top level of the main file: everything but the sites.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use super::acme::{self, Acme, Places};
use super::alerts::Alerts;
use super::control::Control;
use super::doorway::Doorway;
use super::keys;
use super::problem::{Located, Problem};
use super::problems::Problems;
use super::read::Files;
use super::reader::{Item, Table};
use super::site::TlsVersion;
use super::sockets::Sockets;
use super::storage::Storage;
use super::{AccessLog, Level, Limits, Log, LogFormat, Resolver, Trust};
use crate::hostname::HostName;

const PORT_HTTPS: u16 = 443;
const PORT_HTTP: u16 = 80;
const WORKERS_MAX: u64 = 1024;
const DRAIN: Duration = Duration::from_secs(30);
const CONNECTIONS_MAX: u64 = 100_000_000;
/// The header map of the `http` crate holds no more.
const HEADERS_MAX: u64 = 16_384;
const HEAD_BYTES_MAX: u64 = 16 << 20;
const STREAMS_MAX: u64 = 1_000_000;

/// `[tls]` and `min_tls`.
pub(super) const VERSIONS: &[(&str, TlsVersion)] =
    &[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
const FORMATS: &[(&str, LogFormat)] = &[
    ("text", LogFormat::Text),
    ("json", LogFormat::Json),
    ("combined", LogFormat::Combined),
];
const RESOLVERS: &[(&str, Resolver)] = &[("dns", Resolver::Dns), ("system", Resolver::System)];
const LEVELS: &[(&str, Level)] = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// What the top level says, defaults filled in.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) listen: Sockets,
    pub(super) http: Sockets,
    pub(super) storage: Storage,
    pub(super) acme: Option<(Acme, Places)>,
    pub(super) alerts: Alerts,
    pub(super) control: Control,
    /// A site's name; none: refuse.
    pub(super) unknown: Option<Located<String>>,
    pub(super) workers: Option<NonZeroUsize>,
    pub(super) drain: Duration,
    pub(super) cert_dir: Option<Located<PathBuf>>,
    pub(super) min_tls: TlsVersion,
    pub(super) local_suffixes: Vec<HostName>,
    pub(super) keep_root_key: bool,
    pub(super) limits: Limits,
    pub(super) trust: Trust,
    pub(super) resolver: Resolver,
    pub(super) log: Log,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: Sockets::of_port(PORT_HTTPS),
            http: Sockets::of_port(PORT_HTTP),
            storage: Storage::default(),
            acme: None,
            alerts: Alerts::default(),
            control: Control::default(),
            unknown: None,
            workers: None,
            drain: DRAIN,
            cert_dir: None,
            min_tls: TlsVersion::V1_2,
            local_suffixes: Vec::new(),
            keep_root_key: false,
            limits: Limits::default(),
            trust: Trust::default(),
            resolver: Resolver::default(),
            log: Log::default(),
        }
    }
}

impl Settings {
    /// Nothing is said; `doorway` is where there is a door already.
    pub(super) fn at(doorway: Option<&Doorway>) -> Self {
        let mut settings = Self::default();
        if let Some(Doorway { listen, http }) = doorway {
            settings.listen = Sockets::of(listen);
            settings.http = Sockets::of(http);
        }
        settings
    }

    /// Reads every key of the top level but `include`, `defaults` and `sites`.
    pub(super) fn read(
        self,
        top: &Table<'_>,
        files: &mut dyn Files,
        problems: &mut Problems,
    ) -> Self {
        let mut settings = self;
        if let Some(listen) = top
            .get("listen")
            .and_then(|item| Sockets::read(&item, problems))
        {
            settings.listen = listen;
        }
        if let Some(http) = top.get("http").and_then(|item| plain(&item, problems)) {
            settings.http = http;
        }
        if let Some(item) = top.get("storage") {
            settings.storage = Storage::read(&item, files, problems);
        }
        settings.acme = top
            .get("acme")
            .and_then(|item| acme::read(&item, files, problems));
        settings.unknown = top.get("unknown").and_then(|item| unknown(&item, problems));
        settings.workers = top.get("workers").and_then(|item| workers(&item, problems));
        if let Some(drain) = top.get("drain").and_then(|item| item.duration(problems)) {
            settings.drain = drain;
        }
        let mut table = |key| {
            top.get(key)
                .and_then(|item| item.table("a table", problems))
        };
        let (tls, limits, log) = (table("tls"), table("limits"), table("log"));
        let (alerts, control, trust) = (table("alerts"), table("control"), table("trust"));
        if let Some(tls) = tls {
            settings.read_tls(&tls, problems);
        }
        if let Some(limits) = limits {
            read_limits(&limits, &mut settings.limits, problems);
        }
        if let Some(log) = log {
            read_log(&log, &mut settings.log, problems);
        }
        if let Some(alerts) = alerts {
            settings.alerts = Alerts::read(&alerts, files, problems);
        }
        if let Some(control) = control {
            settings.control = Control::read(&control, problems);
        }
        if let Some(trust) = trust {
            settings.trust = Trust::read(&trust, problems);
        }
        let resolver = top.get("resolver");
        if let Some(resolver) = resolver.and_then(|item| item.choice(RESOLVERS, problems)) {
            settings.resolver = resolver;
        }
        settings
    }

    fn read_tls(&mut self, tls: &Table<'_>, problems: &mut Problems) {
        tls.check_keys(&keys::TLS, problems);
        self.cert_dir = tls.get("cert_dir").and_then(|item| item.path(problems));
        if let Some(min) = tls
            .get("min")
            .and_then(|item| item.choice(VERSIONS, problems))
        {
            self.min_tls = min;
        }
        if let Some(keep) = tls
            .get("keep_root_key")
            .and_then(|item| item.flag(problems))
        {
            self.keep_root_key = keep;
        }
        let Some(suffixes) = tls.get("local_suffixes") else {
            return;
        };
        let Some(list) = suffixes.as_list() else {
            suffixes.wrong_type("a list of host names", problems);
            return;
        };
        if list.len() > SUFFIXES_MAX {
            let message = format!(
                "at most {SUFFIXES_MAX} suffixes: all stand in the local CA's certificates"
            );
            problems.push(Problem::error("out-of-range", message).at(suffixes.at(), "too many"));
            return;
        }
        self.local_suffixes = list
            .iter()
            .filter_map(|item| suffix(item, problems))
            .collect();
    }
}

fn plain(item: &Item<'_>, problems: &mut Problems) -> Option<Sockets> {
    match item.as_flag() {
        Some(false) => Some(Sockets::none()),
        Some(true) => {
            item.wrong_type("a list of sockets, or `false`", problems);
            None
        }
        None => Sockets::read(item, problems),
    }
}

fn unknown(item: &Item<'_>, problems: &mut Problems) -> Option<Located<String>> {
    let text = item.text("\"reject\" or the name of a site", problems)?;
    (text != "reject").then(|| Located {
        value: text.to_owned(),
        at: item.at(),
    })
}

fn workers(item: &Item<'_>, problems: &mut Problems) -> Option<NonZeroUsize> {
    let workers = item.integer(&(1..=WORKERS_MAX), problems)?;
    NonZeroUsize::new(usize::try_from(workers).ok()?)
}

/// The most entries of `tls.local_suffixes`: they are sent with every handshake.
const SUFFIXES_MAX: usize = 64;

fn suffix(item: &Item<'_>, problems: &mut Problems) -> Option<HostName> {
    let text = item.text("a list of host names", problems)?;
    let bare = text.trim_start_matches("*.").trim_start_matches('.');
    let parsed = HostName::parse(text).ok();
    if parsed.is_none() {
        problems.push(
            Problem::error("bad-host", format!("`{text}` is no suffix of host names"))
                .at(item.at(), "not a name")
                .help(format!("write it without a leading dot or `*`: \"{bare}\"")),
        );
    }
    parsed
}

fn read_limits(table: &Table<'_>, limits: &mut Limits, problems: &mut Problems) {
    table.check_keys(&keys::LIMITS, problems);
    let mut count = |key: &str, most: u64| {
        let item = table.get(key)?;
        item.integer(&(1..=most), problems)
    };
    if let Some(connections) = count("connections", CONNECTIONS_MAX).and_then(fit) {
        limits.connections = connections;
    }
    let per_ip = count("connections_per_ip", CONNECTIONS_MAX).and_then(fit);
    if let Some(per_ip) = per_ip.and_then(NonZeroU32::new) {
        limits.connections_per_ip = Some(per_ip);
    }
    if let Some(headers) = count("headers", HEADERS_MAX).and_then(fit) {
        limits.headers = headers;
    }
    if let Some(streams) = count("streams", STREAMS_MAX).and_then(fit) {
        limits.streams = streams;
    }
    if let Some(bytes) = head_size(table, "header_bytes", problems) {
        limits.header_bytes = bytes;
    }
    if let Some(bytes) = head_size(table, "uri_bytes", problems) {
        limits.uri_bytes = bytes;
    }
    let mut time = |key: &str| table.get(key)?.time(problems);
    if let Some(handshake) = time("handshake") {
        limits.handshake = handshake;
    }
    if let Some(header_read) = time("header_read") {
        limits.header_read = header_read;
    }
    if let Some(idle) = time("idle") {
        limits.idle = idle;
    }
}

fn fit<T: TryFrom<u64>>(integer: u64) -> Option<T> {
    T::try_from(integer).ok()
}

fn head_size(table: &Table<'_>, key: &str, problems: &mut Problems) -> Option<u64> {
    let item = table.get(key)?;
    let size = item.size(problems)?;
    if size > HEAD_BYTES_MAX {
        let most = HEAD_BYTES_MAX >> 20;
        problems.push(
            Problem::error(
                "out-of-range",
                format!("`{key}` takes at most \"{most}MiB\""),
            )
            .at(item.at(), "out of range"),
        );
        return None;
    }
    Some(size)
}

fn read_log(table: &Table<'_>, log: &mut Log, problems: &mut Problems) {
    table.check_keys(&keys::LOG, problems);
    if let Some(access) = table.get("access").and_then(|item| access(&item, problems)) {
        log.access = access;
    }
    if let Some(format) = table
        .get("format")
        .and_then(|item| item.choice(FORMATS, problems))
    {
        log.format = format;
    }
    if let Some(level) = table
        .get("level")
        .and_then(|item| item.choice(LEVELS, problems))
    {
        log.level = level;
    }
}

fn access(item: &Item<'_>, problems: &mut Problems) -> Option<AccessLog> {
    if item.as_flag() == Some(false) {
        return Some(AccessLog::Off);
    }
    match item.text("\"stdout\", \"stderr\", a path, or `false`", problems)? {
        "stdout" => Some(AccessLog::Stdout),
        "stderr" => Some(AccessLog::Stderr),
        _ => item.path(problems).map(|path| AccessLog::File(path.value)),
    }
}
