//! A CA in process, on a virtual clock, with Let's Encrypt's rules and limits, and faults on demand. Clones are the same CA: replicas can share one.

mod accounts;
mod authorizations;
mod faults;
mod issue;
mod jws;
mod limits;
mod orders;
mod reply;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, Error};

pub(crate) use faults::{Fault, Operation};
pub(crate) use state::{Behaviour, Counters, Probe};

use crate::certs::acme::seams::BoxFuture;
use crate::certs::acme::transport::Transport;
use crate::clock::Clock;
use faults::Outcome;
use state::{BASE, State};

/// The handle of the CA; also the transport that leads to it.
#[derive(Clone)]
pub(crate) struct FakeCa(Arc<Mutex<State>>);

impl FakeCa {
    /// A CA that finds every challenge answered.
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Arc::new(Mutex::new(State::new(clock))))
    }

    pub(crate) fn directory(&self) -> String {
        format!("{BASE}/directory")
    }

    /// How challenges are looked at: an error is the type and the words of the problem.
    pub(crate) fn validate(
        &self,
        look: impl Fn(&Probe) -> Result<(), (&'static str, String)> + Send + 'static,
    ) {
        self.state().look = Box::new(look);
    }

    /// Changes how the CA behaves from now on.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    /// The next request of this kind meets this fault; several wait in a queue.
    pub(crate) fn fault(&self, operation: Operation, fault: Fault) {
        self.state().faults.on(operation, fault);
    }

    /// The request with this number from now on, the next one being 0, meets this fault.
    pub(crate) fn fault_at(&self, number: u64, fault: Fault) {
        self.state().faults.at(number, fault);
    }

    /// No fault is waiting any more.
    pub(crate) fn forget_faults(&self) {
        self.state().faults.forget();
    }

    /// What was counted so far, with all that is due by now.
    pub(crate) fn counters(&self) -> Counters {
        let mut state = self.state();
        state.settle();
        state.counters.clone()
    }

    /// The accounts that were made.
    pub(crate) fn accounts(&self) -> usize {
        self.state().accounts.len()
    }

    /// What the accounts told as their contacts, in their order.
    pub(crate) fn contacts(&self) -> Vec<Vec<String>> {
        let state = self.state();
        state
            .accounts
            .iter()
            .map(|it| it.contacts.clone())
            .collect()
    }

    /// Refuses every later request of the accounts.
    pub(crate) fn deactivate_accounts(&self) {
        for account in &mut self.state().accounts {
            account.is_active = false;
        }
    }

    /// Forgets the accounts, as after a loss on the CA's side.
    pub(crate) fn forget_accounts(&self) {
        self.state().accounts.clear();
    }

    /// Moves the window of every certificate into the past, with a reason.
    pub(crate) fn incident(&self, explanation: &str) {
        let now = self.state().now();
        for certificate in &mut self.state().certificates {
            certificate.incident = Some((now, explanation.to_owned()));
        }
    }

    /// The window of the certificate issued last.
    pub(crate) fn last_window(&self) -> (SystemTime, SystemTime) {
        let state = self.state();
        state.certificates.last().unwrap().window()
    }

    /// The challenges that are being looked at.
    pub(crate) fn probes(&self) -> Vec<Probe> {
        self.state().probes()
    }

    /// How many authorizations are pending.
    pub(crate) fn pending_authorizations(&self) -> usize {
        self.state().pending_authorizations()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Transport for FakeCa {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> BoxFuture<'static, Result<BytesResponse, Error>> {
        let ca = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap_or_default().to_bytes();
            let outcome = ca.state().meet(&parts.method, &parts.uri, &body);
            match outcome {
                Outcome::Answer(reply) => Ok(reply.into_response()),
                Outcome::Lost => Err(Error::Other("the connection broke".into())),
                Outcome::Never => std::future::pending().await,
            }
        })
    }
}
