//! Certificates from a real CA: Pebble, over real sockets.

mod alerts;
mod clocks;
mod damage;
mod dns;
mod ephemeral;
mod first;
mod full_disk;
mod kills;
mod orders;
mod reload;
mod renewals;
mod windows;

use super::support::client::try_tls;
use super::support::door::{Door, Home};
use super::support::eventually;
use super::support::false_clock::FalseClock;
use super::support::ordering::{config, config_of, config_on, site};
use super::support::pebble::Pebble;

/// The certificate of the CA that is served for a name, as DER, if one is.
fn shown(ca: &Pebble, name: &str) -> Option<Vec<u8>> {
    let stream = try_tls(ca.tls(), &ca.issued_roots(), name, &["http/1.1"]).ok()?;
    Some(stream.conn.peer_certificates()?.first()?.to_vec())
}

/// Waits until the name is served with a certificate of the CA, and returns that.
#[track_caller]
fn served(ca: &Pebble, name: &str) -> Vec<u8> {
    eventually(&format!("a certificate for {name}"), || shown(ca, name))
}

/// Waits until the name is served with another certificate of the CA.
#[track_caller]
fn served_anew(ca: &Pebble, name: &str, old: &[u8]) -> Vec<u8> {
    eventually(&format!("another certificate for {name}"), || {
        shown(ca, name).filter(|leaf| leaf != old)
    })
}

/// `onedoor up` with a clock that the test sets.
#[track_caller]
fn up_by(home: Home, clock: &FalseClock) -> Door {
    let mut command = home.command();
    command.arg("up");
    clock.give_to(&mut command);
    Door::up_by(home, command)
}

/// Sets the clock and has it looked at now; by itself that is done once a minute.
#[track_caller]
fn turn(clock: &FalseClock, door: &Door, offset: &str) {
    clock.set(offset);
    door.reload(&door.home().read("proxy.toml"));
}
