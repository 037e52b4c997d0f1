//! The pick of a certificate among 100,000 names of which a fifth lie ready, as a worker does it at a handshake.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use onedoor::certs::bundle::{Bundle, Origin, Ready};
use onedoor::certs::shelf::{Place, Shelf, Wish};
use onedoor::hostname::HostPattern;
use rcgen::{CertificateParams, KeyPair};

const NAMES: usize = 100_000;

fn ready() -> Ready {
    let key = KeyPair::generate().expect("randomness");
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).expect("a name");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    params.not_before = now.into();
    params.not_after = (now + Duration::from_secs(86_400)).into();
    let leaf = params.self_signed(&key).expect("a certificate");
    let origin = Origin {
        generation: 1,
        directory: "https://ca.test/",
        profile: None,
    };
    Bundle::of(leaf.pem(), key.serialize_pem(), origin, now).expect("a good bundle")
}

fn pick(criterion: &mut Criterion) {
    let (shelf, ready) = (Shelf::default(), ready());
    let names: Vec<HostPattern> = (0..NAMES)
        .map(|number| {
            HostPattern::parse(&format!("n{number}.customers.example.com")).expect("a name")
        })
        .collect();
    let places: Vec<Arc<Place>> = names.iter().map(|name| shelf.place(name)).collect();
    for name in &names {
        shelf.put(name, &ready, Wish::Passing);
    }
    let mut number = 0_usize;
    criterion.bench_function("pick among 100,000 names", |bencher| {
        bencher.iter(|| {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            black_box(places[(number >> 33) % NAMES].certified())
        });
    });
    let mut next = 0;
    criterion.bench_function("put one more and make room", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % NAMES;
            shelf.put(&names[next], &ready, Wish::Needed);
        });
    });
}

criterion_group!(benches, pick);
criterion_main!(benches);
