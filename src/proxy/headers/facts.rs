//! What is known of an exchange besides its heads; the values are formatted once per connection, or once per request.

use http::{HeaderValue, uri};

use super::client_certificate::ClientCertificate;
use super::forwarded::Forwarded;
use crate::config::site::TlsVersion;

/// The facts that heads and templates are filled from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The client's address, without a port.
    pub client_ip: &'a HeaderValue,
    /// How the client reached us.
    pub scheme: Scheme,
    /// The port the client reached.
    pub port: &'a HeaderValue,
    /// The host the client asked for, as [`super::Authority::host`] gives it.
    pub host: &'a str,
    pub request_id: &'a HeaderValue,
    /// None on a plain connection.
    pub tls_version: Option<TlsVersion>,
    /// None where the client showed none.
    pub certificate: Option<&'a ClientCertificate>,
    /// What a trusted peer says; the facts above are made of it. None: nobody in front of us is believed.
    pub forwarded: Option<&'a Forwarded>,
}

/// The scheme of the URL that a client followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The scheme's name in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL of the scheme does not have to name.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub(super) fn field(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    pub(super) fn uri(self) -> uri::Scheme {
        match self {
            Self::Http => uri::Scheme::HTTP,
            Self::Https => uri::Scheme::HTTPS,
        }
    }
}
