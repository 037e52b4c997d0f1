//! How often one operation is tried before its failure is given back.

use std::time::Duration;

use crate::certs::acme::fault::OrderError;
use crate::certs::acme::seams::Class;

/// The waits between the tries of an operation.
const BACKOFF: [Duration; TRIES_MAX - 1] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// How often one operation is tried.
const TRIES_MAX: usize = 5;
/// The longest wait inside an operation; a CA that wants more gets it from whoever tries again later.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How often one operation is tried again because its nonce was refused, which costs nobody anything.
const NONCES_REFUSED_MAX: usize = 16;

/// The tries of one operation.
#[derive(Debug, Default)]
pub(super) struct Tries {
    failed: usize,
    nonces_refused: usize,
}

impl Tries {
    /// Returns when the operation is to be tried again.
    ///
    /// # Errors
    /// Gives the fault back if it will not go away so soon, or has come too often.
    pub(super) async fn again(&mut self, fault: OrderError) -> Result<(), OrderError> {
        if fault.is("badNonce") && self.nonces_refused < NONCES_REFUSED_MAX {
            self.nonces_refused += 1;
            return Ok(());
        }
        let Some(backoff) = BACKOFF.get(self.failed).copied() else {
            return Err(fault);
        };
        self.failed += 1;
        let wait = fault
            .retry_after
            .map_or(backoff, |asked| asked.max(backoff));
        if fault.class != Class::Transient || wait > WAIT_MAX {
            return Err(fault);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
