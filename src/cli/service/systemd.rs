//! The units of systemd, as texts.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::wanted::{MARK, Scope, Wanted};

pub(super) const SERVICE: &str = "onedoor.service";
pub(super) const SOCKET: &str = "onedoor.socket";
/// As many descriptors as the kernel gives a process by default.
const DESCRIPTORS: u32 = 1_048_576;

/// `onedoor.service`.
pub(super) fn service(wanted: &Wanted) -> String {
    let (program, config) = (quoted(&wanted.program), quoted(&wanted.config));
    let target = match wanted.scope {
        Scope::System => "multi-user.target",
        Scope::User => "default.target",
    };
    let mut text = format!(
        "# {MARK}\n\
         [Unit]\n\
         Description=onedoor, one door for many host names\n\
         Requires={SOCKET}\n\
         After={SOCKET}"
    );
    if wanted.scope == Scope::System {
        text.push_str(" network-online.target\nWants=network-online.target");
    }
    // A successor tells its own number, so more than the first process is listened to.
    let _written = write!(
        text,
        "\n\n[Service]\n\
         Type=notify\n\
         NotifyAccess=all\n\
         ExecStart={program} up -c {config}\n\
         ExecReload=/bin/kill -HUP $MAINPID\n\
         KillMode=mixed\n\
         TimeoutStopSec={}\n\
         Restart=on-failure\n\
         RestartSec=1\n\
         RestartPreventExitStatus=2\n\
         LimitNOFILE={DESCRIPTORS}\n\
         UMask=0077\n",
        wanted.stop_seconds
    );
    harden(&mut text, wanted);
    let _written = write!(text, "\n[Install]\nWantedBy={target}\nAlso={SOCKET}\n");
    text
}

/// `onedoor.socket`: systemd keeps the ports, and connections wait in them while the service starts again.
pub(super) fn socket(wanted: &Wanted) -> String {
    let addresses: Vec<SocketAddr> = wanted.sockets.iter().map(|spec| spec.address).collect();
    let (lines, stack) = streams(&addresses);
    let mut text = format!(
        "# {MARK}\n\
         [Unit]\n\
         Description=The ports of onedoor\n\n\
         [Socket]\n"
    );
    for line in lines {
        let _written = writeln!(text, "ListenStream={line}");
    }
    let _written = write!(
        text,
        "BindIPv6Only={stack}\n\
         FileDescriptorName=onedoor\n\
         Service={SERVICE}\n\n\
         [Install]\n\
         WantedBy=sockets.target\n"
    );
    text
}

/// A bare port of both families is one socket, which a machine without IPv6 has too.
fn streams(addresses: &[SocketAddr]) -> (Vec<String>, &'static str) {
    let is = |address: &SocketAddr, ip: IpAddr| address.ip() == ip;
    let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    let has = |ip: IpAddr, port: u16| addresses.contains(&SocketAddr::new(ip, port));
    let mut wildcards = addresses.iter().filter(|address| is(address, v6));
    if !wildcards.all(|address| has(v4, address.port())) {
        let all = addresses.iter().map(ToString::to_string);
        return (all.collect(), "ipv6-only");
    }
    let mut lines = Vec::new();
    for address in addresses {
        if is(address, v6) {
            continue;
        }
        let both = is(address, v4) && has(v6, address.port());
        lines.push(if both {
            address.port().to_string()
        } else {
            address.to_string()
        });
    }
    (lines, "both")
}

fn harden(text: &mut String, wanted: &Wanted) {
    let mut add = |lines: &[&str]| {
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
    };
    add(&[
        "NoNewPrivileges=yes",
        "LockPersonality=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "RestrictNamespaces=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "SystemCallArchitectures=native",
    ]);
    if !wanted.needs.programs {
        add(&[
            "SystemCallFilter=@system-service",
            "SystemCallErrorNumber=EPERM",
            "MemoryDenyWriteExecute=yes",
        ]);
    }
    if wanted.scope == Scope::User {
        return;
    }
    add(&[
        "StateDirectory=onedoor",
        "StateDirectoryMode=0700",
        "Environment=ONEDOOR_STORAGE=%S/onedoor",
        "ProtectSystem=strict",
        "ProtectHome=read-only",
        "PrivateDevices=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
    ]);
    if !wanted.needs.ask_for_root() {
        add(&[
            "DynamicUser=yes",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        ]);
        return;
    }
    add(&["CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH"]);
    if !wanted.needs.shared_tmp {
        add(&["PrivateTmp=yes"]);
    }
    for folder in &wanted.needs.written {
        add(&[&format!("ReadWritePaths={}", quoted(folder))]);
    }
}

/// As a word of a unit file: `%` begins a specifier there, `$` a variable, a space ends the word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@:".contains(&byte);
    let doubled = text.replace('%', "%%").replace('$', "$$");
    if text
        .bytes()
        .all(|byte| plain(byte) || b"%$".contains(&byte))
    {
        return doubled;
    }
    let escaped = doubled.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::super::wanted::Needs;
    use super::*;
    use crate::routing::{Kind, SocketSpec};

    pub(in super::super) fn wanted(scope: Scope, addresses: &[&str]) -> Wanted {
        let spec = |address: &&str| SocketSpec {
            address: address.parse().unwrap(),
            kind: Kind::Tls,
        };
        Wanted {
            scope,
            program: PathBuf::from("/usr/bin/onedoor"),
            config: PathBuf::from("/etc/onedoor/proxy.toml"),
            sockets: addresses.iter().map(spec).collect(),
            stop_seconds: 45,
            home: Some(PathBuf::from("/Users/ana")),
            needs: Needs::default(),
        }
    }

    #[test]
    fn a_system_service_has_a_user_of_its_own_and_one_right() {
        let text = service(&wanted(Scope::System, &[]));
        assert!(text.starts_with(&format!("# {MARK}\n[Unit]\n")));
        for line in [
            "Type=notify",
            "ExecStart=/usr/bin/onedoor up -c /etc/onedoor/proxy.toml",
            "DynamicUser=yes",
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
            "StateDirectory=onedoor",
            "TimeoutStopSec=45",
            "WantedBy=multi-user.target",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(!text.contains("WatchdogSec"));
    }

    #[test]
    fn files_of_others_need_root_without_most_of_its_rights() {
        let mut wanted = wanted(Scope::System, &[]);
        wanted.needs.private = vec![PathBuf::from("/etc/ssl/private/a.key")];
        wanted.needs.written = vec![PathBuf::from("/srv/one door")];
        let text = service(&wanted);
        assert!(!text.contains("DynamicUser") && text.contains("PrivateTmp=yes"));
        assert!(text.contains("CAP_DAC_OVERRIDE"));
        assert!(text.contains("ReadWritePaths=\"/srv/one door\"\n"));
        wanted.needs.shared_tmp = true;
        assert!(!service(&wanted).contains("PrivateTmp"));
    }

    #[test]
    fn a_users_service_claims_nothing_that_only_the_system_gives() {
        let text = service(&wanted(Scope::User, &[]));
        for only in [
            "DynamicUser",
            "Capabilit",
            "ProtectSystem",
            "network-online",
        ] {
            assert!(!text.contains(only), "{only}\n{text}");
        }
        assert!(text.contains("WantedBy=default.target\n"));
    }

    #[test]
    fn programs_of_others_are_not_held_to_our_system_calls() {
        let mut wanted = wanted(Scope::System, &[]);
        wanted.needs.programs = true;
        let text = service(&wanted);
        assert!(!text.contains("SystemCallFilter") && !text.contains("MemoryDeny"));
    }

    #[test]
    fn a_bare_port_is_one_socket_for_both_families() {
        #[track_caller]
        fn check(addresses: &[&str], expected: &[&str], stack: &str) {
            let text = socket(&wanted(Scope::System, addresses));
            let lines = text.lines();
            let streams: Vec<&str> = lines
                .filter_map(|line| line.strip_prefix("ListenStream="))
                .collect();
            assert_eq!(streams, expected);
            assert!(text.contains(&format!("BindIPv6Only={stack}\n")), "{text}");
        }
        check(&["0.0.0.0:443", "[::]:443"], &["443"], "both");
        check(
            &["127.0.0.1:443", "[::1]:443"],
            &["127.0.0.1:443", "[::1]:443"],
            "both",
        );
        check(
            &["0.0.0.0:443", "[::]:80", "[::]:443"],
            &["0.0.0.0:443", "[::]:80", "[::]:443"],
            "ipv6-only",
        );
    }

    #[test]
    fn a_path_is_one_word_for_systemd() {
        #[track_caller]
        fn check(path: &str, expected: &str) {
            assert_eq!(quoted(Path::new(path)), expected);
        }
        check("/a/b-c_1.toml", "/a/b-c_1.toml");
        check("/a/100%", "/a/100%%");
        check("/a/$b", "/a/$$b");
        check("/a b/\"c\\", "\"/a b/\\\"c\\\\\"");
    }
}
