//! The keys of the tables around certificates, storage, alerts and other users, as data.

use super::Keys;
use super::tables::plain;

pub(in crate::config) static ACME: Keys = plain(
    "`acme`",
    &[
        "email",
        "directory",
        "fallback",
        "eab",
        "profile",
        "challenges",
        "roots",
        "key",
        "meanwhile",
        "role",
        "on_demand",
        "dns",
    ],
    &[
        ("mail", "email"),
        ("contact", "email"),
        ("contacts", "email"),
        ("acme_email", "email"),
        ("account_email", "email"),
        ("ca", "directory"),
        ("acme_ca", "directory"),
        ("ca_server", "directory"),
        ("caserver", "directory"),
        ("server", "directory"),
        ("url", "directory"),
        ("directory_url", "directory"),
        ("dir", "directory"),
        ("issuer", "directory"),
        ("cas", "fallback"),
        ("fallbacks", "fallback"),
        ("external_account", "eab"),
        ("acme_eab", "eab"),
        ("eab_kid", "eab"),
        ("eab_hmac_key", "eab"),
        ("preferred_profile", "profile"),
        ("preferred_challenges", "challenges"),
        ("challenge", "challenges"),
        ("http_challenge", "challenges"),
        ("tls_challenge", "challenges"),
        ("disable_http_challenge", "challenges"),
        ("disable_tlsalpn_challenge", "challenges"),
        ("acme_ca_root", "roots"),
        ("ca_root", "roots"),
        ("ca_certificates", "roots"),
        ("trusted_roots", "roots"),
        ("root", "roots"),
        ("key_type", "key"),
        ("on_demand_tls", "on_demand"),
        ("ondemand", "on_demand"),
        ("ask", "on_demand"),
        ("dns_challenge", "dns"),
        ("acme_dns", "dns"),
        ("provider", "dns"),
        ("resolvers", "dns"),
        ("resolver", "dns"),
    ],
);

pub(in crate::config) static FALLBACK: Keys = plain(
    "an entry of `fallback`",
    &["directory", "eab", "profile"],
    &[
        ("ca", "directory"),
        ("ca_server", "directory"),
        ("server", "directory"),
        ("url", "directory"),
        ("external_account", "eab"),
    ],
);

pub(in crate::config) static EAB: Keys = plain(
    "`eab`",
    &["kid", "hmac"],
    &[
        ("key_id", "kid"),
        ("id", "kid"),
        ("hmac_key", "hmac"),
        ("mac_key", "hmac"),
        ("hmac_encoded", "hmac"),
        ("key", "hmac"),
        ("secret", "hmac"),
    ],
);

pub(in crate::config) static ON_DEMAND: Keys = plain(
    "`on_demand`",
    &["ask"],
    &[
        ("url", "ask"),
        ("endpoint", "ask"),
        ("permission", "ask"),
        ("allow", "ask"),
    ],
);

pub(in crate::config) static RFC2136: Keys = plain(
    "`dns` of type \"rfc2136\"",
    &[
        "type",
        "server",
        "zone",
        "key",
        "algorithm",
        "secret",
        "resolver",
    ],
    &[
        ("provider", "type"),
        ("nameserver", "server"),
        ("host", "server"),
        ("url", "server"),
        ("domain", "zone"),
        ("key_name", "key"),
        ("keyname", "key"),
        ("tsig_key", "key"),
        ("name", "key"),
        ("tsig_algorithm", "algorithm"),
        ("key_alg", "algorithm"),
        ("tsig_secret", "secret"),
        ("key_secret", "secret"),
        ("resolvers", "resolver"),
    ],
);

pub(in crate::config) static ACME_DNS: Keys = plain(
    "`dns` of type \"acme-dns\"",
    &["type", "url", "user", "password", "subdomain", "resolver"],
    &[
        ("provider", "type"),
        ("server", "url"),
        ("server_url", "url"),
        ("api_base", "url"),
        ("username", "user"),
        ("api_user", "user"),
        ("api_key", "password"),
        ("key", "password"),
        ("resolvers", "resolver"),
    ],
);

pub(in crate::config) static CLOUDFLARE: Keys = plain(
    "`dns` of type \"cloudflare\"",
    &["type", "token", "zone", "resolver"],
    &[
        ("provider", "type"),
        ("api_token", "token"),
        ("dns_api_token", "token"),
        ("api_key", "token"),
        ("key", "token"),
        ("zone_id", "zone"),
        ("resolvers", "resolver"),
    ],
);

pub(in crate::config) static EXEC: Keys = plain(
    "`dns` of type \"exec\"",
    &["type", "command", "resolver"],
    &[
        ("provider", "type"),
        ("exec", "command"),
        ("program", "command"),
        ("path", "command"),
        ("hook", "command"),
        ("resolvers", "resolver"),
    ],
);

pub(in crate::config) static STORAGE: Keys = plain(
    "`storage`",
    &[
        "url",
        "ephemeral",
        "endpoint",
        "region",
        "access_key",
        "secret_key",
        "session_token",
        "password",
        "roots",
        "local_copy",
    ],
    &[
        ("path", "url"),
        ("dir", "url"),
        ("folder", "url"),
        ("root", "url"),
        ("address", "url"),
        ("host", "url"),
        ("bucket", "url"),
        ("prefix", "url"),
        ("key_prefix", "url"),
        ("db", "url"),
        ("database", "url"),
        ("username", "url"),
        ("user", "url"),
        ("allow_ephemeral", "ephemeral"),
        ("endpoint_url", "endpoint"),
        ("access_key_id", "access_key"),
        ("access_id", "access_key"),
        ("secret_access_key", "secret_key"),
        ("token", "session_token"),
        ("ca", "roots"),
        ("ca_cert", "roots"),
        ("tls_server_certs_pem", "roots"),
        ("cache", "local_copy"),
        ("copy", "local_copy"),
    ],
);

pub(in crate::config) static ALERTS: Keys = plain(
    "`alerts`",
    &["exec", "webhook"],
    &[
        ("command", "exec"),
        ("program", "exec"),
        ("hook", "exec"),
        ("script", "exec"),
        ("url", "webhook"),
        ("webhooks", "webhook"),
        ("slack", "webhook"),
    ],
);

pub(in crate::config) static SECRET: Keys = plain(
    "a secret",
    &["file", "env"],
    &[
        ("path", "file"),
        ("from_file", "file"),
        ("var", "env"),
        ("variable", "env"),
        ("environment", "env"),
    ],
);

pub(in crate::config) static CONTROL: Keys = plain(
    "`control`",
    &["group", "allow"],
    &[
        ("gid", "group"),
        ("users", "allow"),
        ("rules", "allow"),
        ("permissions", "allow"),
        ("grant", "allow"),
    ],
);
