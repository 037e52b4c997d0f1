//! `onedoor restart`: the program that lies on the disk now takes over from the running one.

use super::failure::Failure;
use crate::cli::place::ControlArguments;
use crate::cli::say;
use crate::control::client;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = super::place(&arguments.control);
    let old = super::status(&place).await?.health.pid;
    let new = client::restart(&place).await?;
    say::out(&format!("pid {new} serves now, in place of pid {old}\n"));
    Ok(())
}
