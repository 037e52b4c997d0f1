//! What was sent of a request's body, written down as long as it may have to be sent once more. Beyond a limit it is forgotten, and
//! the body can be sent no second time.

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

/// Octets of a body that are written down.
pub(super) const REPLAY_OCTETS_MAX: usize = 64 << 10;

/// What of a body is kept for a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is not sent again once anything of it went out.
    Nothing,
    /// It may be sent again as long as the upstream cannot have read any of it.
    UntilWritten,
    /// It may be sent again whatever the upstream did with it.
    Throughout,
}

/// What was taken of a body so far.
#[derive(Debug)]
pub(super) struct Replay {
    keep: Keep,
    octets: Vec<u8>,
    trailers: Option<HeaderMap>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was taken: it can still be sent as it comes.
    Untouched,
    /// All that was taken is here.
    Whole,
    Lost,
}

/// How far a second sending is in what is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Octets,
    Trailers,
    End,
}

impl Replay {
    /// Of a body of which no more than `octets` is known to come, if that is known.
    pub(super) fn new(keep: Keep, octets: Option<u64>) -> Self {
        let is_too_long = octets.is_some_and(|octets| octets > REPLAY_OCTETS_MAX as u64);
        Self {
            keep: if is_too_long { Keep::Nothing } else { keep },
            octets: Vec::new(),
            trailers: None,
            state: State::Untouched,
        }
    }

    /// Whether the body can be sent from its beginning.
    pub(super) fn is_whole(&self) -> bool {
        self.state != State::Lost
    }

    /// A frame was taken.
    pub(super) fn took(&mut self, frame: &Frame<Bytes>) {
        if self.state == State::Lost {
            return;
        }
        let piece = frame.data_ref().map_or(&b""[..], |data| &data[..]);
        if self.keep == Keep::Nothing || self.octets.len() + piece.len() > REPLAY_OCTETS_MAX {
            self.lose();
            return;
        }
        self.state = State::Whole;
        self.octets.extend_from_slice(piece);
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
        }
    }

    /// An octet of the request was written, so that the upstream may have read it.
    pub(super) fn written(&mut self) {
        if self.keep == Keep::UntilWritten {
            self.keep = Keep::Nothing;
            if self.state == State::Whole {
                self.lose();
            }
        }
    }

    /// There is no second time: what was written down goes.
    pub(super) fn settle(&mut self) {
        self.keep = Keep::Nothing;
        self.lose();
    }

    fn lose(&mut self) {
        self.state = State::Lost;
        self.octets = Vec::new();
        self.trailers = None;
    }

    /// The next frame of a second sending; none at the end of what is written down.
    pub(super) fn next(&self, place: &mut Place) -> Option<Frame<Bytes>> {
        if *place == Place::Octets {
            *place = Place::Trailers;
            if !self.octets.is_empty() {
                return Some(Frame::data(Bytes::copy_from_slice(&self.octets)));
            }
        }
        if *place == Place::Trailers {
            *place = Place::End;
            return self.trailers.clone().map(Frame::trailers);
        }
        None
    }

    /// Whether a second sending has nothing more in here.
    pub(super) fn is_past(&self, place: Place) -> bool {
        match place {
            Place::Octets => self.octets.is_empty() && self.trailers.is_none(),
            Place::Trailers => self.trailers.is_none(),
            Place::End => true,
        }
    }

    /// Octets that a second sending still finds in here.
    pub(super) fn left(&self, place: Place) -> u64 {
        match place {
            Place::Octets => self.octets.len() as u64,
            Place::Trailers | Place::End => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(octets: usize) -> Frame<Bytes> {
        Frame::data(Bytes::from(vec![b'x'; octets]))
    }

    fn replayed(replay: &Replay) -> (usize, bool) {
        let mut place = Place::Octets;
        let mut seen = (0, false);
        while !replay.is_past(place) {
            let Some(frame) = replay.next(&mut place) else {
                break;
            };
            seen.0 += frame.data_ref().map_or(0, Bytes::len);
            seen.1 |= frame.is_trailers();
        }
        assert_eq!(replay.left(place), 0);
        seen
    }

    #[test]
    fn what_was_taken_comes_again_with_its_trailers() {
        let mut replay = Replay::new(Keep::Throughout, None);
        assert!(replay.is_whole());
        replay.took(&data(3));
        replay.took(&data(REPLAY_OCTETS_MAX - 3));
        replay.took(&Frame::trailers(HeaderMap::new()));
        replay.written();
        assert!(replay.is_whole());
        assert_eq!(replayed(&replay), (REPLAY_OCTETS_MAX, true));
        assert_eq!(replayed(&replay), (REPLAY_OCTETS_MAX, true), "once more");
    }

    #[test]
    fn beyond_the_limit_nothing_is_kept() {
        let mut replay = Replay::new(Keep::Throughout, None);
        replay.took(&data(REPLAY_OCTETS_MAX));
        assert!(replay.is_whole());
        replay.took(&data(1));
        assert!(!replay.is_whole());
        assert_eq!(replay.octets.capacity(), 0);
        replay.took(&data(1));
        assert!(!replay.is_whole());
    }

    #[test]
    fn a_body_that_is_known_to_be_long_is_not_written_down() {
        let mut replay = Replay::new(Keep::Throughout, Some(REPLAY_OCTETS_MAX as u64 + 1));
        assert!(replay.is_whole(), "nothing was taken yet");
        replay.took(&data(1));
        assert!(!replay.is_whole());
        assert!(
            Replay::new(Keep::Throughout, Some(REPLAY_OCTETS_MAX as u64)).keep == Keep::Throughout
        );
    }

    #[test]
    fn what_may_not_be_repeated_is_kept_until_something_is_written() {
        let mut replay = Replay::new(Keep::UntilWritten, None);
        replay.took(&data(5));
        assert_eq!((replay.is_whole(), replayed(&replay)), (true, (5, false)));
        replay.written();
        assert!(!replay.is_whole());

        let mut head_alone = Replay::new(Keep::UntilWritten, None);
        head_alone.written();
        assert!(head_alone.is_whole(), "its body is still with the client");
        head_alone.took(&data(1));
        assert!(!head_alone.is_whole());
    }
}
