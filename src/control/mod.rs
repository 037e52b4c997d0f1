//! The local control socket: how a second command of the same user talks to the onedoor that serves.
//!
//! **Where.** `control.sock` in a folder of its own, mode 0700: the folder that was asked for, else `$XDG_RUNTIME_DIR/onedoor`, else
//! `control` in the state folder; a path too long for a socket is replaced by a short folder in `/tmp` named by user and hash
//! ([`place`]). Beside it lies `lock`: whoever holds its exclusive lock is the holder, and only the holder removes a stale socket
//! ([`claim`]).
//!
//! **Who.** Peers of the same user and root; others are closed without an answer.
//!
//! **What.** HTTP/1.1, one request a connection, JSON replies:
//!
//! | request | reply |
//! |---|---|
//! | `GET /v1/health` | 200 when ready, 503 when starting or draining: `{"status":"ready","version":"0.1.0","pid":4312,"since":"2026-01-31T12:00:00Z","listeners":[{"address":"127.0.0.1:443","kind":"tls"}],"sites":3,"revision":1}` |
//! | `POST /v1/renew?name=HOST` | 200 once something came of it, within minutes: `{"outcome":"renewed","generation":2,"until":"…"}`, or `fine` (it was being looked at), `failed` with `problem` and `again`, `busy`, `unknown`; 400 `bad-name`, 503 `too-many-renewals` |
//! | another method | 405 with `Allow`, `{"error":"method-not-allowed"}` |
//! | another path | 404, `{"error":"not-found"}` |
//!
//! `curl --unix-socket DIR/control.sock http://onedoor/v1/health` works.

pub mod claim;
pub mod client;
pub mod command;
pub mod health;
pub mod leases;
pub mod owner;
pub mod place;
pub mod readiness;
pub mod renewal;
pub mod saved;
pub mod server;
pub mod session;
pub mod status;
