//! The two messages of `grpc.health.v1.Health/Check`, as gRPC frames them: one string goes out, one number comes back.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Octets of a message in front of it: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// `HealthCheckRequest.service`: field 1, with a length.
const SERVICE: u8 = 0x0a;
/// `HealthCheckResponse.status`: field 1, a number.
const STATUS: u64 = 0x08;

/// `HealthCheckResponse.ServingStatus`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
}

/// The question about a service; an empty name asks about the server.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(SERVICE);
        put_number(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.unsplit(message);
    framed.freeze()
}

/// The answer in a whole body; none if that is not one uncompressed message of the kind.
pub(super) fn answer(body: &[u8]) -> Option<Serving> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let (compressed, length) = prefix.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    if *compressed != 0 || usize::try_from(length) != Ok(message.len()) {
        return None;
    }
    status(message)
}

fn status(mut message: &[u8]) -> Option<Serving> {
    let mut status = 0;
    while !message.is_empty() {
        let key = number(&mut message)?;
        // Fields that a newer version of the protocol may add are passed over.
        match key & 7 {
            0 => {
                let value = number(&mut message)?;
                if key == STATUS {
                    status = value;
                }
            }
            1 => skip(&mut message, 8)?,
            2 => {
                let length = number(&mut message)?;
                skip(&mut message, usize::try_from(length).ok()?)?;
            }
            5 => skip(&mut message, 4)?,
            _ => return None,
        }
    }
    Some(match status {
        1 => Serving::Serving,
        2 => Serving::NotServing,
        3 => Serving::ServiceUnknown,
        _ => Serving::Unknown,
    })
}

fn skip(message: &mut &[u8], length: usize) -> Option<()> {
    *message = message.get(length..)?;
    Some(())
}

/// Seven bits an octet, the lowest first.
fn number(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (octet, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_number(message: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        message.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    message.put_u8(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_is_one_framed_string() {
        assert_eq!(&request("")[..], b"\0\0\0\0\0");
        assert_eq!(&request("shop.Cart")[..], b"\0\0\0\0\x0b\x0a\x09shop.Cart");
        let long = "x".repeat(300);
        assert_eq!(&request(&long)[..8], b"\0\0\0\x01\x2f\x0a\xac\x02");
    }

    #[test]
    fn an_answer_is_one_number() {
        assert_eq!(answer(b"\0\0\0\0\x02\x08\x01"), Some(Serving::Serving));
        assert_eq!(answer(b"\0\0\0\0\x02\x08\x02"), Some(Serving::NotServing));
        assert_eq!(
            answer(b"\0\0\0\0\x02\x08\x03"),
            Some(Serving::ServiceUnknown)
        );
        // Zero is left out, as everything that is usual.
        assert_eq!(answer(b"\0\0\0\0\0"), Some(Serving::Unknown));
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let message = b"\x12\x03abc\x1d1234\x21\x31\x32\x33\x34\x35\x36\x37\x38\x08\x01";
        let mut body = vec![0, 0, 0, 0, message.len() as u8];
        body.extend(message);
        assert_eq!(answer(&body), Some(Serving::Serving));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for body in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x03\x08\x01",
            b"\0\0\0\0\x02\x08\x01\0\0\0\0\0",
            b"\0\0\0\0\x01\x08",
            b"\0\0\0\0\x02\x12\x05",
            b"\0\0\0\0\x01\x0b",
            b"\0\0\0\0\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(answer(body), None, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_are_too_odd(body: Vec<u8>) {
            let _any = answer(&body);
        }
    }
}
