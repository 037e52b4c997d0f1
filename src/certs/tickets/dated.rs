//! Tickets that are good for their time and no longer. The keys of rustls change as tickets come and not as time goes, so on a machine
//! that slept for a month the last ones before it would still open, and with them live on what a client thought of an old certificate.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::server::ProducesTickets;

use crate::clock::Clock;

const STAMP_BYTES: usize = size_of::<u64>();

/// Seals as `inner` does, and when with it.
#[derive(Debug)]
pub(super) struct Dated {
    inner: Arc<dyn ProducesTickets>,
    clock: Clock,
}

impl Dated {
    pub(super) fn new(inner: Arc<dyn ProducesTickets>, clock: Clock) -> Self {
        Self { inner, clock }
    }
}

impl ProducesTickets for Dated {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.inner.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&stamped(plain, self.clock.now()))
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let opened = self.inner.decrypt(ticket)?;
        let lifetime = Duration::from_secs(self.lifetime().into());
        still_good(&opened, self.clock.now(), lifetime).map(<[u8]>::to_vec)
    }
}

fn stamped(plain: &[u8], now: SystemTime) -> Vec<u8> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    [&since.as_secs().to_be_bytes()[..], plain].concat()
}

/// None as well for one of the future, as after a clock that was set back.
fn still_good(stamped: &[u8], now: SystemTime, lifetime: Duration) -> Option<&[u8]> {
    let (stamp, plain) = stamped.split_first_chunk::<STAMP_BYTES>()?;
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let age = now.checked_sub(u64::from_be_bytes(*stamp))?;
    (age <= lifetime.as_secs()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixture::{days, noon};

    #[test]
    fn a_ticket_is_good_for_its_time_wherever_the_clock_goes() {
        let sealed = stamped(b"a session", noon());
        let good = |now: SystemTime| still_good(&sealed, now, days(1)) == Some(b"a session");
        assert!(good(noon()) && good(noon() + days(1)));
        assert!(!good(noon() + days(1) + Duration::from_secs(1)));
        assert!(!good(noon() + days(31)));
        assert!(!good(noon() - Duration::from_secs(1)));
        assert_eq!(still_good(b"short", noon(), days(1)), None);
    }

    #[test]
    fn what_is_sealed_is_opened() {
        let inner = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        let dated = Dated::new(inner, Clock::system());
        let ticket = dated.encrypt(b"a session").unwrap();
        assert_eq!(dated.decrypt(&ticket).unwrap(), b"a session");
        assert_eq!(dated.decrypt(b"scribbled"), None);
    }
}
