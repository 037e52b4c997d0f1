//! What reading a ClientHello costs: in one piece, and as slow networks cut it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use onedoor::door::{Hello, HelloReader};

const CURL: &[u8] = include_bytes!("../tests/hellos/curl.bin");
const CHROMIUM: &[u8] = include_bytes!("../tests/hellos/chromium.bin");

fn hellos(criterion: &mut Criterion) {
    for (client, bytes) in [("curl", CURL), ("Chromium", CHROMIUM)] {
        criterion.bench_function(&format!("hello of {client}"), |bencher| {
            bencher.iter(|| read(black_box(bytes), bytes.len()));
        });
        criterion.bench_function(&format!("hello of {client} in single octets"), |bencher| {
            bencher.iter(|| read(black_box(bytes), 1));
        });
    }
}

fn read(bytes: &[u8], size: usize) -> Hello {
    let mut reader = HelloReader::default();
    bytes
        .chunks(size)
        .find_map(|piece| reader.feed(piece).expect("a captured hello"))
        .expect("a whole hello")
}

criterion_group!(benches, hellos);
criterion_main!(benches);
