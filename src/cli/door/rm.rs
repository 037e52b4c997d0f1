//! `onedoor rm HOST`: what `add` began ends.

use std::path::PathBuf;

use super::asked::Asked;
use super::failure::Failure;
use super::follow::{self, Changed};
use super::keeping::Keeping;
use crate::cli::place::ControlArguments;
use crate::cli::say;
use crate::control::client;
use crate::hostname::InvalidHostName;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
    /// The configuration, for its storage where nobody serves
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// As it was added
    #[arg(value_name = "HOST", value_parser = host)]
    host: Asked,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let place = super::place(&arguments.control);
    let host = arguments.host.to_string();
    let make = async |based_on| client::remove(&place, &host, based_on).await;
    let text = match follow::change(&place, &arguments.host, make).await? {
        Changed::AtDoor { before, .. } => {
            let led = before.map_or_else(String::new, |target| format!("; it led to {target}"));
            format!("`{host}` is removed{led}\n")
        }
        Changed::Nobody(claim) => {
            let keeping = Keeping::open(arguments.config.as_deref(), claim)?;
            keeping.forget(&host).await?
        }
    };
    say::out(&text);
    Ok(())
}

fn host(text: &str) -> Result<Asked, InvalidHostName> {
    Asked::parse_authority(text)
}
