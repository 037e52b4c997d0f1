//! Why macOS may not let this program reach a target in the local network.

use std::io::ErrorKind;
use std::net::IpAddr;

use crate::config::target::{Address, Target};
use crate::system::System;
use crate::upstream::UpstreamError;

/// macOS 15 and later keep a program from the local network until somebody allows it, and say only that there is no way there
/// (Apple TN3179).
const HINT: &str = "; if the machine is in your network, macOS may keep onedoor, or the terminal it was started in, from it: allow it in System Settings, Privacy & Security, Local Network";

/// What is to be added to the words about this error; nothing when it has other causes.
pub(super) fn hint(system: System, error: &UpstreamError, target: &Target) -> &'static str {
    let UpstreamError::Unreachable(cause) = error else {
        return "";
    };
    let is_there = match &target.address {
        Address::Ip(address) => is_local_network(address.ip()),
        // Which address the name has is not known any more.
        Address::Name { .. } => true,
        Address::Loopback { .. } | Address::Unix(_) => false,
    };
    match system {
        System::Darwin if is_there && cause.kind() == ErrorKind::HostUnreachable => HINT,
        System::Darwin | System::Linux | System::OtherUnix => "",
    }
}

fn is_local_network(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::config::target::Scheme;

    /// What macOS 15 answers to a `connect` that Local Network Privacy forbids.
    const EHOSTUNREACH: ErrorKind = ErrorKind::HostUnreachable;

    #[test]
    fn only_a_silenced_target_in_the_network_gets_the_hint() {
        #[track_caller]
        fn check(system: System, kind: ErrorKind, address: &str, expected: bool) {
            let error = UpstreamError::Unreachable(io::Error::from(kind));
            let target = target(Address::Ip(address.parse().unwrap()));
            let hint = hint(system, &error, &target);
            assert_eq!(hint.contains("Local Network"), expected, "{address}");
        }
        check(System::Darwin, EHOSTUNREACH, "192.168.1.7:3000", true);
        check(System::Darwin, EHOSTUNREACH, "169.254.3.4:3000", true);
        check(System::Darwin, EHOSTUNREACH, "[fd00::7]:3000", true);
        check(System::Darwin, EHOSTUNREACH, "198.51.100.7:3000", false);
        check(System::Darwin, EHOSTUNREACH, "127.0.0.1:3000", false);
        check(
            System::Darwin,
            ErrorKind::ConnectionRefused,
            "192.168.1.7:3000",
            false,
        );
        check(System::Linux, EHOSTUNREACH, "192.168.1.7:3000", false);
    }

    #[test]
    fn a_name_may_be_in_the_network_and_this_machine_is_not() {
        let error = UpstreamError::Unreachable(io::Error::from(EHOSTUNREACH));
        let name = Address::Name {
            host: "printer.local".into(),
            port: 80,
        };
        assert_eq!(hint(System::Darwin, &error, &target(name)), HINT);
        let here = Address::Loopback { port: 80 };
        assert_eq!(hint(System::Darwin, &error, &target(here)), "");
        let other = UpstreamError::ConnectTimedOut;
        let there = Address::Ip("10.0.0.1:80".parse().unwrap());
        assert_eq!(hint(System::Darwin, &other, &target(there)), "");
    }

    fn target(address: Address) -> Target {
        Target {
            scheme: Scheme::Http,
            address,
        }
    }
}
