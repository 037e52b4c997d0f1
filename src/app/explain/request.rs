//! The part of the way that lies inside HTTP: the rule, and what it does with a request and its answer.

use http::Response;

use super::heads::Sample;
use super::{Way, in_turn, listed, step, whose, words};
use crate::config::backends::Backends;
use crate::config::site::{Action, Http, Matching, Rule};
use crate::control::status::Explanation;
use crate::proxy::path::{self, Chosen};
use crate::proxy::reply::{Reply, Words};
use crate::proxy::{redirect, replies};

impl Way<'_> {
    /// A request of the site, as it is answered.
    pub(super) fn request(&self, http: &Http, told: &mut Explanation) -> String {
        let sample = match Sample::judge(self.asked, &self.current.table.limits) {
            Ok(sample) => sample,
            Err(refusal) => return self.refused(&refusal.into()),
        };
        let asked = self.asked.target.path();
        let chosen = match path::choose_of(http, asked) {
            Ok(Some(chosen)) => chosen,
            Ok(None) => return self.refused(&replies::no_route()),
            Err(refusal) => return self.refused(&refusal.into()),
        };
        told.rule = Some(match chosen {
            Chosen::Path(path) => match path.matching {
                Matching::Exact => step(format!("`{}$`", path.prefix), "it is exactly this path"),
                Matching::Prefix => step(
                    format!("`{}`", path.prefix),
                    format!("the longest entry of `paths` that `{asked}` lies under"),
                ),
            },
            Chosen::Root(_) if http.paths.is_empty() => step("the site's own", "it has no `paths`"),
            Chosen::Root(_) => step(
                "the site's own",
                format!("no entry of `paths` fits `{asked}`"),
            ),
        });
        let rule = chosen.rule();
        whose(rule.log, told);
        if let Some(guard) = &rule.guard {
            told.guard.extend(words::guarded(guard));
        }
        self.act(&sample, rule, told)
    }

    fn act(&self, sample: &Sample<'_>, rule: &Rule, told: &mut Explanation) -> String {
        match &rule.action {
            Action::Forward(backends) => self.forward(sample, rule, backends, told),
            Action::Redirect(to) => {
                let Some(answer) = redirect::redirect(to, Some(&self.asked.target)) else {
                    return self.refused(&replies::no_location());
                };
                match sample.answered(rule, Some(&answer)) {
                    Ok(edits) => told.answer = edits,
                    Err(broken) => return self.refused(&broken.into()),
                }
                redirected(&answer, "the rule says `redirect`")
            }
            Action::Respond(respond) => {
                let mut answer = Response::new(());
                *answer.status_mut() = respond.status;
                match sample.answered(rule, Some(&answer)) {
                    Ok(edits) => told.answer = edits,
                    Err(broken) => return self.refused(&broken.into()),
                }
                let (status, length) = (respond.status.as_u16(), respond.body.len());
                format!(
                    "onedoor answers it with {status} and {length} octets: the rule says `respond`"
                )
            }
        }
    }

    fn forward(
        &self,
        sample: &Sample<'_>,
        rule: &Rule,
        backends: &Backends,
        told: &mut Explanation,
    ) -> String {
        let Some(target) = backends.first() else {
            return self.refused(&replies::no_target());
        };
        let sent = match sample.sent(rule, target) {
            Ok(sent) => sent,
            Err(refusal) => return self.refused(&refusal.into()),
        };
        let asked = self.asked.target.as_str();
        let why = match (&rule.strip_prefix, sent.target == asked) {
            (_, true) => "path and query go as they came".to_owned(),
            (Some(prefix), false) if rule.rewrites.is_empty() => {
                format!("`{prefix}` is stripped of `{asked}`")
            }
            (Some(prefix), false) => {
                format!("`{prefix}` is stripped of `{asked}`, and `rewrite` has its say")
            }
            (None, false) => format!("`rewrite` makes it of `{asked}`"),
        };
        told.target = Some(step(format!("{} {}", listed(backends), sent.target), why));
        told.choice = words::chosen(backends);
        told.request = sent.edits;
        // An upstream's answer is only known once there is one.
        told.answer = sample
            .answered(rule, None::<&Response<()>>)
            .unwrap_or_default();
        told.answer.extend(words::answered(rule));
        let turn = in_turn(backends);
        format!(
            "`GET {}` goes to {}{turn}, with the host {}",
            sent.target,
            listed(backends),
            sent.host
        )
    }

    /// A reply of our own, as a client on this machine reads it.
    pub(super) fn refused(&self, reply: &Reply) -> String {
        let words = match &reply.words {
            Words::Written(words) => words.to_string(),
            Words::Of(_table, write) => write(&self.current.table),
        };
        format!(
            "onedoor answers it with {} ({}): {words}",
            reply.status.as_u16(),
            reply.code
        )
    }
}

/// What is said of an answer that sends the client elsewhere.
pub(super) fn redirected<T>(answer: &Response<T>, why: &str) -> String {
    let location = answer.headers().get(http::header::LOCATION);
    let location = location.map_or_else(String::new, |to| {
        String::from_utf8_lossy(to.as_bytes()).into_owned()
    });
    let status = answer.status().as_u16();
    format!("onedoor answers it with {status} to {location}: {why}")
}
