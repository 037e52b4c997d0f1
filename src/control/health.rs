//! How the holder is: what it serves, since when, and whether it is ready. `app` keeps one in a `watch` channel, the server tells it.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where the health is told.
pub const HEALTH_PATH: &str = "/v1/health";

/// What `/v1/health` says. Unknown fields are ignored, so a newer holder is understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: Status,
    pub version: String,
    pub pid: u32,
    /// When the process began to serve.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub since: Timestamp,
    pub listeners: Vec<Listening>,
    pub sites: usize,
    /// Counts the configurations that were put into service.
    pub revision: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not everything that was asked for is served yet.
    Starting,
    Ready,
    /// Nothing new is accepted.
    Draining,
}

/// One listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    pub address: SocketAddr,
    pub kind: Kind,
}

/// What is spoken on a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Tls,
    Plain,
}

impl Health {
    /// A process of this version that serves nothing yet.
    #[must_use]
    pub fn starting(since: Timestamp) -> Self {
        Self {
            status: Status::Starting,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since,
            listeners: Vec::new(),
            sites: 0,
            revision: 0,
        }
    }
}

fn write_time<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(time)
}

fn read_time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let health = Health {
            status: Status::Ready,
            listeners: vec![Listening {
                address: "[::1]:443".parse().unwrap(),
                kind: Kind::Tls,
            }],
            ..Health::starting("2026-01-31T12:00:00Z".parse().unwrap())
        };
        let text = serde_json::to_string(&health).unwrap();
        assert!(
            text.starts_with(r#"{"status":"ready","version":""#),
            "{text}"
        );
        assert!(text.contains(r#""since":"2026-01-31T12:00:00Z""#), "{text}");
        assert!(
            text.contains(r#"[{"address":"[::1]:443","kind":"tls"}]"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Health>(&text).unwrap(), health);
    }

    #[test]
    fn a_newer_holder_is_understood() {
        let text = r#"{"status":"draining","version":"9.0.0","pid":1,"since":"2026-01-31T12:00:00Z","listeners":[],"sites":0,"revision":2,"mood":"good"}"#;
        let health: Health = serde_json::from_str(text).unwrap();
        assert_eq!(health.status, Status::Draining);
    }
}
