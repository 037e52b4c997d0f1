//! A copy of a request's head for the rare case that it must be sent again.
//!
//! It is made for nearly every request and used for hardly any, so it is one run of octets in a buffer that is used again: a cloned
//! map of fields would cost two allocations and two reference counts for every field.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use super::Outgoing;

/// Buffers kept for the next copies.
const BUFFERS_MAX: usize = 64;
/// A buffer that grew beyond this is given back to the allocator.
const BUFFER_OCTETS_MAX: usize = 16 << 10;

/// Buffers for copies, on one thread.
#[derive(Debug, Default)]
pub(super) struct Shelf(RefCell<Vec<Vec<u8>>>);

/// What is needed to say a request without a body once more.
#[derive(Debug)]
pub(super) struct Spare {
    method: Method,
    uri: Uri,
    /// For every field the lengths of its name and its value, then both.
    fields: Vec<u8>,
}

impl Shelf {
    /// Copies a head.
    pub(super) fn copy(&self, request: &Request<Outgoing>) -> Spare {
        let mut fields = self.0.borrow_mut().pop().unwrap_or_default();
        for (name, value) in request.headers() {
            let name = name.as_str().as_bytes();
            fields.extend_from_slice(&name.len().to_le_bytes());
            fields.extend_from_slice(&value.len().to_le_bytes());
            fields.extend_from_slice(name);
            fields.extend_from_slice(value.as_bytes());
        }
        Spare {
            method: request.method().clone(),
            uri: request.uri().clone(),
            fields,
        }
    }

    /// Takes back a copy that was not needed.
    pub(super) fn keep(&self, spare: Spare) {
        let mut fields = spare.fields;
        let mut shelf = self.0.borrow_mut();
        if shelf.len() < BUFFERS_MAX && fields.capacity() <= BUFFER_OCTETS_MAX {
            fields.clear();
            shelf.push(fields);
        }
    }
}

impl Spare {
    /// The request, without a body.
    pub(super) fn into_request(self) -> Request<Outgoing> {
        let mut request = Request::new(Outgoing::Empty);
        *request.headers_mut() = fields(&self.fields);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        request
    }
}

fn fields(mut octets: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    while let Some((name, value)) = next(&mut octets) {
        headers.append(name, value);
    }
    headers
}

fn next(octets: &mut &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let name = length(octets)?;
    let value = length(octets)?;
    let name = HeaderName::from_bytes(octets.split_off(..name)?).ok()?;
    let value = HeaderValue::from_bytes(octets.split_off(..value)?).ok()?;
    Some((name, value))
}

fn length(octets: &mut &[u8]) -> Option<usize> {
    Some(usize::from_le_bytes(
        *octets.split_off(..size_of::<usize>())?.as_array()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_says_the_same_again() {
        let shelf = Shelf::default();
        for _ in 0..2 {
            let mut request = Request::new(Outgoing::Empty);
            *request.method_mut() = Method::HEAD;
            *request.uri_mut() = Uri::from_static("/a?b");
            for (name, value) in [
                ("host", "a.test"),
                ("x-b", ""),
                ("cookie", "c=d"),
                ("x-b", "\u{e9}"),
            ] {
                let name = HeaderName::from_static(name);
                request
                    .headers_mut()
                    .append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let copy = shelf.copy(&request).into_request();
            assert_eq!(copy.headers(), request.headers());
            assert_eq!(
                (copy.method(), copy.uri()),
                (request.method(), request.uri())
            );
            shelf.keep(shelf.copy(&request));
        }
        assert_eq!(shelf.0.borrow().len(), 1);
    }
}
