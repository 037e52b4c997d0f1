//! Headers of the specification and odd ones, cut in every way.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::proxy_protocol::write;

fn proxied(source: &str, destination: &str) -> Origin {
    Origin::Proxied {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

#[track_caller]
fn check(octets: &[u8], expected: Origin) {
    let whole = Header {
        origin: expected,
        octets: octets.len(),
    };
    assert_eq!(header(octets), Ok(Some(whole)));
    let with_more = [octets, b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(header(&with_more), Ok(Some(whole)));
    for end in 0..octets.len() {
        assert_eq!(header(&octets[..end]), Ok(None), "{end} octets");
    }
}

#[track_caller]
fn refused(octets: &[u8], expected: Fault) {
    assert_eq!(header(octets), Err(expected));
}

/// Version 2 with this command, family, and what follows.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[command, family][..], &length, rest].concat()
}

const TCP4: &[u8] = b"\xc0\0\x02\x01\xc0\0\x02\x02\x01\x02\x01\xbb";

fn addition(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, value].concat()
}

#[test]
fn lines_of_the_specification_are_read() {
    check(
        b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        proxied("192.168.0.1:56324", "192.168.0.11:443"),
    );
    check(
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        proxied("255.255.255.255:65535", "255.255.255.255:65535"),
    );
    let widest = "ffff:f...f:ffff".replace("f...f", &["ffff"; 6].join(":"));
    check(
        format!("PROXY TCP6 {widest} {widest} 65535 65535\r\n").as_bytes(),
        proxied(&format!("[{widest}]:65535"), &format!("[{widest}]:65535")),
    );
    check(b"PROXY UNKNOWN\r\n", Origin::Local);
    let longest = format!("PROXY UNKNOWN {widest} {widest} 65535 65535\r\n");
    assert_eq!(longest.len(), V1_OCTETS_MAX);
    check(longest.as_bytes(), Origin::Local);
    check(
        b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 0 1\r\n",
        proxied("192.0.2.1:0", "[2001:db8::1]:1"),
    );
}

#[test]
fn broken_lines_are_refused() {
    refused(b"GET / HTTP/1.1\r\n", Fault::NoHeader);
    refused(b"\x16\x03\x01", Fault::NoHeader);
    refused(b"PROXy", Fault::NoHeader);
    refused(b"proxy TCP4", Fault::NoHeader);
    refused(b"PROXY \r\n", Fault::BadLine);
    refused(b"PROXY UNKNOWN\n", Fault::BadLine);
    refused(b"PROXY UNKNOWNS\r\n", Fault::BadLine);
    refused(b"PROXY TCP4\r\n", Fault::BadLine);
    refused(b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadLine);
    refused(b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", Fault::BadLine);
    refused(b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", Fault::BadLine);
    refused(b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadLine);
    refused(b"PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadLine);
    refused(b"PROXY TCP4 \xff 2.2.2.2 1 2\r\n", Fault::BadLine);
    refused(b"PROXY TCP4 1.1.1.01 2.2.2.2 1 2\r\n", Fault::BadAddress);
    refused(b"PROXY TCP4 1.1.1.1 a.test 1 2\r\n", Fault::BadAddress);
    refused(b"PROXY TCP4 ::1 ::2 1 2\r\n", Fault::BadAddress);
    refused(b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadAddress);
    refused(b"PROXY TCP6 fe80::1%1 ::2 1 2\r\n", Fault::BadAddress);
    refused(b"PROXY TCP6 [::1] ::2 1 2\r\n", Fault::BadAddress);
    for port in ["", "01", "+1", "-1", "65536", "http", "99999999999"] {
        let line = format!("PROXY TCP4 1.1.1.1 2.2.2.2 {port} 2\r\n");
        refused(line.as_bytes(), Fault::BadPort);
    }
    let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 93]].concat();
    refused(&endless, Fault::TooLong);
    let late = [&endless[..106], b"\r\n"].concat();
    refused(&late, Fault::TooLong);
}

#[test]
fn version_2_is_read() {
    let ends = proxied("192.0.2.1:258", "192.0.2.2:443");
    check(&v2(0x21, 0x11, TCP4), ends);
    let mapped = [&[0; 10][..], b"\xff\xff\xc0\0\x02\x01"].concat();
    let wide = [&mapped[..], &mapped[..], b"\0\x01\0\x02"].concat();
    check(
        &v2(0x21, 0x21, &wide),
        proxied("192.0.2.1:1", "192.0.2.1:2"),
    );
    let additions = [addition(0x04, &[0; 7]), addition(0x20, &[9; 300])].concat();
    check(&v2(0x21, 0x11, &[TCP4, &additions].concat()), ends);
    check(&v2(0x20, 0x00, b""), Origin::Local);
    check(&v2(0x20, 0x11, TCP4), Origin::Local);
    check(&v2(0x20, 0x99, b"anything"), Origin::Local);
    check(&v2(0x21, 0x00, b"anything"), Origin::Local);
    check(&v2(0x21, 0x31, &[0; 216]), Origin::Local);
    let largest = V2_OCTETS_MAX - V2_HEAD_OCTETS;
    let filling = addition(0x04, &vec![0; largest - TCP4.len() - 3]);
    check(&v2(0x21, 0x11, &[TCP4, &filling].concat()), ends);
}

#[test]
fn broken_version_2_is_refused() {
    refused(b"\r\n\r\n\0\r\nQUIX", Fault::NoHeader);
    refused(b"\r\n\r\nGET / HTTP", Fault::NoHeader);
    refused(&v2(0x11, 0x11, TCP4), Fault::UnknownVersion(1));
    refused(&v2(0x31, 0x11, TCP4), Fault::UnknownVersion(3));
    refused(&v2(0x22, 0x11, TCP4), Fault::UnknownCommand(2));
    for family in [0x01, 0x10, 0x12, 0x22, 0x32, 0x41, 0xff] {
        refused(&v2(0x21, family, TCP4), Fault::UnknownFamily(family));
    }
    refused(&v2(0x21, 0x11, &TCP4[1..]), Fault::TooShort);
    refused(&v2(0x21, 0x21, &[0; 35]), Fault::TooShort);
    refused(&v2(0x21, 0x31, &[0; 215]), Fault::TooShort);
    let late = addition(0x04, b"ab");
    for end in 1..late.len() {
        let rest = [TCP4, &late[..end]].concat();
        refused(&v2(0x21, 0x11, &rest), Fault::BadAddition);
    }
    let announced = v2(0x21, 0x11, &vec![0; V2_OCTETS_MAX]);
    refused(&announced[..V2_HEAD_OCTETS], Fault::TooLong);
}

#[test]
fn a_checksum_is_checked() {
    let after = addition(0x04, b"z");
    let zeros = addition(ADDITION_CRC32C, &[0; 4]);
    let mut header = v2(0x21, 0x11, &[TCP4, &zeros, &after].concat());
    let sum = crc32c::checksum(&[&header]).to_be_bytes();
    refused(&header, Fault::BadChecksum);
    header[31..35].copy_from_slice(&sum);
    check(&header, proxied("192.0.2.1:258", "192.0.2.2:443"));
    for at in [16, 20, 25, 31, 38] {
        let mut damaged = header.clone();
        damaged[at] ^= 1;
        refused(&damaged, Fault::BadChecksum);
    }
    let short = [TCP4, &addition(ADDITION_CRC32C, &[0; 3])].concat();
    refused(&v2(0x21, 0x11, &short), Fault::BadAddition);
}

fn end() -> impl Strategy<Value = SocketAddr> {
    let ip = any::<IpAddr>().prop_map(|ip| ip.to_canonical());
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn origin() -> impl Strategy<Value = Origin> {
    let ends = (end(), end()).prop_map(|(source, destination)| Origin::Proxied {
        source,
        destination,
    });
    prop_oneof![9 => ends, 1 => Just(Origin::Local)]
}

proptest! {
    #[test]
    fn what_is_written_is_read(origin in origin(), more in vec(any::<u8>(), 0..40)) {
        for mut octets in [write::v1(origin), write::v2(origin)] {
            let whole = Header { origin, octets: octets.len() };
            for end in 0..octets.len() {
                prop_assert_eq!(header(&octets[..end]), Ok(None));
            }
            octets.extend_from_slice(&more);
            prop_assert_eq!(header(&octets), Ok(Some(whole)));
        }
    }

    #[test]
    fn more_octets_never_change_an_answer(
        origin in origin(),
        second in any::<bool>(),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
        more in vec(any::<u8>(), 0..300),
    ) {
        let mut octets = if second { write::v2(origin) } else { write::v1(origin) };
        let at = at.index(octets.len());
        octets[at] = octet;
        octets.extend_from_slice(&more);
        let answers: Vec<_> = (0..=octets.len()).map(|end| header(&octets[..end])).collect();
        let first = answers.iter().find(|answer| **answer != Ok(None));
        let settled = answers.iter().skip_while(|answer| **answer == Ok(None));
        prop_assert!(settled.clone().all(|answer| Some(answer) == first));
    }

    #[test]
    fn garbage_behind_a_signature_gets_an_answer(rest in vec(any::<u8>(), 0..600), command in 0x20..0x23_u8) {
        let octets = [V2_SIGNATURE, &[command][..], &rest].concat();
        let answer = header(&octets);
        if let Ok(Some(header)) = answer {
            prop_assert!(header.octets <= octets.len());
        }
    }
}
