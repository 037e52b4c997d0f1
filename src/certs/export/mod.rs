//! Certificates and accounts in the layouts of other tools, so that leaving is as easy as coming. What to write is decided here;
//! writing it is somebody else's work.

mod account_form;
mod caddy;
mod certbot;
#[cfg(test)]
mod hostile;
mod pem;
mod sound;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::time::SystemTime;

use crate::certs::bundle::Bundle;

/// Of every folder that is made.
pub const FOLDER_MODE: u32 = 0o700;

/// How files are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A folder for `certbot --config-dir`.
    Certbot,
    /// A storage folder of Caddy, or of anything else that stores with CertMagic.
    Caddy,
    /// A folder a certificate, with `fullchain.pem` and `privkey.pem`.
    Pem,
}

/// What is laid out.
#[derive(Debug)]
pub struct Holdings<'a> {
    pub bundles: &'a [Bundle],
    pub accounts: &'a [Account],
    /// The absolute path of the folder that it will be in; certbot's files name it.
    pub root: &'a str,
    pub now: SystemTime,
}

/// An account of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The URL of the CA's directory.
    pub directory: String,
    /// The account's own; none if the CA never told it.
    pub url: Option<String>,
    pub email: Option<String>,
    /// PKCS#8, P-256.
    pub key: Vec<u8>,
}

/// What is to be written, each path once, in an order in which it can be.
#[derive(Debug, Default)]
pub struct Outlay {
    pub entries: Vec<Entry>,
    /// What the new owner should know, and what was left out.
    pub remarks: Vec<String>,
}

/// A file or a link below the root; folders between are to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative, with `/` between its parts.
    pub path: String,
    pub content: Content,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    File {
        bytes: Vec<u8>,
        mode: u32,
    },
    /// A symbolic link to a path that is relative to the link's folder.
    Link(String),
}

/// Lays out all certificates and, where the layout has a place for them, all accounts. What names, URLs or addresses cannot be is left
/// out, for it would end up in other tools' files and paths.
#[must_use]
pub fn lay_out(layout: Layout, holdings: &Holdings<'_>) -> Outlay {
    let mut remarks = Vec::new();
    let bundles = sound::bundles(holdings.bundles, &mut remarks);
    let accounts = sound::accounts(holdings.accounts, &mut remarks);
    let holdings = Holdings {
        bundles: &bundles,
        accounts: &accounts,
        ..*holdings
    };
    let mut outlay = match layout {
        Layout::Certbot => certbot::lay_out(&holdings),
        Layout::Caddy => caddy::lay_out(&holdings),
        Layout::Pem => pem::lay_out(&holdings),
    };
    remarks.append(&mut outlay.remarks);
    outlay.remarks = remarks;
    outlay.keep_one_inside_each();
    outlay
}

/// Names come from other tools and from backups, and lead nowhere else.
fn is_inside(path: &str) -> bool {
    let is_odd = |part: &str| matches!(part, "" | "." | "..");
    !path.split('/').any(is_odd) && !path.contains(char::is_control)
}

/// What only the owner may read.
const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;

impl Outlay {
    /// Of entries at the same path the first stays.
    fn keep_one_inside_each(&mut self) {
        let mut paths = BTreeSet::new();
        let mut left_out = BTreeSet::new();
        self.entries.retain(|entry| {
            let is_inside = is_inside(&entry.path);
            let stays = is_inside && paths.insert(entry.path.clone());
            if !stays {
                let folder = entry
                    .path
                    .rsplit_once('/')
                    .map_or("", |(folder, _file)| folder);
                left_out.insert((folder.to_owned(), is_inside));
            }
            stays
        });
        let remarks = left_out
            .into_iter()
            .map(|(folder, is_inside)| match is_inside {
                true => format!("of several that belong at {folder}, the first is laid out"),
                false => format!(
                    "what belongs at {} is left out: that leads out of the folder",
                    folder.escape_debug()
                ),
            });
        self.remarks.extend(remarks);
    }

    fn file(&mut self, path: String, text: &str, mode: u32) {
        let bytes = text.as_bytes().to_vec();
        let content = Content::File { bytes, mode };
        self.entries.push(Entry { path, content });
    }

    fn link(&mut self, path: String, target: String) {
        let content = Content::Link(target);
        self.entries.push(Entry { path, content });
    }
}

impl Holdings<'_> {
    /// Each certificate once, by its first name, under however many names it is kept; the best of each name first.
    fn certificates(&self) -> Vec<&Bundle> {
        let mut seen = BTreeSet::new();
        let mut bundles: Vec<&Bundle> = self.bundles.iter().collect();
        bundles.sort_by(|one, other| {
            let order = one.names.cmp(&other.names);
            order.then_with(|| other.not_after.cmp(&one.not_after))
        });
        bundles.retain(|bundle| !bundle.names.is_empty() && seen.insert(bundle.chain.as_str()));
        bundles
    }

    fn account_at(&self, directory: &str) -> Option<&Account> {
        let mut accounts = self.accounts.iter();
        accounts.find(|account| account.directory == directory)
    }
}

/// The leaf, and what is behind it.
fn halves(chain: &str) -> (&str, &str) {
    const END: &str = "-----END CERTIFICATE-----";
    let Some(end) = chain.find(END) else {
        return (chain, "");
    };
    let rest = &chain[end + END.len()..];
    let line = rest.find('\n').map_or(rest.len(), |at| at + 1);
    chain.split_at(end + END.len() + line)
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("directory", &self.directory)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::File { mode, .. } => write!(f, "{} ({mode:o})", self.path),
            Content::Link(target) => write!(f, "{} -> {target}", self.path),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { bytes, mode } => write!(f, "{} octets ({mode:o})", bytes.len()),
            Self::Link(target) => write!(f, "-> {target}"),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certbot => "certbot",
            Self::Caddy => "caddy",
            Self::Pem => "pem",
        })
    }
}
