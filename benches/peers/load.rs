//! Load: saturating through h2load, new connections and an even pace through our own client. All of it is bounded in count and in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::child::{bound_to_us, output_within};
use crate::client::{Client, Connection, Protocol, Sender, Then};
use crate::ground::{PAGE, SITE, SMALL, TINY};

const H2LOAD_PATIENCE: Duration = Duration::from_secs(120);
/// Seconds without a byte after which h2load gives a connection up.
const SILENCE_SECONDS: &str = "10";
const HANDSHAKES_AT_ONCE: usize = 16;
const PACED_CONNECTIONS: usize = 32;
const PACED_STREAMS: usize = 4;

/// How many requests, over how many connections at once, with how many of them in flight on each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    pub requests: u32,
    pub connections: u32,
    pub streams: u32,
}

/// As many requests as the proxy can take; returns the octets of the bodies as they were sent.
///
/// # Errors
/// h2load is missing or too slow, or a request was not answered with success.
pub(crate) fn saturate(port: u16, protocol: Protocol, path: &str, amount: Amount) -> Result<u64> {
    let mut command = bound_to_us("h2load");
    if protocol == Protocol::Http1 {
        command.arg("--h1");
    }
    if path == PAGE {
        command.args(["-H", "accept-encoding: gzip"]);
    }
    command
        .args([
            "--tls13-ciphers",
            "TLS_AES_128_GCM_SHA256",
            "--groups",
            "X25519",
        ])
        .args(["--connection-inactivity-timeout", SILENCE_SECONDS])
        .arg(format!("--connect-to=127.0.0.1:{port}"))
        .arg(format!("--requests={}", amount.requests))
        .arg(format!("--clients={}", amount.connections))
        .arg(format!("--max-concurrent-streams={}", amount.streams))
        .arg(format!("https://{SITE}{path}"));
    let printed = output_within(command, H2LOAD_PATIENCE)?;
    let codes = printed
        .lines()
        .find(|line| line.starts_with("status codes:"));
    let codes = codes.with_context(|| format!("h2load printed no status codes: {printed}"))?;
    let good = format!("status codes: {} 2xx", amount.requests);
    ensure!(
        codes.starts_with(&good),
        "of {} requests: {codes}",
        amount.requests
    );
    body_octets(&printed).with_context(|| format!("h2load printed no traffic: {printed}"))
}

/// The last number in parentheses of `traffic: 1.05MB (1101004) total, …, 1.00MB (1048576) data`.
fn body_octets(printed: &str) -> Option<u64> {
    let line = printed.lines().find(|line| line.starts_with("traffic:"))?;
    let (_, number) = line.trim_end_matches(" data").rsplit_once('(')?;
    number.trim_end_matches([')', ' ']).parse().ok()
}

/// New connections, each with a full handshake and one tiny request, closed by the server.
///
/// # Errors
/// One of them failed.
pub(crate) async fn handshakes(client: &Client, count: usize) -> Result<()> {
    let mut running = JoinSet::new();
    for _ in 0..HANDSHAKES_AT_ONCE {
        let client = client.clone();
        running.spawn_local(async move {
            for _ in 0..count.div_ceil(HANDSHAKES_AT_ONCE) {
                let mut connection = client.connect().await?;
                connection.get(TINY, Then::Close).await?;
                connection.closed().await?;
            }
            anyhow::Ok(())
        });
    }
    all(running).await
}

/// How many connections [`handshakes`] makes of `count`: a multiple of what runs at once.
pub(crate) fn handshakes_made(count: usize) -> usize {
    count.next_multiple_of(HANDSHAKES_AT_ONCE)
}

/// Connections that have had one answer and stay open.
///
/// # Errors
/// One of them failed.
pub(crate) async fn idle(client: &Client, count: usize) -> Result<Vec<Connection>> {
    let mut running = JoinSet::new();
    for part in 0..HANDSHAKES_AT_ONCE {
        let client = client.clone();
        running.spawn_local(async move {
            let mut open = Vec::new();
            for _ in (part..count).step_by(HANDSHAKES_AT_ONCE) {
                let mut connection = client.connect().await?;
                connection.get(TINY, Then::KeepAlive).await?;
                open.push(connection);
            }
            anyhow::Ok(open)
        });
    }
    let mut open = Vec::with_capacity(count);
    while let Some(part) = running.join_next().await {
        open.extend(part??);
    }
    Ok(open)
}

/// Requests at an even pace, whether or not earlier ones have been answered; sorted times from the moment each was due to its last byte.
///
/// # Errors
/// One of them failed.
pub(crate) async fn paced(client: &Client, rate: u32, lasting: Duration) -> Result<Vec<Duration>> {
    let mut senders = Vec::new();
    for _ in 0..PACED_CONNECTIONS {
        senders.extend(client.connect().await?.into_senders(PACED_STREAMS));
    }
    for sender in &mut senders {
        sender.get(SMALL, Then::KeepAlive).await?;
    }
    let count = (f64::from(rate) * lasting.as_secs_f64()) as usize;
    let (due, arrivals) = mpsc::channel(count.max(1));
    let arrivals = Arc::new(Mutex::new(arrivals));
    let mut running = JoinSet::new();
    for sender in senders {
        running.spawn_local(answer_times(sender, Arc::clone(&arrivals)));
    }
    let metronome = std::thread::spawn(move || beat(&due, rate, count));
    let mut times = Vec::with_capacity(count);
    while let Some(part) = running.join_next().await {
        times.extend(part??);
    }
    ensure!(
        metronome.join().is_ok() && times.len() == count,
        "{} of {count} requests were sent",
        times.len()
    );
    times.sort_unstable();
    Ok(times)
}

/// Takes whichever request is due next, until none will be.
async fn answer_times(
    mut sender: Sender,
    arrivals: Arc<Mutex<mpsc::Receiver<Instant>>>,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    loop {
        let next = arrivals.lock().await.recv().await;
        let Some(due) = next else { return Ok(times) };
        sender.get(SMALL, Then::KeepAlive).await?;
        times.push(due.elapsed());
    }
}

/// The moment sent is that of waking, not the planned one: that this thread oversleeps is no fault of the proxy.
fn beat(due: &mpsc::Sender<Instant>, rate: u32, count: usize) {
    let start = Instant::now();
    for number in 0..count {
        let planned = start + Duration::from_secs_f64(number as f64 / f64::from(rate));
        std::thread::sleep(planned.saturating_duration_since(Instant::now()));
        if due.try_send(Instant::now()).is_err() {
            return;
        }
    }
}

async fn all(mut running: JoinSet<Result<()>>) -> Result<()> {
    while let Some(result) = running.join_next().await {
        match result {
            Ok(done) => done?,
            Err(error) => bail!("a client task failed: {error}"),
        }
    }
    Ok(())
}
