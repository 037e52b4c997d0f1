//! Any bytes are a hello, the beginning of one, or none; and they mean the same however they are cut.
#![no_main]

use onedoor::door::HelloReader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| assert_eq!(
    read(bytes, bytes.len().max(1)),
    read(bytes, 1)
));

/// The name or the fault, with the alert.
fn read(bytes: &[u8], size: usize) -> Option<String> {
    let mut reader = HelloReader::default();
    bytes
        .chunks(size)
        .find_map(|piece| match reader.feed(piece) {
            Ok(hello) => hello.map(|hello| format!("{:?}", hello.name)),
            Err(fault) => Some(format!("{fault:?}")),
        })
}
