//! Whatever is offered: every claim in force is served by exactly its target, and nothing else is.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::read;
use crate::config::site::{Action, Http};

const NAMES: [&str; 4] = ["a.test", "b.test", "*.a.test", "*"];
const PATHS: [&str; 4] = ["", "/x", "/y", "/x/z$"];

/// One place of a part: its name, its port, and where the path leads.
type Places = BTreeMap<(usize, u16, usize), u8>;

fn text(places: &Places) -> String {
    let mut hosts: BTreeMap<(usize, u16), Vec<(usize, u8)>> = BTreeMap::new();
    for ((name, port, path), target) in places {
        hosts
            .entry((*name, *port))
            .or_default()
            .push((*path, *target));
    }
    let mut text = "http = false\n[sites]\n".to_owned();
    for ((name, port), paths) in hosts {
        let plain = if port == 8080 {
            "\"off\""
        } else {
            "\"internal\""
        };
        let mut entry = format!("\"{}:{port}\" = {{ tls = {plain}", NAMES[name]);
        let mut entries = Vec::new();
        for (path, target) in paths {
            let target = 3000 + u32::from(target);
            match PATHS[path] {
                "" => entry.push_str(&format!(", to = {target}")),
                path => entries.push(format!("\"{path}\" = {target}")),
            }
        }
        if !entries.is_empty() {
            entry.push_str(&format!(", paths = {{ {} }}", entries.join(", ")));
        }
        text.push_str(&format!("{entry} }}\n"));
    }
    text
}

fn parts() -> impl Strategy<Value = Vec<Places>> {
    let place = (
        0..NAMES.len(),
        prop_oneof![Just(443_u16), Just(8443), Just(8080)],
        0..PATHS.len(),
    );
    let part = proptest::collection::btree_map(place, 0..3_u8, 1..8);
    proptest::collection::vec(part, 1..5)
}

/// Of the parts that lead a place elsewhere the last is in force; who leads it to the same is too.
fn target_in_force(parts: &[Places], place: (usize, u16, usize)) -> Option<u8> {
    parts
        .iter()
        .rev()
        .find_map(|part| part.get(&place).copied())
}

fn place(name: &HostPattern, port: u16, path: PathOf<'_>) -> (usize, u16, usize) {
    let name = name.to_string();
    let name = NAMES.iter().position(|known| *known == name).unwrap();
    let path = match path {
        PathOf::Prefix("/") => String::new(),
        PathOf::Prefix(path) => path.to_owned(),
        PathOf::Exact(path) => format!("{path}$"),
        PathOf::Everything => panic!("no tunnel was said"),
    };
    let path = PATHS.iter().position(|known| *known == path).unwrap();
    (name, port, path)
}

/// The rules of a compiled site, each path with its port of the target.
fn rules(http: &Http) -> BTreeMap<usize, Vec<u8>> {
    let target = |action: &Action| match action {
        Action::Forward(targets) => {
            let text = targets.first().unwrap().to_string();
            let port: u16 = text.rsplit(':').next().unwrap().parse().unwrap();
            u8::try_from(port - 3000).unwrap()
        }
        Action::Redirect(_) | Action::Respond(_) => panic!("{action:?}"),
    };
    let mut found: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for path in &http.paths {
        let name = HostPattern::parse(NAMES[0]).unwrap();
        let (_, _, index) = place(&name, 0, PathOf::of(path));
        found
            .entry(index)
            .or_default()
            .push(target(&path.rule.action));
    }
    if let Some(root) = &http.root {
        found.entry(0).or_default().push(target(&root.action));
    }
    found
}

proptest! {
    #[test]
    fn every_claim_in_force_is_served_by_its_target_and_nothing_else(parts in parts()) {
        let loaded: Vec<Loaded> = parts
            .iter()
            .map(|part| read(Path::new("/etc/x.toml"), &text(part)).unwrap())
            .collect();
        let guests: Vec<Part<'_>> = (1..)
            .zip(&loaded[1..])
            .map(|(lease, loaded)| Part { lease, loaded, log: PartLog::Guest })
            .collect();
        let keep = |lease: u32, name: &HostPattern, port: u16, path: PathOf<'_>| {
            let place = place(name, port, path);
            let own = parts[usize::try_from(lease).unwrap()].get(&place).copied();
            assert!(own.is_some());
            own == target_in_force(&parts, place)
        };
        let merged = merge(&loaded[0], &guests, &keep);
        prop_assert!(merged.clashes.is_empty(), "{:?}", merged.clashes);
        let config = &merged.loaded.config;
        prop_assert_eq!(config.sites.len(), merged.origin.len());
        prop_assert_eq!(config.sites.len(), merged.overrides.len());
        for (index, name) in NAMES.iter().enumerate() {
            for port in [443, 8443, 8080] {
                let served: Vec<&Site> = config
                    .sites
                    .iter()
                    .filter(|site| site.ports().contains(&port))
                    .filter(|site| site.names.iter().any(|own| own.to_string() == *name))
                    .collect();
                prop_assert!(served.len() < 2, "{served:?}");
                let found = served.first().map(|site| rules(site.service.http().unwrap()));
                let expected: BTreeMap<usize, Vec<u8>> = (0..PATHS.len())
                    .filter_map(|path| {
                        let target = target_in_force(&parts, (index, port, path))?;
                        Some((path, vec![target]))
                    })
                    .collect();
                prop_assert_eq!(found.unwrap_or_default(), expected, "{} {}", name, port);
            }
        }
    }
}
