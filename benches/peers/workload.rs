//! What is done to a proxy, and what is read off it.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::client::{self, Client, Protocol};
use crate::ground::{LARGE, LARGE_MEBIBYTES, PAGE, PAGES_PER_MEBIBYTE, Proxy, SMALL};
use crate::load::{self, Amount};
use crate::peer::Peer;
use crate::{cpu, memory};

const H1_CONNECTIONS: u32 = 32;
const H2_CONNECTIONS: u32 = 16;
const H2_STREAMS: u32 = 8;
const BODY_CONNECTIONS: u32 = 4;
/// What a page of text must shrink to at least, so that nobody is measured who sends it as it is.
const ENCODED_PART: f64 = 0.6;
/// The part of a load that goes before it, unmeasured.
const WARM_UP_PART: u32 = 10;
const SETTLE_PAUSE: Duration = Duration::from_millis(200);
const SETTLE_READS_MAX: u32 = 10;
/// How long connections rest before their memory is read: what a peer gives back within it belongs to an exchange, not to an idle connection.
const REST_TIME: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Keep-alive HTTP/1.1 over TLS, 1 KiB body.
    H1,
    /// HTTP/2 over TLS, 1 KiB body.
    H2,
    /// Full TLS 1.3 handshakes, one tiny request each.
    Handshake,
    /// A 10 MiB body, over HTTP/1.1 and over HTTP/2.
    Body,
    /// A page of text, encoded by gzip at the same level, over HTTP/1.1 and over HTTP/2.
    Compress,
    /// Idle TLS connections after one request, HTTP/1.1 and HTTP/2.
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Cpu(Protocol),
    MedianTime(Protocol),
    SlowTime(Protocol),
    Handshake,
    Body(Protocol),
    Compress(Protocol),
    Idle(Protocol),
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub requests: u32,
    pub handshakes: usize,
    pub bodies: u32,
    pub idle: usize,
    /// Requests per second of the run at a fixed rate.
    pub rate: u32,
    pub paced: Duration,
}

pub(crate) type Readings = Vec<(Measure, f64)>;

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::Handshake => "handshake",
            Self::Body => "body",
            Self::Compress => "compress",
            Self::Idle => "idle",
        }
    }

    /// The parts that want a fresh process each.
    pub(crate) fn protocols(self) -> &'static [Protocol] {
        match self {
            Self::H1 | Self::Handshake => &[Protocol::Http1],
            Self::H2 => &[Protocol::Http2],
            Self::Body | Self::Compress | Self::Idle => &[Protocol::Http1, Protocol::Http2],
        }
    }

    /// Whether a peer is set up for it.
    pub(crate) fn is_for(self, peer: Peer) -> bool {
        self != Self::Compress || matches!(peer, Peer::Nginx | Peer::Onedoor)
    }

    pub(crate) fn run(self, proxy: &Proxy, protocol: Protocol, size: Size) -> Result<Readings> {
        match self {
            Self::H1 | Self::H2 => small(proxy, protocol, size),
            Self::Handshake => handshakes(proxy, size.handshakes),
            Self::Body => bodies(proxy, protocol, size.bodies),
            Self::Compress => compressed(proxy, protocol, size.bodies),
            Self::Idle => idle(proxy, protocol, size.idle),
        }
    }
}

fn small(proxy: &Proxy, protocol: Protocol, size: Size) -> Result<Readings> {
    let amount = match protocol {
        Protocol::Http1 => Amount {
            requests: size.requests,
            connections: H1_CONNECTIONS,
            streams: 1,
        },
        Protocol::Http2 => Amount {
            requests: size.requests,
            connections: H2_CONNECTIONS,
            streams: H2_STREAMS,
        },
    };
    let cpu = cpu_per_request(proxy, protocol, SMALL, amount)?;
    let client = Client::new(proxy.port(), protocol)?;
    let times = client::run(load::paced(&client, size.rate, size.paced))?;
    Ok(vec![
        (Measure::Cpu(protocol), cpu.as_secs_f64() * 1e6),
        (Measure::MedianTime(protocol), quantile(&times, 0.50)),
        (Measure::SlowTime(protocol), quantile(&times, 0.99)),
    ])
}

fn bodies(proxy: &Proxy, protocol: Protocol, count: u32) -> Result<Readings> {
    let amount = Amount {
        requests: count,
        connections: BODY_CONNECTIONS,
        streams: 1,
    };
    let cpu = cpu_per_request(proxy, protocol, LARGE, amount)? / LARGE_MEBIBYTES;
    Ok(vec![(Measure::Body(protocol), cpu.as_secs_f64() * 1e6)])
}

fn compressed(proxy: &Proxy, protocol: Protocol, mebibytes: u32) -> Result<Readings> {
    let amount = Amount {
        requests: mebibytes * PAGES_PER_MEBIBYTE,
        connections: BODY_CONNECTIONS,
        streams: 1,
    };
    let octets = load::saturate(proxy.port(), protocol, PAGE, amount)?;
    let part = octets as f64 / f64::from(mebibytes << 20);
    ensure!(part < ENCODED_PART, "{part:.2} of the text was sent");
    let cpu = cpu_per_request(proxy, protocol, PAGE, amount)? * PAGES_PER_MEBIBYTE;
    Ok(vec![(Measure::Compress(protocol), cpu.as_secs_f64() * 1e6)])
}

fn handshakes(proxy: &Proxy, count: usize) -> Result<Readings> {
    let client = Client::new(proxy.port(), Protocol::Http1)?;
    client::run(load::handshakes(
        &client,
        count.div_ceil(WARM_UP_PART as usize),
    ))?;
    let before = cpu::settled(proxy.pid())?;
    client::run(load::handshakes(&client, count))?;
    let used = cpu::settled(proxy.pid())?.saturating_sub(before);
    let each = used.as_secs_f64() / load::handshakes_made(count) as f64;
    Ok(vec![(Measure::Handshake, each * 1e6)])
}

fn idle(proxy: &Proxy, protocol: Protocol, count: usize) -> Result<Readings> {
    let client = Client::new(proxy.port(), protocol)?;
    client::run(load::handshakes(
        &Client::new(proxy.port(), Protocol::Http1)?,
        1,
    ))?;
    client::run(async {
        drop(load::idle(&client, 1).await?);
        let before = settled_memory(proxy.pid()).await?;
        let open = load::idle(&client, count).await?;
        tokio::time::sleep(REST_TIME).await;
        let after = settled_memory(proxy.pid()).await?;
        let alive = open
            .iter()
            .filter(|connection| connection.is_open())
            .count();
        ensure!(
            alive == count,
            "only {alive} of {count} idle connections were left open"
        );
        let each = after.saturating_sub(before) as f64 / count as f64;
        Ok(vec![(Measure::Idle(protocol), each)])
    })
}

/// Two loads that differ in the number of requests alone: their difference is free of what connecting costs.
fn cpu_per_request(
    proxy: &Proxy,
    protocol: Protocol,
    path: &str,
    amount: Amount,
) -> Result<Duration> {
    let connecting = Amount {
        requests: amount.connections * amount.streams,
        ..amount
    };
    ensure!(
        amount.requests > connecting.requests,
        "more than {} requests are needed",
        connecting.requests
    );
    let warm_up = Amount {
        requests: (amount.requests / WARM_UP_PART).max(connecting.requests),
        ..amount
    };
    load::saturate(proxy.port(), protocol, path, warm_up)?;
    let start = cpu::settled(proxy.pid())?;
    load::saturate(proxy.port(), protocol, path, connecting)?;
    let middle = cpu::settled(proxy.pid())?;
    load::saturate(proxy.port(), protocol, path, amount)?;
    let end = cpu::settled(proxy.pid())?;
    let used = (end - middle).saturating_sub(middle - start);
    Ok(used / (amount.requests - connecting.requests))
}

/// Read until it stops changing, or for as long as that may take.
async fn settled_memory(pid: u32) -> Result<u64> {
    let mut before = memory::kibibytes(pid)?;
    for _ in 0..SETTLE_READS_MAX {
        tokio::time::sleep(SETTLE_PAUSE).await;
        let after = memory::kibibytes(pid)?;
        if after == before {
            break;
        }
        before = after;
    }
    Ok(before)
}

fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let index = (sorted.len() as f64 * part) as usize;
    let time = sorted.get(index.min(sorted.len().saturating_sub(1)));
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}
