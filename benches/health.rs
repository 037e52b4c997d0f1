//! The processor time of active health checks: very many targets on loopback, each a site's, at the default times.
//!
//! A program to run by hand, on Linux; it fails above the limit. What the numbers mean is in `benches/README.md`.
#![expect(clippy::print_stdout, reason = "a program whose output is its purpose")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// From the start until every target was checked once.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LAST_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// Has onedoor check many targets and says what that costs
#[derive(Debug, Parser)]
struct Options {
    /// The onedoor to measure, instead of the one built beside this program.
    #[arg(long)]
    onedoor: Option<PathBuf>,
    #[arg(long, default_value_t = 1000)]
    targets: u32,
    /// How each is checked: a value of `health`.
    #[arg(long, default_value = "\"/up\"")]
    health: String,
    /// Have the targets close each connection after one answer.
    #[arg(long)]
    closing: bool,
    /// How long it is measured.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The most that the checks may take of one core.
    #[arg(long, default_value_t = 1.0)]
    percent: f64,
    /// What cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let built = option_env!("CARGO_BIN_EXE_onedoor").map(PathBuf::from);
    let program = options
        .onedoor
        .clone()
        .or(built)
        .context("no onedoor: say --onedoor FILE")?;
    let program =
        fs::canonicalize(&program).with_context(|| format!("no {}", program.display()))?;
    let answer = if options.closing { LAST_ANSWER } else { ANSWER };
    let (port, answered) = serve(answer)?;
    let folder = TempDir::new()?;
    lay_out(folder.path(), &options, port)?;
    let mut running = start(&program, folder.path())?;
    let started = Instant::now();
    while answered.load(Ordering::Relaxed) < options.targets as usize {
        if started.elapsed() > PATIENCE || running.0.try_wait()?.is_some() {
            let said = fs::read_to_string(folder.path().join("err")).unwrap_or_default();
            bail!("not every target was checked: {said}");
        }
        thread::sleep(LOOK_EVERY);
    }
    let pid = running.0.id();
    let (before, checks) = (spent(pid)?, answered.load(Ordering::Relaxed));
    let begun = Instant::now();
    thread::sleep(Duration::from_secs(options.seconds));
    let (after, lasted) = (spent(pid)?, begun.elapsed().as_secs_f64());
    let checks = (answered.load(Ordering::Relaxed) - checks) as f64;
    let percent = |spent: Duration| spent.as_secs_f64() / lasted * 100.0;
    let of_checks = after.checks - before.checks;
    let share = percent(of_checks);
    println!("targets               {:>8}", options.targets);
    println!("checks a second       {:>8.1}", checks / lasted);
    println!(
        "microseconds a check  {:>8.1}",
        of_checks.as_secs_f64() * 1e6 / checks
    );
    println!(
        "percent of a core     {share:>8.2}   at most {}",
        options.percent
    );
    println!(
        "all other threads     {:>8.2}",
        percent(after.others - before.others)
    );
    Ok(if share <= options.percent {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One server on every loopback address, and how many requests it has answered.
fn serve(answer: &'static [u8]) -> Result<(u16, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = answered.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::spawn(move || {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (mut stream, _peer) = listener.accept().await?;
                let counted = counted.clone();
                tokio::task::spawn_local(async move {
                    // A check is small enough to come at once.
                    while stream.read(&mut [0; 2048]).await.is_ok_and(|read| read > 0) {
                        counted.fetch_add(1, Ordering::Relaxed);
                        if stream.write_all(answer).await.is_err() || answer == LAST_ANSWER {
                            break;
                        }
                    }
                });
            }
            #[expect(unreachable_code, reason = "it says what the block answers")]
            Ok::<(), std::io::Error>(())
        })
    });
    Ok((port, answered))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a scratch folder that nobody reads after a crash"
)]
fn lay_out(folder: &Path, options: &Options, port: u16) -> Result<()> {
    ensure!(options.targets < 1 << 24, "loopback has fewer addresses");
    let mut text = "listen = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\n[sites]\n".to_owned();
    for number in 0..options.targets {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + number);
        let to = SocketAddr::from((address, port));
        let health = &options.health;
        writeln!(
            text,
            "\"{number}.test\" = {{ to = \"{to}\", tls = \"off\", health = {health} }}"
        )?;
    }
    fs::write(folder.join("proxy.toml"), text)?;
    let control = folder.join("control");
    fs::create_dir(&control)?;
    fs::set_permissions(control, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

fn start(program: &Path, folder: &Path) -> Result<Running> {
    let child = Command::new(program)
        .arg("up")
        .current_dir(folder)
        .env("ONEDOOR_STORAGE", folder.join("storage"))
        .env("ONEDOOR_CONTROL", folder.join("control"))
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(File::create(folder.join("out"))?)
        .stderr(File::create(folder.join("err"))?)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Running(child))
}

/// Processor time, as the scheduler counts it.
struct Spent {
    /// Of the thread that checks.
    checks: Duration,
    others: Duration,
}

fn spent(pid: u32) -> Result<Spent> {
    let mut spent = Spent {
        checks: Duration::ZERO,
        others: Duration::ZERO,
    };
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.path();
        let name = fs::read_to_string(thread.join("comm"))?;
        let stat = fs::read_to_string(thread.join("schedstat"))?;
        let nanoseconds = stat.split_whitespace().next().context("no schedstat")?;
        let time = Duration::from_nanos(nanoseconds.parse()?);
        if name.trim_end() == "health" {
            spent.checks += time;
        } else {
            spent.others += time;
        }
    }
    ensure!(!spent.checks.is_zero(), "no thread checks anything");
    Ok(spent)
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
