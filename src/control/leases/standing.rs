//! Who stands before whom: every claim by its place, and whether it is in force.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::{Claim, ClaimedPath, LeaseId};

/// The claims of all leases, by name and port.
#[derive(Debug, Default, Clone)]
pub(super) struct Standings(BTreeMap<String, BTreeMap<u16, Port>>);

/// The claims at one port of a name, in the order of the leases.
#[derive(Debug, Default, Clone)]
struct Port {
    all: Vec<Standing>,
    by_path: HashMap<ClaimedPath, Vec<usize>, RandomState>,
}

/// One claim of one lease.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) lease: LeaseId,
    pub(super) claim: Claim,
    /// The higher comes before the lower where both exclude each other.
    pub(super) rank: u64,
    pub(super) in_force: bool,
}

impl Standings {
    /// Sorts out which claims are in force: from the highest rank down, each that nothing in force excludes. Claims of one lease do not
    /// exclude each other.
    pub(super) fn of<'a>(claims: impl Iterator<Item = (LeaseId, &'a Claim, u64)>) -> Self {
        let mut by_name: BTreeMap<String, BTreeMap<u16, Port>> = BTreeMap::new();
        for (lease, claim, rank) in claims {
            let ports = match by_name.get_mut(&claim.name) {
                Some(ports) => ports,
                None => by_name.entry(claim.name.clone()).or_default(),
            };
            ports.entry(claim.port).or_default().add(Standing {
                lease,
                claim: claim.clone(),
                rank,
                in_force: false,
            });
        }
        let ports = by_name.values_mut().flat_map(BTreeMap::values_mut);
        ports.for_each(Port::settle);
        Self(by_name)
    }

    /// What stands at exactly this place.
    pub(super) fn at_place<'s>(
        &'s self,
        name: &str,
        port: u16,
        path: &ClaimedPath,
    ) -> impl Iterator<Item = &'s Standing> + use<'s> {
        let port = self.port(name, port);
        port.map(|port| port.at(path)).into_iter().flatten()
    }

    /// What excludes a claim, whoever has it.
    pub(super) fn opposed_to<'s>(&'s self, claim: &Claim) -> Vec<&'s Standing> {
        let Some(port) = self.port(&claim.name, claim.port) else {
            return Vec::new();
        };
        port.meeting(&claim.path)
            .filter(|standing| standing.claim.excludes(claim))
            .collect()
    }

    fn port(&self, name: &str, port: u16) -> Option<&Port> {
        self.0.get(name)?.get(&port)
    }
}

impl Port {
    fn add(&mut self, standing: Standing) {
        let index = self.all.len();
        match self.by_path.get_mut(&standing.claim.path) {
            Some(indices) => indices.push(index),
            None => {
                let path = standing.claim.path.clone();
                self.by_path.insert(path, vec![index]);
            }
        }
        self.all.push(standing);
    }

    fn at<'s>(&'s self, path: &ClaimedPath) -> impl Iterator<Item = &'s Standing> + use<'s> {
        let indices = self.by_path.get(path).map_or(&[][..], Vec::as_slice);
        indices.iter().filter_map(|index| self.all.get(*index))
    }

    fn meeting<'s>(&'s self, path: &ClaimedPath) -> Box<dyn Iterator<Item = &'s Standing> + 's> {
        match path {
            ClaimedPath::Everything => Box::new(self.all.iter()),
            ClaimedPath::Prefix(_) | ClaimedPath::Exact(_) => {
                Box::new(self.at(path).chain(self.at(&ClaimedPath::Everything)))
            }
        }
    }

    fn settle(&mut self) {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_by_key(|index| Reverse(self.all[*index].rank));
        for index in order {
            let new = &self.all[index];
            let is_free = !self.meeting(&new.claim.path).any(|other| {
                other.in_force && other.lease != new.lease && other.claim.excludes(&new.claim)
            });
            self.all[index].in_force = is_free;
        }
    }
}
