//! The resolver as the door and the app use it, handshakes included.

use std::fs;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;

use super::*;
use crate::certs::fixture::{Authority, Leaf, days, local_ca, noon, replace, shake_hands};

struct Place {
    folder: TempDir,
    authority: Authority,
    resolver: Resolver,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            authority: Authority::new(),
            resolver: Resolver::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pair(&self, names: &[&str]) -> Leaf {
        let valid = noon()..noon() + days(90);
        let (cert, key) = (self.path("a.pem"), self.path("a.key"));
        self.authority.write_pair(names, valid, &cert, &key)
    }

    fn own(&self, name: &str) -> Wanted {
        Wanted {
            name: HostPattern::parse(name).unwrap(),
            source: Source::Pair {
                cert: self.path("a.pem"),
                key: self.path("a.key"),
            },
        }
    }

    /// Any name, by a pair in the folder.
    fn folder_of_pairs(&self) -> Source {
        Source::Auto {
            folder: Some(Arc::new(self.folder.path().to_owned())),
        }
    }

    fn plan(&self, wanted: &[Wanted]) -> (Plan, Vec<Refusal>, Vec<Warning>) {
        self.resolver.plan(wanted, &Options::default(), noon())
    }

    fn shown(&self, plan: &Plan, slot: usize, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = HostName::parse(name).unwrap();
        self.resolver.certified(plan, slot, &name, noon())
    }

    fn root(&self) -> CertificateDer<'static> {
        let ca = self.resolver.local_ca().unwrap();
        CertificateDer::from_pem_slice(ca.root().pem.as_bytes()).unwrap()
    }

    fn serve_local_ca(&self) {
        let ca = local_ca(&self.path("storage"));
        self.resolver.serve_local_ca(Arc::new(ca));
    }
}

const AUTO: Source = Source::Auto { folder: None };

fn wanted(name: &str, source: Source) -> Wanted {
    Wanted {
        name: HostPattern::parse(name).unwrap(),
        source,
    }
}

#[test]
fn a_pair_is_read_once_and_shared() {
    let place = Place::new();
    let leaf = place.pair(&["a.test", "b.test"]);
    let (plan, refusals, warnings) = place.plan(&[place.own("a.test"), place.own("b.test")]);
    assert!(refusals.is_empty() && warnings.is_empty());
    assert_eq!(plan.pairs.len(), 1);
    let a = place.shown(&plan, 0, "a.test").unwrap();
    let b = place.shown(&plan, 1, "b.test").unwrap();
    assert!(Arc::ptr_eq(&a, &b));
    let met = shake_hands(a, &place.authority.der, "a.test", noon()).unwrap();
    assert_eq!(met, leaf.der);
    assert_eq!(
        plan.describe(0).to_string(),
        format!("own pair {}", place.path("a.pem").display())
    );
}

#[test]
fn a_new_plan_reads_only_what_changed() {
    let place = Place::new();
    place.pair(&["a.test"]);
    let (first, ..) = place.plan(&[place.own("a.test")]);
    let (second, ..) = place.plan(&[place.own("a.test")]);
    let before = place.shown(&first, 0, "a.test").unwrap();
    assert!(Arc::ptr_eq(
        &before,
        &place.shown(&second, 0, "a.test").unwrap()
    ));
    place.pair(&["a.test"]);
    let (third, ..) = place.plan(&[place.own("a.test")]);
    assert!(!Arc::ptr_eq(
        &before,
        &place.shown(&third, 0, "a.test").unwrap()
    ));
}

#[test]
fn a_replaced_pair_is_served_after_a_refresh() {
    let place = Place::new();
    place.pair(&["a.test"]);
    let (plan, ..) = place.plan(&[place.own("a.test")]);
    assert!(place.resolver.refresh(&plan, noon()).is_empty());
    let renewed = place.pair(&["a.test", "b.test"]);
    let events = place.resolver.refresh(&plan, noon());
    assert!(matches!(events[..], [Event::Renewed { .. }]), "{events:?}");
    let certified = place.shown(&plan, 0, "a.test").unwrap();
    let met = shake_hands(certified, &place.authority.der, "a.test", noon()).unwrap();
    assert_eq!(met, renewed.der);
    assert!(place.resolver.refresh(&plan, noon()).is_empty());
}

#[test]
fn a_bad_replacement_keeps_the_old_pair_and_is_told_once() {
    let place = Place::new();
    let good = place.pair(&["a.test"]);
    let (plan, ..) = place.plan(&[place.own("a.test")]);
    let spoil: [&dyn Fn(); 4] = [
        &|| {
            place.pair(&["other.test"]);
        },
        &|| replace(&place.path("a.key"), "nonsense"),
        &|| replace(&place.path("a.pem"), "nonsense"),
        &|| fs::remove_file(place.path("a.pem")).unwrap(),
    ];
    for spoil in spoil {
        spoil();
        let events = place.resolver.refresh(&plan, noon());
        assert!(matches!(events[..], [Event::Kept { .. }]), "{events:?}");
        assert!(place.resolver.refresh(&plan, noon()).is_empty());
        let certified = place.shown(&plan, 0, "a.test").unwrap();
        assert_eq!(certified.cert[0], good.der);
    }
    let (again, refusals, warnings) = place.plan(&[place.own("a.test")]);
    assert!(refusals.is_empty());
    assert!(matches!(warnings[..], [Warning::Kept(_)]), "{warnings:?}");
    assert!(place.resolver.refresh(&again, noon()).is_empty());
    let mended = place.pair(&["a.test"]);
    assert_eq!(place.resolver.refresh(&again, noon()).len(), 1);
    let certified = place.shown(&again, 0, "a.test").unwrap();
    assert_eq!(certified.cert[0], mended.der);
}

#[test]
fn a_pair_that_does_not_name_the_site_refuses_that_site_alone() {
    let place = Place::new();
    place.pair(&["a.test"]);
    let (plan, refusals, _) = place.plan(&[place.own("a.test"), place.own("b.test")]);
    assert!(
        matches!(
            &refusals[..],
            [Refusal { index: 1, error: Refused::Pair(error) }]
                if matches!(**error, fault::Error::NotCovered { .. })
        ),
        "{refusals:?}"
    );
    assert!(place.shown(&plan, 0, "a.test").is_some());
    assert!(place.shown(&plan, 1, "b.test").is_none());
    assert!(place.shown(&plan, 2, "c.test").is_none());
    assert_eq!(plan.describe(1).to_string(), "none");
}

#[test]
fn local_names_are_signed_by_the_local_ca() {
    let place = Place::new();
    let options = Options {
        local_suffixes: vec![HostName::parse("lan.example.com").unwrap()],
        ..Options::default()
    };
    let local = [
        "shop.localhost",
        "a.test",
        "b.internal",
        "nas.home.arpa",
        "x.lan.example.com",
        "*.dev.test",
    ];
    let wanted: Vec<_> = local.map(|name| wanted(name, AUTO)).to_vec();
    let (plan, refusals, _) = place.resolver.plan(&wanted, &options, noon());
    assert!(refusals.is_empty(), "{refusals:?}");
    assert_eq!(plan.describe(0).to_string(), "local CA");
    assert!(plan.needs_local_ca() && plan.has_local_names());
    assert!(place.shown(&plan, 0, "shop.localhost").is_none());
    place.serve_local_ca();
    for (slot, name) in ["shop.localhost", "a.test"].iter().enumerate() {
        let certified = place.shown(&plan, slot, name).unwrap();
        shake_hands(certified, &place.root(), name, noon()).unwrap();
    }
    let wild = place.shown(&plan, 5, "x.dev.test").unwrap();
    shake_hands(wild, &place.root(), "x.dev.test", noon()).unwrap();
}

#[test]
fn a_catch_all_of_the_local_ca_signs_each_name() {
    let place = Place::new();
    let (plan, ..) = place.plan(&[wanted("*", Source::LocalCa)]);
    place.serve_local_ca();
    assert!(place.shown(&plan, 0, "a.example").is_some());
    for name in ["a.test", "127.0.0.1"] {
        let certified = place.shown(&plan, 0, name).unwrap();
        shake_hands(certified, &place.root(), name, noon()).unwrap();
    }
}

#[test]
fn a_public_name_without_a_pair_is_refused_with_the_ways_out() {
    let place = Place::new();
    let wanted = ["example.com", "nottest", "*", "192.0.2.1"].map(|name| wanted(name, AUTO));
    let (_, refusals, _) = place.plan(&wanted);
    assert_eq!(refusals.len(), 4);
    let message = refusals[0].error.to_string();
    assert!(message.contains("cert_dir") && message.contains("local_suffixes"));
}

#[test]
fn a_pair_of_the_folder_comes_before_the_local_ca() {
    let place = Place::new();
    let leaf = place.pair(&["a.test", "*.example.com"]);
    let within = |name| wanted(name, place.folder_of_pairs());
    let wanted = ["a.test", "x.example.com", "b.test"].map(within);
    let (plan, refusals, _) = place.plan(&wanted);
    assert!(refusals.is_empty());
    for slot in [0, 1] {
        let certified = place.shown(&plan, slot, "ignored.test").unwrap();
        assert_eq!(certified.cert[0], leaf.der);
    }
    assert_eq!(plan.describe(0).to_string(), "cert_dir a.pem");
    assert_eq!(plan.describe(2).to_string(), "local CA");
}

#[test]
fn each_folder_of_pairs_serves_its_own_names_alone() {
    let (one, other) = (Place::new(), Place::new());
    one.pair(&["a.test", "b.test"]);
    let leaf = other.pair(&["a.test"]);
    let wanted = [
        wanted("a.test", other.folder_of_pairs()),
        wanted("b.test", other.folder_of_pairs()),
        wanted("b.test", one.folder_of_pairs()),
        wanted("a.test", AUTO),
    ];
    let (plan, refusals, _) = one.plan(&wanted);
    assert!(refusals.is_empty());
    let words: Vec<_> = (0..4).map(|slot| plan.describe(slot).to_string()).collect();
    assert_eq!(
        words,
        ["cert_dir a.pem", "local CA", "cert_dir a.pem", "local CA"]
    );
    let certified = one.shown(&plan, 0, "a.test").unwrap();
    assert_eq!(certified.cert[0], leaf.der);
}

#[test]
fn a_damaged_pair_of_the_folder_is_stepped_over() {
    let place = Place::new();
    place.pair(&["a.test"]);
    replace(&place.path("a.key"), "nonsense");
    let within = |name| wanted(name, place.folder_of_pairs());
    let wanted = ["a.test", "*.a.test"].map(within);
    let (plan, refusals, warnings) = place.plan(&wanted);
    assert!(refusals.is_empty());
    assert!(
        matches!(warnings[..], [Warning::SteppedOver(_)]),
        "{warnings:?}"
    );
    assert_eq!(plan.describe(0).to_string(), "local CA");
}

#[test]
fn a_plan_needs_the_local_ca_only_if_a_handshake_may() {
    let place = Place::new();
    place.pair(&["a.test"]);
    let within = wanted("a.test", place.folder_of_pairs());
    let (plan, ..) = place.plan(&[within, place.own("a.test")]);
    assert!(!plan.needs_local_ca());
    for (meanwhile, expected) in [(Meanwhile::Refuse, false), (Meanwhile::LocalCa, true)] {
        let options = Options {
            public: Some(meanwhile),
            ..Options::default()
        };
        let public = [wanted("example.com", AUTO)];
        let (plan, ..) = place.resolver.plan(&public, &options, noon());
        assert_eq!(plan.needs_local_ca(), expected);
        assert!(!plan.has_local_names());
    }
}

#[test]
fn names_that_the_local_ca_cannot_sign_are_refused_and_no_others() {
    let place = Place::new();
    place.pair(&["own.test"]);
    let names = [
        wanted("a.test", AUTO),
        wanted("shop.example.com", Source::LocalCa),
        place.own("own.test"),
    ];
    let (mut plan, ..) = place.plan(&names);
    place.serve_local_ca();
    let refusals = plan.settle(&names, |name| {
        let ca = place.resolver.local_ca()?;
        (!ca.scope().permits_all(name)).then_some(Refused::NoSource)
    });
    assert!(matches!(refusals[..], [Refusal { index: 1, .. }]));
    assert!(place.shown(&plan, 0, "a.test").is_some());
    assert!(place.shown(&plan, 1, "shop.example.com").is_none());
    assert!(place.shown(&plan, 2, "own.test").is_some());
    assert_eq!(plan.describe(1).to_string(), "none");
}

#[test]
fn a_hundred_thousand_local_names_cost_a_slot_each() {
    let place = Place::new();
    let names: Vec<_> = (0..100_000)
        .map(|number| wanted(&format!("n{number}.test"), AUTO))
        .collect();
    let (plan, refusals, _) = place.plan(&names);
    assert!(refusals.is_empty() && plan.pairs.is_empty());
    assert!(size_of_val(&*plan.slots) <= 16 * names.len());
    place.serve_local_ca();
    assert!(place.shown(&plan, 99_999, "n99999.test").is_some());
}
