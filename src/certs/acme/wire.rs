//! A transport that remembers the last answer, and that serves the directory from memory: each order has its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error};

use crate::certs::acme::answer::Answer;
use crate::certs::acme::directory::Directory;
use crate::certs::acme::seams::BoxFuture;
use crate::certs::acme::transport::Transport;
use crate::certs::http::error::HttpError;
use crate::certs::http::{self as client, ANSWER_BYTES_MAX};

/// The last answer of one wire; none while a request is under way, and after one that failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Tape(Arc<Mutex<Option<Answer>>>);

pub(super) struct Wire {
    transport: Arc<dyn Transport>,
    directory: Arc<Directory>,
    tape: Tape,
}

/// An answer in a form that RFC 8555 does not know, such as a proxy's page.
#[derive(Debug)]
pub(super) struct NoProblem(StatusCode);

impl Tape {
    pub(super) fn last(&self) -> Option<Answer> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn put(&self, answer: Option<Answer>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

impl Wire {
    pub(super) fn new(transport: Arc<dyn Transport>, directory: Arc<Directory>) -> (Self, Tape) {
        let tape = Tape::default();
        let wire = Self {
            transport,
            directory,
            tape: tape.clone(),
        };
        (wire, tape)
    }
}

impl Transport for Wire {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> BoxFuture<'static, Result<BytesResponse, Error>> {
        let url = request.uri().to_string();
        if request.method() == Method::GET && url == self.directory.url {
            let (parts, ()) = Response::new(()).into_parts();
            let body = Box::new(self.directory.json.clone());
            return Box::pin(std::future::ready(Ok(BytesResponse { parts, body })));
        }
        self.tape.put(None);
        let sending = self.transport.request(request);
        let tape = self.tape.clone();
        Box::pin(async move {
            let (parts, answer) = read(url, sending.await?).await?;
            tape.put(Some(answer.clone()));
            let failed = answer.status.is_client_error() || answer.status.is_server_error();
            if failed && serde_json::from_slice::<instant_acme::Problem>(&answer.body).is_err() {
                return Err(Error::Other(Box::new(NoProblem(answer.status))));
            }
            let body = Box::new(answer.body);
            Ok(BytesResponse { parts, body })
        })
    }
}

/// The whole of an answer, if it is not too long.
pub(super) async fn read(
    url: String,
    mut response: BytesResponse,
) -> Result<(http::response::Parts, Answer), Error> {
    let body = response.body.into_bytes().await.map_err(Error::Other)?;
    if body.len() > ANSWER_BYTES_MAX {
        let peer = url.parse().as_ref().map(client::peer).unwrap_or_default();
        return Err(Error::Other(Box::new(HttpError::TooLong { peer })));
    }
    let answer = Answer {
        url,
        status: response.parts.status,
        headers: response.parts.headers.clone(),
        body,
    };
    Ok((response.parts, answer))
}

/// A plain GET, outside of any order.
pub(super) async fn fetch(transport: &dyn Transport, url: &str) -> Result<Answer, Error> {
    let request = Request::get(url).body(BodyWrapper::default())?;
    let (_, answer) = read(url.to_owned(), transport.request(request).await?).await?;
    Ok(answer)
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl fmt::Display for NoProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the CA answered {} without saying why", self.0)
    }
}

impl std::error::Error for NoProblem {}
