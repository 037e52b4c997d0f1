//! The local control socket: how a second command of the same user talks to the onedoor that serves.
//!
//! **Where.** `control.sock` in a folder of its own, mode 0700: the folder that was asked for, else `$XDG_RUNTIME_DIR/onedoor`, else
//! `control` in the state folder; a path too long for a socket is replaced by a short folder in `/tmp` named by user and hash
//! ([`place`]). Beside it lies `lock`: whoever holds its exclusive lock is the holder, and only the holder removes a stale socket
//! ([`claim`]).
//!
//! **Who.** Peers of the same user and root; others are closed without an answer.
//!
//! **What.** HTTP/1.1, one request a connection, JSON replies. A change says what it is based on: `If-Match: "REVISION"` with the
//! revision that was seen, or `If-Match: *`.
//!
//! | request | reply |
//! |---|---|
//! | `GET /v1/health` | 200 when ready, 503 when starting or draining: `{"status":"ready","version":"0.1.0","pid":4312,"since":"2026-01-31T12:00:00Z","listeners":[{"address":"127.0.0.1:443","kind":"tls"}],"sites":3,"revision":1}` |
//! | `GET /v1/status` | 200, the whole door: `health`, `holder`, `leases`, `sites` ([`status::Status`]) |
//! | `GET /v1/explain?url=URL` | 200, what becomes of a request for this URL and why ([`status::Explanation`]); the URL with `%` escapes |
//! | `GET /v1/logs?host=HOST&form=FORM` | 200, access-log lines as they come, without end; both fields may be left out, the form is `text`, `json` or `combined` |
//! | `POST /v1/renew?name=HOST` | 200 once something came of it, within minutes: `{"outcome":"renewed","generation":2,"until":"…"}`, or `fine` (it was being looked at), `failed` with `problem` and `again`, `busy`, `unknown`; 400 `bad-name`, 503 `too-many-renewals` |
//! | `POST /v1/reload` | 200 `{"revision":8}`; 409 `bad-config`; needs `If-Match` |
//! | `POST /v1/restart` | 200 `{"pid":4312}`: the program started anew takes over |
//! | `POST /v1/stop?extent=EXTENT` | 200 `{"stopping":true}`, and then the end; `holder` (or nothing): a guest goes on with the door; `door`: the guests end too |
//! | `PUT /v1/leases/HOST` | the body is a [`saved::Saving`]; 200 `{"revision":8,"url":"https://a.test","drained":true}` once the target was healthy and the old one has drained; 504 `not-healthy`, 409 `name-conflict`; needs `If-Match` |
//! | `DELETE /v1/leases/HOST` | 200 `{"revision":9}`; needs `If-Match` |
//! | `POST /v1/join`, `POST /v1/succeed` | 101 to `onedoor-session`: JSON lines, see [`session::message`]; 426 `unsupported-protocol`, 503 `too-many-leases`, 409 `name-conflict` and others |
//! | another method | 405 with `Allow`, `{"error":"method-not-allowed"}` |
//! | another path | 404, `{"error":"not-found"}` |
//!
//! What is refused is `{"error":"…","text":"…","exit":1}`: a stable word, a text for people, and the exit code of the command that
//! asked. Besides those above: 400 `bad-request`, 403 `not-allowed`, 408 `timed-out`, 412 `stale-revision` with the `revision` in
//! service, 413 `too-large`, 428 `unconditional`, 503 `busy` (the door has too much to do or is about to end), 503 `too-many-waits`.
//!
//! ```sh
//! curl --unix-socket DIR/control.sock http://onedoor/v1/health
//! curl --unix-socket DIR/control.sock --get --data-urlencode url=https://a.test/x http://onedoor/v1/explain
//! curl --unix-socket DIR/control.sock --no-buffer 'http://onedoor/v1/logs?host=a.test&form=json'
//! curl --unix-socket DIR/control.sock -X POST -H 'If-Match: "7"' http://onedoor/v1/reload
//! curl --unix-socket DIR/control.sock -X POST http://onedoor/v1/stop?extent=door
//! curl --unix-socket DIR/control.sock -X DELETE -H 'If-Match: *' http://onedoor/v1/leases/a.test
//! curl --unix-socket DIR/control.sock -X PUT -H 'If-Match: *' --data @lease.json http://onedoor/v1/leases/a.test
//! ```
//!
//! with a `lease.json` such as
//!
//! ```json
//! {"target":"http://127.0.0.1:3000","folder":"/srv/shop","wait_seconds":30,"drain_seconds":30,"health":"/up",
//!  "owner":{"pid":4312,"uid":1000,"command":"deploy","folder":"/srv/shop","since":"2026-01-31T12:00:00Z"}}
//! ```

pub mod accounts;
pub mod claim;
pub mod client;
pub mod command;
pub mod health;
pub mod leases;
pub mod owner;
pub mod place;
pub mod probe;
pub mod readiness;
pub mod renewal;
pub mod saved;
pub mod server;
pub mod session;
pub mod status;

#[cfg(test)]
mod tests;
