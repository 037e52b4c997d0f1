//! The start of a onedoor with very many sites: seconds until it says that it is ready, and the memory it takes then.
//!
//! A program to run by hand, on Linux; it fails above the limits. What the numbers mean is in `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program whose output is its purpose; it measures time and lays out files of its own"
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use onedoor::certs::bundle::{Bundle, Origin};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts onedoor with many sites and says how long that took and how much memory it needs
#[derive(Debug, Parser)]
struct Options {
    /// The onedoor to measure, instead of the one built beside this program.
    #[arg(long)]
    onedoor: Option<PathBuf>,
    #[arg(long, default_value_t = 100_000)]
    sites: usize,
    /// Further sites whose public certificates lie in the storage, so that nothing is to be ordered.
    #[arg(long, default_value_t = 0)]
    kept: usize,
    /// How many included files they are in.
    #[arg(long, default_value_t = 100)]
    files: usize,
    /// The most it may take.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    #[arg(long, default_value_t = 300.0)]
    mebibytes: f64,
    /// What cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    ensure!(options.files > 0, "--files is at least 1");
    let built = option_env!("CARGO_BIN_EXE_onedoor").map(PathBuf::from);
    let program = options
        .onedoor
        .clone()
        .or(built)
        .context("no onedoor: say --onedoor FILE")?;
    let program =
        fs::canonicalize(&program).with_context(|| format!("no {}", program.display()))?;
    let folder = TempDir::new()?;
    lay_out(folder.path(), &options)?;
    let Start {
        time,
        resident,
        peak,
    } = start(&program, folder.path())?;
    println!("sites            {:>10}", options.sites);
    println!("kept             {:>10}", options.kept);
    println!(
        "seconds to ready {time:>10.2}   at most {}",
        options.seconds
    );
    println!("resident MiB     {resident:>10.1}");
    println!(
        "peak MiB         {peak:>10.1}   at most {}",
        options.mebibytes
    );
    Ok(if time <= options.seconds && peak <= options.mebibytes {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Every site has a target of its own, and certificates come from the local CA.
fn lay_out(folder: &Path, options: &Options) -> Result<()> {
    let main = "listen = [\"127.0.0.1:0\"]\nhttp = false\ninclude = [\"sites/*.toml\"]\n";
    fs::write(
        folder.join("proxy.toml"),
        format!("{main}{}", kept_sites(options)),
    )?;
    fill_storage(&folder.join("storage"), options.kept)?;
    fs::create_dir(folder.join("sites"))?;
    let control = folder.join("control");
    fs::create_dir(&control)?;
    fs::set_permissions(control, fs::Permissions::from_mode(0o700))?;
    for file in 0..options.files {
        let mut text = String::from("[sites]\n");
        for site in (file..options.sites).step_by(options.files) {
            let (a, b, c) = (site >> 16 & 0xff, site >> 8 & 0xff, site & 0xff);
            writeln!(
                text,
                "\"site-{site}.customers.test\" = \"10.{a}.{b}.{c}:8080\""
            )?;
        }
        fs::write(folder.join(format!("sites/{file}.toml")), text)?;
    }
    Ok(())
}

/// A CA that nobody will reach: it is not needed.
fn kept_sites(options: &Options) -> String {
    if options.kept == 0 {
        return String::new();
    }
    let sites =
        (0..options.kept).map(|site| format!("\"{}\" = \"10.0.0.1:8080\"\n", kept_name(site)));
    let sites: String = sites.collect();
    format!("[acme]\ndirectory = \"http://127.0.0.1:1/dir\"\n[sites]\n{sites}")
}

fn kept_name(site: usize) -> String {
    format!("kept-{site}.customers.example.com")
}

fn fill_storage(folder: &Path, count: usize) -> Result<()> {
    let issuer_key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(params, issuer_key);
    let now = SystemTime::now();
    for site in 0..count {
        let name = kept_name(site);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.clone()])?;
        params.not_before = now.into();
        params.not_after = (now + Duration::from_secs(90 * 24 * 3600)).into();
        let leaf = params.signed_by(&key, &issuer)?;
        let origin = Origin {
            generation: 1,
            directory: "http://127.0.0.1:1/dir",
            profile: None,
        };
        let ready = Bundle::of(leaf.pem(), key.serialize_pem(), origin, now)?;
        let place = folder.join("certs").join(&name);
        fs::create_dir_all(&place)?;
        fs::write(place.join("v00000001"), serde_json::to_vec(&*ready.bundle)?)?;
        fs::write(place.join("current"), "{\"generation\":1}")?;
    }
    Ok(())
}

struct Start {
    /// In seconds.
    time: f64,
    /// In MiB.
    resident: f64,
    peak: f64,
}

fn start(program: &Path, folder: &Path) -> Result<Start> {
    let notify = folder.join("notify");
    let told = UnixDatagram::bind(&notify)?;
    told.set_read_timeout(Some(PATIENCE))?;
    let started = Instant::now();
    let running = Running(
        Command::new(program)
            .arg("up")
            .current_dir(folder)
            .env("ONEDOOR_STORAGE", folder.join("storage"))
            .env("ONEDOOR_CONTROL", folder.join("control"))
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("out"))?)
            .stderr(File::create(folder.join("err"))?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?,
    );
    let mut words = [0; 1024];
    loop {
        let Ok(heard) = told.recv(&mut words) else {
            let said = fs::read_to_string(folder.join("err")).unwrap_or_default();
            bail!("not ready: {said}");
        };
        if String::from_utf8_lossy(&words[..heard]).contains("READY=1") {
            break;
        }
    }
    let time = started.elapsed().as_secs_f64();
    let status = fs::read_to_string(format!("/proc/{}/status", running.0.id()))?;
    Ok(Start {
        time,
        resident: mebibytes(&status, "VmRSS:")?,
        peak: mebibytes(&status, "VmHWM:")?,
    })
}

fn mebibytes(status: &str, field: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes: f64 = line
        .and_then(|line| line.split_whitespace().next())
        .with_context(|| format!("no {field}"))?
        .parse()?;
    Ok(kibibytes / 1024.0)
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
