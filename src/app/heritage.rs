//! What one process left and another goes on with, as it came over the control socket.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::config::doorway::Doorway;
use crate::control::claim::Claim;
use crate::control::health::Kind as Spoken;
use crate::control::place::Place;
use crate::control::session::message::Estate;
use crate::ports::bind::{Bound, Origin};
use crate::routing::{Kind, SocketSpec};

/// What one process left and another goes on with.
#[derive(Debug)]
pub struct Heritage {
    pub(super) estate: Estate,
    pub(super) claim: Claim,
    pub(super) control: UnixListener,
    pub(super) sockets: Vec<(SocketSpec, Bound)>,
}

impl Heritage {
    /// Makes sense of what came over the control socket.
    ///
    /// # Errors
    /// When descriptors are missing or are not what the estate says.
    pub fn open(place: Place, estate: Estate, descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let missing = || io::Error::other("fewer descriptors came than the estate counts");
        let mut descriptors = descriptors.into_iter();
        let lock = File::from(descriptors.next().ok_or_else(missing)?);
        let control = UnixListener::from(descriptors.next().ok_or_else(missing)?);
        let mut sockets = Vec::with_capacity(estate.listeners.len());
        for inherited in &estate.listeners {
            let listener = TcpListener::from(descriptors.next().ok_or_else(missing)?);
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            let origin = if inherited.passed {
                Origin::Passed { name: None }
            } else {
                Origin::Bound
            };
            let spec = SocketSpec {
                address: inherited.asked.address,
                kind: kind(inherited.asked.kind),
            };
            let bound = Bound {
                listener,
                address,
                origin,
            };
            sockets.push((spec, bound));
        }
        Ok(Self {
            claim: Claim::inherit(place, lock),
            estate,
            control,
            sockets,
        })
    }

    /// Where the certificates are that the door had.
    #[must_use]
    pub fn storage(&self) -> &Path {
        &self.estate.storage
    }

    /// Where the door is for those who do not say.
    #[must_use]
    pub fn doorway(&self) -> Option<&Doorway> {
        self.estate.doorway.as_ref()
    }
}

/// Descriptors that belong to an estate.
#[must_use]
pub fn descriptors_of(estate: &Estate) -> usize {
    2 + estate.listeners.len()
}

fn kind(spoken: Spoken) -> Kind {
    match spoken {
        Spoken::Tls => Kind::Tls,
        Spoken::Plain => Kind::Plain,
    }
}
