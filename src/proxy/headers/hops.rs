//! How far a message has come and may still go: `Via` and `Max-Forwards` (R9110 7.6).

use http::header::{MAX_FORWARDS, VIA};
use http::{HeaderMap, HeaderValue, Method};

use super::received::Protocol;
use super::refusal::Refusal;
use crate::framing::digits;

/// The name we go by in `Via`.
const PSEUDONYM: &[u8] = b"onedoor";

/// Doors may stand behind doors; more of them than this are one door seen again.
const OWN_VIA_MAX: usize = 4;

/// Refuses a request that was here too often.
pub(super) fn refuse_loop(headers: &HeaderMap) -> Result<(), Refusal> {
    let own = headers
        .get_all(VIA)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter(|entry| is_own(entry))
        .count();
    if own > OWN_VIA_MAX {
        return Err(Refusal::Loop);
    }
    Ok(())
}

/// The line that is added for a message received over `protocol`.
pub(super) fn via(protocol: Protocol) -> HeaderValue {
    HeaderValue::from_static(match protocol {
        Protocol::Http10 => "1.0 onedoor",
        Protocol::Http11 => "1.1 onedoor",
        Protocol::Http2 => "2 onedoor",
    })
}

/// Refuses a `TRACE` or `OPTIONS` that may go no further.
pub(super) fn refuse_last_hop(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    match hops_left(headers) {
        Some(0) if method == Method::TRACE => Err(Refusal::LastHopOfTrace),
        Some(0) if method == Method::OPTIONS => Err(Refusal::LastHopOfOptions),
        _ => Ok(()),
    }
}

/// Counts this hop. Other methods keep the field as it is.
pub(super) fn count_hop(method: &Method, headers: &mut HeaderMap) {
    if method != Method::TRACE && method != Method::OPTIONS {
        return;
    }
    if let Some(hops) = hops_left(headers) {
        headers.insert(MAX_FORWARDS, HeaderValue::from(hops.saturating_sub(1)));
    }
}

fn hops_left(headers: &HeaderMap) -> Option<u64> {
    digits(headers.get(MAX_FORWARDS)?.as_bytes())
}

fn is_own(entry: &[u8]) -> bool {
    let mut words = entry
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    words
        .nth(1)
        .is_some_and(|received_by| received_by.eq_ignore_ascii_case(PSEUDONYM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_via(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(VIA, HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn a_few_doors_in_a_row_are_no_loop() {
        assert_eq!(refuse_loop(&with_via(&[])), Ok(()));
        assert_eq!(
            refuse_loop(&with_via(&["1.1 onedoor"; OWN_VIA_MAX])),
            Ok(())
        );
        let others = ["1.1 a, 1.1 b (onedoor), 2 onedoors, onedoor, HTTP/1.1 x"; 9];
        assert_eq!(refuse_loop(&with_via(&others)), Ok(()));
    }

    #[test]
    fn our_own_via_too_often_is_a_loop() {
        let lines = [
            "1.1 onedoor, 2  OneDoor (x)",
            "HTTP/1.1 onedoor ,1.0\tonedoor,2 onedoor",
        ];
        assert_eq!(refuse_loop(&with_via(&lines)), Err(Refusal::Loop));
    }

    #[track_caller]
    fn check(method: &Method, value: &'static str, expected: Result<&str, Refusal>) {
        let mut headers = HeaderMap::new();
        headers.insert(MAX_FORWARDS, HeaderValue::from_static(value));
        let seen = refuse_last_hop(method, &headers).map(|()| {
            count_hop(method, &mut headers);
            headers[MAX_FORWARDS].to_str().unwrap()
        });
        assert_eq!(seen, expected, "{method} {value}");
    }

    #[test]
    fn the_last_hop_answers_trace_and_options() {
        check(&Method::TRACE, "0", Err(Refusal::LastHopOfTrace));
        check(&Method::OPTIONS, "0", Err(Refusal::LastHopOfOptions));
        check(&Method::OPTIONS, "10", Ok("9"));
        check(&Method::TRACE, "1", Ok("0"));
        check(&Method::GET, "0", Ok("0"));
        check(&Method::OPTIONS, "many", Ok("many"));
    }
}
