//! Files that keys of sites name and that belong to the configuration: each is read and understood once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::htpasswd::{self, Users};
use super::pages::Page;
use super::problem::Problem;
use super::problems::Problems;
use super::read::{Files, Unread};
use super::reader::Item;
use super::site::{ClientAuth, Demand};
use super::{client_auth, pages};

/// What is in the files that were named so far.
pub(super) struct Enclosed<'a> {
    pub(super) files: &'a mut dyn Files,
    users: Kept<Users>,
    pages: Kept<Page>,
    authorities: Kept<Authorities>,
    /// Equal demands are one.
    demands: HashMap<(PathBuf, Demand), Arc<ClientAuth>>,
}

/// Certificates, DER.
pub(super) type Authorities = Box<[Box<[u8]>]>;
type Kept<T> = HashMap<PathBuf, Result<Arc<T>, Flaw>>;

/// What is wrong with a file, wherever it is named.
#[derive(Debug, Clone)]
pub(super) struct Flaw {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) label: &'static str,
    pub(super) help: Option<String>,
}

impl<'a> Enclosed<'a> {
    pub(super) fn new(files: &'a mut dyn Files) -> Self {
        Self {
            files,
            users: HashMap::new(),
            pages: HashMap::new(),
            authorities: HashMap::new(),
            demands: HashMap::new(),
        }
    }

    /// Reads the users of the htpasswd file that `item` names.
    pub(super) fn users(&mut self, item: &Item<'_>, problems: &mut Problems) -> Option<Arc<Users>> {
        let parse = htpasswd::parse;
        read(self.files, &mut self.users, item, parse, problems)
    }

    /// Reads the HTML that `item` names.
    pub(super) fn page(&mut self, item: &Item<'_>, problems: &mut Problems) -> Option<Arc<Page>> {
        let parse = pages::parse;
        read(self.files, &mut self.pages, item, parse, problems)
    }

    /// Reads the authorities that `item` names, and makes one demand of them and `demand`.
    pub(super) fn client_auth(
        &mut self,
        item: &Item<'_>,
        demand: Demand,
        problems: &mut Problems,
    ) -> Option<Arc<ClientAuth>> {
        let parse = client_auth::parse;
        let roots = read(self.files, &mut self.authorities, item, parse, problems)?;
        let key = (item.path(problems)?.value, demand);
        let auth = self.demands.entry(key).or_insert_with(|| {
            Arc::new(ClientAuth {
                roots: roots.as_ref().clone(),
                demand,
            })
        });
        Some(Arc::clone(auth))
    }
}

fn read<T: Default>(
    files: &mut dyn Files,
    kept: &mut Kept<T>,
    item: &Item<'_>,
    parse: fn(&Path, &[u8]) -> Result<T, Flaw>,
    problems: &mut Problems,
) -> Option<Arc<T>> {
    let path = item.path(problems)?.value;
    let understood = kept.entry(path).or_insert_with_key(|path| {
        let content = match files.content(path) {
            Ok(content) => content,
            Err(Unread::NobodyLooks) => return Ok(Arc::default()),
            Err(Unread::Because(why)) => {
                return Err(Flaw {
                    code: "unreadable",
                    message: format!("cannot read {}: {why}", path.display()),
                    label: "named here",
                    help: None,
                });
            }
        };
        parse(path, &content).map(Arc::new)
    });
    match understood {
        Ok(understood) => Some(Arc::clone(understood)),
        Err(flaw) => {
            let problem = Problem::error(flaw.code, &flaw.message).at(item.at(), flaw.label);
            problems.push(match &flaw.help {
                Some(help) => problem.help(help),
                None => problem,
            });
            None
        }
    }
}
