//! A plan in the making: every wanted name finds its source, every pair is read once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::certs::cert_dir::CertDir;
use crate::certs::local_ca::scope::LOCAL_SUFFIXES;
use crate::certs::pair::Pair;
use crate::certs::pair::fault::Error;
use crate::certs::plan::{Installed, Kept, Meanwhile, Origin, Plan, Slot};
use crate::certs::resolver::{Options, Refused, Resolver, Source, Wanted, Warning};
use crate::certs::stamp::{Files, Stamp};
use crate::hostname::{HostName, HostPattern};

#[derive(Debug)]
pub(super) struct Draft<'a> {
    resolver: &'a Resolver,
    local_suffixes: &'a [HostName],
    /// The folders that were asked for so far, listed.
    listed: Vec<(Arc<PathBuf>, CertDir)>,
    now: SystemTime,
    pairs: Vec<Drafted>,
    /// Indices into the pairs, or why there is none.
    read: HashMap<Files, Result<u32, Arc<Error>>>,
    public: Option<Meanwhile>,
    kept: Vec<Kept>,
    warnings: Vec<Warning>,
}

#[derive(Debug)]
struct Drafted {
    files: Files,
    origin: Origin,
    names: Vec<HostPattern>,
    pair: Arc<Pair>,
    refused: Option<Stamp>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(resolver: &'a Resolver, options: &'a Options, now: SystemTime) -> Self {
        Self {
            resolver,
            local_suffixes: &options.local_suffixes,
            listed: Vec::new(),
            now,
            pairs: Vec::new(),
            read: HashMap::new(),
            public: options.public,
            kept: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Finds the source of one wanted name.
    pub(super) fn slot(&mut self, wanted: &Wanted) -> Result<Slot, Refused> {
        match &wanted.source {
            Source::Pair { cert, key } => {
                let files = Files {
                    cert: cert.clone(),
                    key: key.clone(),
                };
                self.pair(files, Origin::Named, &wanted.name)
                    .map_err(Refused::Pair)
            }
            Source::LocalCa => Ok(Slot::LocalCa),
            Source::Nothing => Ok(Slot::Refused),
            Source::Auto { folder } => self.auto(&wanted.name, folder.as_ref()),
        }
    }

    /// The plan with these slots.
    pub(super) fn finish(self, slots: Vec<Slot>) -> (Plan, Vec<Warning>) {
        let install = |drafted: Drafted| Installed {
            files: drafted.files,
            origin: drafted.origin,
            names: drafted.names,
            current: ArcSwap::new(drafted.pair),
            refused: Mutex::new(drafted.refused),
        };
        let plan = Plan {
            slots: slots.into(),
            cert_dirs: self.listed.into_iter().map(|(folder, _)| folder).collect(),
            pairs: self.pairs.into_iter().map(install).collect(),
            kept: self.kept.into(),
            meanwhile: self.public.unwrap_or_default(),
        };
        (plan, self.warnings)
    }

    fn auto(&mut self, name: &HostPattern, folder: Option<&Arc<PathBuf>>) -> Result<Slot, Refused> {
        let candidates = folder.map_or_else(Vec::new, |folder| self.candidates(name, folder));
        for files in candidates {
            // A fault has been told as a warning when the pair was read; the next one may do.
            if let Ok(slot) = self.pair(files, Origin::CertDir, name) {
                return Ok(slot);
            }
        }
        if self.is_local(name) {
            return Ok(Slot::LocalCa);
        }
        match self.public {
            None => Err(Refused::NoSource),
            Some(Meanwhile::Refuse | Meanwhile::LocalCa) => Ok(self.keep(name)),
        }
    }

    fn keep(&mut self, name: &HostPattern) -> Slot {
        let index = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        self.kept.push(Kept {
            name: name.clone(),
            place: self.resolver.shelf().place(name),
        });
        Slot::Kept(index)
    }

    /// Lists a folder when it is first asked for.
    fn candidates(&mut self, name: &HostPattern, folder: &Arc<PathBuf>) -> Vec<Files> {
        let known = self.listed.iter().find(|(listed, _)| listed == folder);
        if let Some((_, listed)) = known {
            return listed.candidates(name).cloned().collect();
        }
        let (listed, problems) = CertDir::scan(folder);
        let candidates = listed.candidates(name).cloned().collect();
        self.warnings
            .extend(problems.into_iter().map(Warning::CertDir));
        self.listed.push((Arc::clone(folder), listed));
        candidates
    }

    fn is_local(&self, pattern: &HostPattern) -> bool {
        pattern.base().is_some_and(|base| {
            LOCAL_SUFFIXES.iter().any(|suffix| base.is_under(suffix))
                || self
                    .local_suffixes
                    .iter()
                    .any(|suffix| base.is_under(suffix.as_str()))
        })
    }

    fn pair(
        &mut self,
        files: Files,
        origin: Origin,
        name: &HostPattern,
    ) -> Result<Slot, Arc<Error>> {
        let index = match self.read.get(&files) {
            Some(read) => read.clone()?,
            None => {
                let read = self.read_pair(&files, origin);
                self.read.insert(files, read.clone());
                read?
            }
        };
        if let Some(drafted) = self.pairs.get_mut(index as usize) {
            drafted.pair.covers(&drafted.files, [name])?;
            drafted.names.push(name.clone());
        }
        Ok(Slot::Pair(index))
    }

    /// Reuses what an earlier plan has read, if the files are as they were, or if they no longer do.
    fn read_pair(&mut self, files: &Files, origin: Origin) -> Result<u32, Arc<Error>> {
        let known = self.resolver.known(files);
        let found = Stamp::of(files);
        let unchanged = known.as_ref().filter(|pair| pair.stamp == found).cloned();
        let (pair, refused) = match unchanged {
            Some(pair) => (pair, None),
            None => match Pair::load(files, self.now) {
                Ok((pair, warnings)) => {
                    self.warnings
                        .extend(warnings.into_iter().map(Warning::Pair));
                    (Arc::new(pair), None)
                }
                Err(error) => {
                    let error = Arc::new(error);
                    let Some(known) = known else {
                        self.tell(origin, &error);
                        return Err(error);
                    };
                    self.warnings.push(Warning::Kept(error));
                    (known, Some(found))
                }
            },
        };
        let index = u32::try_from(self.pairs.len()).unwrap_or(u32::MAX);
        self.pairs.push(Drafted {
            files: files.clone(),
            origin,
            names: Vec::new(),
            pair,
            refused,
        });
        Ok(index)
    }

    /// A named pair's fault refuses its names; one in the folder is stepped over, so it is told apart.
    fn tell(&mut self, origin: Origin, error: &Arc<Error>) {
        match origin {
            Origin::Named => (),
            Origin::CertDir => self.warnings.push(Warning::SteppedOver(Arc::clone(error))),
        }
    }
}
