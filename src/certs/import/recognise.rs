//! Says whose files a tree holds: each reader takes what is its tool's, and what is left may still be plain pairs.

use std::time::SystemTime;

use crate::certs::import::findings::Findings;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{Content, Tree};
use crate::certs::import::{
    acme_sh, acmetool, archive, caddy, certbot, companion, dehydrated, kubernetes, lego, plain,
    proxy_manager, traefik,
};

type Reader = fn(&mut Survey<'_>);

/// From the most to the least peculiar layout; one that another builds on comes before it.
const READERS: &[Reader] = &[
    caddy::read,
    traefik::read,
    kubernetes::read,
    certbot::read,
    proxy_manager::read,
    lego::read,
    acme_sh::read,
    companion::read,
    dehydrated::read,
    acmetool::read,
    plain::read,
];

/// Recognises what a tree holds, archives in it included. Whatever is in it, there is an answer.
#[must_use]
pub fn recognise(tree: &Tree, now: SystemTime) -> Findings {
    let mut survey = Survey::new(tree, now);
    let mut archives = Vec::new();
    for (path, content) in tree.files() {
        let Content::Bytes(bytes) = content else {
            continue;
        };
        let place = tree.place(path);
        if looks_like_yaml(path, bytes) {
            survey.remark(format!(
                "{place} is YAML: secrets are read from `kubectl get secret -o json`"
            ));
        } else if let Some(unpacked) = archive::unpack(bytes, place) {
            survey.set_aside(path);
            archives.push(unpacked);
        }
    }
    of_files(&mut survey);
    for unpacked in &archives {
        let mut inside = Survey::new(unpacked, now);
        of_files(&mut inside);
        survey.absorb(inside.finish());
    }
    survey.finish()
}

fn of_files(survey: &mut Survey<'_>) {
    for read in READERS {
        read(survey);
    }
}

fn looks_like_yaml(path: &str, bytes: &[u8]) -> bool {
    (path.ends_with(".yaml") || path.ends_with(".yml")) && bytes.starts_with(b"apiVersion:")
}
