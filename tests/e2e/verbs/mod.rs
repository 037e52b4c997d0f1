//! The verbs that talk to a running door, and the control socket that they talk to.

mod api;
mod deploy;
mod ends;
mod look;
mod saved;

use crate::support::door::Home;

/// What a verb says, which must end well.
#[track_caller]
fn said(home: &Home, arguments: &[&str]) -> String {
    let (code, out, err) = home.run(arguments);
    assert_eq!(code, 0, "{arguments:?}: {out}{err}");
    out
}

/// What it says as JSON.
#[track_caller]
fn json(home: &Home, arguments: &[&str]) -> serde_json::Value {
    let out = said(home, arguments);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// What a verb says on standard error, which must end with this code.
#[track_caller]
fn refused(home: &Home, arguments: &[&str], expected: i32) -> String {
    let (code, out, err) = home.run(arguments);
    assert_eq!(code, expected, "{arguments:?}: {out}{err}");
    err
}
