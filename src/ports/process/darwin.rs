//! macOS tells about its processes through its own programs: `ps`, which sees those of every user, and `lsof`.

use std::path::PathBuf;
use std::time::Duration;

use super::{account, fact, first_of_its_kind};
use crate::ports::ask::ask;
use crate::ports::holder::Process;

const PS: &str = "/bin/ps";
const LSOF: &str = "/usr/sbin/lsof";
const ID: &str = "/usr/bin/id";

/// A line of `ps -o ppid= -o uid= -o etime= -o command=`.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    parent: u32,
    uid: u32,
    age: Duration,
    /// Split where there are spaces, which is not quite how it was given.
    command: Vec<String>,
}

pub(super) fn look_at(pid: u32, name: String) -> Process {
    let pid = first_of_its_kind(pid, &name, |pid| namesake_above(pid, &name));
    let (user, age, command) = match line(pid) {
        Some(line) => (
            Some(account(line.uid)),
            Some(line.age),
            Some(line.command).filter(|words| !words.is_empty()),
        ),
        None => (None, None, None),
    };
    Process {
        pid,
        name,
        user: fact(user),
        age: fact(age),
        directory: fact(directory(pid)),
        command: fact(command),
        unit: None,
    }
}

pub(super) fn name_of(pid: u32) -> Option<String> {
    file_name(&said(PS, &["-p", &pid.to_string(), "-o", "comm="])?)
}

pub(super) fn account_name(uid: u32) -> Option<String> {
    let name = said(ID, &["-un", &uid.to_string()])?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn namesake_above(pid: u32, name: &str) -> Option<u32> {
    let parent = line(pid)?.parent;
    (name_of(parent)? == name).then_some(parent)
}

fn line(pid: u32) -> Option<Line> {
    let pid = pid.to_string();
    let arguments = [
        "-ww", "-p", &pid, "-o", "ppid=", "-o", "uid=", "-o", "etime=", "-o", "command=",
    ];
    parse(&said(PS, &arguments)?)
}

fn directory(pid: u32) -> Option<PathBuf> {
    let answer = said(LSOF, &["-a", "-p", &pid.to_string(), "-d", "cwd", "-Fn"])?;
    directory_in(&answer)
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    ask(program, arguments).map(|octets| String::from_utf8_lossy(&octets).into_owned())
}

fn parse(line: &str) -> Option<Line> {
    let mut words = line.split_ascii_whitespace();
    Some(Line {
        parent: words.next()?.parse().ok()?,
        uid: words.next()?.parse().ok()?,
        age: elapsed(words.next()?)?,
        command: words.map(str::to_owned).collect(),
    })
}

/// `[[days-]hours:]minutes:seconds`.
fn elapsed(text: &str) -> Option<Duration> {
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (days.parse::<u64>().ok()?, clock),
        None => (0, text),
    };
    let mut seconds = 0_u64;
    for part in clock.split(':') {
        seconds = seconds
            .checked_mul(60)?
            .checked_add(part.parse::<u64>().ok()?)?;
    }
    let days = days.checked_mul(24 * 60 * 60)?;
    Some(Duration::from_secs(days.checked_add(seconds)?))
}

/// `comm` is the path of the program there.
fn file_name(path: &str) -> Option<String> {
    let name = path.trim().rsplit('/').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// `lsof -F` gives a field a line, named by its first letter.
fn directory_in(answer: &str) -> Option<PathBuf> {
    let name = answer.lines().find_map(|line| line.strip_prefix('n'))?;
    name.starts_with('/').then(|| PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_from_its_line() {
        let caddy = parse("    1   501 01-02:03:04 /opt/caddy run --config Caddyfile\n").unwrap();
        assert_eq!((caddy.parent, caddy.uid), (1, 501));
        assert_eq!(caddy.age, Duration::from_secs(93_784));
        assert_eq!(
            caddy.command,
            ["/opt/caddy", "run", "--config", "Caddyfile"]
        );
        assert_eq!(parse(""), None);
        assert_eq!(parse("1 501 never x"), None);
    }

    #[test]
    fn an_age_is_read_in_each_of_its_forms() {
        #[track_caller]
        fn check(text: &str, seconds: Option<u64>) {
            assert_eq!(elapsed(text), seconds.map(Duration::from_secs));
        }
        check("00:07", Some(7));
        check("59:59", Some(3_599));
        check("01:00:00", Some(3_600));
        check("12-00:00:01", Some(1_036_801));
        check("99999999999999999999-00:01", None);
        check("18446744073709551615:59", None);
        check("", None);
    }

    #[test]
    fn a_program_is_named_by_its_file() {
        let control = "/System/Library/CoreServices/ControlCenter.app/Contents/MacOS/ControlCenter";
        assert_eq!(file_name(control).as_deref(), Some("ControlCenter"));
        assert_eq!(
            file_name("/Applications/OrbStack.app/OrbStack Helper\n").as_deref(),
            Some("OrbStack Helper")
        );
        assert_eq!(file_name("\n"), None);
    }

    #[test]
    fn a_folder_is_read_from_the_fields() {
        assert_eq!(
            directory_in("p312\nfcwd\nn/srv/shop\n"),
            Some(PathBuf::from("/srv/shop"))
        );
        assert_eq!(directory_in("p312\nfcwd\nn (readlink: no)\n"), None);
        assert_eq!(directory_in(""), None);
    }
}
