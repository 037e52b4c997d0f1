//! What a field name means to a proxy, decided from its length and its octets, without a hash.

use http::HeaderName;
use http::header::HeaderMap;

use crate::framing::{Framing, FramingFault};

/// What a field is to us. Everything that is not ours to touch is [`Kind::Plain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Host,
    Te,
    Via,
    Cookie,
    Expect,
    Upgrade,
    Connection,
    MaxForwards,
    ContentLength,
    TransferEncoding,
    /// The other fields that end at the next hop, whether `Connection` names them or not.
    HopByHop,
    /// What only a trusted proxy may say about the client.
    Forwarding,
    /// One of the above with underscores for hyphens: the same field to CGI and its heirs.
    Lookalike,
}

/// The kinds seen in a head.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kinds(u16);

impl Kinds {
    pub(super) const fn of(kinds: &[Kind]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < kinds.len() {
            bits |= bit(kinds[index]);
            index += 1;
        }
        Self(bits)
    }

    pub(super) fn insert(&mut self, kind: Kind) {
        self.0 |= bit(kind);
    }

    pub(super) fn contains(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }

    pub(super) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The framing that a head of these kinds asks for; most heads have no field that could say.
    pub(super) fn framing(self, headers: &HeaderMap) -> Result<Framing, FramingFault> {
        const FRAMING: Kinds = Kinds::of(&[Kind::ContentLength, Kind::TransferEncoding]);
        if self.intersects(FRAMING) {
            Framing::of(headers)
        } else {
            Ok(Framing::Empty)
        }
    }
}

const fn bit(kind: Kind) -> u16 {
    1 << kind as u16
}

/// The kind of a field by its name.
pub(super) fn classify(name: &HeaderName) -> Kind {
    let name = name.as_str().as_bytes();
    for (own, kind) in of_length(name.len()) {
        match likeness(name, own) {
            Likeness::None => {}
            Likeness::Same => return *kind,
            Likeness::Underscored => return Kind::Lookalike,
        }
    }
    if name.first() != Some(&b'x') {
        return Kind::Plain;
    }
    for family in FORWARDING_FAMILIES {
        let Some(head) = name.get(..family.len()) else {
            continue;
        };
        match likeness(head, family) {
            Likeness::None => {}
            Likeness::Same | Likeness::Underscored => return Kind::Forwarding,
        }
    }
    Kind::Plain
}

/// Whether a field decides how a message is framed or where it ends, so that no rule of a user may set it.
pub(super) fn is_structural(kind: Kind) -> bool {
    match kind {
        Kind::Host
        | Kind::Te
        | Kind::Upgrade
        | Kind::Connection
        | Kind::ContentLength
        | Kind::TransferEncoding
        | Kind::HopByHop => true,
        Kind::Plain
        | Kind::Via
        | Kind::Cookie
        | Kind::Expect
        | Kind::MaxForwards
        | Kind::Forwarding
        | Kind::Lookalike => false,
    }
}

/// Whether a field is one that only trusted proxies may send.
#[must_use]
pub fn is_claim(name: &HeaderName) -> bool {
    matches!(classify(name), Kind::Forwarding | Kind::Lookalike)
}

/// Removes from trailers what may stand only in a head: framing, routing, and what ends at the next hop (R9110 6.5.1).
pub fn trailers(trailers: &mut HeaderMap) {
    let forbidden = |name: &HeaderName| match classify(name) {
        Kind::Plain | Kind::Via => false,
        Kind::Host
        | Kind::Te
        | Kind::Cookie
        | Kind::Expect
        | Kind::Upgrade
        | Kind::Connection
        | Kind::MaxForwards
        | Kind::ContentLength
        | Kind::TransferEncoding
        | Kind::HopByHop
        | Kind::Forwarding
        | Kind::Lookalike => true,
    };
    super::edit::drop_where(trailers, forbidden);
}

/// `Forwarded` and its elder relatives; a family is known by its prefix, so that nobody invents a member we forgot.
const FORWARDING_FAMILIES: [&[u8]; 2] = [b"x-forwarded-", b"x-client-cert-"];

fn of_length(length: usize) -> &'static [(&'static [u8], Kind)] {
    match length {
        2 => &[(b"te", Kind::Te)],
        3 => &[(b"via", Kind::Via)],
        4 => &[(b"host", Kind::Host)],
        6 => &[(b"cookie", Kind::Cookie), (b"expect", Kind::Expect)],
        7 => &[(b"upgrade", Kind::Upgrade)],
        9 => &[
            (b"x-real-ip", Kind::Forwarding),
            (b"forwarded", Kind::Forwarding),
        ],
        10 => &[
            (b"connection", Kind::Connection),
            (b"keep-alive", Kind::HopByHop),
        ],
        12 => &[
            (b"x-request-id", Kind::Forwarding),
            (b"max-forwards", Kind::MaxForwards),
        ],
        14 => &[
            (b"content-length", Kind::ContentLength),
            (b"http2-settings", Kind::HopByHop),
        ],
        16 => &[(b"proxy-connection", Kind::HopByHop)],
        17 => &[(b"transfer-encoding", Kind::TransferEncoding)],
        18 => &[(b"proxy-authenticate", Kind::HopByHop)],
        19 => &[(b"proxy-authorization", Kind::HopByHop)],
        _ => &[],
    }
}

enum Likeness {
    None,
    Same,
    Underscored,
}

fn likeness(name: &[u8], own: &[u8]) -> Likeness {
    // Nearly every field ends here, and no name of ours starts with a hyphen.
    if name.first() != own.first() {
        return Likeness::None;
    }
    if name == own {
        return Likeness::Same;
    }
    let alike = name
        .iter()
        .zip(own)
        .all(|(theirs, ours)| theirs == ours || (*theirs == b'_' && *ours == b'-'));
    if alike {
        Likeness::Underscored
    } else {
        Likeness::None
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Kind) {
        let parsed = HeaderName::from_bytes(name.as_bytes()).unwrap();
        assert_eq!(classify(&parsed), expected, "{name}");
    }

    #[test]
    fn every_field_we_police_is_known_in_any_case() {
        check("TE", Kind::Te);
        check("Via", Kind::Via);
        check("hOsT", Kind::Host);
        check("Cookie", Kind::Cookie);
        check("Expect", Kind::Expect);
        check("Upgrade", Kind::Upgrade);
        check("Connection", Kind::Connection);
        check("Max-Forwards", Kind::MaxForwards);
        check("Content-Length", Kind::ContentLength);
        check("TRANSFER-ENCODING", Kind::TransferEncoding);
        for name in [
            "Keep-Alive",
            "Proxy-Connection",
            "Proxy-Authenticate",
            "Proxy-Authorization",
            "HTTP2-Settings",
        ] {
            check(name, Kind::HopByHop);
        }
    }

    #[test]
    fn what_only_a_trusted_proxy_may_say_is_known_by_name_and_by_family() {
        for name in [
            "Forwarded",
            "X-Real-IP",
            "X-Request-Id",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Prefix",
            "X-Forwarded-Anything",
            "X-Client-Cert-Subject",
            "X_Client_Cert_Fingerprint",
            "x_forwarded-for",
        ] {
            check(name, Kind::Forwarding);
        }
    }

    #[test]
    fn underscores_make_lookalikes() {
        for name in [
            "content_length",
            "transfer_encoding",
            "Transfer_Encoding",
            "x_real_ip",
            "x-real_ip",
            "x_request_id",
            "proxy_connection",
        ] {
            check(name, Kind::Lookalike);
        }
    }

    #[test]
    fn everything_else_passes() {
        for name in [
            "accept",
            "trailer",
            "x-forward",
            "x-forwardedfor",
            "hosts",
            "my_field",
            "x",
            "contentXlength",
        ] {
            check(name, Kind::Plain);
        }
    }

    #[test]
    fn trailers_keep_only_what_may_trail() {
        let mut map = HeaderMap::new();
        for name in ["grpc-status", "content-length", "grpc-message", "host"] {
            map.append(name, HeaderValue::from_static("0"));
        }
        trailers(&mut map);
        let left: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["grpc-status", "grpc-message"]);
    }
}
