//! What holds after any sequence of leases.

use proptest::prelude::*;

use super::tests::{lease, replacing, served};
use super::*;

#[derive(Debug, Clone)]
enum Step {
    Want(Lease),
    End(u32),
    Leave(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = (0..3_usize, 0..4_usize).prop_map(|(name, path)| {
        let name = ["a", "b", "*.a"][name];
        match ["", "/x", "/y", "!"][path] {
            "!" => format!("!{name}"),
            path => format!("{name}{path}"),
        }
    });
    let claims = proptest::collection::btree_map(place, 0..3_usize, 0..4);
    let want = (0..6_u32, claims, any::<bool>(), any::<bool>()).prop_map(
        |(id, claims, insists, keeps)| {
            let text: Vec<String> = claims
                .iter()
                .map(|(place, target)| format!("{place}={target}"))
                .collect();
            let mut lease = lease(id, &text.join(" "));
            if insists {
                lease.insistence = Insistence::Replaces;
            }
            if keeps && id > 0 {
                lease.kind = Kind::Saved;
            }
            Step::Want(lease)
        },
    );
    let step = prop_oneof![
        4 => want,
        1 => (0..6_u32).prop_map(Step::End),
        1 => (0..6_u32).prop_map(Step::Leave),
    ];
    proptest::collection::vec(step, 1..25)
}

/// In force are at most one target a place, nothing beside a tunnel, and only claims of leases that are there; whatever is not in force
/// is excluded by something that is.
fn assert_sound(table: &Table) {
    let all: Vec<(LeaseId, &Claim)> = table
        .leases()
        .flat_map(|lease| lease.claims.iter().map(|claim| (lease.id, claim)))
        .collect();
    let in_force = |(lease, claim): &&(LeaseId, &Claim)| table.in_force(*lease, claim);
    for (lease, claim) in all.iter().filter(in_force) {
        for (other, served) in all.iter().filter(in_force) {
            assert!(lease == other || !claim.excludes(served), "{table:?}");
        }
    }
    for (lease, claim) in all.iter().filter(|claim| !in_force(claim)) {
        let mut others = all.iter().filter(in_force);
        let excluded = others.any(|(other, served)| other != lease && served.excludes(claim));
        assert!(excluded, "{lease} {claim} in {table:?}");
    }
    let known = |id| table.leases().any(|lease| lease.id == id);
    for (_lease, claim) in &all {
        let owner = table.owner_of(&claim.name, claim.port, &claim.path);
        assert!(owner.is_none_or(known));
    }
}

proptest! {
    #[test]
    fn any_sequence_of_leases_leaves_one_target_a_place(steps in steps()) {
        let mut table = Table::new();
        for step in steps {
            match step {
                Step::Want(lease) => {
                    let before = served(&table);
                    let known = table.lease(lease.id).is_some();
                    match table.judge(&lease) {
                        Ok(grant) => {
                            let insists = lease.insistence == Insistence::Replaces;
                            prop_assert!(insists || grant.displaces.is_empty());
                            let id = lease.id;
                            table.grant(lease, &grant);
                            // Nobody loses what was neither displaced nor taken over.
                            if !known {
                                let after = served(&table);
                                let lost = before.iter().filter(|line| !after.contains(line)).count();
                                let taken = !grant.takes_over.is_empty();
                                prop_assert!(taken || lost <= grant.displaces.len());
                                if id != LeaseId::FILE {
                                    prop_assert_eq!(table.displaced(id).len(), 0);
                                }
                            }
                        }
                        Err(conflicts) => {
                            prop_assert!(!conflicts.is_empty());
                            prop_assert_eq!(lease.insistence, Insistence::Asks);
                        }
                    }
                }
                Step::End(id) => {
                    table.end(LeaseId(id));
                    prop_assert_eq!(table.lease(LeaseId(id)), None);
                }
                Step::Leave(id) => table.set_presence(LeaseId(id), Presence::Away),
            }
            assert_sound(&table);
        }
    }

    #[test]
    fn what_was_displaced_comes_back(steps in steps(), place in "[ab](/[xy])?", target in 5..9_u8) {
        let mut table = Table::new();
        for step in steps {
            if let Step::Want(mut lease) = step {
                // A live lease ends by nobody's wish but its own.
                lease.presence = Presence::Connected;
                if let Ok(grant) = table.judge(&lease) {
                    table.grant(lease, &grant);
                }
            }
        }
        let before = served(&table);
        let replacer = replacing(99, &format!("{place}={target}"));
        let grant = table.judge(&replacer).unwrap();
        table.grant(replacer, &grant);
        prop_assert!(table.displaced(LeaseId(99)).is_empty());
        table.end(LeaseId(99));
        prop_assert_eq!(served(&table), before);
    }
}
