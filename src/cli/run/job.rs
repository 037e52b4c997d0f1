//! A command from its start to its end: what is said about it, and what it ends with.

use std::cell::Cell;
use std::ffi::OsString;
use std::future::pending;
use std::process::ExitStatus;
use std::time::Duration;
use std::{fmt::Write as _, io};

use super::child::{self, Child, Signals};
use super::waiting::{self, Event};
use super::{elsewhere, say};

/// What is to be run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) command: Vec<OsString>,
    pub(super) port: u16,
    /// How long the command may take until it accepts connections.
    pub(super) patience: Duration,
}

/// A command that is about to be started.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) plan: Plan,
    pub(super) variables: Vec<(&'static str, OsString)>,
    /// What is said once it accepts.
    pub(super) reached: String,
}

impl Job {
    /// Runs the command and returns what it ended with, as a shell would.
    pub(super) async fn attend(&self, signals: &mut Signals) -> u8 {
        if let Some(signal) = signals.missed().await {
            return child::code_of(signal);
        }
        let mut child = match Child::start(&self.plan.command, &self.variables) {
            Ok(child) => child,
            Err(error) => {
                let program = self.program();
                say::err(&format!(
                    "error[command]: cannot run `{program}`: {error}\n"
                ));
                return child::code_without(&error);
            }
        };
        let (port, group) = (self.plan.port, child.group());
        let last = Cell::new(None);
        let hear = |event| {
            last.set(Some(event));
            say::err(&self.told(event, &|| elsewhere::listening(group, port)));
        };
        let waiting = async {
            waiting::wait(
                async || waiting::accepts(port).await,
                self.plan.patience,
                hear,
            )
            .await;
            pending().await
        };
        let status = tokio::select! {
            biased;
            status = child.end(signals) => status,
            status = waiting => status,
        };
        self.code(status, last.get())
    }

    fn program(&self) -> String {
        let program = self.plan.command.first();
        program.map_or_else(String::new, |program| {
            program.to_string_lossy().into_owned()
        })
    }

    fn told(&self, event: Event, elsewhere: &dyn Fn() -> Vec<u16>) -> String {
        let (program, port) = (self.program(), self.plan.port);
        let mut text = match event {
            Event::Accepts => return self.reached.clone(),
            Event::StillWaiting => format!("waiting for `{program}` to listen on port {port}\n"),
            Event::GivenUp => format!(
                "note: `{program}` still does not listen on port {port}; until it does, requests get a 502\n"
            ),
        };
        for other in elsewhere() {
            // Writing into a string cannot fail.
            let _written = writeln!(
                text,
                "note: it listens on port {other}: if it does not read PORT, say `onedoor run --port {other}`"
            );
        }
        if event == Event::GivenUp {
            text.push_str(&self.reached);
        }
        text
    }

    fn code(&self, status: io::Result<ExitStatus>, last: Option<Event>) -> u8 {
        let (program, port) = (self.program(), self.plan.port);
        match last {
            Some(Event::Accepts | Event::GivenUp) => {}
            Some(Event::StillWaiting) | None => say::err(&format!(
                "note: `{program}` ended before anything listened on port {port}\n"
            )),
        }
        match status {
            Ok(status) => child::code(status),
            Err(error) => {
                say::err(&format!(
                    "error[command]: nobody knows how `{program}` ended: {error}\n"
                ));
                1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job {
            plan: Plan {
                command: vec!["npm".into()],
                port: 4001,
                patience: Duration::from_secs(60),
            },
            variables: Vec::new(),
            reached: "https://a.localhost\n".to_owned(),
        }
    }

    #[test]
    fn a_command_that_took_another_port_is_found_out() {
        let text = job().told(Event::StillWaiting, &|| vec![5173]);
        assert!(text.starts_with("waiting for `npm` to listen on port 4001\n"));
        assert!(text.contains("onedoor run --port 5173"), "{text}");
    }

    #[test]
    fn the_url_is_said_even_when_nobody_answers() {
        let text = job().told(Event::GivenUp, &Vec::new);
        assert!(text.ends_with("https://a.localhost\n"), "{text}");
        assert_eq!(
            job().told(Event::Accepts, &|| vec![1]),
            "https://a.localhost\n"
        );
    }
}
