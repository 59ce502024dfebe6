//! Content and transfer codings: what an endpoint sent is undone within limits, or looked at as it
//! is.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::Read;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::expect::shown;
use super::work::{Ended, Work};
use crate::config::plan::probe::{Limits, Strictness};
use crate::net::http_response::Response;
use crate::net::probe_error::ProbeError;
use crate::words::{Cause, Reason};

/// Codings that may be nested in one response.
const CODING_LIMIT: usize = 3;
/// As much of a decoded body is kept before it is known to be within the limit: with the usual
/// limit it is undone once.
const AT_FIRST: usize = 4 << 20;
/// What a decoder of zstd must offer, and may ask for at most, when it is a content coding (RFC
/// 9659 section 3).
const ZSTD_WINDOW: u64 = 8 << 20;

type Source<'r> = Box<dyn Read + 'r>;

/// A body without its codings.
pub struct Plain<'r> {
    pub bytes: Cow<'r, [u8]>,
    /// What was left as it is, in words.
    pub odd: Option<String>,
}

/// Undoes the codings, within the limit.
pub fn decoded<'r>(
    response: &'r Response,
    limits: &Limits,
    reading: Strictness,
    work: &Work,
) -> Result<Plain<'r>, ProbeError> {
    let as_it_is = |odd| Plain {
        bytes: Cow::Borrowed(response.body.as_slice()),
        odd,
    };
    let codings = codings(response, reading)?;
    if codings.known.is_empty() {
        return Ok(as_it_is(codings.odd));
    }
    match undone_whole(response, &codings.known, (limits, work)) {
        Ok(bytes) => Ok(Plain {
            bytes: Cow::Owned(bytes),
            odd: codings.odd,
        }),
        // Beside a coding that nobody knows, nothing is known of the others.
        Err(ProbeError::Down(Cause::DecodeError, _)) if codings.odd.is_some() => {
            Ok(as_it_is(codings.odd))
        }
        Err(err) => Err(err),
    }
}

/// Whether the codings can be undone within the limit, for a body that nobody looks at; what is odd
/// about them.
pub fn decodable(
    response: &Response,
    limits: &Limits,
    reading: Strictness,
    work: &Work,
) -> Result<Option<String>, ProbeError> {
    let codings = codings(response, reading)?;
    if codings.known.is_empty() {
        return Ok(codings.odd);
    }
    match undone(response, &codings.known, (limits, work), 0) {
        Err(ProbeError::Down(Cause::DecodeError, _)) if codings.odd.is_some() => Ok(codings.odd),
        result => result.map(|_| codings.odd),
    }
}

struct Codings {
    /// In lower case, in the order in which they were applied.
    known: Vec<String>,
    odd: Option<String>,
}

/// Whether anything of the response says that it is coded.
pub fn is_coded(response: &Response) -> bool {
    response.values("content-encoding").next().is_some() || !response.transfer_codings.is_empty()
}

/// What a strict config holds against a body that is not looked at: a coding that nobody knows.
pub fn unknown(response: &Response) -> Option<ProbeError> {
    let unknown = named(response)
        .into_iter()
        .find(|coding| !is_known(coding))
        .filter(|_| response.body_bytes > 0)?;
    Some(unknown_strictly(&unknown))
}

fn unknown_strictly(coding: &str) -> ProbeError {
    ProbeError::down(
        Cause::DecodeError,
        format!("unknown content coding {}", shown(coding.as_bytes())),
    )
}

/// The content codings of a response, in lower case.
fn named(response: &Response) -> Vec<String> {
    let header: Vec<u8> = response
        .values("content-encoding")
        .collect::<Vec<_>>()
        .join(&b',');
    let text = String::from_utf8_lossy(&header).to_ascii_lowercase();
    text.split(',')
        .map(str::trim)
        .filter(|c| !c.is_empty() && *c != "identity")
        .map(str::to_owned)
        .collect()
}

/// An answer without a body has nothing to undo, whatever its header says (HEAD, 204).
fn codings(response: &Response, reading: Strictness) -> Result<Codings, ProbeError> {
    let mut found = Codings {
        known: Vec::new(),
        odd: None,
    };
    if response.body.is_empty() || !is_coded(response) {
        return Ok(found);
    }
    let (known, unknown): (Vec<String>, Vec<String>) =
        named(response).into_iter().partition(|c| is_known(c));
    found.known = known;
    found
        .known
        .extend(response.transfer_codings.iter().cloned());
    if found.known.len() > CODING_LIMIT {
        return Err(ProbeError::down(
            Cause::DecodeLimit,
            format!(
                "{} content codings are nested, at most {CODING_LIMIT} are undone",
                found.known.len()
            ),
        ));
    }
    if let Some(first) = unknown.first() {
        if reading == Strictness::Strict {
            return Err(unknown_strictly(first));
        }
        found.odd = Some(format!(
            "unknown content coding {}: the body is read as it is",
            shown(first.as_bytes())
        ));
    }
    Ok(found)
}

fn is_known(coding: &str) -> bool {
    matches!(coding, "gzip" | "x-gzip" | "deflate" | "br" | "zstd")
}

fn undone_whole(
    response: &Response,
    codings: &[String],
    within: (&Limits, &Work),
) -> Result<Vec<u8>, ProbeError> {
    let (mut body, length) = undone(response, codings, within, AT_FIRST)?;
    if body.len() == length {
        body.shrink_to_fit();
        return Ok(body);
    }
    // Known to be within the limit, it is undone again into as much as it takes: a bomb is never
    // held.
    drop(body);
    Ok(undone(response, codings, within, length)?.0)
}

/// The first `kept` bytes of what the codings hide, and its whole length.
fn undone(
    response: &Response,
    codings: &[String],
    (limits, work): (&Limits, &Work),
    kept: usize,
) -> Result<(Vec<u8>, usize), ProbeError> {
    let (is_over, is_read) = (Cell::new(false), Cell::new(false));
    let mut layers: Source<'_> = Box::new(Whole {
        bytes: response.body.as_slice(),
        is_read: &is_read,
        work,
    });
    for coding in codings.iter().rev() {
        layers = Box::new(Bounded {
            inner: without(layers, coding, work)?,
            left: limits.decoded,
            is_over: &is_over,
            work,
        });
    }
    let mut out = Vec::new();
    if kept > AT_FIRST {
        out.reserve_exact(kept);
    }
    let (mut length, mut piece) = (0, [0; 8192]);
    loop {
        match layers.read(&mut piece) {
            Ok(0) => return Ok((out, length)),
            Ok(n) => {
                out.extend_from_slice(&piece[..n.min(kept - out.len())]);
                length += n;
            }
            Err(_) if is_over.get() => {
                return Err(ProbeError::down(
                    Cause::DecodeLimit,
                    format!(
                        "the decoded body is longer than {} bytes, the limit of \
                            probe.http.limits.decoded",
                        limits.decoded
                    ),
                ));
            }
            // Reading stopped at limits.body: the codings end where it did.
            Err(_) if response.is_cut && is_read.get() && work.ended().is_none() => {
                return Ok((out, length));
            }
            Err(error) => return Err(undecodable(&error, work)),
        }
    }
}

fn undecodable(error: &std::io::Error, work: &Work) -> ProbeError {
    match work.ended() {
        None => ProbeError::down(
            Cause::DecodeError,
            format!("the body cannot be decoded: {error}"),
        ),
        Some(Ended::Spent { limit_ms }) => ProbeError::down(
            Cause::DecodeLimit,
            format!(
                "decoding the body takes more than {limit_ms} ms of processor time: Probity \
                    stopped there"
            ),
        ),
        // Read by nobody.
        Some(Ended::Left) => ProbeError::unmeasured(
            Reason::Internal,
            "the probe ended while its answer was decoded",
        ),
    }
}

/// Undoes one coding while it is read.
fn without<'r>(
    mut coded: Source<'r>,
    coding: &str,
    work: &'r Work,
) -> Result<Source<'r>, ProbeError> {
    match coding {
        "gzip" | "x-gzip" => Ok(Box::new(flate2::read::MultiGzDecoder::new(coded))),
        "deflate" => {
            let mut start = Vec::new();
            let read = (&mut coded).take(2).read_to_end(&mut start);
            read.map_err(|error| undecodable(&error, work))?;
            // Many servers send it without the zlib wrapper (RFC 1950) that RFC 9110 asks for.
            let is_wrapped = <[u8; 2]>::try_from(&start[..]).is_ok_and(|begin @ [cmf, _]| {
                cmf & 0x0F == 8 && u16::from_be_bytes(begin) % 31 == 0
            });
            let whole = std::io::Cursor::new(start).chain(coded);
            if is_wrapped {
                Ok(Box::new(flate2::read::ZlibDecoder::new(whole)))
            } else {
                Ok(Box::new(flate2::read::DeflateDecoder::new(whole)))
            }
        }
        "br" => Ok(Box::new(brotli_decompressor::Decompressor::new(
            coded, 4096,
        ))),
        "zstd" => Ok(Box::new(Zstd {
            state: Some(Frame::Between(Ahead {
                byte: None,
                inner: coded,
            })),
            work,
        })),
        other => Err(ProbeError::down(
            Cause::DecodeError,
            format!("unknown content coding \"{}\"", other.escape_debug()),
        )),
    }
}

/// Frames of zstd one after the other, those that are to be skipped among them (RFC 8878 section
/// 3).
struct Zstd<'r> {
    state: Option<Frame<'r>>,
    work: &'r Work,
}

enum Frame<'r> {
    Between(Ahead<'r>),
    Within(Box<FrameDecoder>, Ahead<'r>),
}

impl Read for Zstd<'_> {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        loop {
            self.work.goes_on(0)?;
            match self.state.take() {
                None => return Ok(0),
                Some(Frame::Between(mut source)) => {
                    if !source.has_more()? {
                        return Ok(0);
                    }
                    // The decoder is given the source for as long as a frame lasts.
                    let mut decoder = FrameDecoder::new();
                    decoder.set_max_window_size(ZSTD_WINDOW);
                    match decoder.init(&mut source) {
                        Ok(()) => self.state = Some(Frame::Within(Box::new(decoder), source)),
                        Err(FrameDecoderError::ReadFrameHeaderError(
                            ReadFrameHeaderError::SkipFrame { length, .. },
                        )) => {
                            std::io::copy(
                                &mut (&mut source).take(u64::from(length)),
                                &mut std::io::sink(),
                            )?;
                            self.state = Some(Frame::Between(source));
                        }
                        Err(error) => return Err(std::io::Error::other(error)),
                    }
                }
                Some(Frame::Within(mut decoder, mut source)) => {
                    while decoder.can_collect() == 0 && !decoder.is_finished() {
                        self.work.goes_on(0)?;
                        decoder
                            .decode_blocks(&mut source, BlockDecodingStrategy::UptoBlocks(1))
                            .map_err(std::io::Error::other)?;
                    }
                    let n = decoder.read(piece)?;
                    if n > 0 {
                        self.state = Some(Frame::Within(decoder, source));
                        return Ok(n);
                    }
                    if decoder
                        .get_checksum_from_data()
                        .is_some_and(|told| decoder.get_calculated_checksum() != Some(told))
                    {
                        return Err(std::io::Error::other(
                            "the checksum of a zstd frame is wrong",
                        ));
                    }
                    self.state = Some(Frame::Between(source));
                }
            }
        }
    }
}

/// A source whose next byte may be looked at.
struct Ahead<'r> {
    byte: Option<u8>,
    inner: Source<'r>,
}

impl Ahead<'_> {
    fn has_more(&mut self) -> std::io::Result<bool> {
        let mut byte = [0];
        if self.byte.is_none() && self.inner.read(&mut byte)? > 0 {
            self.byte = Some(byte[0]);
        }
        Ok(self.byte.is_some())
    }
}

impl Read for Ahead<'_> {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        match (self.byte, piece.first_mut()) {
            (Some(byte), Some(first)) => {
                *first = byte;
                self.byte = None;
                Ok(1)
            }
            _ => self.inner.read(piece),
        }
    }
}

/// The bytes of a body; tells when all of them were read.
struct Whole<'r> {
    bytes: &'r [u8],
    is_read: &'r Cell<bool>,
    work: &'r Work,
}

impl Read for Whole<'_> {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        self.work.goes_on(piece.len().min(self.bytes.len()))?;
        self.is_read.set(self.bytes.len() <= piece.len());
        self.bytes.read(piece)
    }
}

/// Ends with an error when more comes than may, or comes by more work.
struct Bounded<'r> {
    inner: Source<'r>,
    left: u64,
    is_over: &'r Cell<bool>,
    work: &'r Work,
}

impl Read for Bounded<'_> {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(piece)?;
        self.work.goes_on(n)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                self.is_over.set(true);
                return Err(std::io::Error::other("more than may come"));
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use crate::kind::run::coding::*;
    use flate2::Compression;
    use std::io::Write;
    use std::sync::Arc;
    use std::time::Duration;

    const LIMITS: Limits = Limits {
        body: 1 << 20,
        decoded: 1 << 20,
        header: 65_536,
    };

    fn ample() -> Work {
        Work::of(Duration::from_secs(60), Arc::default())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn broken_checksum() -> Vec<u8> {
        let mut frame = zstd(b"a body with a checksum");
        let last = frame.len() - 1;
        frame[last] ^= 1;
        frame
    }

    /// A frame that says nothing to a decoder (RFC 8878 section 3.1.2).
    const SKIPPED: &[u8] = &[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
    /// A frame that asks for a window of 16 MiB, with one raw block.
    const WIDE: &[u8] = &[
        0x28,
        0xB5,
        0x2F,
        0xFD,
        0x00,
        14 << 3,
        0x09,
        0x00,
        0x00,
        b'x',
    ];

    fn response(coding: &str, body: Vec<u8>) -> Response {
        Response {
            headers: vec![("content-encoding".into(), coding.into())],
            body,
            ..Response::default()
        }
    }

    #[test]
    fn a_body_is_undone_whole_whatever_its_codings_and_length() {
        let limits = Limits {
            decoded: 5 << 20,
            ..LIMITS
        };
        let lengths = [0, 1, 1 << 20, AT_FIRST, AT_FIRST + 1];
        for plain in lengths.map(|n| (0..n).map(|k| (k * k / 7) as u8).collect::<Vec<_>>()) {
            // The longest are the same for all of them.
            let codings = if plain.len() < AT_FIRST { 8 } else { 1 };
            let all = [
                response("gzip", gzip(&plain)),
                response(
                    "x-gzip",
                    [
                        gzip(&plain[..plain.len() / 2]),
                        gzip(&plain[plain.len() / 2..]),
                    ]
                    .concat(),
                ),
                response("deflate", zlib(&plain)),
                response("deflate", deflate(&plain)),
                response("deflate, identity, gzip", gzip(&zlib(&plain))),
                response("gzip, deflate", deflate(&gzip(&plain))),
                response("zstd", zstd(&plain)),
                response(
                    "gzip, zstd",
                    [zstd(&gzip(&plain)), SKIPPED.to_vec(), zstd(b"")].concat(),
                ),
            ];
            for coded in all.iter().take(codings) {
                let body = decoded(coded, &limits, Strictness::Lenient, &ample())
                    .expect("within the limit")
                    .bytes;
                assert!(
                    *body == *plain,
                    "{} bytes of {}",
                    plain.len(),
                    String::from_utf8_lossy(&coded.headers[0].1)
                );
                assert!(decodable(coded, &limits, Strictness::Lenient, &ample()).is_ok());
            }
        }
    }

    #[test]
    fn a_bomb_is_found_in_whichever_layer_it_is_and_nonsense_is_no_bomb() {
        let zeros = vec![0; (1 << 20) + 1];
        for (coded, cause) in [
            (response("gzip", gzip(&zeros)), Cause::DecodeLimit),
            (response("deflate", deflate(&zeros)), Cause::DecodeLimit),
            (
                response("deflate, gzip", gzip(&zlib(&zeros))),
                Cause::DecodeLimit,
            ),
            (
                response("gzip, gzip", gzip(&[gzip(b"x"), gzip(&zeros)].concat())),
                Cause::DecodeLimit,
            ),
            (response("gzip", b"no gzip".to_vec()), Cause::DecodeError),
            (
                response("gzip", gzip(b"cut short")[..12].to_vec()),
                Cause::DecodeError,
            ),
            (
                response("deflate", zlib(b"cut short")[..6].to_vec()),
                Cause::DecodeError,
            ),
            (response("zstd", zstd(&zeros)), Cause::DecodeLimit),
            (response("zstd", b"no zstd".to_vec()), Cause::DecodeError),
            (
                response("zstd", zstd(b"cut short")[..12].to_vec()),
                Cause::DecodeError,
            ),
            (response("zstd", broken_checksum()), Cause::DecodeError),
            (response("zstd", WIDE.to_vec()), Cause::DecodeError),
            (response("compress", b"x".to_vec()), Cause::DecodeError),
            (
                response("gzip,gzip,gzip,gzip", b"x".to_vec()),
                Cause::DecodeLimit,
            ),
        ] {
            for result in [
                decoded(&coded, &LIMITS, Strictness::Strict, &ample()).map(|_| ()),
                decodable(&coded, &LIMITS, Strictness::Strict, &ample()).map(|_| ()),
            ] {
                assert!(
                    matches!(&result, Err(ProbeError::Down(found, _)) if *found == cause),
                    "{result:?}, not {cause:?}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_coding_is_read_as_it_is_unless_the_config_is_strict() {
        for coding in [
            "UTF-8",
            "none",
            "binary",
            "aws-chunked",
            "utf8",
            "8bit",
            "x-nothing",
        ] {
            let coded = response(coding, b"hello".to_vec());
            let plain = decoded(&coded, &LIMITS, Strictness::Lenient, &ample()).expect("as it is");
            assert_eq!(
                (&*plain.bytes, plain.odd.is_some()),
                (&b"hello"[..], true),
                "{coding}"
            );
            assert!(
                matches!(
                    decodable(&coded, &LIMITS, Strictness::Lenient, &ample()),
                    Ok(Some(_))
                ),
                "{coding}"
            );
            assert!(
                matches!(
                    decoded(&coded, &LIMITS, Strictness::Strict, &ample()),
                    Err(ProbeError::Down(Cause::DecodeError, _))
                ),
                "{coding}"
            );
        }
        for coding in ["gzip, aws-chunked", "aws-chunked, gzip"] {
            assert_eq!(
                &*decoded(
                    &response(coding, gzip(b"hello")),
                    &LIMITS,
                    Strictness::Lenient,
                    &ample()
                )
                .expect("undone")
                .bytes,
                b"hello",
                "{coding}"
            );
        }
        let hidden = response("gzip, x-nothing", b"neither".to_vec());
        assert_eq!(
            &*decoded(&hidden, &LIMITS, Strictness::Lenient, &ample())
                .expect("as it is")
                .bytes,
            b"neither"
        );
    }

    #[test]
    fn a_coding_that_reading_cut_off_is_undone_as_far_as_it_goes() {
        let plain: Vec<u8> = (0..400_000_u32)
            .flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()[..2].to_vec())
            .collect();
        for (coding, coded) in [
            ("gzip", gzip(&plain)),
            ("deflate", zlib(&plain)),
            ("deflate", deflate(&plain)),
            ("zstd", zstd(&plain)),
        ] {
            let half = coded.len() / 2;
            let cut = Response {
                is_cut: true,
                ..response(coding, coded[..half].to_vec())
            };
            let seen = decoded(&cut, &LIMITS, Strictness::Lenient, &ample())
                .expect("as far as it goes")
                .bytes;
            assert!(
                seen.len() > 100_000 && plain.starts_with(&seen),
                "{coding}: {} bytes",
                seen.len()
            );
            let whole = response(coding, coded[..half].to_vec());
            assert!(
                matches!(
                    decoded(&whole, &LIMITS, Strictness::Lenient, &ample()),
                    Err(ProbeError::Down(Cause::DecodeError, _))
                ),
                "{coding}"
            );
        }
    }

    /// A frame of zstd of blocks that each have a table of 2048 entries, and one byte.
    fn many_tables(blocks: usize) -> Vec<u8> {
        let block = |is_last: u8| [0x3C | is_last, 0, 0, 0x12, 0xC0, 0, 0x80, 0xB0, 2, 0];
        let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0, 0x68];
        (1..blocks).for_each(|_| frame.extend(block(0)));
        frame.extend(block(1));
        frame
    }

    /// Members of gzip without a byte in them.
    fn many_members(count: usize) -> Vec<u8> {
        gzip(b"").repeat(count)
    }

    /// Blocks of brotli that have nothing in them, of one byte each (RFC 7932 section 9.2).
    fn many_empty_blocks(count: usize) -> Vec<u8> {
        [vec![0x0C], vec![0x06; count], vec![0x03]].concat()
    }

    #[test]
    fn an_answer_that_costs_more_work_than_may_be_is_down_in_whichever_layer_it_does() {
        let few = response("zstd", many_tables(50));
        assert_eq!(
            decoded(&few, &LIMITS, Strictness::Lenient, &ample())
                .expect("little work")
                .bytes
                .len(),
            50
        );
        for coded in [
            response("zstd", many_tables(20_000)),
            response("zstd, gzip", gzip(&many_tables(20_000))),
            response("deflate, zstd, gzip", gzip(&many_tables(20_000))),
            response("zstd", SKIPPED.repeat(20_000)),
            response("gzip", many_members(10_000)),
            response("gzip, deflate", zlib(&many_members(10_000))),
            response("br", many_empty_blocks(200_000)),
            response("gzip, br", many_empty_blocks(200_000)),
        ] {
            let little = Work::of(Duration::from_micros(500), Arc::default());
            let body = decoded(&coded, &LIMITS, Strictness::Lenient, &little)
                .map(|plain| plain.bytes.len());
            assert!(
                matches!(
                    &body,
                    Err(ProbeError::Down(Cause::DecodeLimit, why)) if why.contains("processor time")
                ),
                "{body:?}"
            );
        }
    }
}
