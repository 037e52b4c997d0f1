//! Which request asks for what.

use http::Method;

use super::query::unescape;
use crate::control::health::HEALTH_PATH;
use crate::control::renewal::RENEW_PATH;
use crate::control::session::{JOIN_PATH, SUCCEED_PATH};

pub(in crate::control) const STATUS_PATH: &str = "/v1/status";
pub(in crate::control) const EXPLAIN_PATH: &str = "/v1/explain";
pub(in crate::control) const LOGS_PATH: &str = "/v1/logs";
pub(in crate::control) const RELOAD_PATH: &str = "/v1/reload";
pub(in crate::control) const RESTART_PATH: &str = "/v1/restart";
pub(in crate::control) const STOP_PATH: &str = "/v1/stop";
/// A saved lease's, with its host behind it.
pub(in crate::control) const LEASES_PATH: &str = "/v1/leases/";

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Health,
    Renew,
    Status,
    Explain,
    Logs,
    Join,
    Succeed,
    Reload,
    Restart,
    Stop,
    Save { host: String },
    Remove { host: String },
}

/// Why it asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unrouted {
    Path,
    /// These are the methods of the path.
    Method(&'static str),
}

pub(super) fn route(method: &Method, path: &str) -> Result<Route, Unrouted> {
    if let Some(host) = path.strip_prefix(LEASES_PATH) {
        let host = unescape(host).filter(|host| !host.is_empty() && !host.contains('/'));
        let host = host.ok_or(Unrouted::Path)?;
        return match *method {
            Method::PUT => Ok(Route::Save { host }),
            Method::DELETE => Ok(Route::Remove { host }),
            _ => Err(Unrouted::Method("PUT, DELETE")),
        };
    }
    let (route, methods) = match path {
        HEALTH_PATH => (Route::Health, "GET, HEAD"),
        STATUS_PATH => (Route::Status, "GET"),
        EXPLAIN_PATH => (Route::Explain, "GET"),
        LOGS_PATH => (Route::Logs, "GET"),
        RENEW_PATH => (Route::Renew, "POST"),
        JOIN_PATH => (Route::Join, "POST"),
        SUCCEED_PATH => (Route::Succeed, "POST"),
        RELOAD_PATH => (Route::Reload, "POST"),
        RESTART_PATH => (Route::Restart, "POST"),
        STOP_PATH => (Route::Stop, "POST"),
        _ => return Err(Unrouted::Path),
    };
    let served = methods.split(", ").any(|served| served == method.as_str());
    served.then_some(route).ok_or(Unrouted::Method(methods))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_methods() {
        #[track_caller]
        fn check(request: &str, expected: &Result<Route, Unrouted>) {
            let (method, path) = request.split_once(' ').unwrap();
            let found = route(&method.parse().unwrap(), path);
            assert_eq!(found, *expected, "{request}");
        }
        let host = || "a.test".to_owned();
        check("GET /v1/health", &Ok(Route::Health));
        check("HEAD /v1/health", &Ok(Route::Health));
        check("POST /v1/health", &Err(Unrouted::Method("GET, HEAD")));
        for (path, asked) in [
            ("status", Route::Status),
            ("explain", Route::Explain),
            ("logs", Route::Logs),
        ] {
            check(&format!("GET /v1/{path}"), &Ok(asked));
            check(&format!("PUT /v1/{path}"), &Err(Unrouted::Method("GET")));
        }
        for (path, asked) in [
            ("renew", Route::Renew),
            ("join", Route::Join),
            ("succeed", Route::Succeed),
            ("reload", Route::Reload),
            ("restart", Route::Restart),
            ("stop", Route::Stop),
        ] {
            check(&format!("POST /v1/{path}"), &Ok(asked));
            check(&format!("GET /v1/{path}"), &Err(Unrouted::Method("POST")));
        }
        check("PUT /v1/leases/a.test", &Ok(Route::Save { host: host() }));
        check(
            "DELETE /v1/leases/%61.test",
            &Ok(Route::Remove { host: host() }),
        );
        check(
            "GET /v1/leases/a.test",
            &Err(Unrouted::Method("PUT, DELETE")),
        );
        for path in ["/", "/v1", "/v2/health", "/v1/health/", "/v1/leases"] {
            check(&format!("GET {path}"), &Err(Unrouted::Path));
        }
        for host in ["", "%", "a/b", "a%2Fb"] {
            check(&format!("PUT /v1/leases/{host}"), &Err(Unrouted::Path));
        }
    }
}
