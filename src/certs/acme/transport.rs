//! What carries requests to a CA: over the network our HTTP client, in tests a CA in the same process.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, Error};

use crate::certs::acme::options::CaOptions;
use crate::certs::acme::seams::BoxFuture;
use crate::certs::http::Client;
use crate::certs::http::error::BadRoots;

/// Whatever carries requests to a CA.
pub use instant_acme::HttpClient as Transport;

/// How long one request may take from its start to the end of its answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The way to a CA over the network.
///
/// # Errors
/// Roots that cannot be used.
pub fn network(options: &CaOptions) -> Result<Client, BadRoots> {
    Client::kept(options.roots.as_deref(), REQUEST_TIMEOUT)
}

impl Transport for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> BoxFuture<'static, Result<BytesResponse, Error>> {
        let client = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let request = Request::from_parts(head, body.to_bytes());
            let answer = client.send(request).await;
            let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
            let (parts, body) = answer.into_parts();
            let body = Box::new(body);
            Ok(BytesResponse { parts, body })
        })
    }
}
