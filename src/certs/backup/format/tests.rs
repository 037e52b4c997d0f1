use super::*;
use crate::certs::backup::seal::Cost;

fn contents() -> Contents {
    let object = |(key, bytes): (&str, &[u8])| (Key::new(key).unwrap(), bytes.to_vec());
    let objects: [(&str, &[u8]); 3] = [
        ("acme/ca.test/ledger", b"{}"),
        ("certs/a.test/current", b""),
        ("certs/a.test/v00000001", b"two\nlines\xff"),
    ];
    Contents {
        made_at: Timestamp::from_second(1_800_000_000).unwrap(),
        objects: objects.into_iter().map(object).collect(),
    }
}

fn sealing() -> Sealing {
    Sealing {
        passphrase: Passphrase::of(b"correct").unwrap(),
        salt: [1; 16],
        cost: Cost {
            memory_kib: 8,
            passes: 1,
        },
    }
}

#[test]
fn what_is_packed_is_unpacked() {
    let plain = pack(&contents(), None).unwrap();
    assert_eq!(unpack(&plain, None).unwrap(), contents());
    let sealed = pack(&contents(), Some(&sealing())).unwrap();
    let passphrase = sealing().passphrase;
    assert_eq!(unpack(&sealed, Some(&passphrase)).unwrap(), contents());
    let shows = |file: &[u8], text: &str| String::from_utf8_lossy(file).contains(text);
    assert!(shows(&plain, "private keys that anybody can read"));
    assert!(shows(&plain, "lines") && shows(&plain, "a.test"));
    assert!(!shows(&sealed, "lines") && !shows(&sealed, "a.test"));
}

#[test]
fn whatever_octet_is_changed_or_missing_the_file_is_refused() {
    for (file, passphrase) in [
        (pack(&contents(), None).unwrap(), None),
        (
            pack(&contents(), Some(&sealing())).unwrap(),
            Some(sealing().passphrase),
        ),
    ] {
        for at in 0..file.len() {
            for mask in [1, 0x20, 0x80] {
                let mut altered = file.clone();
                altered[at] ^= mask;
                assert!(unpack(&altered, passphrase.as_ref()).is_err(), "{at}");
            }
            assert!(unpack(&file[..at], passphrase.as_ref()).is_err(), "{at}");
            let mut longer = file.clone();
            longer.insert(at, b' ');
            assert!(unpack(&longer, passphrase.as_ref()).is_err(), "{at}");
        }
    }
}

#[test]
fn a_refusal_says_what_and_where() {
    let file = pack(&contents(), None).unwrap();
    let lines = file.windows(5).position(|it| it == b"lines").unwrap();
    let mut altered = file.clone();
    altered[lines] = b'L';
    let told = unpack(&altered, None).unwrap_err().to_string();
    let from = lines - 4;
    let expected = format!(
        "it is damaged: the object `certs/a.test/v00000001` (octets {from} to {}) is not as it was written; take another copy",
        from + 10
    );
    assert_eq!(told, expected);
    let cut = unpack(&file[..file.len() - 7], None).unwrap_err();
    let expected = format!(
        "it is cut off: it has {} octets and needs {}; copy it again",
        file.len() - 7,
        file.len()
    );
    assert_eq!(cut.to_string(), expected);
    let foreign = unpack(b"PK\x03\x04", None).unwrap_err();
    assert!(matches!(foreign, Unreadable::Foreign));
    assert!(matches!(unpack(b"", None), Err(Unreadable::Empty)));
    let newer = unpack(b"onedoor backup 2\n{}\n", None).unwrap_err();
    assert!(newer.to_string().contains("newer one"), "{newer}");
}

#[test]
fn a_wrong_passphrase_is_told_from_damage() {
    let sealed = pack(&contents(), Some(&sealing())).unwrap();
    let (right, other) = (sealing().passphrase, Passphrase::of(b"other").unwrap());
    let refused = |file: &[u8], passphrase| unpack(file, passphrase).unwrap_err();
    assert!(matches!(
        refused(&sealed, Some(&other)),
        Unreadable::WrongPassphrase
    ));
    assert!(matches!(refused(&sealed, None), Unreadable::Sealed));
    let mut damaged = sealed;
    let at = damaged.len() - SUM_LINE_BYTES - 1;
    damaged[at] ^= 1;
    for passphrase in [None, Some(&other), Some(&right)] {
        let refused = refused(&damaged, passphrase);
        assert!(matches!(refused, Unreadable::Altered { .. }), "{refused}");
    }
    let plain = pack(&contents(), None).unwrap();
    assert!(matches!(
        refused(&plain, Some(&other)),
        Unreadable::NotSealed
    ));
}

#[test]
fn a_key_that_leaves_the_storage_is_refused() {
    let file = pack(&contents(), None).unwrap();
    let text = String::from_utf8_lossy(&file);
    let list = text.find("certs/a.test/current").unwrap();
    let mut forged = file[..file.len() - SUM_LINE_BYTES].to_vec();
    forged[list..list + 20].copy_from_slice(b"certs/../../../../ab");
    let end = format!("{SUM_NAME}{}\n", sum(&forged));
    forged.extend(end.into_bytes());
    let refused = unpack(&forged, None).unwrap_err();
    assert!(matches!(refused, Unreadable::Key(..)), "{refused}");
}
