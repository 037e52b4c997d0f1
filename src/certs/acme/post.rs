//! A signed request outside of any order, with its nonce, tried again while that may help.

use std::time::SystemTime;

use http::header::CONTENT_TYPE;
use http::{HeaderName, Request};
use instant_acme::{BodyWrapper, Error, Problem};
use serde_json::Value;

use crate::certs::acme::account_key::AccountKey;
use crate::certs::acme::answer::Answer;
use crate::certs::acme::directory::Directory;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::jws::Signer;
use crate::certs::acme::seams::Class;
use crate::certs::acme::transport::Transport;
use crate::certs::acme::tries::Tries;
use crate::certs::acme::wire;
use crate::clock::Clock;

/// The way to one CA.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) directory: &'a Directory,
    pub(super) transport: &'a dyn Transport,
    pub(super) clock: &'a Clock,
}

/// Where and what.
pub(super) struct Letter<'a> {
    pub(super) url: &'a str,
    pub(super) key: &'a AccountKey,
    pub(super) signer: Signer<'a>,
    pub(super) payload: Value,
}

impl Way<'_> {
    /// The CA's answer, if it did as it was asked.
    ///
    /// # Errors
    /// What it said otherwise, or that it cannot be reached.
    pub(super) async fn post(&self, letter: &Letter<'_>) -> Result<Answer, OrderError> {
        let mut tries = Tries::default();
        let mut nonce = None;
        loop {
            let fault = match self.ask(letter, nonce.take()).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => {
                    nonce = answer.text(&REPLAY_NONCE).map(str::to_owned);
                    refused(&answer, self.clock.now())
                }
                Err(Error::Crypto) => return Err(unusable_key()),
                Err(error) => OrderError::of_request(&error, None, self.clock.now()),
            };
            tries.again(fault).await?;
        }
    }

    async fn ask(&self, letter: &Letter<'_>, nonce: Option<String>) -> Result<Answer, Error> {
        let nonce = match nonce {
            Some(nonce) => nonce,
            None => self.fresh_nonce().await?,
        };
        let Letter {
            url,
            key,
            signer,
            payload,
        } = letter;
        let body = key
            .request(*signer, &nonce, url, payload)
            .map_err(|_unusable| Error::Crypto)?;
        let request = Request::post(*url)
            .header(CONTENT_TYPE, "application/jose+json")
            .body(BodyWrapper::from(body))?;
        let answered = self.transport.request(request).await?;
        let (_, answer) = wire::read((*url).to_owned(), answered).await?;
        Ok(answer)
    }

    async fn fresh_nonce(&self) -> Result<String, Error> {
        let request = Request::head(&self.directory.new_nonce).body(BodyWrapper::default())?;
        let response = self.transport.request(request).await?;
        let nonce = response.parts.headers.get(REPLAY_NONCE);
        let nonce = nonce.and_then(|nonce| nonce.to_str().ok());
        Ok(nonce.ok_or(Error::Str("a nonce"))?.to_owned())
    }
}

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

fn refused(answer: &Answer, now: SystemTime) -> OrderError {
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) => OrderError::of_request(&Error::Api(problem), Some(answer), now),
        Err(error) => OrderError::of_request(&Error::Json(error), Some(answer), now),
    }
}

pub(super) fn unusable_key() -> OrderError {
    let problem = "the account's key is none that can be used";
    OrderError::new(Class::Human, Side::Storage, problem)
}
