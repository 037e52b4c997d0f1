//! Profiles are looked at twice: a CA may not have the one that is wanted, and may quietly take another.

use crate::certs::acme::directory::Directory;
use crate::certs::acme::fault::{OrderError, Side};
use crate::certs::acme::seams::Class;

/// Before an order is sent.
pub(super) fn offered(directory: &Directory, wanted: Option<&str>) -> Result<(), OrderError> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    if directory.profiles.contains_key(wanted) {
        return Ok(());
    }
    let problem = if directory.profiles.is_empty() {
        format!("the CA has no profiles, so none called `{wanted}`")
    } else {
        let offered: Vec<&str> = directory.profiles.keys().map(String::as_str).collect();
        let offered = offered.join("`, `");
        format!("the CA has no profile `{wanted}`: it offers `{offered}`")
    };
    Err(OrderError::new(Class::Human, Side::Options, problem))
}

/// Once the CA has the order; one that says nothing of profiles is believed.
pub(super) fn kept(wanted: Option<&str>, told: Option<&str>) -> Result<(), OrderError> {
    let (Some(wanted), Some(told)) = (wanted, told) else {
        return Ok(());
    };
    if wanted == told {
        return Ok(());
    }
    let problem = format!("the CA took the profile `{told}` in place of `{wanted}`");
    Err(OrderError::new(Class::Human, Side::Ca, problem))
}
