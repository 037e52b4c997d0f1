//! `onedoor open HOST`: the browser opens a site, and its URL is printed.

use std::env;
use std::ffi::OsString;
use std::process::{Command, Stdio};

use super::asked::Asked;
use super::entry::find;
use super::failure::Failure;
use crate::cli::place::ControlArguments;
use crate::cli::say;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
    /// A name that is served
    #[arg(value_name = "HOST", value_parser = Asked::parse)]
    host: Asked,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let status = super::status(&super::place(&arguments.control)).await?;
    let url = find(&status, &arguments.host)?.url(&arguments.host)?;
    say::out(&format!("{url}\n"));
    let Some(command) = opener(&Facts::of_this_process(), &url) else {
        say::err(NO_BROWSER);
        return Ok(());
    };
    open(&command)
}

const NO_BROWSER: &str = "\
note: there is no display here, and `$BROWSER` names no browser: open the URL yourself
  try:  BROWSER=w3m onedoor open HOST     opens it in the terminal
";

/// What the choice of a browser depends on.
struct Facts {
    /// `$BROWSER`: commands with a colon between them, in which `%s` is the URL.
    browser: Option<String>,
    has_display: bool,
    is_macos: bool,
}

impl Facts {
    fn of_this_process() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value: OsString| !value.is_empty());
        Self {
            browser: env::var("BROWSER").ok(),
            has_display: is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"),
            is_macos: cfg!(target_os = "macos"),
        }
    }
}

/// The command that opens a URL, word by word. None: nobody could see it.
fn opener(facts: &Facts, url: &str) -> Option<Vec<String>> {
    let chosen = facts.browser.as_deref().and_then(|browsers| {
        let mut browsers = browsers.split(':').map(str::trim);
        browsers.find(|browser| !browser.is_empty())
    });
    if let Some(browser) = chosen {
        let words = browser.split_whitespace();
        let mut command: Vec<String> = words.map(|word| word.replace("%s", url)).collect();
        if !browser.contains("%s") {
            command.push(url.to_owned());
        }
        return Some(command);
    }
    let program = match (facts.is_macos, facts.has_display) {
        (true, _) => "open",
        (false, true) => "xdg-open",
        (false, false) => return None,
    };
    Some(vec![program.to_owned(), url.to_owned()])
}

fn open(command: &[String]) -> Result<(), Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    // A browser in the terminal needs all of it; others say what does not concern us.
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::inherit())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let sentence = format!("`{program}` ended with {status}");
            Err(Failure::new("browser", &sentence, WAY))
        }
        Err(error) => {
            let sentence = format!("`{program}` cannot be started: {error}");
            Err(Failure::new("browser", &sentence, WAY))
        }
    }
}

const WAY: &str = "  try:  BROWSER=COMMAND     names another browser\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(browser: Option<&str>, has_display: bool, is_macos: bool, expected: Option<&str>) {
        let facts = Facts {
            browser: browser.map(str::to_owned),
            has_display,
            is_macos,
        };
        let command = opener(&facts, "https://a.test").map(|words| words.join(" "));
        assert_eq!(command.as_deref(), expected);
    }

    #[test]
    fn the_browser_is_chosen_from_what_is_there() {
        check(None, true, false, Some("xdg-open https://a.test"));
        check(None, false, true, Some("open https://a.test"));
        check(None, false, false, None);
        check(Some(""), false, false, None);
        check(Some("w3m"), false, false, Some("w3m https://a.test"));
        check(
            Some("firefox --new-tab %s:w3m"),
            true,
            false,
            Some("firefox --new-tab https://a.test"),
        );
    }

    #[test]
    fn a_browser_that_is_not_there_is_told() {
        let failure = open(&["/nowhere/browser".to_owned()]).unwrap_err();
        let first = "error[browser]: `/nowhere/browser` cannot be started: ";
        assert!(failure.text.starts_with(first), "{}", failure.text);
    }
}
