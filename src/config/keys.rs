//! Which keys each table knows, which it will know, and what other programs call them.

use super::problem::{At, Problem};
use super::suggest;

/// The keys of one kind of table.
#[derive(Debug)]
pub(super) struct Keys {
    /// What the table is, for messages: `a site`.
    pub(super) of: &'static str,
    pub(super) known: &'static [&'static str],
    /// Named in the documentation, not built yet.
    pub(super) unbuilt: &'static [&'static str],
    /// What other programs call a key, folded, and its name here.
    pub(super) foreign: &'static [(&'static str, &'static str)],
}

pub(super) static TOP: Keys = Keys {
    of: "the top level",
    known: &[
        "listen", "http", "storage", "include", "unknown", "workers", "drain", "tls", "defaults",
        "limits", "log", "sites",
    ],
    unbuilt: &["acme", "trust", "metrics", "admin", "alerts"],
    foreign: &[
        ("port", "listen"),
        ("ports", "listen"),
        ("bind", "listen"),
        ("https", "listen"),
        ("https_port", "listen"),
        ("entry_points", "listen"),
        ("entrypoints", "listen"),
        ("http_port", "http"),
        ("email", "acme"),
        ("letsencrypt", "acme"),
        ("ssl", "tls"),
        ("certificates", "tls"),
        ("site", "sites"),
        ("host", "sites"),
        ("hosts", "sites"),
        ("vhosts", "sites"),
        ("virtual_hosts", "sites"),
        ("server", "sites"),
        ("servers", "sites"),
        ("services", "sites"),
        ("routes", "sites"),
        ("proxy", "sites"),
        ("import", "include"),
        ("includes", "include"),
        ("worker_processes", "workers"),
        ("threads", "workers"),
        ("default", "unknown"),
        ("default_server", "unknown"),
        ("fallback", "unknown"),
        ("data_dir", "storage"),
        ("global", "defaults"),
        ("logging", "log"),
        ("access_log", "log"),
        ("error_log", "log"),
        ("shutdown_timeout", "drain"),
        ("grace_period", "drain"),
        ("trusted_proxies", "trust"),
    ],
};

pub(super) static SITE: Keys = Keys {
    of: "a site",
    known: &[
        "to",
        "aliases",
        "listen",
        "tls",
        "cert",
        "key",
        "min_tls",
        "paths",
        "strip_prefix",
        "rewrite",
        "redirect",
        "status",
        "respond",
        "headers",
        "host",
        "timeout",
        "max_body",
        "hsts",
        "passthrough",
        "tcp",
        "alpn",
        "log",
    ],
    unbuilt: UNBUILT_RULE_KEYS,
    foreign: FOREIGN_RULE_KEYS,
};

pub(super) static DEFAULTS: Keys = Keys {
    of: "`defaults`",
    known: &[
        "to",
        "listen",
        "tls",
        "cert",
        "key",
        "min_tls",
        "paths",
        "strip_prefix",
        "rewrite",
        "redirect",
        "status",
        "respond",
        "headers",
        "host",
        "timeout",
        "max_body",
        "hsts",
        "passthrough",
        "tcp",
        "alpn",
        "log",
    ],
    unbuilt: UNBUILT_RULE_KEYS,
    foreign: FOREIGN_RULE_KEYS,
};

pub(super) static PATH: Keys = Keys {
    of: "an entry of `paths`",
    known: &[
        "to",
        "strip",
        "strip_prefix",
        "rewrite",
        "redirect",
        "status",
        "respond",
        "headers",
        "host",
        "timeout",
        "max_body",
        "hsts",
        "log",
    ],
    unbuilt: &[
        "balance",
        "health",
        "eject",
        "retry",
        "max_conns",
        "compress",
        "auth",
        "allow",
        "deny",
        "rate",
        "errors",
    ],
    foreign: FOREIGN_RULE_KEYS,
};

const UNBUILT_RULE_KEYS: &[&str] = &[
    "client_ca",
    "client_auth",
    "balance",
    "health",
    "eject",
    "retry",
    "max_conns",
    "compress",
    "auth",
    "allow",
    "deny",
    "rate",
    "errors",
    "proxy_protocol",
];

const FOREIGN_RULE_KEYS: &[(&str, &str)] = &[
    ("upstream", "to"),
    ("upstreams", "to"),
    ("proxy_pass", "to"),
    ("reverse_proxy", "to"),
    ("proxy", "to"),
    ("proxy_to", "to"),
    ("backend", "to"),
    ("backends", "to"),
    ("target", "to"),
    ("targets", "to"),
    ("server", "to"),
    ("servers", "to"),
    ("service", "to"),
    ("forward", "to"),
    ("forward_to", "to"),
    ("dest", "to"),
    ("destination", "to"),
    ("origin", "to"),
    ("url", "to"),
    ("address", "to"),
    ("ssl_certificate", "cert"),
    ("certificate", "cert"),
    ("cert_file", "cert"),
    ("certfile", "cert"),
    ("tls_cert", "cert"),
    ("ssl_cert", "cert"),
    ("fullchain", "cert"),
    ("ssl_certificate_key", "key"),
    ("private_key", "key"),
    ("privkey", "key"),
    ("key_file", "key"),
    ("keyfile", "key"),
    ("tls_key", "key"),
    ("ssl_key", "key"),
    ("server_name", SITE_KEY),
    ("hostname", SITE_KEY),
    ("name", SITE_KEY),
    ("domain", SITE_KEY),
    ("hosts", "aliases"),
    ("names", "aliases"),
    ("domains", "aliases"),
    ("server_names", "aliases"),
    ("alias", "aliases"),
    ("ssl", "tls"),
    ("https", "tls"),
    ("ssl_protocols", "min_tls"),
    ("min_version", "min_tls"),
    ("tls_min", "min_tls"),
    ("port", "listen"),
    ("ports", "listen"),
    ("bind", "listen"),
    ("location", "paths"),
    ("locations", "paths"),
    ("path", "paths"),
    ("routes", "paths"),
    ("handle_path", "paths"),
    ("strip_path", "strip_prefix"),
    ("path_prefix", "strip_prefix"),
    ("rewrites", "rewrite"),
    ("return", "respond"),
    ("redirects", "redirect"),
    ("redir", "redirect"),
    ("code", "status"),
    ("header", "headers"),
    ("add_header", "headers"),
    ("proxy_set_header", "headers"),
    ("proxy_read_timeout", "timeout"),
    ("timeouts", "timeout"),
    ("client_max_body_size", "max_body"),
    ("max_body_size", "max_body"),
    ("body_limit", "max_body"),
    ("host_header", "host"),
    ("strict_transport_security", "hsts"),
    ("tls_passthrough", "passthrough"),
    ("access_log", "log"),
    ("lb_policy", "balance"),
    ("load_balancing", "balance"),
    ("lb", "balance"),
    ("health_check", "health"),
    ("healthcheck", "health"),
    ("gzip", "compress"),
    ("encode", "compress"),
    ("compression", "compress"),
    ("basic_auth", "auth"),
    ("basicauth", "auth"),
    ("forward_auth", "auth"),
    ("rate_limit", "rate"),
    ("limit_req", "rate"),
    ("error_page", "errors"),
    ("ssl_client_certificate", "client_ca"),
];

/// Stands in the tables of foreign names for what is no key here: the left-hand side itself.
const SITE_KEY: &str = "[site]";

pub(super) static TARGET: Keys = Keys {
    of: "a target",
    known: &["url", "ca", "insecure", "sni", "cert", "key"],
    unbuilt: &["weight", "backup"],
    foreign: &[
        ("to", "url"),
        ("target", "url"),
        ("address", "url"),
        ("addr", "url"),
        ("host", "url"),
        ("upstream", "url"),
        ("server", "url"),
        ("server_name", "sni"),
        ("ca_cert", "ca"),
        ("ca_file", "ca"),
        ("root_ca", "ca"),
        ("skip_verify", "insecure"),
        ("insecure_skip_verify", "insecure"),
        ("tls_insecure_skip_verify", "insecure"),
        ("verify", "insecure"),
        ("certificate", "cert"),
        ("private_key", "key"),
    ],
};

pub(super) static TLS: Keys = plain(
    "`tls`",
    &["cert_dir", "min", "local_suffixes"],
    &[
        ("min_tls", "min"),
        ("min_version", "min"),
        ("certs", "cert_dir"),
        ("dir", "cert_dir"),
    ],
);
pub(super) static LOG: Keys = plain(
    "`log`",
    &["access", "format", "level"],
    &[("file", "access"), ("path", "access"), ("output", "access")],
);
pub(super) static LIMITS: Keys = Keys {
    of: "`limits`",
    known: &[
        "connections",
        "headers",
        "header_bytes",
        "uri_bytes",
        "streams",
        "handshake",
        "header_read",
        "idle",
    ],
    unbuilt: &["connections_per_ip"],
    foreign: &[
        ("max_connections", "connections"),
        ("worker_connections", "connections"),
        ("keepalive_timeout", "idle"),
        ("max_headers", "headers"),
    ],
};
pub(super) static TIMEOUT: Keys = plain(
    "`timeout`",
    &["connect", "response", "idle", "tunnel_idle"],
    &[
        ("read", "response"),
        ("first_byte", "response"),
        ("dial", "connect"),
    ],
);
pub(super) static HSTS: Keys = plain(
    "`hsts`",
    &["max_age", "subdomains", "preload"],
    &[
        ("include_subdomains", "subdomains"),
        ("include_sub_domains", "subdomains"),
    ],
);
pub(super) static RESPOND: Keys = plain(
    "`respond`",
    &["status", "body", "type"],
    &[
        ("content_type", "type"),
        ("code", "status"),
        ("text", "body"),
    ],
);
pub(super) static HEADERS: Keys = plain(
    "`headers`",
    &["request", "response"],
    &[
        ("upstream", "request"),
        ("up", "request"),
        ("down", "response"),
    ],
);
pub(super) static REWRITE: Keys = plain(
    "`rewrite`",
    &["from", "to"],
    &[
        ("regex", "from"),
        ("pattern", "from"),
        ("replacement", "to"),
        ("with", "to"),
    ],
);
pub(super) static INCLUDED: Keys = plain("an included file", &["sites"], &[]);

const fn plain(
    of: &'static str,
    known: &'static [&'static str],
    foreign: &'static [(&'static str, &'static str)],
) -> Keys {
    Keys {
        of,
        known,
        unbuilt: &[],
        foreign,
    }
}

impl Keys {
    /// What is wrong with `key`, if it is none of the known ones.
    pub(super) fn problem(&self, key: &str, at: At) -> Option<Problem> {
        if self.known.contains(&key) {
            return None;
        }
        if self.unbuilt.contains(&key) {
            return Some(not_built_yet(key, at));
        }
        let of = self.of;
        let message = format!("`{key}` is no key of {of}");
        Some(
            Problem::error("unknown-key", message)
                .at(at, self.label(key))
                .help(self.help(key)),
        )
    }

    fn translation(&self, key: &str) -> Option<&'static str> {
        let folded = suggest::fold(key);
        let (_, ours) = self.foreign.iter().find(|(theirs, _)| *theirs == folded)?;
        Some(ours)
    }

    fn label(&self, key: &str) -> String {
        match self.translation(key).or_else(|| self.near(key)) {
            Some(SITE_KEY) | None => "unknown key".to_owned(),
            Some(ours) => format!("did you mean `{ours}`?"),
        }
    }

    fn near(&self, key: &str) -> Option<&'static str> {
        suggest::nearest(key, self.known.iter().chain(self.unbuilt).copied())
    }

    fn help(&self, key: &str) -> String {
        match self.translation(key) {
            Some(SITE_KEY) => {
                return "a site is named by its key: `\"host\" = { … }`; further names are `aliases`"
                    .to_owned();
            }
            Some(ours) if self.unbuilt.contains(&ours) => {
                return format!(
                    "what others call `{key}` is `{ours}` here, and it is not built yet"
                );
            }
            Some(ours) => return format!("what others call `{key}` is `{ours}` here"),
            None => {}
        }
        match self.near(key) {
            Some(near) if self.unbuilt.contains(&near) => {
                return format!("`{near}` is known, but not built yet");
            }
            Some(near) => return format!("there is a similar key: `{near}`"),
            None => {}
        }
        let homes = [&SITE, &TOP, &PATH, &TARGET, &TLS, &LIMITS, &LOG, &TIMEOUT];
        match homes.iter().find(|keys| keys.known.contains(&key)) {
            Some(home) => format!("`{key}` is a key of {}", home.of),
            None => format!("the keys of {} are {}", self.of, listed(self.known)),
        }
    }
}

/// The problem with a key, or a form of one, that is documented and does nothing yet.
pub(super) fn not_built_yet(what: &str, at: At) -> Problem {
    Problem::error(
        "not-built-yet",
        format!("`{what}` is known, but not built yet"),
    )
    .at(at, "this would do nothing")
    .help("remove it; this version cannot do what it asks for")
}

/// `a`, `b` and `c`, each in backticks.
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(keys: &Keys, key: &str) -> Option<String> {
        keys.problem(key, At::new(0, 0..1))
            .and_then(|problem| problem.help)
    }

    #[test]
    fn foreign_names_are_translated() {
        assert_eq!(
            help(&SITE, "proxy_pass").as_deref(),
            Some("what others call `proxy_pass` is `to` here")
        );
        assert!(
            help(&SITE, "server_name")
                .unwrap()
                .contains("named by its key")
        );
        assert!(help(&SITE, "gzip").unwrap().contains("not built yet"));
    }

    #[test]
    fn every_translation_leads_to_a_key() {
        for keys in [
            &TOP, &SITE, &TARGET, &TLS, &LOG, &LIMITS, &TIMEOUT, &HSTS, &RESPOND,
        ] {
            for (theirs, ours) in keys.foreign {
                let leads = keys.known.contains(ours) || keys.unbuilt.contains(ours);
                assert!(leads || *ours == SITE_KEY, "{theirs} leads to {ours}");
                assert!(!keys.known.contains(theirs), "{theirs} is our own");
            }
        }
    }

    #[test]
    fn keys_of_other_tables_say_where_they_belong() {
        assert_eq!(
            help(&SITE, "workers").as_deref(),
            Some("`workers` is a key of the top level")
        );
        assert_eq!(help(&SITE, "to"), None);
    }
}
