//! Which site and which rule a request is for.

use std::sync::Arc;

use http::Response;
use http::request::Parts;

use super::context::Table;
use super::exchange::{Asked, Fault};
use super::visit::Visit;
use super::{headers, path, redirect, replies};
use crate::config::site::{Http, Rule, Service};
use crate::observe::counters::Refused;
use crate::routing::{Entry, Site};

/// The site that a request is for: that of the connection, unless the request names another that the same certificate covers.
pub(super) fn site_of(asked: &Asked) -> Result<Arc<Site>, Fault> {
    let Asked {
        visit,
        table,
        received,
        ..
    } = asked;
    let host = received.authority.as_ref().map(headers::Authority::host);
    if visit.tls.is_none() {
        let entry = host.and_then(|host| find(visit, table, host));
        return entry
            .and_then(|entry| table.routes.site(entry))
            .cloned()
            .ok_or_else(|| Fault::Reply(replies::unknown_host(table)));
    }
    let misdirected = || {
        visit.context.counters.refused(Refused::Misdirected);
        Fault::Reply(replies::misdirected())
    };
    let home = visit.home(table).ok_or_else(misdirected)?;
    let Some(host) = host else {
        return Ok(home.site);
    };
    let same_name = match &visit.name {
        Some(name) => name.as_str() == host,
        None => crate::hostname::HostName::from_ip(visit.local.ip()).as_str() == host,
    };
    if same_name {
        return Ok(home.site);
    }
    let entry = find(visit, table, host).ok_or_else(misdirected)?;
    let site = table.routes.site(entry).ok_or_else(misdirected)?;
    let covered = covers(table, home.slot, entry)
        && site.min_tls() == home.site.min_tls()
        && site.client_auth() == home.site.client_auth();
    if covered {
        Ok(site.clone())
    } else {
        Err(misdirected())
    }
}

fn find(visit: &Visit, table: &Table, host: &str) -> Option<Entry> {
    table
        .routes
        .find(table.routes.socket(visit.socket)?, visit.local.ip(), host)
}

/// Whether the certificate of a slot is also that of an entry.
fn covers(table: &Table, shown: u32, entry: Entry) -> bool {
    let identity = |slot: u32| {
        table
            .identities
            .get(slot as usize)
            .copied()
            .unwrap_or_default()
    };
    identity(shown) != 0 && identity(shown) == identity(entry.slot)
}

pub(super) enum Routed {
    Rule(Arc<Rule>),
    ToHttps(Response<bytes::Bytes>),
}

/// The rule for a request's path; on a plain socket, the way to `https` for sites that are secure.
pub(super) fn rule_of(asked: &Asked, site: &Site) -> Result<Routed, Fault> {
    let http = match (&site.service, asked.visit.tls) {
        (Service::Plain(http), None) | (Service::Secure(_, http), Some(_)) => http,
        (Service::Secure(..) | Service::Passthrough(_) | Service::Tcp(..), None) => {
            return to_https(asked, site);
        }
        (Service::Plain(_) | Service::Passthrough(_) | Service::Tcp(..), Some(_)) => {
            return Err(Fault::Reply(replies::misdirected()));
        }
    };
    choose(http, &asked.head).map(Routed::Rule)
}

fn choose(http: &Http, parts: &Parts) -> Result<Arc<Rule>, Fault> {
    path::choose_of(http, parts.uri.path())
        .map_err(Fault::Refused)?
        .map(|chosen| chosen.rule().clone())
        .ok_or_else(|| Fault::Reply(replies::no_route()))
}

fn to_https(asked: &Asked, site: &Site) -> Result<Routed, Fault> {
    let host = asked
        .received
        .authority
        .as_ref()
        .map(headers::Authority::host);
    let response = host
        .zip(site.https_port)
        .and_then(|(host, port)| redirect::to_https(host, port, asked.head.uri.path_and_query()));
    response
        .map(Routed::ToHttps)
        .ok_or_else(|| Fault::Reply(replies::unknown_host(&asked.table)))
}
