//! `onedoor add HOST TARGET`: a name is served until it is removed, over every restart. On a name that was added before, it is a deploy:
//! the new target is waited for, takes over at once, and the old one drains before this ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::asked::Asked;
use super::failure::Failure;
use super::follow::{self, Changed};
use super::keeping::Keeping;
use crate::cli::place::ControlArguments;
use crate::cli::{Exit, say, serving};
use crate::config;
use crate::config::problem::Problem;
use crate::config::site::{Action, Http, Service};
use crate::config::units::{self, DURATION_FORM};
use crate::control::client::{self, NotDone, Waits};
use crate::control::leases::Insistence;
use crate::control::saved::{Saved, SavedLease};
use crate::control::server::WAIT_SECONDS_MAX;
use crate::hostname::InvalidHostName;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
    /// How long the target may take to be healthy; `0s`: it is not looked at
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    wait: Duration,
    /// How long what is under way at the old target is waited for
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    drain: Duration,
    /// A path of the target that must answer well [default: it is enough that it accepts connections]
    #[arg(long, value_name = "PATH", value_parser = path)]
    health: Option<String>,
    /// Serve the name even if somebody else has it
    #[arg(long)]
    replace: bool,
    /// The configuration, for its storage where nobody serves
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As in `[sites]`: `shop.localhost`, `*.dev.test`, `shop.localhost:8443`
    #[arg(value_name = "HOST", value_parser = host)]
    host: Asked,
    /// As in `to`: `3000`, `10.0.0.7:80`, `https://…`, `unix:app.sock`
    #[arg(value_name = "TARGET")]
    target: String,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = super::place(&arguments.control);
    let owner = serving::owner();
    let target = Target::parse(&arguments.target, &owner.folder)?;
    let saved = SavedLease {
        host: arguments.host.to_string(),
        target: target.asked,
        insistence: if arguments.replace {
            Insistence::Replaces
        } else {
            Insistence::Asks
        },
        folder: owner.folder.clone(),
        owner,
    };
    let waits = Waits {
        wait: arguments.wait,
        drain: arguments.drain,
        health: arguments.health.clone(),
    };
    let make = async |based_on| {
        let added = client::save(&place, saved.clone(), waits.clone(), based_on);
        added.await.map_err(with_way)
    };
    let text = match follow::change(&place, &arguments.host, make).await? {
        Changed::AtDoor { answer, before } => {
            tell(&answer, before.as_deref(), &target.shown, arguments.drain)
        }
        Changed::Nobody(claim) => {
            let keeping = Keeping::open(arguments.config.as_deref(), claim)?;
            keeping.keep(&saved).await?
        }
    };
    say::out(&text);
    Ok(())
}

/// What was done: the URL alone on its line, then the rest.
fn tell(saved: &Saved, before: Option<&str>, target: &str, drain: Duration) -> String {
    let url = &saved.url;
    let rest = match before {
        None => format!("leads to {target}, until `onedoor rm`"),
        Some(before) if before == target => format!("leads to {target}, as before"),
        Some(before) if saved.drained => {
            format!("leads to {target} now; {before} has drained")
        }
        Some(before) => format!(
            "leads to {target} now; {before} still has exchanges after {} s, which go on",
            drain.as_secs()
        ),
    };
    format!("{url}\n  {rest}\n")
}

/// Adds what helps with a target that is not healthy.
fn with_way(not_done: NotDone) -> NotDone {
    match not_done {
        NotDone::Refused(mut refusal) if refusal.error == "not-healthy" => {
            let text = refusal.text.trim_end_matches('\n');
            refusal.text = format!(
                "{text}\n  try:  --wait 2m     gives it more time\n        --wait 0s     serves it without a look at it"
            );
            NotDone::Refused(refusal)
        }
        other @ (NotDone::Refused(_) | NotDone::Unhealthy(_)) => other,
    }
}

/// What is to be behind the name.
#[derive(Debug)]
struct Target {
    /// As in `to`, a socket's path made absolute.
    asked: String,
    /// As tables show it.
    shown: String,
}

impl Target {
    fn parse(text: &str, folder: &Path) -> Result<Self, Failure> {
        let asked = match text.strip_prefix("unix:") {
            Some(path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                format!("unix:{}", folder.join(path).display())
            }
            None => text.to_owned(),
        };
        // Any local name will do: who may have which name is for the holder to judge.
        let loaded = config::from_arguments(&[format!("target.localhost={asked}")]);
        let loaded = loaded.map_err(|refused| misread(&refused.problems))?;
        let service = loaded.config.sites.first().map(|site| &site.service);
        let shown = match service {
            Some(Service::Plain(http) | Service::Secure(_, http)) => shown(http),
            Some(Service::Passthrough(_) | Service::Tcp(..)) | None => None,
        };
        let shown = shown.unwrap_or_else(|| asked.clone());
        Ok(Self { asked, shown })
    }
}

fn shown(http: &Http) -> Option<String> {
    match &http.root.as_ref()?.action {
        Action::Forward(targets) => targets.first().map(ToString::to_string),
        Action::Redirect(_) | Action::Respond(_) => None,
    }
}

fn misread(problems: &[Problem]) -> Failure {
    let mut failure = Failure::told(Exit::Configuration);
    for problem in problems {
        let (code, message) = (problem.code, &problem.message);
        failure
            .text
            .push_str(&format!("error[{code}]: {message}\n"));
        if let Some(help) = &problem.help {
            failure.text.push_str(&format!("  help: {help}\n"));
        }
    }
    failure
}

/// A duration as in a configuration, in whole seconds: never less than was asked for.
fn time(text: &str) -> Result<Duration, String> {
    let time = units::duration(text).map_err(|error| format!("{error}: {DURATION_FORM}"))?;
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    if seconds > WAIT_SECONDS_MAX {
        return Err(format!("at most {WAIT_SECONDS_MAX}s"));
    }
    Ok(Duration::from_secs(seconds))
}

fn path(text: &str) -> Result<String, &'static str> {
    if !text.starts_with('/') {
        return Err("a path begins with `/`, as in `/up`");
    }
    Ok(text.to_owned())
}

fn host(text: &str) -> Result<Asked, InvalidHostName> {
    Asked::parse_authority(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::session::message::Refusal;

    #[test]
    fn what_was_done_is_told() {
        #[track_caller]
        fn check(before: Option<&str>, drained: bool, expected: &str) {
            let saved = Saved {
                revision: 8,
                url: "https://shop.test".to_owned(),
                drained,
            };
            let text = tell(&saved, before, "localhost:4000", Duration::from_secs(30));
            assert_eq!(text, format!("https://shop.test\n  {expected}\n"));
        }
        check(None, true, "leads to localhost:4000, until `onedoor rm`");
        check(
            Some("localhost:4000"),
            true,
            "leads to localhost:4000, as before",
        );
        check(
            Some("localhost:3000"),
            true,
            "leads to localhost:4000 now; localhost:3000 has drained",
        );
        check(
            Some("localhost:3000"),
            false,
            "leads to localhost:4000 now; localhost:3000 still has exchanges after 30 s, which go on",
        );
    }

    #[test]
    fn targets_are_judged_before_anybody_is_asked() {
        #[track_caller]
        fn check(text: &str, asked: &str, shown: &str) {
            let target = Target::parse(text, Path::new("/src/shop")).unwrap();
            assert_eq!((&*target.asked, &*target.shown), (asked, shown));
        }
        check("3000", "3000", "localhost:3000");
        let socket = "unix:/src/shop/app.sock";
        check("unix:app.sock", socket, socket);
        check("unix:///run/a.sock", "unix:/run/a.sock", "unix:/run/a.sock");
        for wrong in ["", "a b", "ftp://x", "host:99999", "3000\n4000"] {
            let failure = Target::parse(wrong, Path::new("/")).unwrap_err();
            assert_eq!(failure.exit, Exit::Configuration, "{wrong}");
            assert!(failure.text.starts_with("error["), "{}", failure.text);
        }
    }

    #[test]
    fn times_are_whole_seconds_and_bounded() {
        assert_eq!(time("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(time("1ms"), Ok(Duration::from_secs(1)));
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        assert_eq!(time("10m"), Ok(Duration::from_secs(600)));
        assert!(time("11m").is_err());
        assert!(time("30").unwrap_err().contains("the unit is missing"));
    }

    #[test]
    fn a_target_that_is_not_healthy_comes_with_ways_out() {
        let refusal = Refusal::new("not-healthy", "`3000` was not healthy");
        let failure = Failure::from(with_way(NotDone::Refused(refusal)));
        let first = "error[not-healthy]: `3000` was not healthy\n  try:  --wait 2m";
        assert!(failure.text.starts_with(first), "{}", failure.text);
        assert!(failure.text.ends_with("look at it\n"), "{}", failure.text);
    }
}
