//! What goes in comes out of the decoder, however it is cut, and at once when it is flushed.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// A decoder that gives what it has.
pub(in crate::proxy::compress) enum Decoder {
    Gzip(Box<flate2::write::GzDecoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Decoder<'static, Vec<u8>>),
    Brotli(Box<brotli::DecompressorWriter<Vec<u8>>>),
}

/// What this decoder cannot write at once it keeps back while it wants more.
const BROTLI_BUFFER: usize = 1 << 20;

impl Decoder {
    pub(in crate::proxy::compress) fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(Box::new(flate2::write::GzDecoder::new(Vec::new()))),
            Coding::Zstd => Self::Zstd(zstd::stream::write::Decoder::new(Vec::new()).unwrap()),
            Coding::Brotli => Self::Brotli(Box::new(brotli::DecompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER,
            ))),
        }
    }

    /// Everything that can be decoded so far.
    pub(in crate::proxy::compress) fn take(&mut self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip(gzip) => {
                gzip.write_all(octets).unwrap();
                gzip.flush().unwrap();
                gzip.get_ref().clone()
            }
            Self::Zstd(zstd) => {
                zstd.write_all(octets).unwrap();
                zstd.flush().unwrap();
                zstd.get_ref().clone()
            }
            Self::Brotli(brotli) => {
                brotli.write_all(octets).unwrap();
                brotli.flush().unwrap();
                brotli.get_ref().clone()
            }
        }
    }

    /// Whether the stream came to its own end.
    pub(in crate::proxy::compress) fn ended(self) -> bool {
        match self {
            Self::Gzip(mut gzip) => gzip.try_finish().is_ok(),
            // A write decoder does not tell: one octet behind the end begins another frame, which is a fault.
            Self::Zstd(mut zstd) => zstd.write_all(b"?").and_then(|()| zstd.flush()).is_err(),
            Self::Brotli(mut brotli) => brotli.close().is_ok(),
        }
    }
}

/// Runs one step to its end through an output of `room` octets.
fn run(encoder: &mut Encoder, mut input: &[u8], then: Then, room: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut output = Vec::with_capacity(room);
        let step = encoder.step(input, then, &mut output).unwrap();
        assert!(output.len() <= output.capacity());
        input = &input[step.taken..];
        all.extend(output);
        if step.done {
            assert!(input.is_empty());
            return all;
        }
    }
}

fn coding() -> impl Strategy<Value = Coding> {
    prop_oneof![Just(Coding::Gzip), Just(Coding::Zstd), Just(Coding::Brotli)]
}

fn pace() -> impl Strategy<Value = Pace> {
    prop_oneof![Just(Pace::Steady), Just(Pace::Events)]
}

fn piece() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let noise = proptest::collection::vec(any::<u8>(), 0..3000);
    let text = ("[a-f ]{1,20}", 0..400_usize).prop_map(|(word, times)| word.repeat(times).into());
    (prop_oneof![noise, text], any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_went_in_comes_out(
        coding in coding(),
        pace in pace(),
        room in 16..40_000_usize,
        pieces in proptest::collection::vec(piece(), 0..12),
    ) {
        let mut encoder = Encoder::new(coding, pace).unwrap();
        let mut decoder = Decoder::new(coding);
        let mut given = Vec::new();
        for (octets, flushes) in pieces {
            given.extend_from_slice(&octets);
            let then = if flushes { Then::Flush } else { Then::More };
            let out = decoder.take(&run(&mut encoder, &octets, then, room));
            if flushes {
                prop_assert!(out == given, "{} of {}", out.len(), given.len());
            }
        }
        let out = decoder.take(&run(&mut encoder, b"", Then::Finish, room));
        prop_assert!(out == given, "{} of {}", out.len(), given.len());
        prop_assert!(decoder.ended());
    }
}

#[test]
fn an_end_that_never_came_is_seen() {
    for coding in [Coding::Gzip, Coding::Zstd, Coding::Brotli] {
        let mut encoder = Encoder::new(coding, Pace::Steady).unwrap();
        let mut decoder = Decoder::new(coding);
        let octets = run(&mut encoder, b"all of it", Then::Flush, 4096);
        assert_eq!(decoder.take(&octets), b"all of it");
        assert!(!decoder.ended() || coding == Coding::Zstd, "{coding:?}");
    }
}

#[test]
fn what_is_used_again_says_the_same() {
    let text = "again and again ".repeat(500);
    for coding in [Coding::Gzip, Coding::Zstd] {
        let mut encoder = Encoder::new(coding, Pace::Steady).unwrap();
        let first = run(&mut encoder, text.as_bytes(), Then::Finish, 4096);
        let mut encoder = encoder.again().unwrap();
        assert_eq!(
            run(&mut encoder, text.as_bytes(), Then::Finish, 4096),
            first
        );
    }
    let brotli = Encoder::new(Coding::Brotli, Pace::Steady).unwrap();
    assert!(brotli.again().is_none());
}
