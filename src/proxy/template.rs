//! Header values with placeholders, filled from the facts of an exchange.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;

use super::headers::Facts;
use crate::config::site::{Piece, Template, TlsVersion};

/// The value of a template; none if a piece holds what no field value may.
#[must_use]
pub fn expand(template: &Template, facts: &Facts<'_>) -> Option<HeaderValue> {
    match template {
        Template::Fixed(value) => Some(value.clone()),
        Template::Pieces(pieces) => {
            let mut text = BytesMut::new();
            for piece in pieces {
                text.put_slice(octets(piece, facts));
            }
            HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
        }
    }
}

fn octets<'a>(piece: &'a Piece, facts: &Facts<'a>) -> &'a [u8] {
    match piece {
        Piece::Text(text) => text.as_bytes(),
        Piece::ClientIp => facts.client_ip.as_bytes(),
        Piece::Host => facts.host.as_bytes(),
        Piece::Scheme => facts.scheme.as_str().as_bytes(),
        Piece::RequestId => facts.request_id.as_bytes(),
        Piece::TlsVersion => match facts.tls_version {
            None => b"",
            Some(TlsVersion::V1_2) => b"TLSv1.2",
            Some(TlsVersion::V1_3) => b"TLSv1.3",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::headers::Scheme;

    #[track_caller]
    fn check(pieces: Vec<Piece>, expected: Option<&str>) {
        let client_ip = HeaderValue::from_static("192.0.2.7");
        let port = HeaderValue::from_static("443");
        let request_id = HeaderValue::from_static("0198");
        let facts = Facts {
            client_ip: &client_ip,
            scheme: Scheme::Https,
            port: &port,
            host: "a.test",
            request_id: &request_id,
            certificate: None,
            tls_version: Some(TlsVersion::V1_3),
            forwarded: None,
        };
        let value = expand(&Template::Pieces(pieces.into()), &facts);
        assert_eq!(
            value.as_ref().map(|value| value.to_str().unwrap()),
            expected
        );
    }

    #[test]
    fn placeholders_are_filled() {
        let all = vec![
            Piece::ClientIp,
            Piece::Text(" ".into()),
            Piece::Scheme,
            Piece::Text("://".into()),
            Piece::Host,
            Piece::Text("#".into()),
            Piece::RequestId,
            Piece::Text("/".into()),
            Piece::TlsVersion,
        ];
        check(all, Some("192.0.2.7 https://a.test#0198/TLSv1.3"));
    }

    #[test]
    fn text_that_would_split_the_head_gives_no_value() {
        check(vec![Piece::Host, Piece::Text("\r\nx: y".into())], None);
    }
}
