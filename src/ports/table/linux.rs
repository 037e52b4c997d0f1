//! Linux keeps the list as text in `/proc/net`. It names no process.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{ROWS_MAX, Row, State};

const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Every socket in this network namespace.
pub(super) fn rows() -> Option<Vec<Row>> {
    let texts: Vec<String> = TABLES
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .collect();
    if texts.is_empty() {
        return None;
    }
    let lines = texts.iter().flat_map(|text| text.lines().skip(1));
    Some(lines.filter_map(parse).take(ROWS_MAX).collect())
}

fn parse(line: &str) -> Option<Row> {
    let mut fields = line.split_ascii_whitespace();
    let local = address(fields.nth(1)?)?;
    let state = match fields.nth(1)? {
        "0A" => State::Listening,
        "06" => State::TimeWait,
        _ => State::Connected,
    };
    let uid = fields.nth(3)?.parse().ok()?;
    Some(Row {
        local,
        state,
        uid,
        pid: None,
    })
}

/// Hexadecimal 32-bit words in the machine's order, a colon, the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(ip)?).into(),
        32 => {
            let mut octets = [0; 16];
            for (index, target) in octets.chunks_exact_mut(4).enumerate() {
                target.copy_from_slice(&word(ip.get(index * 8..index * 8 + 8)?)?);
            }
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn word(text: &str) -> Option<[u8; 4]> {
    Some(u32::from_str_radix(text, 16).ok()?.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_row_tells_address_state_and_user() {
        #[track_caller]
        fn check(line: &str, local: &str, state: State, uid: u32) {
            let local = local.parse().unwrap();
            let row = Row {
                local,
                state,
                uid,
                pid: None,
            };
            assert_eq!(parse(line), Some(row));
        }
        check(
            "   0: 0100007F:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 8341 1 0 100 0 0 10 0",
            "127.0.0.1:443",
            State::Listening,
            1000,
        );
        check(
            "   3: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0",
            "[::1]:80",
            State::TimeWait,
            0,
        );
    }

    #[test]
    fn a_broken_row_is_passed_over() {
        for line in [
            "",
            "0:",
            "0: 7F:01BB x 0A",
            "0: 0100007F 0 0A 0 0 0 0",
            "0: é00007F:1 0 0A 0 0 0 0",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
