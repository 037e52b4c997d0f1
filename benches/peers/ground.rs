//! The ground all peers stand on: scratch directory, certificate, files, the upstream that serves them, and the life of one proxy before it.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::child::Child;
use crate::client::{self, Client, Protocol, Then};
use crate::peer::{self, Peer, Place};
use crate::text;

/// The host name the proxies serve.
pub(crate) const SITE: &str = "bench.test";
pub(crate) const TINY: &str = "/tiny";
pub(crate) const SMALL: &str = "/1k";
pub(crate) const LARGE: &str = "/10m";
pub(crate) const LARGE_MEBIBYTES: u32 = 10;
pub(crate) const PAGE: &str = "/page";
pub(crate) const PAGES_PER_MEBIBYTE: u32 = 4;
const READY_PATIENCE: Duration = Duration::from_secs(15);
const READY_PAUSE: Duration = Duration::from_millis(20);
/// Memory, so that no disk is measured.
const MEMORY_DIRECTORY: &str = "/dev/shm";

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    pub proxy: usize,
    pub load: usize,
}

#[derive(Debug)]
pub(crate) struct Ground {
    cores: Cores,
    upstream_port: u16,
    files: PathBuf,
    // Fields are dropped in this order: the upstream ends before its files go.
    _upstream: Child,
    directory: TempDir,
}

/// A proxy that answers.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    child: Child,
    _directory: TempDir,
}

impl Ground {
    /// Makes the files and starts the upstream.
    ///
    /// # Errors
    /// No room, no nginx, or it does not come up.
    pub(crate) fn lay(cores: Cores) -> Result<Self> {
        let home = Path::new(MEMORY_DIRECTORY);
        let home = if home.is_dir() {
            home.to_owned()
        } else {
            std::env::temp_dir()
        };
        let directory = readable_directory(&home)?;
        let files = directory.path().join("files");
        fs::create_dir(&files)?;
        write_files(&files)?;
        let upstream_port = free_port()?;
        let own = directory.path().join("upstream");
        fs::create_dir(&own)?;
        let place = Place {
            port: upstream_port,
            upstream: upstream_port,
            files: &files,
            directory: &own,
        };
        let upstream = Child::start(peer::upstream(cores.load, place)?, &own)?;
        Ok(Self {
            cores,
            upstream_port,
            files,
            _upstream: upstream,
            directory,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A fresh process of a peer that has answered one request.
    ///
    /// # Errors
    /// It does not start, ends, or does not answer in time; with the end of what it printed.
    pub(crate) fn start(&self, peer: Peer, program: &Path) -> Result<Proxy> {
        let directory = readable_directory(self.directory.path())?;
        fs::create_dir(directory.path().join("storage"))?;
        let port = free_port()?;
        let place = Place {
            port,
            upstream: self.upstream_port,
            files: &self.files,
            directory: directory.path(),
        };
        let command = peer.prepare(program, self.cores.proxy, place)?;
        let mut child = Child::start(command, directory.path())?;
        if let Err(error) = until_it_answers(&mut child, port) {
            let printed =
                fs::read_to_string(directory.path().join("stderr.log")).unwrap_or_default();
            let last: Vec<&str> = printed.lines().rev().take(5).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            return Err(error.context(format!(
                "{} does not answer; it printed: {}",
                peer.name(),
                last.join("\n")
            )));
        }
        Ok(Proxy {
            port,
            child,
            _directory: directory,
        })
    }
}

impl Proxy {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }
}

fn until_it_answers(child: &mut Child, port: u16) -> Result<()> {
    let client = Client::new(port, Protocol::Http1)?;
    let deadline = Instant::now() + READY_PATIENCE;
    loop {
        let answered = client::run(async { client.connect().await?.get(TINY, Then::Close).await });
        child.still_runs()?;
        let Err(error) = answered else { return Ok(()) };
        if Instant::now() > deadline {
            return Err(error);
        }
        std::thread::sleep(READY_PAUSE);
    }
}

/// A directory that a worker under another user may enter.
fn readable_directory(parent: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder
        .prefix("peers-")
        .permissions(Permissions::from_mode(0o755));
    builder
        .tempdir_in(parent)
        .with_context(|| format!("no directory in {}", parent.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a scratch directory that nobody reads after a crash"
)]
fn write_files(directory: &Path) -> Result<()> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![SITE.to_owned()])?
        .self_signed(&key)?
        .pem();
    let key = key.serialize_pem();
    fs::write(directory.join("cert.pem"), &certificate)?;
    fs::write(directory.join("key.pem"), &key)?;
    fs::write(directory.join("both.pem"), format!("{certificate}{key}"))?;
    fs::write(directory.join(&TINY[1..]), "ok\n")?;
    fs::write(directory.join(&SMALL[1..]), vec![b'x'; 1 << 10])?;
    fs::write(
        directory.join(&LARGE[1..]),
        vec![b'x'; LARGE_MEBIBYTES as usize * (1 << 20)],
    )?;
    fs::write(
        directory.join(&PAGE[1..]),
        text::page((1 << 20) / PAGES_PER_MEBIBYTE as usize),
    )?;
    Ok(())
}

/// A port of loopback that nobody had a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}
