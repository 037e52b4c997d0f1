//! Why ports could not be opened: every address, its reason, and the exit code they come to.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::ports::entry::Entry;
use crate::ports::holder::Holder;
use crate::ports::passed::PassedSocket;
use crate::ports::permission::Machine;
use crate::ports::report;

/// Every address that could not be opened.
#[derive(Debug)]
pub struct PortProblem {
    refused: Vec<Refused>,
    unused: Vec<PassedSocket>,
    machine: Machine,
}

/// One address and what became of it.
#[derive(Debug)]
pub struct Refused {
    pub address: SocketAddr,
    /// What asks for it.
    pub entry: Entry,
    pub refusal: Refusal,
}

/// Why an address could not be bound.
#[derive(Debug)]
pub enum Refusal {
    InUse(Holder),
    /// The bind succeeded, but connections go to another socket.
    Shadowed(Holder),
    NotPermitted,
    /// No interface has the address.
    AddressMissing,
    /// The system does not speak this family.
    FamilyMissing,
    Failed(io::Error),
}

/// The kinds of refusal that are told apart in the text and by the exit code, the first one deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    InUse,
    NotPermitted,
    Missing,
    Failed,
}

impl PortProblem {
    pub(super) fn new(refused: Vec<Refused>, unused: Vec<PassedSocket>, machine: Machine) -> Self {
        Self {
            refused,
            unused,
            machine,
        }
    }

    /// Never empty, in the order in which the addresses were asked for.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Every address with why it was refused, in a few words.
    pub fn reasons(&self) -> impl Iterator<Item = (SocketAddr, String)> {
        self.refused
            .iter()
            .map(|one| (one.address, report::reason(one, &self.machine)))
    }

    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kinds().next() {
            Some(Kind::InUse) => 4,
            Some(Kind::NotPermitted) => 5,
            Some(Kind::Missing) => 2,
            Some(Kind::Failed) | None => 1,
        }
    }

    /// The whole explanation, several lines, ending in a line feed.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for kind in self.kinds() {
            for port in self.ports(kind) {
                let of_port =
                    |one: &&Refused| kind_of(&one.refusal) == kind && one.address.port() == port;
                let refused: Vec<&Refused> = self.refused.iter().filter(of_port).collect();
                report::write(&mut text, kind, port, &refused, &self.machine);
            }
        }
        report::write_unused(&mut text, &self.unused);
        text
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        let all = [Kind::InUse, Kind::NotPermitted, Kind::Missing, Kind::Failed];
        all.into_iter().filter(|kind| {
            self.refused
                .iter()
                .any(|one| kind_of(&one.refusal) == *kind)
        })
    }

    fn ports(&self, kind: Kind) -> Vec<u16> {
        let of_kind = self
            .refused
            .iter()
            .filter(|one| kind_of(&one.refusal) == kind);
        let mut ports: Vec<u16> = of_kind.map(|one| one.address.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

impl fmt::Display for PortProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot listen on ")?;
        for (index, one) in self.refused.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", one.address)?;
        }
        Ok(())
    }
}

impl Error for PortProblem {}

fn kind_of(refusal: &Refusal) -> Kind {
    match refusal {
        Refusal::InUse(_) | Refusal::Shadowed(_) => Kind::InUse,
        Refusal::NotPermitted => Kind::NotPermitted,
        Refusal::AddressMissing | Refusal::FamilyMissing => Kind::Missing,
        Refusal::Failed(_) => Kind::Failed,
    }
}
