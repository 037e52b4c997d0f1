//! `onedoor certs renew HOST`: has the running onedoor renew a certificate now.

use std::path::Path;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::{RenewArguments, json};
use crate::app::storing::Depot;
use crate::app::wall_clock;
use crate::certs::utc::minute;
use crate::cli::table::left;
use crate::cli::{Exit, say};
use crate::config;
use crate::control::client::{self, Unhealthy};
use crate::control::place::Place;
use crate::control::renewal::{RENEWAL_TIMEOUT, Renewal};
use crate::hostname::HostPattern;

/// Between two questions while somebody else is at it.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) fn run(arguments: &RenewArguments) -> Exit {
    let host = &arguments.host;
    let Some(place) = control(arguments) else {
        return Exit::Configuration;
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    match runtime.block_on(renew(&place, host)) {
        Ok(renewal) => {
            if arguments.json {
                say::out(&json(&renewal));
            } else {
                tell(&renewal, host);
            }
            match renewal {
                Renewal::Renewed { .. } => Exit::Fine,
                Renewal::Fine { .. }
                | Renewal::Failed { .. }
                | Renewal::Busy
                | Renewal::Unknown
                | Renewal::ServesOnly => Exit::Failed,
            }
        }
        Err(unhealthy) => {
            say::error("renew", &unhealthy);
            say::err(help(&unhealthy));
            Exit::Failed
        }
    }
}

/// Where the running onedoor is asked, as `up` chooses it.
fn control(arguments: &RenewArguments) -> Option<Place> {
    let folder = crate::storage::default_place();
    let state = match (folder, &arguments.config) {
        (Ok(folder), _) => folder,
        (Err(_no_place), Some(config)) => configured(config)?,
        (Err(no_place), None) => {
            say::error("storage", &no_place);
            return None;
        }
    };
    Some(arguments.control.place(&state))
}

fn configured(file: &Path) -> Option<std::path::PathBuf> {
    let loaded = config::load(file, None).inspect_err(say::refused).ok()?;
    let depot = Depot::find(Some(&loaded.config));
    let depot = depot
        .inspect_err(|error| say::error("storage", error))
        .ok()?;
    Some(depot.folder().to_owned())
}

/// Asks until it was renewed for us: what somebody else was about in the meantime may have been a look only.
async fn renew(place: &Place, host: &HostPattern) -> Result<Renewal, Unhealthy> {
    let end = Instant::now() + RENEWAL_TIMEOUT;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let renewal = client::renew(place, host, left).await?;
        let again = match renewal {
            Renewal::Fine { .. } | Renewal::Busy => true,
            Renewal::Renewed { .. }
            | Renewal::Failed { .. }
            | Renewal::Unknown
            | Renewal::ServesOnly => false,
        };
        if !again || Instant::now() + PAUSE >= end {
            return Ok(renewal);
        }
        time::sleep(PAUSE).await;
    }
}

fn tell(renewal: &Renewal, host: &HostPattern) {
    match renewal {
        Renewal::Renewed { generation, until } => {
            let until = (*until).into();
            let ends = left(until, wall_clock());
            let until = minute(until);
            say::out(&format!(
                "renewed: {host} has generation {generation} until {until} ({ends})\n"
            ));
        }
        Renewal::Fine { until, .. } => say::err(&format!(
            "not renewed: {host} was only looked at, its certificate lasts until {}: try again\n",
            minute((*until).into())
        )),
        Renewal::Failed { problem, again } => say::err(&format!(
            "error[renew]: {host} was not renewed: {problem}\n  note: onedoor tries again {} by itself; what was served is served on\n",
            minute((*again).into())
        )),
        Renewal::Busy => say::err(&format!(
            "error[renew]: another process is renewing {host}, or it takes longer than we wait: `onedoor certs show {host}` will tell\n"
        )),
        Renewal::Unknown => say::err(&format!(
            "error[renew]: the running onedoor does not keep a certificate of a public CA for `{host}`\n  try:  onedoor certs list   says where every certificate comes from\n"
        )),
        Renewal::ServesOnly => say::err(&format!(
            "error[renew]: {host} was not renewed: this onedoor never orders, as `[acme] role = \"serve-only\"` says\n  try:  onedoor certs renew {host}   on a host of the same storage whose role is \"issue\"; the new certificate is served here within seconds\n"
        )),
    }
}

fn help(unhealthy: &Unhealthy) -> &'static str {
    match unhealthy {
        Unhealthy::NobodyThere => {
            "  try:  onedoor up -c FILE   orders what is missing and renews what is due by itself\n  note: if it runs with `--control DIR` or as another user, say so here too\n"
        }
        Unhealthy::TimedOut => "  note: the renewal goes on: `onedoor certs show HOST` will tell\n",
        Unhealthy::NotReady(_) | Unhealthy::NotOurs(_) | Unhealthy::Failed(_) => "",
    }
}
