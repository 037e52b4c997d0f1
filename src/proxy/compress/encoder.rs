//! One stream of a content coding, a piece at a time: octets in, octets out, and nothing kept back when it is told to flush.

use std::{fmt, io};

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::stream::raw::{self, CParameter, InBuffer, Operation as _, OutBuffer};

use super::encoders::Pace;
use crate::config::site::Coding;

/// An encoder of any coding.
pub(super) enum Encoder {
    Gzip(Box<Compress>),
    Zstd(raw::Encoder<'static>),
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
}

/// What is wanted once the octets are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    More,
    /// All of it must come out now.
    Flush,
    /// It ends here.
    Finish,
}

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Octets of the input that need not come again.
    pub(super) taken: usize,
    /// Whether the whole step is done; else it must be asked for again, with what was not taken.
    pub(super) done: bool,
}

/// An encoder could not go on: there was no memory for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EncoderFailed;

/// Higher levels cost twice the time for two hundredths of the size.
const GZIP_LEVEL: u32 = 5;
const GZIP_WINDOW_LOG: u8 = 15;
const ZSTD_LEVEL: i32 = 3;
const BROTLI_QUALITY: u32 = 4;

/// The sizes of windows and tables, as powers of two. They are what an open stream costs.
struct Tables {
    window: u32,
    hash: u32,
    chain: u32,
}

/// Above, a level's own tables are twice as large for a hundredth of the size.
const ZSTD_STEADY: Tables = Tables {
    window: 18,
    hash: 16,
    chain: 15,
};
/// Events are short and alike, and there may be thousands of open streams.
const ZSTD_EVENTS: Tables = Tables {
    window: 15,
    hash: 13,
    chain: 13,
};
const BROTLI_STEADY_WINDOW: u32 = 17;
/// With [`BROTLI_EVENTS_QUALITY`], an eighth of the memory.
const BROTLI_EVENTS_WINDOW: u32 = 16;
const BROTLI_EVENTS_QUALITY: u32 = 2;
/// How much is gathered before it is encoded, and so how long one step may take.
const BROTLI_BLOCK_LOG: u32 = 16;

impl Encoder {
    /// A stream before its first octet.
    pub(super) fn new(coding: Coding, pace: Pace) -> Result<Self, EncoderFailed> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Box::new(Compress::new_gzip(
                Compression::new(GZIP_LEVEL),
                GZIP_WINDOW_LOG,
            ))),
            Coding::Zstd => Self::Zstd(zstd_encoder(match pace {
                Pace::Steady => &ZSTD_STEADY,
                Pace::Events => &ZSTD_EVENTS,
            })?),
            Coding::Brotli => Self::Brotli(Box::new(match pace {
                Pace::Steady => brotli_encoder(BROTLI_QUALITY, BROTLI_STEADY_WINDOW),
                Pace::Events => brotli_encoder(BROTLI_EVENTS_QUALITY, BROTLI_EVENTS_WINDOW),
            })),
        })
    }

    /// Octets that an open stream occupies at most, as measured.
    pub(super) const fn memory(coding: Coding, pace: Pace) -> usize {
        (match (coding, pace) {
            (Coding::Gzip, Pace::Steady | Pace::Events) => 320,
            (Coding::Zstd, Pace::Steady) => 960,
            (Coding::Zstd, Pace::Events) => 192,
            (Coding::Brotli, Pace::Steady) => 1792,
            (Coding::Brotli, Pace::Events) => 256,
        }) << 10
    }

    /// Encodes into the room that `output` has, which must be some.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        then: Then,
        output: &mut Vec<u8>,
    ) -> Result<Step, EncoderFailed> {
        match self {
            Self::Gzip(gzip) => gzip_step(gzip, input, then, output),
            Self::Zstd(zstd) => {
                zstd_step(zstd, input, then, output).map_err(|_error| EncoderFailed)
            }
            Self::Brotli(brotli) => brotli_step(brotli, input, then, output),
        }
    }

    /// The same encoder before its first octet; none of a kind that cannot be used again.
    pub(super) fn again(mut self) -> Option<Self> {
        match &mut self {
            Self::Gzip(gzip) => gzip.reset(),
            Self::Zstd(zstd) => zstd.reinit().ok()?,
            Self::Brotli(_) => return None,
        }
        Some(self)
    }
}

fn gzip_step(
    gzip: &mut Compress,
    input: &[u8],
    then: Then,
    output: &mut Vec<u8>,
) -> Result<Step, EncoderFailed> {
    let flush = match then {
        Then::More => FlushCompress::None,
        Then::Flush => FlushCompress::Sync,
        Then::Finish => FlushCompress::Finish,
    };
    let before = gzip.total_in();
    let status = gzip
        .compress_vec(input, output, flush)
        .map_err(|_error| EncoderFailed)?;
    let taken = usize::try_from(gzip.total_in() - before).unwrap_or(input.len());
    let has_room = output.len() < output.capacity();
    let done = match then {
        Then::More => taken == input.len(),
        Then::Flush => taken == input.len() && has_room,
        Then::Finish => status == Status::StreamEnd,
    };
    Ok(Step { taken, done })
}

fn zstd_encoder(tables: &Tables) -> Result<raw::Encoder<'static>, EncoderFailed> {
    let build = || {
        let mut encoder = raw::Encoder::new(ZSTD_LEVEL)?;
        encoder.set_parameter(CParameter::WindowLog(tables.window))?;
        encoder.set_parameter(CParameter::HashLog(tables.hash))?;
        encoder.set_parameter(CParameter::ChainLog(tables.chain))?;
        io::Result::Ok(encoder)
    };
    build().map_err(|_error| EncoderFailed)
}

fn zstd_step(
    zstd: &mut raw::Encoder<'static>,
    input: &[u8],
    then: Then,
    output: &mut Vec<u8>,
) -> io::Result<Step> {
    let mut from = InBuffer::around(input);
    let mut to = OutBuffer::around(output);
    if !input.is_empty() {
        zstd.run(&mut from, &mut to)?;
    }
    let taken = from.pos();
    let is_taken = taken == input.len();
    let left = match then {
        Then::Flush if is_taken => zstd.flush(&mut to)?,
        Then::Finish if is_taken => zstd.finish(&mut to, true)?,
        Then::More | Then::Flush | Then::Finish => 0,
    };
    Ok(Step {
        taken,
        done: is_taken && left == 0,
    })
}

fn brotli_encoder(quality: u32, window: u32) -> BrotliEncoderStateStruct<StandardAlloc> {
    use BrotliEncoderParameter::{BROTLI_PARAM_LGBLOCK, BROTLI_PARAM_LGWIN, BROTLI_PARAM_QUALITY};
    let mut encoder = BrotliEncoderStateStruct::new(StandardAlloc::default());
    for (parameter, value) in [
        (BROTLI_PARAM_QUALITY, quality),
        (BROTLI_PARAM_LGWIN, window),
        (BROTLI_PARAM_LGBLOCK, BROTLI_BLOCK_LOG),
    ] {
        // Refused only once a stream has begun.
        let _accepted = encoder.set_parameter(parameter, value);
    }
    encoder
}

fn brotli_step(
    brotli: &mut BrotliEncoderStateStruct<StandardAlloc>,
    input: &[u8],
    then: Then,
    output: &mut Vec<u8>,
) -> Result<Step, EncoderFailed> {
    let operation = match then {
        Then::More => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
        Then::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
        Then::Finish => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
    };
    let (mut left, mut taken) = (input.len(), 0);
    loop {
        // It writes nothing by itself, so that it need not be given initialised memory.
        let went_on = brotli.compress_stream(
            operation,
            &mut left,
            input,
            &mut taken,
            &mut 0,
            &mut [],
            &mut 0,
            &mut None,
            &mut |_, _, _, _| (),
        );
        if !went_on {
            return Err(EncoderFailed);
        }
        let mut given = output.capacity() - output.len();
        if given == 0 {
            return Ok(Step { taken, done: false });
        }
        // What it returns is longer than what it gives.
        let octets = brotli.take_output(&mut given);
        output.extend_from_slice(&octets[..given]);
        // While anything comes, what was asked for may still be waiting behind it.
        if given == 0 {
            break;
        }
    }
    let done = match then {
        Then::More | Then::Flush => left == 0,
        Then::Finish => brotli.is_finished(),
    };
    Ok(Step { taken, done })
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
            Self::Brotli(_) => "Brotli",
        })
    }
}

#[cfg(test)]
#[path = "encoder_tests.rs"]
pub(super) mod tests;
