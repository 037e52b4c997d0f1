//! `onedoor get HOST`: one fact of a site, alone on a line, for scripts.

use super::asked::Asked;
use super::entry::find;
use super::failure::Failure;
use crate::cli::place::ControlArguments;
use crate::cli::say;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    control: ControlArguments,
    #[command(flatten)]
    fact: Fact,
    /// A name that is served, as in `shop.localhost` or `shop.localhost:8443`
    #[arg(value_name = "HOST", value_parser = Asked::parse)]
    host: Asked,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Fact {
    /// Print its URL, as without a flag
    #[arg(long)]
    url: bool,
    /// Print the port of what is behind it
    #[arg(long)]
    port: bool,
    /// Print everything that is known of it
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let status = super::status(&super::place(&arguments.control)).await?;
    let entry = find(&status, &arguments.host)?;
    let fact = &arguments.fact;
    let text = if fact.json {
        super::json(entry.site)
    } else if fact.port {
        format!("{}\n", entry.target_port()?)
    } else {
        format!("{}\n", entry.url(&arguments.host)?)
    };
    say::out(&text);
    Ok(())
}
