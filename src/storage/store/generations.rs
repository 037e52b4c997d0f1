//! The file of a lease that says who has it. Its name is the fence: the newest is never removed, so the fence never goes down,
//! whatever becomes of its content.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use super::{Claim, StoreError, Version};
use crate::storage::disk::{self, Staged};
use crate::storage::files::Error;

/// Longer numbers are not ours, and can be counted up without overflow.
const DIGITS_MAX: usize = 15;
/// No lease lasts longer without being renewed.
pub(super) const LASTS_MAX: Duration = Duration::from_secs(24 * 3600);

/// The folder of one lease: its generations, and the lock beside them.
#[derive(Debug, Clone)]
pub(super) struct Generations {
    folder: PathBuf,
}

/// What a generation's file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) nonce: Box<str>,
    /// Process and host, for whoever reads the file.
    pub(super) holder: String,
    /// In seconds since 1970, for whoever reads the file: clocks of hosts are not compared.
    pub(super) taken: u64,
    pub(super) lasts: Duration,
    /// Grows with every renewal, so that others see that the holder lives.
    pub(super) beat: u64,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Held,
    GivenBack,
}

/// What became of an attempt to be the next generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Succession {
    Ours,
    SomebodyElse,
}

impl Generations {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Held by a living holder on a local disk.
    pub(super) fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    pub(super) fn create_folder(&self) -> Result<(), StoreError> {
        Ok(disk::create_folders(&self.folder)?)
    }

    /// None if nobody has ever had the lease.
    pub(super) fn newest(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.all()?.into_iter().max())
    }

    fn all(&self) -> Result<Vec<u64>, StoreError> {
        let unusable = |error| Error::new(self.folder.clone(), error);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unusable(error).into()),
        };
        let mut all = Vec::new();
        for entry in entries {
            all.extend(generation(
                &entry.map_err(unusable)?.file_name().to_string_lossy(),
            ));
        }
        Ok(all)
    }

    fn path(&self, generation: u64) -> PathBuf {
        self.folder.join(generation.to_string())
    }

    /// None if it cannot be read or makes no sense.
    pub(super) fn record(&self, generation: u64) -> Option<Record> {
        Record::parse(&disk::read(&self.path(generation)).ok()??)
    }

    /// Changes whenever the file does.
    pub(super) fn version(&self, generation: u64) -> Version {
        let content = disk::read(&self.path(generation)).ok().flatten();
        Version::of(&content.unwrap_or_default())
    }

    /// Makes `generation` with this record. Of all who attempt it one succeeds, even where locks do not hold.
    pub(super) fn succeed(
        &self,
        generation: u64,
        record: &Record,
    ) -> Result<Succession, StoreError> {
        let path = self.path(generation);
        let created = disk::write_new(&path, record.text().as_bytes())
            .and_then(|()| disk::sync_folder(&self.folder));
        match created {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Ok(Succession::SomebodyElse);
            }
            Err(error) => {
                // Nobody was told of this generation, so that it may come again.
                let _ = fs::remove_file(&path);
                return Err(Error::new(path, error).into());
            }
        }
        // Whoever was slow may have made a generation that was there before and has been removed since.
        let all = self.all()?;
        let overtaken = all.iter().any(|other| *other > generation);
        let ours = self.record(generation);
        if overtaken || ours.is_none_or(|ours| ours.nonce != record.nonce) {
            return Ok(Succession::SomebodyElse);
        }
        for other in all.into_iter().filter(|other| *other < generation) {
            // What is left is passed over, and removed the next time.
            let _ = fs::remove_file(self.path(other));
        }
        Ok(Succession::Ours)
    }

    /// Replaces the record of a generation of ours.
    pub(super) fn replace(&self, generation: u64, record: &Record) -> Result<(), StoreError> {
        let path = self.path(generation);
        Staged::write(path.clone(), record.text().as_bytes())?.put_in_place()?;
        disk::sync_folder(&self.folder).map_err(|error| Error::new(path, error))?;
        Ok(())
    }

    /// Well if the newest generation is that of `claim`, by number and by nonce.
    pub(super) fn confirm(&self, claim: &Claim) -> Result<(), StoreError> {
        let newest = self.newest()? == Some(claim.fence);
        let record = || self.record(claim.fence);
        if newest && record().is_some_and(|record| record.nonce == claim.nonce) {
            return Ok(());
        }
        Err(StoreError::Fenced)
    }
}

fn generation(name: &str) -> Option<u64> {
    let number: u64 = name.parse().ok()?;
    (name.len() <= DIGITS_MAX && number.to_string() == name).then_some(number)
}

impl Record {
    fn text(&self) -> String {
        let Self {
            nonce,
            holder,
            taken,
            lasts,
            beat,
            state,
        } = self;
        let lasts = lasts.as_millis();
        let state = match state {
            State::Held => "held",
            State::GivenBack => "given-back",
        };
        format!(
            "nonce {nonce}\nholder {holder}\ntaken {taken}\nlasts {lasts}\nbeat {beat}\nstate {state}\n"
        )
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        };
        let lasts = Duration::from_millis(field("lasts")?.parse().ok()?);
        Some(Self {
            nonce: field("nonce")?.into(),
            holder: field("holder")?.to_owned(),
            taken: field("taken")?.parse().ok()?,
            lasts: lasts.min(LASTS_MAX),
            beat: field("beat")?.parse().ok()?,
            state: match field("state")? {
                "held" => State::Held,
                "given-back" => State::GivenBack,
                _ => return None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(nonce: &str) -> Record {
        Record {
            nonce: nonce.into(),
            holder: "7@host".to_owned(),
            taken: 1_700_000_000,
            lasts: Duration::from_secs(60),
            beat: 3,
            state: State::Held,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let written = record("n");
        assert_eq!(Record::parse(written.text().as_bytes()), Some(written));
        for broken in ["", "nonce n\n", "nonce n\nholder", "\u{0}"] {
            assert_eq!(Record::parse(broken.as_bytes()), None, "{broken:?}");
        }
        assert_eq!(Record::parse(b"\xff"), None);
    }

    #[test]
    fn a_foreign_file_is_no_generation() {
        for (name, expected) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("007", None),
            ("+7", None),
            ("lock", None),
            ("18446744073709551615", None),
            (".7.0123456789abcdef.tmp", None),
        ] {
            assert_eq!(generation(name), expected, "{name}");
        }
    }

    #[test]
    fn one_of_those_who_would_be_next_is() {
        let temporary = tempfile::tempdir().unwrap();
        let lease = Generations::at(temporary.path().join("a"));
        lease.create_folder().unwrap();
        assert_eq!(lease.newest().unwrap(), None);
        let succeed = |generation, nonce| lease.succeed(generation, &record(nonce)).unwrap();
        assert_eq!(succeed(1, "a"), Succession::Ours);
        assert_eq!(succeed(1, "b"), Succession::SomebodyElse);
        assert_eq!(succeed(2, "b"), Succession::Ours);
        assert_eq!(lease.all().unwrap(), [2]);
    }

    #[test]
    fn who_comes_late_with_a_number_that_is_past_does_not_succeed() {
        let temporary = tempfile::tempdir().unwrap();
        let lease = Generations::at(temporary.path().to_owned());
        assert_eq!(lease.succeed(3, &record("a")).unwrap(), Succession::Ours);
        assert_eq!(
            lease.succeed(2, &record("b")).unwrap(),
            Succession::SomebodyElse
        );
        assert_eq!(lease.newest().unwrap(), Some(3));
    }
}
