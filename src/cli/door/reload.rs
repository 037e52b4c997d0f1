//! `onedoor reload`: the running onedoor reads its file again.

use super::failure::Failure;
use crate::cli::place::ControlArguments;
use crate::cli::say;
use crate::control::client;
use crate::control::command::BasedOn;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = super::place(&arguments.control);
    // The file is of no revision: whatever is in service, it is to be read.
    let revision = client::reload(&place, BasedOn::Whatever).await?;
    say::out(&format!("revision {revision} is in service\n"));
    Ok(())
}
