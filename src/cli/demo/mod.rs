//! `onedoor demo`: three small upstreams behind one door, to be tried with curl or by itself. It has a folder of its own and leaves
//! nothing behind.

mod attempt;
mod client;
mod events;
mod guide;
mod once;
mod upstreams;
mod websocket;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use super::scratch::Scratch;
use super::{DemoArguments, Exit, say};
use crate::shutdown::Shutdown;
use attempt::{Audience, Opened};
use upstreams::Upstreams;

/// The names under which the upstreams are reached.
const HELLO: &str = "hello.localhost";
const ECHO: &str = "echo.localhost";
const TICKS: &str = "ticks.localhost";

pub(super) fn run(arguments: &DemoArguments) -> Exit {
    let audience = if arguments.once {
        Audience::Itself
    } else {
        Audience::People
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let shown = match runtime {
        Ok(runtime) => runtime.block_on(show(audience)),
        Err(error) => Err(error.into()),
    };
    shown.unwrap_or_else(|error| {
        say::error("demo", &*error);
        Exit::Failed
    })
}

async fn show(audience: Audience) -> Result<Exit> {
    let stop = told_to_stop()?;
    let scratch = Scratch::make("demo")?;
    let shutdown = Shutdown::new();
    let upstreams = Upstreams::start(&shutdown).await?;
    let opened = match attempt::open(&upstreams, &scratch, audience).await {
        Ok(opened) => opened,
        Err(exit) => return Ok(exit),
    };
    let exit = match audience {
        Audience::People => Box::pin(serve(opened, &scratch, stop)).await,
        Audience::Itself => Box::pin(try_out(opened, &shutdown, stop)).await,
    };
    shutdown.cut_off();
    shutdown.all_gone().await;
    Ok(exit)
}

/// From this call on the signals that end the process end the demo in order, so that its folder goes with it.
fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _some = interrupt.recv() => {}
            _some = terminate.recv() => {}
            _some = hangup.recv() => {}
        }
        // What `app` hears by itself is its own to answer; this is for what came before it listened, and for a closed terminal.
        tokio::task::yield_now().await;
    })
}

async fn serve(opened: Opened, scratch: &Scratch, stop: impl Future<Output = ()>) -> Exit {
    say::out(&guide::text(&opened, scratch.folder()));
    opened.app.run(stop).await;
    Exit::Fine
}

async fn try_out(opened: Opened, shutdown: &Shutdown, stop: impl Future<Output = ()>) -> Exit {
    let Opened {
        app,
        door,
        ca,
        refused,
    } = opened;
    say::out(&guide::refused(&refused));
    let mut exit = Exit::Failed;
    let tried = async {
        tokio::select! {
            ended = once::all(door, &ca, shutdown) => exit = ended,
            () = stop => say::err("stopped before the end\n"),
        }
    };
    app.run(tried).await;
    exit
}
