//! A tunnel of a `passthrough` or `tcp` site until it ends: then it is one line in the access log.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use super::record::{outcome, reader, tls_name};
use super::replies;
use super::visit::Visit;
use crate::config::site::{AccessLogging, Tunnel};
use crate::observe::lines::Wanted;
use crate::observe::record::{Record, Version};
use crate::relay::{Carried, Ending};
use crate::routing::Site;
use crate::upstream::UpstreamError;
use crate::upstream::group::Asking;

/// What a TCP proxy calls a tunnel that was opened, and one that was not: nginx's numbers for them.
const OPENED: u16 = 200;
const UNREACHED: u16 = 502;

/// A tunnel as it will be logged. Dropping it is the end of the tunnel.
#[derive(Debug)]
pub struct Passage<'a> {
    visit: &'a Visit,
    site: Option<Arc<Site>>,
    /// Whoever was tried last; busy until the tunnel is over.
    asking: Option<Asking>,
    status: u16,
    carried: Carried,
    /// Until it ends by itself, it is cut.
    outcome: Option<&'static str>,
    logging: AccessLogging,
    started: Instant,
}

impl<'a> Passage<'a> {
    /// Before any target was tried.
    #[must_use]
    pub fn begin(visit: &'a Visit, to: &Tunnel) -> Self {
        let home = visit.home(&visit.context.table());
        Self {
            visit,
            site: home.map(|home| home.site),
            asking: None,
            status: UNREACHED,
            carried: Carried::default(),
            outcome: outcome(Ending::Stopped),
            logging: to.log,
            started: Instant::now(),
        }
    }

    /// A target cannot be reached; the next one may be. None: not in time.
    pub fn missed(&mut self, asking: Asking, error: Option<&UpstreamError>) {
        let error = error.unwrap_or(&UpstreamError::ConnectTimedOut);
        asking.failed(error, self.visit.context.groups.now());
        self.outcome = Some(replies::upstream(error, asking.target()).code);
        self.asking = Some(asking);
    }

    /// No target is left, or none can be asked. Only the latter is news.
    pub fn ended_untried(&mut self) {
        if self.asking.is_none() {
            self.outcome = Some(replies::no_target().code);
        }
    }

    /// A target took the connection.
    pub fn reached(&mut self, asking: Asking) {
        asking.succeeded(self.visit.context.groups.now());
        self.asking = Some(asking);
        self.status = OPENED;
        self.outcome = outcome(Ending::Stopped);
    }

    /// The tunnel is over.
    pub fn ended(mut self, carried: Carried, ending: Ending) {
        self.carried = carried;
        self.outcome = outcome(ending);
    }

    fn log(&self) {
        let context = &self.visit.context;
        let Carried { forth, back } = self.carried;
        context.counters.received(forth);
        context.counters.sent(back);
        let Some(reader) = reader(self.logging) else {
            return;
        };
        let wanted = context.lines.wanted(reader);
        if wanted == Wanted::Nothing {
            return;
        }
        let mut target = context.text.borrow_mut();
        target.clear();
        if let (Some(known), Wanted::Everything) = (&self.asking, wanted) {
            // Writing into a string cannot fail.
            let _written = write!(target, "{}", known.target());
        }
        let since_epoch = context.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = self.visit.name.as_ref();
        let line = Record {
            unix_millis: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            peer: self.visit.client_ip.to_str().unwrap_or_default(),
            user: None,
            site: self.site.as_ref().map_or("", |site| &site.name),
            method: "",
            host: name.map_or(b"-", |name| name.as_str().as_bytes()),
            target: b"",
            version: match self.visit.tls {
                None => Version::Tls,
                Some(_) => Version::Tcp,
            },
            status: self.status,
            sent: back,
            received: forth,
            duration: self.started.elapsed(),
            target_address: self.asking.as_ref().map(|_known| target.as_str()),
            request_id: "",
            referer: None,
            user_agent: None,
            tls: self.visit.tls.map(tls_name),
            outcome: self.outcome,
        };
        context.lines.write(reader, &line);
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.log();
    }
}
