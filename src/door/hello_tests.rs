//! Hellos of real clients and odd ones, cut in every way.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// The name that all captured hellos ask for.
const SHOP: &str = "shop.onedoor.test";

const CAPTURED: [(&str, &[u8]); 7] = [
    (
        "chromium",
        include_bytes!("../../tests/hellos/chromium.bin"),
    ),
    ("curl", include_bytes!("../../tests/hellos/curl.bin")),
    ("go", include_bytes!("../../tests/hellos/go.bin")),
    ("java", include_bytes!("../../tests/hellos/java.bin")),
    ("node", include_bytes!("../../tests/hellos/node.bin")),
    ("openssl", include_bytes!("../../tests/hellos/openssl.bin")),
    ("python", include_bytes!("../../tests/hellos/python.bin")),
];

const SERVER_NAME: u16 = 0;
const PADDING: u16 = 21;

#[test]
fn hellos_of_real_clients_are_read_however_they_are_cut() {
    for (client, bytes) in CAPTURED {
        check(bytes, Ok(Some(SHOP)), client);
    }
}

#[test]
fn a_post_quantum_hello_of_rustls_is_read() {
    let bytes = rustls_hello();
    assert!(bytes.len() > 1200, "no X25519MLKEM768 key share");
    check(&bytes, Ok(Some(SHOP)), "rustls");
}

#[test]
fn a_hello_split_over_two_records_inside_the_name_is_read() {
    for (client, bytes) in CAPTURED {
        let message = message(bytes);
        let name = find(&message, SHOP.as_bytes());
        check(
            &records(&message, &[name + 4]),
            Ok(Some(SHOP)),
            &format!("{client} in two records"),
        );
    }
}

#[test]
fn a_hello_in_records_of_one_octet_is_read() {
    for (client, bytes) in CAPTURED {
        let message = message(bytes);
        let cuts: Vec<usize> = (1..message.len()).collect();
        check(&records(&message, &cuts), Ok(Some(SHOP)), client);
    }
}

#[test]
fn a_name_is_compared_without_its_case_and_trailing_dot() {
    check(&asking(b"SHOP.oneDoor.Test"), Ok(Some(SHOP)), "upper case");
    check(&asking(b"shop.onedoor.test."), Ok(Some(SHOP)), "dot");
    check(&asking(b"SHOP.ONEDOOR.TEST."), Ok(Some(SHOP)), "both");
    check(
        &asking(b"my_service.test"),
        Ok(Some("my_service.test")),
        "underscore",
    );
}

#[test]
fn an_address_as_name_counts_as_no_name() {
    check(&asking(b"192.0.2.7"), Ok(None), "IPv4");
    check(&asking(b"2001:db8::7"), Ok(None), "IPv6");
    check(&hello(&[]), Ok(None), "no extension");
}

#[test]
fn names_that_are_none_are_refused() {
    check(&asking(b""), Err("Refused"), "empty");
    check(&asking(&[b'a'; 256]), Err("Refused"), "256 octets");
    let long = [&b"a.".repeat(127)[..], b"test"].concat();
    check(&asking(&long), Err("Refused"), "258 octets in labels");
    check(&asking(b"a b.test"), Err("Refused"), "space");
    check(&asking(b"\xff\xfe.test"), Err("Refused"), "not ASCII");
    check(&asking(b"a.test\0.test"), Err("Refused"), "NUL");
    check(&asking(b"*.test"), Err("Refused"), "wildcard");
    check(&asking(b"xn--0.test"), Err("Refused"), "no punycode");
    let two = [host_name(b"a.test"), host_name(b"b.test")].concat();
    check(
        &hello(&[(SERVER_NAME, prefixed(&two))]),
        Err("Refused"),
        "two names",
    );
    check(
        &hello(&[(SERVER_NAME, prefixed(&[]))]),
        Err("Refused"),
        "no names",
    );
}

#[test]
fn a_hello_of_16_kb_is_read_and_a_larger_one_is_not() {
    let padded = |octets: usize| {
        let extensions = [
            (SERVER_NAME, prefixed(&host_name(SHOP.as_bytes()))),
            (PADDING, vec![0; octets]),
        ];
        hello(&extensions)
    };
    let overhead = padded(0).len();
    check(&padded((16 << 10) - overhead), Ok(Some(SHOP)), "16 KB");
    // The second record's head is part of it.
    let most = HELLO_BYTES_MAX - overhead - 5;
    assert_eq!(padded(most).len(), HELLO_BYTES_MAX);
    check(&padded(most), Ok(Some(SHOP)), "the limit");
    check(&padded(most + 1), Err("TooLarge"), "above the limit");
    check(&padded(60_000), Err("TooLarge"), "far above the limit");
}

#[test]
fn what_is_no_tls_is_told_by_its_first_octet() {
    check(b"GET / HTTP/1.1\r\n\r\n", Err("PlainHttp"), "HTTP");
    check(b"PRI * HTTP/2.0\r\n", Err("PlainHttp"), "HTTP/2");
    check(b"\x80\x2e\x01\x00\x02", Err("Garbage"), "SSLv2");
    check(b"\0\0\0\0", Err("Garbage"), "zeros");
    check(b"\x15\x03\x01\0\x02\x02\x28", Err("Garbage"), "an alert");
    check(b"SSH-2.0-OpenSSH_9.2\r\n", Err("PlainHttp"), "SSH");
}

#[test]
fn tls_without_a_hello_is_refused_with_an_alert() {
    for (words, bytes) in [
        ("a version of the future", &b"\x16\x09\x01\0\x01\x01"[..]),
        ("an empty record", b"\x16\x03\x01\0\0"),
        ("a server hello", b"\x16\x03\x01\0\x04\x02\0\0\0"),
        ("a record beyond 16 KB", b"\x16\x03\x01\xff\xff\x01"),
    ] {
        check(bytes, Err("Refused"), words);
    }
}

#[test]
fn silence_is_no_hello_yet() {
    assert!(matches!(HelloReader::default().feed(b""), Ok(None)));
    let (_, curl) = CAPTURED[1];
    let mut reader = HelloReader::default();
    assert!(matches!(reader.feed(&curl[..curl.len() - 1]), Ok(None)));
}

#[test]
fn every_octet_is_kept_for_a_tunnel() {
    for (client, bytes) in CAPTURED {
        let mut reader = HelloReader::default();
        let behind = [bytes, b"behind"].concat();
        let hello = reader.feed(&behind).ok().flatten().unwrap();
        assert_eq!(hello.kept, behind, "{client}");
    }
}

#[test]
fn the_only_protocol_is_known() {
    let alpn = |names: &[&[u8]]| {
        let list: Vec<u8> = names.iter().flat_map(|name| short_prefixed(name)).collect();
        let bytes = hello(&[(16, prefixed(&list))]);
        let hello = HelloReader::default().feed(&bytes).ok().flatten().unwrap();
        hello.only_protocol.map(Vec::from)
    };
    assert_eq!(alpn(&[b"acme-tls/1"]), Some(b"acme-tls/1".to_vec()));
    assert_eq!(alpn(&[b"acme-tls/1", b"h2"]), None);
}

proptest! {
    #[test]
    fn arbitrary_octets_mean_the_same_however_they_are_cut(
        bytes in vec(any::<u8>(), 0..600),
        first in prop_oneof![Just(22_u8), any::<u8>()],
        cut in 1_usize..64,
    ) {
        let bytes = [vec![first], bytes].concat();
        prop_assert_eq!(read(&bytes, bytes.len()), read(&bytes, cut));
    }

    #[test]
    fn a_damaged_hello_means_the_same_however_it_is_cut(
        which in 0..CAPTURED.len(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in 1_usize..600,
        records_at in vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut message = message(CAPTURED[which].1);
        for (place, octet) in damage {
            let place = place.index(message.len());
            message[place] = octet;
        }
        let mut cuts: Vec<usize> = records_at
            .iter()
            .map(|place| place.index(message.len()))
            .filter(|cut| *cut > 0)
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let bytes = records(&message, &cuts);
        prop_assert_eq!(read(&bytes, bytes.len()), read(&bytes, cut));
    }
}

/// What came of the bytes: the name, or the kind of fault and what is said to the client.
type Outcome = Result<Option<String>, (&'static str, Vec<u8>)>;

/// Feeds pieces of `size` octets; a hello that stays incomplete is a fault of its own here.
fn read(bytes: &[u8], size: usize) -> Outcome {
    let mut reader = HelloReader::default();
    for piece in bytes.chunks(size) {
        match reader.feed(piece) {
            Ok(None) => {}
            Ok(Some(hello)) => return Ok(hello.name.map(|name| name.to_string())),
            Err(NotHello::PlainHttp) => return Err(("PlainHttp", Vec::new())),
            Err(NotHello::Garbage) => return Err(("Garbage", Vec::new())),
            Err(NotHello::TooLarge) => return Err(("TooLarge", Vec::new())),
            Err(NotHello::Refused { alert, .. }) => return Err(("Refused", alert)),
        }
    }
    Err(("Incomplete", Vec::new()))
}

/// Whole, in single octets, and in pieces as TCP makes them.
#[track_caller]
fn check(bytes: &[u8], expected: Result<Option<&str>, &str>, words: &str) {
    for size in [bytes.len(), 1, 1460] {
        let outcome = read(bytes, size);
        if let Err(("Refused", alert)) = &outcome {
            assert!(
                matches!(alert[..], [21, 3, _, 0, 2, 2, _]),
                "{words}: {alert:?}"
            );
        }
        let outcome = outcome
            .as_ref()
            .map(Option::as_deref)
            .map_err(|(kind, _)| *kind);
        assert_eq!(outcome, expected, "{words}, in pieces of {size}");
    }
}

/// The octets of one record at most.
const RECORD_MAX: usize = 16 << 10;

/// The handshake message inside a flight of records.
fn message(flight: &[u8]) -> Vec<u8> {
    let (mut message, mut rest) = (Vec::new(), flight);
    while let [_, _, _, high, low, body @ ..] = rest {
        let (body, next) = body.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        message.extend_from_slice(body);
        rest = next;
    }
    message
}

/// A message in records that end at these places.
fn records(message: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut flight = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([message.len()]) {
        flight.extend([22, 3, 1]);
        flight.extend(prefixed(&message[start..end]));
        start = end;
    }
    flight
}

/// The smallest hello that rustls accepts, with these extensions besides.
fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let ed25519_and_p256 = prefixed(&[8, 7, 4, 3]);
    let mut list = Vec::new();
    for (kind, body) in [(13, ed25519_and_p256)].iter().chain(extensions) {
        list.extend(kind.to_be_bytes());
        list.extend(prefixed(body));
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(prefixed(&[0x13, 0x01, 0xc0, 0x2b]));
    body.extend([1, 0]);
    body.extend(prefixed(&list));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    let cuts: Vec<usize> = (1..=(message.len() - 1) / RECORD_MAX)
        .map(|record| record * RECORD_MAX)
        .collect();
    records(&message, &cuts)
}

fn asking(name: &[u8]) -> Vec<u8> {
    hello(&[(SERVER_NAME, prefixed(&host_name(name)))])
}

/// One entry of a server name list (RFC 6066 section 3).
fn host_name(name: &[u8]) -> Vec<u8> {
    [vec![0], prefixed(name)].concat()
}

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length, bytes].concat()
}

fn short_prefixed(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
        .unwrap()
}

fn rustls_hello() -> Vec<u8> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls_pki_types::ServerName::try_from(SHOP).unwrap();
    let mut client = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}
