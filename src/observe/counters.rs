//! What each worker counts for itself, and the sums somebody may ask for. Metrics and the status page are made from them elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection or a request was refused by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// A peer that should begin with a PROXY header did not, or not in time.
    BadProxyHeader,
    /// More connections from one address than it may have.
    TooManyConnections,
    /// The first octets on a TLS port were no TLS.
    NotTls,
    /// TLS, but not a hello that can be read.
    BadHello,
    /// The hello exceeded its limit.
    HelloTooLarge,
    /// The hello was not complete in time.
    HelloTooSlow,
    /// Nobody serves the name.
    UnknownName,
    /// The name is served, but has no certificate yet.
    NoCertificate,
    /// The TLS handshake failed after the hello.
    BadHandshake,
    /// The client showed no certificate where one is required.
    NoClientCertificate,
    /// The client's certificate is not one that the site takes.
    BadClientCertificate,
    /// The TLS handshake was not complete in time.
    HandshakeTooSlow,
    /// A request for a host that this connection may not carry.
    Misdirected,
    /// A request that is not valid.
    BadRequest,
    /// A request head beyond a limit.
    HeadTooLarge,
    /// A request head that was not complete in time.
    HeadTooSlow,
    /// A request body beyond the site's limit.
    BodyTooLarge,
    /// More frames of some kind than any honest client sends.
    Flood,
    /// A client that the site does not admit.
    Forbidden,
    /// A client that asks more often than its rule lets it.
    TooManyRequests,
}

impl Refused {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 20] = [
        Self::BadProxyHeader,
        Self::TooManyConnections,
        Self::NotTls,
        Self::BadHello,
        Self::HelloTooLarge,
        Self::HelloTooSlow,
        Self::UnknownName,
        Self::NoCertificate,
        Self::BadHandshake,
        Self::NoClientCertificate,
        Self::BadClientCertificate,
        Self::HandshakeTooSlow,
        Self::Misdirected,
        Self::BadRequest,
        Self::HeadTooLarge,
        Self::HeadTooSlow,
        Self::BodyTooLarge,
        Self::Flood,
        Self::Forbidden,
        Self::TooManyRequests,
    ];

    /// Stable: metrics and logs carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadProxyHeader => "bad_proxy_header",
            Self::TooManyConnections => "too_many_connections",
            Self::NotTls => "not_tls",
            Self::BadHello => "bad_hello",
            Self::HelloTooLarge => "hello_too_large",
            Self::HelloTooSlow => "hello_too_slow",
            Self::UnknownName => "unknown_name",
            Self::NoCertificate => "no_certificate",
            Self::BadHandshake => "bad_handshake",
            Self::NoClientCertificate => "no_client_certificate",
            Self::BadClientCertificate => "bad_client_certificate",
            Self::HandshakeTooSlow => "handshake_too_slow",
            Self::Misdirected => "misdirected",
            Self::BadRequest => "bad_request",
            Self::HeadTooLarge => "head_too_large",
            Self::HeadTooSlow => "head_too_slow",
            Self::BodyTooLarge => "body_too_large",
            Self::Flood => "flood",
            Self::Forbidden => "forbidden",
            Self::TooManyRequests => "too_many_requests",
        }
    }
}

/// The counts of one worker. Only the thread that owns them may count: two would lose counts. Anyone may read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    opened: AtomicU64,
    closed: AtomicU64,
    requests: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
}

impl Counters {
    pub fn connection_opened(&self) {
        add(&self.opened, 1);
    }

    pub fn connection_closed(&self) {
        add(&self.closed, 1);
    }

    pub fn request(&self) {
        add(&self.requests, 1);
    }

    /// Octets that came from clients.
    pub fn received(&self, octets: u64) {
        add(&self.received, octets);
    }

    /// Octets that went to clients.
    pub fn sent(&self, octets: u64) {
        add(&self.sent, octets);
    }

    pub fn refused(&self, why: Refused) {
        add(&self.refused[why as usize], 1);
    }
}

/// The counts of all workers at about the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub connections_open: u64,
    /// Since the start.
    pub connections: u64,
    pub requests: u64,
    pub received: u64,
    pub sent: u64,
    refused: [u64; Refused::ALL.len()],
}

impl Totals {
    #[must_use]
    pub fn refused(&self, why: Refused) -> u64 {
        self.refused[why as usize]
    }
}

/// Adds up the workers' counts.
#[must_use]
pub fn sum(workers: &[Arc<Counters>]) -> Totals {
    let mut totals = Totals::default();
    for worker in workers {
        let closed = worker.closed.load(Ordering::Relaxed);
        let opened = worker.opened.load(Ordering::Relaxed);
        totals.connections_open += opened.saturating_sub(closed);
        totals.connections += opened;
        totals.requests += worker.requests.load(Ordering::Relaxed);
        totals.received += worker.received.load(Ordering::Relaxed);
        totals.sent += worker.sent.load(Ordering::Relaxed);
        for (total, count) in totals.refused.iter_mut().zip(&worker.refused) {
            *total += count.load(Ordering::Relaxed);
        }
    }
    totals
}

/// One writer, so no read-modify-write instruction is needed.
fn add(counter: &AtomicU64, amount: u64) {
    let value = counter.load(Ordering::Relaxed).wrapping_add(amount);
    counter.store(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::thread;

    #[test]
    fn the_counts_of_all_workers_are_summed() {
        let workers: Vec<Arc<Counters>> = (0..3).map(|_| Arc::default()).collect();
        thread::scope(|scope| {
            for worker in &workers {
                scope.spawn(|| {
                    for _ in 0..100 {
                        worker.connection_opened();
                        worker.request();
                        worker.received(2);
                        worker.sent(3);
                    }
                    worker.connection_closed();
                    worker.refused(Refused::UnknownName);
                });
            }
        });
        let totals = sum(&workers);
        assert_eq!(totals.connections, 300);
        assert_eq!(totals.connections_open, 297);
        assert_eq!(
            (totals.requests, totals.received, totals.sent),
            (300, 600, 900)
        );
        assert_eq!(totals.refused(Refused::UnknownName), 3);
        assert_eq!(totals.refused(Refused::NotTls), 0);
    }

    #[test]
    fn every_refusal_has_a_name_and_a_place_of_its_own() {
        let names: HashSet<&str> = Refused::ALL.map(Refused::name).into();
        assert_eq!(names.len(), Refused::ALL.len());
        for (place, refused) in Refused::ALL.into_iter().enumerate() {
            assert_eq!(refused as usize, place);
        }
    }
}
