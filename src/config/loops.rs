//! Requests that would come back: redirects to where they are, targets that are our own sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use super::listen::Listen;
use super::paths;
use super::problem::{At, Problem};
use super::problems::Problems;
use super::site::{Action, Http, Keep, Redirect, Service, Site};
use super::sockets;
use super::target::{Address, Target};
use crate::hostname::{HostName, HostPattern};

const PORT_HTTPS: u16 = 443;
const PORT_HTTP: u16 = 80;

/// Reports a redirect whose answer leads to the same redirect.
pub(super) fn report_redirects(site: &Site, redirects: &[(Redirect, At)], problems: &mut Problems) {
    let (http, is_tls) = match &site.service {
        Service::Plain(http) => (http, false),
        Service::Secure(_, http) => (http, true),
        Service::Passthrough(_) | Service::Tcp(..) => return,
    };
    for (redirect, at) in redirects {
        if comes_back(site, http, is_tls, redirect) {
            problems.error(
                "redirect-loop",
                format!("`{}` leads back to this redirect", redirect.to),
                *at,
                "the client would never arrive",
                "serve the place it leads to: an entry of `paths`, or another site",
            );
        }
    }
}

fn comes_back(site: &Site, http: &Http, is_tls: bool, redirect: &Redirect) -> bool {
    let path = match redirect.to.strip_prefix('/') {
        Some(_) => redirect.to.split(['?', '#']).next().unwrap_or("/"),
        None if !is_own(site, is_tls, &redirect.to) => return false,
        None => match redirect.keep {
            Keep::PathAndQuery => return true,
            Keep::Nothing => own_path(&redirect.to),
        },
    };
    let landing = paths::find(http, path).map(|rule| &rule.action);
    matches!(landing, Some(Action::Redirect(next)) if next == redirect)
}

fn is_own(site: &Site, is_tls: bool, url: &str) -> bool {
    let Ok(uri) = url.split('#').next().unwrap_or_default().parse::<Uri>() else {
        return false;
    };
    let to_tls = uri.scheme_str() == Some("https");
    let default_port = if to_tls { PORT_HTTPS } else { PORT_HTTP };
    let port = uri.port_u16().unwrap_or(default_port);
    let Some(host) = uri.host().and_then(|host| HostName::parse(host).ok()) else {
        return false;
    };
    to_tls == is_tls
        && site.listen.iter().any(|listen| listen.port == port)
        && site.names.contains(&HostPattern::Exact(host))
}

fn own_path(url: &str) -> &str {
    let behind_scheme = url.find("://").map_or(0, |colon| colon + 3);
    let path = url[behind_scheme..].find('/');
    let path = path.map_or("/", |slash| &url[behind_scheme + slash..]);
    path.split(['?', '#']).next().unwrap_or("/")
}

/// Warns of a target that is one of our own sockets, which are sorted by port.
pub(super) fn warn_of_own_socket(
    target: &Target,
    at: At,
    listens: &[Listen],
    problems: &mut Problems,
) {
    let (ips, port): (&[IpAddr], u16) = match &target.address {
        Address::Loopback { port } => (
            &[
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ],
            *port,
        ),
        Address::Ip(address) if address.ip().is_loopback() || address.ip().is_unspecified() => {
            (&[address.ip()], address.port())
        }
        Address::Ip(_) | Address::Name { .. } | Address::Unix(_) => return,
    };
    let first = listens.partition_point(|listen| listen.port < port);
    let own = listens[first..]
        .iter()
        .take_while(|listen| listen.port == port)
        .find(|listen| ips.iter().any(|ip| sockets::reaches(**listen, *ip, port)));
    if let Some(listen) = own {
        problems.push(
            Problem::warning("loop", format!("`{target}` is this proxy itself"))
                .at(at, format!("we listen on {listen}"))
                .help("a target is the port that the application listens on"),
        );
    }
}
