//! `tls`, `cert`, `key`, `min_tls`: how TLS ends for a site, or that it does not.

use std::sync::Arc;

use super::client_auth;
use super::enclosed::Enclosed;
use super::problem::{At, Problem};
use super::problems::Problems;
use super::reader::{Item, Layers, Table};
use super::settings::{Settings, VERSIONS};
use super::site::{Certificate, PairFolder, Tls};
use crate::hostname::{HostName, HostPattern};

/// The suffixes that the local CA signs without being asked.
pub const LOCAL_SUFFIXES: &[&str] = &["localhost", "test", "internal", "home.arpa"];

/// What the keys `tls`, `cert` and `key` come to.
#[derive(Debug)]
pub(super) enum Security {
    /// `tls = "off"`, and where it is said.
    Off(At),
    By(Certificate),
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Auto,
    Internal,
    Off,
}

const MODES: &[(&str, Mode)] = &[
    ("auto", Mode::Auto),
    ("internal", Mode::Internal),
    ("off", Mode::Off),
];

/// Reads the three keys from the nearest table that has any of them: a site's own pair is not spoilt by a default.
pub(super) fn security(layers: &Layers<'_>, problems: &mut Problems) -> Option<Security> {
    let Some(table) = layers.group(&["tls", "cert", "key"]) else {
        return Some(Security::By(Certificate::Auto));
    };
    let mode = match table.get("tls") {
        Some(item) => Some((item.choice(MODES, problems)?, item)),
        None => None,
    };
    let pair = match (table.get("cert"), table.get("key")) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some(pair(&cert, &key, mode, problems)?),
        (Some(cert), None) => return half(&cert, "key", problems),
        (None, Some(key)) => return half(&key, "cert", problems),
    };
    Some(match (mode, pair) {
        (_, Some(pair)) => Security::By(pair),
        (Some((Mode::Off, item)), None) => {
            refuse_without_tls(layers, &item, problems);
            Security::Off(item.at())
        }
        (Some((Mode::Internal, _)), None) => Security::By(Certificate::LocalCa),
        (Some((Mode::Auto, _)) | None, None) => Security::By(Certificate::Auto),
    })
}

fn pair(
    cert: &Item<'_>,
    key: &Item<'_>,
    mode: Option<(Mode, Item<'_>)>,
    problems: &mut Problems,
) -> Option<Certificate> {
    let (cert_path, key_path) = (cert.path(problems), key.path(problems));
    let why = match &mode {
        Some((Mode::Internal, item)) => Some((item, "the local CA would make the certificate")),
        Some((Mode::Off, item)) => Some((item, "there is no TLS that would need a certificate")),
        Some((Mode::Auto, _)) | None => None,
    };
    if let Some((item, why)) = why {
        problems.push(
            Problem::error("conflicting-keys", "`cert` does not go with this `tls`")
                .at(cert.key_at, "a certificate of your own")
                .also(item.at(), why)
                .help("remove `tls`, or `cert` and `key`"),
        );
        return None;
    }
    Some(Certificate::Pair {
        cert: cert_path?,
        key: key_path?,
    })
}

fn half(there: &Item<'_>, missing: &str, problems: &mut Problems) -> Option<Security> {
    let message = format!("`{}` needs `{missing}` beside it", there.key);
    problems.error(
        "incomplete-pair",
        message,
        there.key_at,
        format!("`{missing}` is missing"),
        r#"{ cert = "certs/host.pem", key = "certs/host.key", … }"#,
    );
    None
}

fn refuse_without_tls(layers: &Layers<'_>, off: &Item<'_>, problems: &mut Problems) {
    client_auth::refuse_without_tls(layers, off, problems);
    if let Some(min) = layers.site.and_then(|site| site.get("min_tls")) {
        problems.push(
            Problem::error(
                "conflicting-keys",
                "`min_tls` does not go with `tls = \"off\"`",
            )
            .at(min.key_at, "there is no TLS")
            .also(off.at(), "because of this"),
        );
    }
}

/// Puts the parts of a site's TLS together.
pub(super) fn tls(
    certificate: Certificate,
    alpn: Arc<[Box<[u8]>]>,
    layers: &Layers<'_>,
    settings: &Settings,
    enclosed: &mut Enclosed<'_>,
    problems: &mut Problems,
) -> Tls {
    let min = layers
        .get("min_tls")
        .and_then(|item| item.choice(VERSIONS, problems));
    Tls {
        certificate,
        folder: PairFolder::OfConfig,
        min: min.unwrap_or(settings.min_tls),
        alpn,
        client_auth: client_auth::client_auth(layers, enclosed, problems),
    }
}

/// Whether there are pairs that may cover names besides those of their own site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    /// Only whoever reads them can say which names they cover.
    AtHand,
    None,
}

/// Reports each name that nothing could make a certificate for.
pub(super) fn require_certificates(
    names: &[(HostPattern, At)],
    pairs: Pairs,
    settings: &Settings,
    problems: &mut Problems,
) {
    if pairs == Pairs::AtHand || settings.cert_dir.is_some() {
        return;
    }
    for (name, at) in names {
        if is_local(name, &settings.local_suffixes) {
            continue;
        }
        match &settings.acme {
            Some((acme, places)) => match acme.ordered(name) {
                Ok(_when) => acme
                    .remark(name, *at)
                    .into_iter()
                    .for_each(|remark| problems.push(remark)),
                Err(why) if places.explain(why) => {}
                Err(why) => problems.push(why.problem(name, *at)),
            },
            None => problems.error(
                "no-certificate",
                format!("nothing can make a certificate for `{name}`"),
                *at,
                "no certificate for this name",
                CERTIFICATE_HELP,
            ),
        }
    }
}

const CERTIFICATE_HELP: &str = r#"one of these:
  acme = "you@example.com"                                 a public certificate, ordered and renewed by itself
  { …, cert = "certs/host.pem", key = "certs/host.key" }   your own certificate
  [tls] cert_dir = "certs"                                 a folder of certificates, chosen by name
  [tls] local_suffixes = ["lan.example.com"]               signed by the local CA, for machines that trust it"#;

/// Whether the local CA signs a name without being asked.
#[must_use]
pub fn is_local(name: &HostPattern, suffixes: &[HostName]) -> bool {
    let Some(base) = name.base() else {
        return false;
    };
    LOCAL_SUFFIXES.iter().any(|suffix| base.is_under(suffix))
        || suffixes.iter().any(|suffix| base.is_under(suffix.as_str()))
}

/// Reads `alpn`, which stands beside `tcp`.
pub(super) fn alpn(table: &Table<'_>, problems: &mut Problems) -> Option<Arc<[Box<[u8]>]>> {
    let item = table.get("alpn")?;
    let Some(list) = item.as_list() else {
        item.wrong_type("a list of protocol names", problems);
        return None;
    };
    list.iter()
        .map(|item| {
            let text = item.text("a list of protocol names", problems)?;
            if text.is_empty() || text.len() > ALPN_BYTES_MAX {
                let message = format!("a protocol name has 1 to {ALPN_BYTES_MAX} octets");
                problems.push(
                    Problem::error("out-of-range", message).at(item.at(), "not a protocol name"),
                );
                return None;
            }
            Some(Box::from(text.as_bytes()))
        })
        .collect()
}

/// RFC 7301 section 3.1.
const ALPN_BYTES_MAX: usize = 255;
