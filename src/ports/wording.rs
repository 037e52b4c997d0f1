//! How things that others named are put into words for a terminal.

use std::path::Path;
use std::time::Duration;

/// A longer command line of another program is cut.
const COMMAND_CHARS_MAX: usize = 160;

/// What another program calls itself may hold escape sequences for the terminal.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(COMMAND_CHARS_MAX)
        .collect();
    if text.chars().nth(COMMAND_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// In the largest unit that fits.
pub(super) fn ago(age: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = age.as_secs();
    match seconds {
        0..MINUTE => format!("{seconds} s ago"),
        MINUTE..HOUR => format!("{} min ago", seconds / MINUTE),
        HOUR..DAY => format!("{} h ago", seconds / HOUR),
        DAY.. => format!("{} d ago", seconds / DAY),
    }
}

/// With `~` for the home folder.
pub(super) fn shortened(path: &Path, home: Option<&Path>) -> String {
    let inside = home.and_then(|home| path.strip_prefix(home).ok());
    match inside {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => shown(&format!("~/{}", rest.display())),
        None => shown(&path.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_programs_words_do_not_reach_the_terminal_raw() {
        assert_eq!(shown("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        let long = "x".repeat(COMMAND_CHARS_MAX + 1);
        assert_eq!(shown(&long).chars().count(), COMMAND_CHARS_MAX + 1);
        assert!(shown(&long).ends_with('…'));
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let ages = [59, 60, 3_599, 3_600, 86_400].map(|seconds| ago(Duration::from_secs(seconds)));
        assert_eq!(
            ages,
            ["59 s ago", "1 min ago", "59 min ago", "1 h ago", "1 d ago"]
        );
    }

    #[test]
    fn a_path_inside_home_is_shortened() {
        let home = Some(Path::new("/home/ana"));
        assert_eq!(shortened(Path::new("/home/ana"), home), "~");
        assert_eq!(shortened(Path::new("/home/ana/src"), home), "~/src");
        assert_eq!(shortened(Path::new("/home/anatol"), home), "/home/anatol");
        assert_eq!(shortened(Path::new("/srv"), None), "/srv");
    }
}
