//! The certificate that a client showed, as the upstream is told of it.

use http::{HeaderMap, HeaderName, HeaderValue};

const X_CLIENT_CERT_SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
const X_CLIENT_CERT_FINGERPRINT: HeaderName = HeaderName::from_static("x-client-cert-fingerprint");

/// Two field values, made once for a connection. Whoever else says such things is not believed, whoever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// As RFC 4514 writes it, in ASCII.
    pub subject: HeaderValue,
    /// SHA-256 of the whole certificate in lower-case hexadecimal digits.
    pub fingerprint: HeaderValue,
}

impl ClientCertificate {
    /// Adds the fields to a head that has none of these names.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        headers.append(X_CLIENT_CERT_SUBJECT, self.subject.clone());
        headers.append(X_CLIENT_CERT_FINGERPRINT, self.fingerprint.clone());
    }
}
