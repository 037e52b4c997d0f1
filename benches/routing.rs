//! What finding the site of a name costs, among few names and very many.

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use onedoor::config;
use onedoor::hostname::HostName;
use onedoor::routing::{Asked, Decision, Loopback, Routes};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A site has its name and aliases up to this many.
const NAMES_EACH: usize = 1000;
/// Names asked for in turn, spread over all there are, so that no cache holds just them.
const ASKED: usize = 1 << 16;

fn routing(criterion: &mut Criterion) {
    for count in [10, 10_000, 1_000_000] {
        let routes = routes(count);
        let socket = &routes.sockets()[0];
        let mut bench = |words: &str, asked: Vec<HostName>| {
            let mut asked = asked.iter().cycle();
            criterion.bench_function(&format!("{words} among {count}"), |bencher| {
                bencher.iter(|| {
                    let name = asked.next();
                    let asked = Asked {
                        name,
                        only_protocol: None,
                    };
                    matches!(
                        routes.decide(socket, LOCAL, black_box(asked)),
                        Decision::Serve { .. }
                    )
                });
            });
        };
        bench("an exact name", asked(count, ".customers.test"));
        bench("a wildcard's name", asked(count, ".any.test"));
        bench("an unknown name", asked(count, ".strangers.test"));
    }
}

/// So many exact names, and one wildcard.
fn routes(count: usize) -> Routes {
    let mut text = String::from("listen = [\"127.0.0.1:1\"]\nhttp = false\n[sites]\n");
    text.push_str("\"*.any.test\" = \"3000\"\n");
    for first in (0..count).step_by(NAMES_EACH) {
        let aliases: Vec<String> = (first + 1..count.min(first + NAMES_EACH))
            .map(|number| format!("\"{number}.customers.test\""))
            .collect();
        writeln!(
            text,
            "\"{first}.customers.test\" = {{ to = \"3000\", aliases = [{}] }}",
            aliases.join(", ")
        )
        .expect("a String takes everything");
    }
    let loaded = config::read(Path::new("proxy.toml"), &text).expect("a good configuration");
    Routes::compile(&loaded.config, 1, Loopback::Direct, &|port| port)
}

fn asked(count: usize, suffix: &str) -> Vec<HostName> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..ASKED)
        .map(|_| format!("{}{suffix}", random.usize(..count)))
        .map(|name| HostName::parse(&name).expect("a good name"))
        .collect()
}

criterion_group!(benches, routing);
criterion_main!(benches);
