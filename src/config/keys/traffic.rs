//! The keys of the tables about targets, about who may ask, and about whom to believe, as data.

use super::Keys;
use super::tables::plain;

pub(in crate::config) static BALANCE: Keys = plain(
    "`balance`",
    &["cookie", "header"],
    &[
        ("sticky", "cookie"),
        ("name", "cookie"),
        ("sticky_cookie", "cookie"),
    ],
);
pub(in crate::config) static HEALTH: Keys = plain(
    "`health`",
    &[
        "path", "every", "timeout", "fails", "passes", "status", "host", "tcp", "grpc",
    ],
    &[
        ("uri", "path"),
        ("url", "path"),
        ("interval", "every"),
        ("max_fails", "fails"),
        ("fall", "fails"),
        ("unhealthy_threshold", "fails"),
        ("rise", "passes"),
        ("healthy_threshold", "passes"),
        ("expect_status", "status"),
        ("expected_status", "status"),
        ("hostname", "host"),
        ("grpc_service", "grpc"),
        ("service", "grpc"),
    ],
);
pub(in crate::config) static EJECT: Keys = plain(
    "`eject`",
    &["fails", "within", "for"],
    &[
        ("max_fails", "fails"),
        ("consecutive_errors", "fails"),
        ("fail_timeout", "for"),
        ("fail_duration", "for"),
        ("duration", "for"),
        ("interval", "within"),
    ],
);
pub(in crate::config) static RETRY: Keys = plain(
    "`retry`",
    &["tries", "on", "within"],
    &[
        ("attempts", "tries"),
        ("retries", "tries"),
        ("max", "tries"),
        ("match", "on"),
        ("timeout", "within"),
        ("duration", "within"),
    ],
);
pub(in crate::config) static AUTH: Keys = plain(
    "`auth`",
    &["basic", "forward", "copy"],
    &[
        ("htpasswd", "basic"),
        ("users_file", "basic"),
        ("file", "basic"),
        ("users", "basic"),
        ("url", "forward"),
        ("address", "forward"),
        ("uri", "forward"),
        ("copy_headers", "copy"),
        ("auth_response_headers", "copy"),
        ("headers", "copy"),
    ],
);
pub(in crate::config) static RATE: Keys = plain(
    "`rate`",
    &["limit", "burst", "key"],
    &[
        ("rate", "limit"),
        ("average", "limit"),
        ("events", "limit"),
        ("by", "key"),
        ("zone", "key"),
    ],
);
pub(in crate::config) static RATE_KEY: Keys = plain(
    "`rate.key`",
    &["header"],
    &[("request_header_name", "header"), ("name", "header")],
);
pub(in crate::config) static TRUST: Keys = plain(
    "`trust`",
    &["proxies", "proxy_protocol"],
    &[
        ("trusted_proxies", "proxies"),
        ("trusted_ips", "proxies"),
        ("static", "proxies"),
        ("forwarded_headers", "proxies"),
        ("accept_proxy", "proxy_protocol"),
    ],
);
