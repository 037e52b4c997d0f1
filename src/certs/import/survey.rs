//! A tree being recognised: what is found so far, and whose folders are spoken for.

use std::collections::BTreeSet;
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};

use crate::certs::import::certificate::{Draft, Part};
use crate::certs::import::findings::{Findings, FoundAccount, FoundCertificate, Tool};
use crate::certs::import::tree::{Content, Tree};

/// How many remarks about files that cannot be read are kept.
const UNREADABLE_SHOWN_MAX: usize = 20;

#[derive(Debug)]
pub(super) struct Survey<'a> {
    pub(super) tree: &'a Tree,
    now: SystemTime,
    findings: Findings,
    claimed: BTreeSet<String>,
    /// Digests of the certificates found, with their keys.
    kept: BTreeSet<Vec<u8>>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(tree: &'a Tree, now: SystemTime) -> Self {
        Self {
            tree,
            now,
            findings: Findings::default(),
            claimed: BTreeSet::new(),
            kept: BTreeSet::new(),
        }
    }

    /// Folders that nobody spoke for yet.
    pub(super) fn folders(&self) -> Vec<&'a str> {
        let mut folders = self.tree.all_folders();
        folders.retain(|folder| !self.is_claimed(folder));
        folders
    }

    /// Files that nobody spoke for yet.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'a str, &'a Content)> {
        let is_free = |(path, _): &(&str, &Content)| !self.is_claimed(path);
        self.tree.files().filter(is_free)
    }

    pub(super) fn is_claimed(&self, path: &str) -> bool {
        let mut folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        self.claimed.contains(path) || folders.any(|folder| self.claimed.contains(folder))
    }

    /// What is in this folder, or this file, is not looked at by later readers.
    pub(super) fn claim(&mut self, tool: Tool, path: &str) {
        self.set_aside(path);
        self.recognised(tool);
    }

    /// The same, on nobody's behalf.
    pub(super) fn set_aside(&mut self, path: &str) {
        self.claimed.insert(path.to_owned());
    }

    pub(super) fn recognised(&mut self, tool: Tool) {
        if !self.findings.tools.contains(&tool) {
            self.findings.tools.push(tool);
        }
    }

    /// The bytes of a file, if it is there and could be read.
    pub(super) fn bytes(&self, path: &str) -> Option<&'a [u8]> {
        match self.tree.content(path)? {
            Content::Bytes(bytes) => Some(bytes),
            Content::Unreadable(_) => None,
        }
    }

    pub(super) fn part(&self, path: &str) -> Part {
        match self.tree.content(path) {
            Some(Content::Bytes(bytes)) => Part::Text(bytes.clone()),
            Some(Content::Unreadable(why)) => {
                Part::Unreadable(format!("{} {why}", self.tree.place(path)))
            }
            None => Part::Absent,
        }
    }

    /// The first of these that is there.
    pub(super) fn first_part(&self, paths: &[String]) -> Part {
        let there = paths.iter().find(|path| self.tree.has(path));
        there.map_or(Part::Absent, |path| self.part(path))
    }

    pub(super) fn add(&mut self, draft: Draft) {
        self.keep(draft.judged(self.now));
    }

    fn keep(&mut self, found: FoundCertificate) {
        let mut both = Context::new(&SHA256);
        both.update(found.chain.as_bytes());
        both.update(found.key.0.as_bytes());
        let is_new = self.kept.insert(both.finish().as_ref().to_vec());
        if is_new || found.chain.is_empty() {
            self.findings.certificates.push(found);
        }
    }

    /// The one with the same leaf and key that another reader found.
    pub(super) fn certificate_with(&self, chain: &Part, key: &Part) -> Option<&FoundCertificate> {
        let (chain, key) = (chain.sections(), key.sections());
        let mut found = self.findings.certificates.iter();
        found.find(|found| found.chain == chain.certificates && found.key.0 == key.key)
    }

    /// Takes over what was found in a part of the tree that was unpacked apart.
    pub(super) fn absorb(&mut self, other: Findings) {
        for tool in other.tools {
            self.recognised(tool);
        }
        let places: Vec<usize> = other
            .accounts
            .into_iter()
            .map(|account| self.add_account(account))
            .collect();
        for mut certificate in other.certificates {
            let place = certificate.account;
            certificate.account = place.and_then(|place| places.get(place).copied());
            self.keep(certificate);
        }
        for remark in other.remarks {
            self.remark(remark);
        }
    }

    /// Gives the place by which certificates refer to it. An account that is there already keeps its place.
    pub(super) fn add_account(&mut self, account: FoundAccount) -> usize {
        let is_same = |other: &FoundAccount| {
            account.key.is_some() && other.key == account.key && other.url == account.url
        };
        if let Some(index) = self.findings.accounts.iter().position(is_same) {
            return index;
        }
        self.findings.accounts.push(account);
        self.findings.accounts.len() - 1
    }

    /// The account that a certificate was ordered by: the one with this URL, else the only one at this CA.
    pub(super) fn account_of(&self, directory: Option<&str>, url: Option<&str>) -> Option<usize> {
        let accounts = &self.findings.accounts;
        let named = accounts
            .iter()
            .position(|account| url.is_some() && account.url.as_deref() == url);
        let is_there = |account: &FoundAccount| {
            directory.is_some_and(|directory| account.may_be_at(directory))
        };
        named.or_else(|| only(accounts, is_there))
    }

    /// The only account among those that a reader found.
    pub(super) fn only_account_of(&self, found: &[usize]) -> Option<usize> {
        match found {
            [alone] => Some(*alone),
            _ => None,
        }
    }

    pub(super) fn account(&self, index: usize) -> &FoundAccount {
        &self.findings.accounts[index]
    }

    pub(super) fn remark(&mut self, remark: String) {
        if !self.findings.remarks.contains(&remark) {
            self.findings.remarks.push(remark);
        }
    }

    pub(super) fn finish(mut self) -> Findings {
        let unreadable = self
            .tree
            .files()
            .filter_map(|(path, content)| match content {
                Content::Bytes(_) => None,
                Content::Unreadable(why) => Some(format!("{} {why}", self.tree.place(path))),
            });
        let unreadable: Vec<String> = unreadable.collect();
        let more = unreadable.len().saturating_sub(UNREADABLE_SHOWN_MAX);
        self.findings.remarks.extend(self.tree.remarks().to_vec());
        self.findings
            .remarks
            .extend(unreadable.into_iter().take(UNREADABLE_SHOWN_MAX));
        if more > 0 {
            let remark = format!("{more} more files could not be read");
            self.findings.remarks.push(remark);
        }
        self.findings.tools.sort_unstable();
        self.findings
    }
}

fn only(accounts: &[FoundAccount], is_it: impl Fn(&FoundAccount) -> bool) -> Option<usize> {
    let mut found = accounts.iter().enumerate().filter(|(_, one)| is_it(one));
    let (index, _) = found.next()?;
    found.next().is_none().then_some(index)
}
