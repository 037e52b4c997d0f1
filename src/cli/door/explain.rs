//! `onedoor explain URL`: what becomes of a request, step by step, and why.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::failure::Failure;
use super::who::{process, whole};
use crate::cli::place::ControlArguments;
use crate::cli::say;
use crate::control::client;
use crate::control::health::Kind as Spoken;
use crate::control::leases::ago;
use crate::control::status::{Explanation, Step};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
    /// Print what `GET /v1/explain` says
    #[arg(long)]
    json: bool,
    /// As in `https://shop.localhost/cart`
    #[arg(value_name = "URL")]
    url: String,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = super::place(&arguments.control);
    let told = client::explain(&place, &arguments.url, super::TELL_TIME).await?;
    let text = if arguments.json {
        super::json(&told)
    } else {
        tell(&told, super::now())
    };
    say::out(&text);
    Ok(())
}

fn tell(told: &Explanation, now: Timestamp) -> String {
    let mut text = format!("{}\n", told.url);
    let listener = told.listener.as_ref().map(|listener| {
        let spoken = match told.spoken {
            Some(Spoken::Tls) => " (tls)",
            Some(Spoken::Plain) => " (plain)",
            None => "",
        };
        Step {
            what: format!("{}{spoken}", listener.what),
            why: listener.why.clone(),
        }
    });
    for (name, step) in [
        ("listener", listener.as_ref()),
        ("certificate", told.certificate.as_ref()),
        ("site", told.site.as_ref()),
        ("rule", told.rule.as_ref()),
    ] {
        chosen(&mut text, name, step);
    }
    edits(&mut text, "guard", &told.guard);
    chosen(&mut text, "target", told.target.as_ref());
    edits(&mut text, "", &told.choice);
    edits(&mut text, "request", &told.request);
    edits(&mut text, "answer", &told.answer);
    fact(&mut text, "outcome", &told.outcome);
    if let Some(owner) = &told.owner {
        fact(&mut text, "served by", &process(owner));
    }
    if let Some(since) = told.since {
        let ago = ago(since, now);
        fact(&mut text, "since", &format!("{ago} ({})", whole(since)));
    }
    text
}

fn chosen(text: &mut String, name: &str, step: Option<&Step>) {
    if let Some(Step { what, why }) = step {
        fact(text, name, what);
        fact(text, "", &format!("because {why}"));
    }
}

fn edits(text: &mut String, name: &str, edits: &[String]) {
    let mut name = name;
    for edit in edits {
        fact(text, name, edit);
        name = "";
    }
}

fn fact(text: &mut String, name: &str, fact: &str) {
    // Writing into a string cannot fail.
    let _written = writeln!(text, "  {name:13}{fact}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::door::samples::{NOW, owner};
    use crate::control::leases::LeaseId;

    fn step(what: &str, why: &str) -> Option<Step> {
        Some(Step {
            what: what.to_owned(),
            why: why.to_owned(),
        })
    }

    #[test]
    fn the_steps_stand_in_their_order() {
        let owner = owner(4313, "onedoor up", "/src/b", "2026-01-31T11:58:00Z");
        let told = Explanation {
            url: "https://shop.localhost/api/x".to_owned(),
            listener: step("127.0.0.1:443", "443 is the port of https URLs"),
            spoken: Some(Spoken::Tls),
            certificate: step("local CA", "the name is local, and no pair names it"),
            site: step("shop.localhost", "`shop.localhost` is its name"),
            rule: step("/api", "it is the longest prefix of `/api/x`"),
            target: step("localhost:3000 /x", "`/api` is stripped"),
            guard: vec!["only from 10.0.0.0/8, else 403".to_owned()],
            choice: vec!["with a PROXY header, version 2".to_owned()],
            request: vec![
                "host: shop.localhost".to_owned(),
                "cookie is removed".to_owned(),
            ],
            answer: vec!["server is removed".to_owned()],
            outcome: "`GET /x` goes to localhost:3000".to_owned(),
            lease: Some(LeaseId(1)),
            since: Some(owner.since),
            owner: Some(owner),
        };
        let expected = "\
https://shop.localhost/api/x
  listener     127.0.0.1:443 (tls)
               because 443 is the port of https URLs
  certificate  local CA
               because the name is local, and no pair names it
  site         shop.localhost
               because `shop.localhost` is its name
  rule         /api
               because it is the longest prefix of `/api/x`
  guard        only from 10.0.0.0/8, else 403
  target       localhost:3000 /x
               because `/api` is stripped
               with a PROXY header, version 2
  request      host: shop.localhost
               cookie is removed
  answer       server is removed
  outcome      `GET /x` goes to localhost:3000
  served by    pid 4313 `onedoor up` in /src/b
  since        2 min ago (2026-01-31T11:58:00Z)
";
        assert_eq!(tell(&told, NOW.parse().unwrap()), expected);
    }

    #[test]
    fn a_way_that_ends_early_is_short() {
        let told = Explanation {
            url: "https://none.test/".to_owned(),
            listener: None,
            spoken: None,
            certificate: None,
            site: None,
            rule: None,
            target: None,
            guard: Vec::new(),
            choice: Vec::new(),
            request: Vec::new(),
            answer: Vec::new(),
            outcome: "nobody listens".to_owned(),
            lease: None,
            owner: None,
            since: None,
        };
        assert_eq!(
            tell(&told, NOW.parse().unwrap()),
            "https://none.test/\n  outcome      nobody listens\n"
        );
    }
}
