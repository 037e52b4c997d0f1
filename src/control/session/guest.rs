//! The guest's side of a session, and the successor's.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::Serialize;
use tokio::time;

use super::channel::{self, Bounds, Broken, DESCRIPTORS_MAX, LINE_BYTES_MAX, Reader, Writer};
use super::message::{
    Join, PROTOCOL, PROTOCOL_MIN, Refusal, Said, Succeed, Told, Versions, Welcome,
};
use super::upgrade::{self, Answer};
use super::{JOIN_PATH, SUCCEED_PATH};
use crate::control::client::{self, Stranger, Unhealthy};
use crate::control::owner::Owner;
use crate::control::place::Place;

/// How long the holder may leave unread what it is told.
pub const SAY_TIMEOUT: Duration = Duration::from_secs(10);

/// An open conversation with the holder. It ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    reader: Reader,
    writer: Writer,
}

/// Why there is no session.
#[derive(Debug)]
pub enum NotJoined {
    /// No onedoor serves here.
    NobodyThere,
    /// The holder said no, and why.
    Refused(Refusal),
    /// Somebody is there who is not ours to believe.
    NotOurs(Stranger),
    /// The holder is of a version that cannot be joined at all.
    Older,
    /// The holder let us in and speaks another protocol.
    OtherVersions(Versions),
    TimedOut,
    /// What was to be said cannot be written as JSON: a path that is no UTF-8.
    Unwritable(serde_json::Error),
    Broken(Broken),
    Failed(io::Error),
}

/// Joins the holder in this folder; it is done, or not, within the deadline.
///
/// # Errors
/// Says who refused, or that nobody is there; nothing is served then.
pub async fn join(
    place: &Place,
    join: &Join,
    deadline: Duration,
) -> Result<(Welcome, Session), NotJoined> {
    let joining = async {
        let mut session = begin(place, JOIN_PATH, join).await?;
        let Told::Welcome(welcome) = session.next().await.map_err(NotJoined::Broken)? else {
            return Err(NotJoined::NotOurs(Stranger::Protocol));
        };
        if !welcome.versions.meet(&Versions::own()) {
            return Err(NotJoined::OtherVersions(welcome.versions));
        }
        Ok((*welcome, session))
    };
    let joined = time::timeout(deadline, joining).await;
    joined.unwrap_or(Err(NotJoined::TimedOut))
}

/// Takes over from the holder in this folder, for which it started this process: [`Told::Inherit`] is the next thing it says.
///
/// # Errors
/// As [`join`].
pub async fn succeed(
    place: &Place,
    owner: &Owner,
    deadline: Duration,
) -> Result<Session, NotJoined> {
    let succeed = Succeed {
        versions: Versions::own(),
        owner: owner.clone(),
    };
    let begun = time::timeout(deadline, begin(place, SUCCEED_PATH, &succeed)).await;
    begun.unwrap_or(Err(NotJoined::TimedOut))
}

impl Session {
    /// What the holder says next. Dropped before it is ready, it has lost nothing.
    ///
    /// # Errors
    /// When the holder is gone or no more understood; the session is of no more use then.
    pub async fn next(&mut self) -> Result<Told, Broken> {
        let line = loop {
            let unsent = !self.writer.is_idle();
            tokio::select! {
                line = self.reader.line() => break line?,
                sent = self.writer.advance(), if unsent => sent?,
            }
        };
        serde_json::from_slice(&line).map_err(Broken::Garbage)
    }

    /// Tells the holder. Dropped before it is ready, it is sent by whichever call is awaited next. One offer is answered before the
    /// next but one is read.
    ///
    /// # Errors
    /// When the holder is gone or does not read.
    pub async fn say(&mut self, said: &Said) -> Result<(), Broken> {
        let line = serde_json::to_vec(said).map_err(Broken::Garbage)?;
        self.writer.push(line, Vec::new())?;
        let sent = time::timeout(SAY_TIMEOUT, self.writer.flush()).await;
        sent.unwrap_or(Err(Broken::TimedOut))
    }

    /// The oldest descriptors that came and were not taken: fewer than asked for if fewer came.
    pub fn take_descriptors(&mut self, count: usize) -> Vec<OwnedFd> {
        self.reader.take_descriptors(count)
    }
}

async fn begin(place: &Place, path: &str, body: &impl Serialize) -> Result<Session, NotJoined> {
    let body = serde_json::to_vec(body).map_err(NotJoined::Unwritable)?;
    let stream = client::connect(place).await.map_err(unreached)?;
    let bounds = Bounds {
        line_bytes: LINE_BYTES_MAX,
        descriptors: DESCRIPTORS_MAX,
    };
    let (mut reader, mut writer) = channel::open(stream, b"", bounds);
    let answer = upgrade::ask(&mut reader, &mut writer, path, &body).await;
    match answer.map_err(NotJoined::Broken)? {
        Answer::Upgraded => Ok(Session { reader, writer }),
        Answer::Strange => Err(NotJoined::NotOurs(Stranger::Protocol)),
        Answer::Refused(status, body) => Err(match serde_json::from_slice(&body) {
            Ok(refusal) => NotJoined::Refused(refusal),
            Err(_bare) if status == 404 => NotJoined::Older,
            Err(_unreadable) => NotJoined::NotOurs(Stranger::Protocol),
        }),
    }
}

fn unreached(unhealthy: Unhealthy) -> NotJoined {
    match unhealthy {
        Unhealthy::NobodyThere => NotJoined::NobodyThere,
        Unhealthy::NotOurs(stranger) => NotJoined::NotOurs(stranger),
        Unhealthy::NotReady(_) | Unhealthy::TimedOut => NotJoined::TimedOut,
        Unhealthy::Failed(error) => NotJoined::Failed(error),
    }
}

impl fmt::Display for NotJoined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyThere => f.write_str("no onedoor is running here"),
            Self::Refused(refusal) => f.write_str(&refusal.text),
            Self::NotOurs(_) => f.write_str("whoever answers is not our onedoor"),
            Self::Older => f.write_str(
                "the running onedoor is too old to be joined: stop it, and start it with this version",
            ),
            Self::OtherVersions(theirs) => write!(
                f,
                "the running onedoor {} speaks protocol {} to {}, this onedoor {} speaks {} to {}: run `onedoor restart` with the newer of them",
                theirs.version,
                theirs.min,
                theirs.protocol,
                env!("CARGO_PKG_VERSION"),
                PROTOCOL_MIN,
                PROTOCOL
            ),
            Self::TimedOut => f.write_str("the running onedoor does not answer"),
            Self::Unwritable(_) => f.write_str("the configuration cannot be sent"),
            Self::Broken(_) => f.write_str("the conversation with the running onedoor broke off"),
            Self::Failed(_) => f.write_str("cannot reach the running onedoor"),
        }
    }
}

impl Error for NotJoined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotOurs(source) => Some(source),
            Self::Unwritable(source) => Some(source),
            Self::Broken(source) => Some(source),
            Self::Failed(source) => Some(source),
            Self::NobodyThere
            | Self::Refused(_)
            | Self::Older
            | Self::OtherVersions(_)
            | Self::TimedOut => None,
        }
    }
}
