use std::collections::VecDeque;
use std::task::Waker;

use http::HeaderValue;

use super::super::encoder::tests::Decoder;
use super::super::encoders::Encoders;
use super::*;
use crate::config::site::Coding;

const ALL: [Coding; 3] = [Coding::Gzip, Coding::Zstd, Coding::Brotli];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut;

#[derive(Debug)]
enum Scene {
    Octets(Bytes),
    Nothing,
    Trailers(HeaderMap),
    Cut,
}

/// A source that does as it is told, and then ends.
#[derive(Debug)]
struct Scripted(VecDeque<Scene>);

impl Body for Scripted {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        Poll::Ready(match self.0.pop_front() {
            None => None,
            Some(Scene::Nothing) => return Poll::Pending,
            Some(Scene::Octets(octets)) => Some(Ok(Frame::data(octets))),
            Some(Scene::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(Scene::Cut) => Some(Err(Cut)),
        })
    }
}

fn octets(text: &str) -> Scene {
    Scene::Octets(Bytes::copy_from_slice(text.as_bytes()))
}

fn body(
    coding: Coding,
    pace: Pace,
    scenes: impl IntoIterator<Item = Scene>,
) -> Compressed<Scripted> {
    let lease = Encoders::default().lease(coding, pace).unwrap();
    Compressed::new(Scripted(scenes.into_iter().collect()), lease)
}

/// What comes of one question.
#[derive(Debug, PartialEq)]
enum Came {
    Octets(Bytes),
    Trailers(HeaderMap),
    Nothing,
    End,
    Broken,
}

fn ask(body: &mut Compressed<Scripted>) -> Came {
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(body).poll_frame(&mut cx) {
        Poll::Pending => Came::Nothing,
        Poll::Ready(None) => Came::End,
        Poll::Ready(Some(Err(_broken))) => Came::Broken,
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(octets) => Came::Octets(octets),
            Err(frame) => Came::Trailers(frame.into_trailers().unwrap()),
        },
    }
}

/// Asks until there is an end; returns what could be decoded whenever there was nothing, and how it ended.
fn watch(coding: Coding, body: &mut Compressed<Scripted>) -> (Vec<String>, Came, Decoder) {
    let mut decoder = Decoder::new(coding);
    let mut seen = Vec::new();
    let mut decoded = Vec::new();
    loop {
        match ask(body) {
            Came::Octets(octets) => decoded = decoder.take(&octets),
            Came::Nothing => seen.push(String::from_utf8(decoded.clone()).unwrap()),
            end @ (Came::Trailers(_) | Came::End | Came::Broken) => {
                seen.push(String::from_utf8(decoded).unwrap());
                return (seen, end, decoder);
            }
        }
    }
}

#[test]
fn what_came_is_flushed_once_nothing_more_comes() {
    for coding in ALL {
        let mut body = body(
            coding,
            Pace::Steady,
            [
                octets("one "),
                octets("two "),
                Scene::Nothing,
                Scene::Nothing,
                Scene::Nothing,
                octets("three"),
                Scene::Nothing,
                octets(" four"),
            ],
        );
        let (seen, end, decoder) = watch(coding, &mut body);
        // Nothing after the first silence, which may be a moment; then all there is.
        let expected = ["", "one two ", "one two ", "one two three four"];
        assert_eq!(seen, expected, "{coding:?}");
        assert_eq!(end, Came::End);
        assert!(decoder.ended());
        assert!(body.is_end_stream());
    }
}

#[test]
fn events_are_flushed_one_by_one() {
    for coding in ALL {
        let events = [octets("data: 1\n\n"), octets("data: 2\n\n"), Scene::Nothing];
        let mut body = body(coding, Pace::Events, events);
        let mut decoder = Decoder::new(coding);
        for expected in ["data: 1\n\n", "data: 1\n\ndata: 2\n\n"] {
            let Came::Octets(octets) = ask(&mut body) else {
                panic!("no octets");
            };
            assert_eq!(decoder.take(&octets), expected.as_bytes(), "{coding:?}");
        }
        assert_eq!(ask(&mut body), Came::Nothing);
    }
}

#[test]
fn a_broken_source_breaks_after_what_it_gave() {
    for coding in ALL {
        let mut body = body(coding, Pace::Steady, [octets("half a"), Scene::Cut]);
        let (seen, end, decoder) = watch(coding, &mut body);
        // One silence, so that what came leaves before the end.
        assert_eq!(seen, ["half a", "half a"], "{coding:?}");
        assert_eq!(end, Came::Broken);
        assert!(coding == Coding::Zstd || !decoder.ended());
        assert_eq!(ask(&mut body), Came::End);
    }
}

#[test]
fn trailers_come_last_and_without_digests_of_what_was_not_sent() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    let kept = trailers.clone();
    trailers.insert("content-digest", HeaderValue::from_static("x"));
    for coding in ALL {
        let scenes = [octets("all"), Scene::Trailers(trailers.clone())];
        let mut body = body(coding, Pace::Steady, scenes);
        let (seen, end, decoder) = watch(coding, &mut body);
        assert_eq!(seen, ["all"]);
        assert_eq!(end, Came::Trailers(kept.clone()));
        assert!(decoder.ended());
        assert!(body.is_end_stream());
    }
}

#[test]
fn others_get_their_turn_while_much_is_encoded() {
    let turns = 8;
    let whole: String = (0..turns * WORK_MAX / 8)
        .map(|number| format!("{number:7} "))
        .collect();
    for coding in ALL {
        let mut body = body(coding, Pace::Steady, [octets(&whole)]);
        let (seen, end, _decoder) = watch(coding, &mut body);
        assert_eq!(end, Came::End);
        assert_eq!(seen.last().unwrap(), &whole);
        assert!(seen.len() >= turns, "{coding:?}: {}", seen.len());
        assert!(body.worked <= WORK_MAX);
    }
}

#[test]
fn a_body_left_in_the_middle_gives_its_memory_back() {
    let encoders = Encoders::default();
    let every = |_number| encoders.lease(Coding::Brotli, Pace::Steady);
    let held: Vec<Lease> = (0..10_000).map_while(every).collect();
    assert!(every(0).is_none());
    let bodies: Vec<Compressed<Scripted>> = held
        .into_iter()
        .map(|lease| Compressed::new(Scripted([octets("some")].into()), lease))
        .collect();
    drop(bodies);
    assert!(every(0).is_some());
}
