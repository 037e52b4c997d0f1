//! `onedoor logs`: access-log lines of every process's sites as they come, over changes of the holder.

use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use tokio::time::{self, Instant};

use super::asked::Asked;
use super::failure::Failure;
use crate::cli::place::ControlArguments;
use crate::cli::say;
use crate::control::client::{self, Logs, NotDone};
use crate::control::place::Place;
use crate::control::session::message::LogForm;

/// How long a door may be without a holder before it is taken to have ended.
const SUCCESSION_TIME: Duration = Duration::from_secs(3);
/// How often a new holder is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
    /// As JSON, an object a line
    #[arg(long, conflicts_with = "combined")]
    json: bool,
    /// In the combined format
    #[arg(long)]
    combined: bool,
    /// Only the lines of this name [default: all]
    #[arg(value_name = "HOST", value_parser = Asked::parse)]
    host: Option<Asked>,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = super::place(&arguments.control);
    let form = match (arguments.json, arguments.combined) {
        (true, _) => LogForm::Json,
        (false, true) => LogForm::Combined,
        (false, false) => LogForm::Text,
    };
    let host = arguments.host.as_ref().map(|host| host.name.to_string());
    let host = host.as_deref();
    let mut logs = client::logs(&place, host, form, super::TELL_TIME).await?;
    loop {
        match print(&mut logs).await? {
            Printed::ReaderGone => return Ok(()),
            Printed::HolderEnded => {}
        }
        match successor(&place, host, form).await? {
            Some(next) => logs = next,
            None => {
                say::err("the door has ended\n");
                return Ok(());
            }
        }
    }
}

/// Why there is no more to print.
enum Printed {
    ReaderGone,
    HolderEnded,
}

async fn print(logs: &mut Logs) -> Result<Printed, Failure> {
    while let Some(lines) = logs.next().await {
        let mut out = std::io::stdout().lock();
        match out.write_all(&lines).and_then(|()| out.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Printed::ReaderGone),
            Err(error) => return Err(Failure::of("output", &error)),
        }
    }
    Ok(Printed::HolderEnded)
}

/// The lines of whoever has the door next. None: nobody has it in time.
async fn successor(
    place: &Place,
    host: Option<&str>,
    form: LogForm,
) -> Result<Option<Logs>, Failure> {
    let end = Instant::now() + SUCCESSION_TIME;
    loop {
        match client::logs(place, host, form, super::TELL_TIME).await {
            Ok(logs) => return Ok(Some(logs)),
            Err(NotDone::Refused(_) | NotDone::Unhealthy(_)) if Instant::now() < end => {
                time::sleep(LOOK_INTERVAL).await;
            }
            Err(NotDone::Unhealthy(client::Unhealthy::NobodyThere)) => return Ok(None),
            Err(not_done) => return Err(not_done.into()),
        }
    }
}
