//! htpasswd files: `user:hash` lines, with hashes that are worth the name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::str::FromStr as _;

use argon2::Params;
use argon2::password_hash::phc;
use bcrypt::HashParts;

use super::enclosed::Flaw;
use super::guard::PasswordHash;
use super::secret::Secret;

/// The users of one file, and their hashes.
pub(super) type Users = HashMap<Box<str>, PasswordHash>;

/// Beyond it a single login takes seconds.
const BCRYPT_COST_MAX: u32 = 16;
const BCRYPT_COST_MIN: u32 = 4;
/// 256 MiB.
const ARGON2_KIB_MAX: u32 = 256 << 10;
const ARGON2_PASSES_MAX: u32 = 64;
const ARGON2_LANES_MAX: u32 = 64;
/// RFC 7617 sets no limit; a longer one is no name.
const USER_BYTES_MAX: usize = 255;
/// Bad lines that are named.
const SHOWN_MAX: usize = 5;

/// Why a line is of no use. Nothing of the hash is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
enum BadLine {
    NotUtf8,
    NoColon,
    BadUser,
    Repeated { first: usize },
    Weak(&'static str),
    Plain,
    Damaged(&'static str),
    Cost { found: String, most: String },
}

/// Reads all lines, and says of bad ones which they are.
pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Users, Flaw> {
    let mut users: HashMap<Box<str>, (PasswordHash, usize)> = HashMap::new();
    let mut bad = Vec::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let entry = std::str::from_utf8(line)
            .map_err(|_why| BadLine::NotUtf8)
            .and_then(entry);
        match entry {
            Ok(None) => {}
            Ok(Some((user, hash))) => match users.entry(user.into()) {
                Entry::Vacant(free) => {
                    free.insert((hash, number));
                }
                Entry::Occupied(taken) => {
                    let first = taken.get().1;
                    bad.push((number, BadLine::Repeated { first }));
                }
            },
            Err(why) => bad.push((number, why)),
        }
    }
    if !bad.is_empty() {
        return Err(flaw(path, &bad));
    }
    if users.is_empty() {
        return Err(Flaw {
            code: "bad-htpasswd",
            message: format!("there is no user in {}", path.display()),
            label: "nobody could log in",
            help: Some(format!(
                "make one with `htpasswd -B {} ana`",
                path.display()
            )),
        });
    }
    let users = users.into_iter();
    Ok(users.map(|(user, (hash, _))| (user, hash)).collect())
}

fn flaw(path: &Path, bad: &[(usize, BadLine)]) -> Flaw {
    let shown: Vec<String> = bad
        .iter()
        .take(SHOWN_MAX)
        .map(|(number, why)| format!("line {number}: {why}"))
        .collect();
    let mut message = format!("cannot use {}: {}", path.display(), shown.join("; "));
    if let Some(more) = bad.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        message.push_str(&format!("; and {more} more"));
    }
    let hashed_anew = bad.iter().any(|(_, why)| {
        matches!(
            why,
            BadLine::Weak(_) | BadLine::Plain | BadLine::Damaged(_) | BadLine::Cost { .. }
        )
    });
    let help = if hashed_anew {
        format!(
            "set the password again with `htpasswd -B {} USER`, which makes a bcrypt hash; argon2 is fine too",
            path.display()
        )
    } else {
        "each line is `user:hash`; lines that begin with `#` are passed over".to_owned()
    };
    Flaw {
        code: "bad-htpasswd",
        message,
        label: "this file holds the users",
        help: Some(help),
    }
}

/// The user and the hash of a line; none if it says nothing.
fn entry(line: &str) -> Result<Option<(&str, PasswordHash)>, BadLine> {
    let line = line
        .strip_suffix('\r')
        .unwrap_or(line)
        .trim_end_matches(' ');
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (user, hash) = line.split_once(':').ok_or(BadLine::NoColon)?;
    if user.is_empty() || user.len() > USER_BYTES_MAX || user.contains(char::is_control) {
        return Err(BadLine::BadUser);
    }
    Ok(Some((user, password_hash(hash)?)))
}

fn password_hash(text: &str) -> Result<PasswordHash, BadLine> {
    if ["$2a$", "$2b$", "$2x$", "$2y$"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
    {
        return bcrypt(text);
    }
    if text.starts_with("$argon2") {
        return argon2(text);
    }
    let weak = [
        ("$apr1$", "MD5 (`$apr1$`)"),
        ("$1$", "MD5 (`$1$`)"),
        ("{SHA}", "SHA-1 (`{SHA}`)"),
        ("{SSHA}", "SHA-1 (`{SSHA}`)"),
        ("$5$", "SHA-256 crypt (`$5$`)"),
        ("$6$", "SHA-512 crypt (`$6$`)"),
    ];
    match weak.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        Some((_, name)) => Err(BadLine::Weak(name)),
        None => Err(BadLine::Plain),
    }
}

fn bcrypt(text: &str) -> Result<PasswordHash, BadLine> {
    let parts = HashParts::from_str(text).map_err(|_why| BadLine::Damaged("bcrypt"))?;
    let cost = parts.get_cost();
    if cost > BCRYPT_COST_MAX {
        return Err(BadLine::Cost {
            found: format!("a bcrypt cost of {cost}"),
            most: BCRYPT_COST_MAX.to_string(),
        });
    }
    if cost < BCRYPT_COST_MIN {
        return Err(BadLine::Damaged("bcrypt"));
    }
    Ok(PasswordHash::Bcrypt(Secret::new(text)))
}

fn argon2(text: &str) -> Result<PasswordHash, BadLine> {
    let damaged = BadLine::Damaged("argon2");
    let Ok(hash) = phc::PasswordHash::new(text) else {
        return Err(damaged);
    };
    let known = ["argon2i", "argon2d", "argon2id"].contains(&hash.algorithm.as_str());
    let params = Params::try_from(&hash).ok();
    let (Some(params), true) = (params, known && hash.hash.is_some() && hash.salt.is_some()) else {
        return Err(damaged);
    };
    let limits = [
        (params.m_cost(), ARGON2_KIB_MAX, "m"),
        (params.t_cost(), ARGON2_PASSES_MAX, "t"),
        (params.p_cost(), ARGON2_LANES_MAX, "p"),
    ];
    match limits.into_iter().find(|(found, most, _)| found > most) {
        Some((found, most, name)) => Err(BadLine::Cost {
            found: format!("argon2 with {name}={found}"),
            most: most.to_string(),
        }),
        None => Ok(PasswordHash::Argon2(Secret::new(text))),
    }
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::NoColon => f.write_str("`:` is missing between user and hash"),
            Self::BadUser => f.write_str("there is no name in front of `:`"),
            Self::Repeated { first } => {
                write!(f, "the user of line {first} again")
            }
            Self::Weak(name) => write!(f, "the hash is {name}, which is quickly guessed"),
            Self::Plain => {
                f.write_str("this is no bcrypt or argon2 hash (old crypt, or the password itself)")
            }
            Self::Damaged(name) => write!(f, "the {name} hash is damaged"),
            Self::Cost { found, most } => write!(
                f,
                "{found} would keep the machine busy for each login; at most {most}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$fLmkenHsJ3nlCgBlfthcref47CWPOaA5GLbFf.UFTxOVkphZZ7gX.";
    const ARGON2: &str =
        "$argon2id$v=19$m=4096,t=2,p=1$c2FsdHNhbHQ$S94tDwWJzjltREDP6A5qDSu+k1EV55ZmLejDN28eSzo";

    fn read(text: &str) -> Result<Users, Flaw> {
        parse(Path::new("/etc/users"), text.as_bytes())
    }

    /// The line of a file whose only user has `hash`.
    #[track_caller]
    fn refused(hash: &str, expected: &str) {
        let flaw = read(&format!("# one\nana:{hash}\n")).unwrap_err();
        assert_eq!(
            flaw.message,
            format!("cannot use /etc/users: line 2: {expected}")
        );
        let help = flaw.help.unwrap();
        assert!(help.contains("htpasswd -B /etc/users"), "{help}");
        assert!(!flaw.message.contains(hash) && !help.contains(hash));
    }

    #[test]
    fn bcrypt_and_argon2_are_read_from_any_kind_of_line() {
        let variants = ["2a", "2b", "2x"].map(|kind| BCRYPT.replace("2y", kind));
        let text = format!(
            "\n# users\nana:{BCRYPT}\r\nben:{ARGON2}\na:{}\nb:{}\nc:{}",
            variants[0], variants[1], variants[2]
        );
        let users = read(&text).unwrap();
        assert_eq!(users.len(), 5);
        assert_eq!(users["ana"], PasswordHash::Bcrypt(Secret::new(BCRYPT)));
        assert_eq!(users["ben"], PasswordHash::Argon2(Secret::new(ARGON2)));
        assert!(!format!("{users:?}").contains("fLmken"));
    }

    #[test]
    fn hashes_that_are_quickly_guessed_are_refused() {
        let guessed = |name: &str| format!("the hash is {name}, which is quickly guessed");
        refused("$apr1$xyz$0123456789abcdef", &guessed("MD5 (`$apr1$`)"));
        refused(
            "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            &guessed("SHA-1 (`{SHA}`)"),
        );
        let no_hash = "this is no bcrypt or argon2 hash (old crypt, or the password itself)";
        refused("rl0uE1Pq3sYnE", no_hash);
        refused("open sesame", no_hash);
    }

    #[test]
    fn damaged_and_absurd_hashes_are_refused() {
        refused(&BCRYPT[..59], "the bcrypt hash is damaged");
        refused(
            &BCRYPT.replace("$05$", "$03$"),
            "the bcrypt hash is damaged",
        );
        let busy = "would keep the machine busy for each login; at most";
        refused(
            &BCRYPT.replace("$05$", "$17$"),
            &format!("a bcrypt cost of 17 {busy} 16"),
        );
        refused(&ARGON2[..30], "the argon2 hash is damaged");
        refused(
            "$argon2id$v=19$m=4096,t=2,p=1$c2FsdHNhbHQ",
            "the argon2 hash is damaged",
        );
        let huge = ARGON2.replace("m=4096", "m=1048576");
        refused(&huge, &format!("argon2 with m=1048576 {busy} 262144"));
    }

    #[test]
    fn every_bad_line_is_counted_and_the_first_ones_are_named() {
        let lines: Vec<String> = (1..=7).map(|number| format!("u{number}:x")).collect();
        let message = read(&lines.join("\n")).unwrap_err().message;
        assert!(
            message.contains("line 5: ") && !message.contains("line 6: "),
            "{message}"
        );
        assert!(message.ends_with("; and 2 more"), "{message}");
        let twice = read(&format!("ana:{BCRYPT}\nana:{ARGON2}")).unwrap_err();
        assert!(twice.message.ends_with("line 2: the user of line 1 again"));
        for (text, expected) in [("ana", "`:` is missing"), (":x", "no name in front")] {
            assert!(read(text).unwrap_err().message.contains(expected), "{text}");
        }
        assert!(
            read("# nobody\n\n")
                .unwrap_err()
                .message
                .contains("no user")
        );
        assert!(parse(Path::new("x"), b"\xff:x").is_err());
    }
}
