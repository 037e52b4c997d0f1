//! What `Forwarded` says and can be read, and how it goes on from here.

use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderValue};

use super::chain::{HOPS_MAX, Origin};
use super::element::{Element, elements};
use super::{Hop, field};

/// Elements of `Forwarded` that are passed on.
const ELEMENTS_MAX: usize = 64;

/// The elements of all lines as far as they can be read.
#[derive(Debug)]
pub(super) struct Passed<'h> {
    /// From right to left.
    pub(super) elements: Vec<Element<'h>>,
    /// Whether something stands before them that could not be read, or is too much.
    pub(super) is_cut: bool,
}

impl<'h> Passed<'h> {
    pub(super) fn read(headers: &'h HeaderMap) -> Self {
        let mut passed = Self {
            elements: Vec::new(),
            is_cut: false,
        };
        for line in headers.get_all(FORWARDED).into_iter().rev() {
            let mut line = elements(line.as_bytes());
            for element in line.by_ref() {
                if passed.elements.len() == ELEMENTS_MAX {
                    passed.is_cut = true;
                    return passed;
                }
                passed.elements.push(element);
            }
            if line.is_broken() {
                passed.is_cut = true;
                return passed;
            }
        }
        passed
    }

    /// The whole field, with our hop at its end; none if there is nothing to pass on.
    pub(super) fn with(&self, hop: Hop<'_>) -> Option<HeaderValue> {
        if self.elements.is_empty() {
            return None;
        }
        let mut text = String::new();
        for element in self.elements.iter().rev() {
            text.push_str(element.text);
            text.push_str(", ");
        }
        let (open, close) = match hop.peer {
            IpAddr::V4(_) => ("for=", ""),
            IpAddr::V6(_) => ("for=\"[", "]\""),
        };
        text.push_str(open);
        text.push_str(hop.text.to_str().ok()?);
        text.push_str(close);
        if let Some(host) = hop.authority.and_then(|host| host.field().to_str().ok()) {
            text.push_str(";host=\"");
            text.push_str(host);
            text.push('"');
        }
        text.push_str(";proto=");
        text.push_str(hop.scheme.as_str());
        HeaderValue::try_from(text).ok()
    }
}

/// `X-Forwarded-For` made of what `Forwarded` says: from the client to the peer.
pub(super) fn known(elements: &[Element<'_>], origin: Origin, hop: Hop<'_>) -> HeaderValue {
    let client = origin.address();
    let addresses: Vec<IpAddr> = elements
        .iter()
        .map_while(|element| element.client)
        .take(HOPS_MAX)
        .collect();
    let end = addresses
        .iter()
        .position(|address| *address == client)
        .map_or(0, |place| place + 1);
    let mut text = String::new();
    for address in addresses[..end].iter().rev() {
        text.push_str(&address.to_string());
        text.push_str(", ");
    }
    text.push_str(hop.text.to_str().unwrap_or_default());
    field(text)
}
