//! The frames that an HTTP/2 peer sends, counted before they are handled (RFC 9113 section 4.1).
//!
//! A peer may send any number of frames that carry nothing. They are limited in number, and others
//! have their turn between them, so that no peer holds the thread. What follows the end of the
//! answer is not read: it cannot take the answer back.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::plan::probe::too_many_pieces;
use crate::net::first_bytes::FIRST_BYTES;
use crate::net::peer;
use crate::net::probe_error::ProbeError;
use crate::words::Cause;

/// Frames that carry nothing of the answer's body, in one exchange.
const FRAME_LIMIT: u32 = 1000;
/// Frames and bytes that are handled before others have their turn.
const TURN_FRAMES: u32 = 32;
const TURN_BYTES: usize = 32 << 10;
/// Bytes read at once where frames may be small.
const PIECE: usize = 512;

/// Turns in which a whole answer is used.
const TURNS_AFTER: u8 = 8;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const HEADER: usize = 9;

/// What was seen of a peer's frames.
#[derive(Default)]
pub struct Watch {
    first: RefCell<Vec<u8>>,
    flood: Cell<Option<Flood>>,
}

/// Of which frames there were too many.
#[derive(Debug, Clone, Copy)]
enum Flood {
    BesideBody,
    /// With so few bytes of the body.
    OfBody {
        frames: u32,
        bytes: u64,
    },
}

impl Watch {
    /// The protocol that the peer speaks in place of HTTP/2.
    pub fn other_protocol(&self) -> Option<&'static str> {
        peer::named(&self.first.borrow()).filter(|name| *name != "HTTP/2")
    }

    /// What the peer did where it sent too many frames.
    pub fn flood(&self) -> Option<ProbeError> {
        Some(match self.flood.get()? {
            Flood::BesideBody => ProbeError::down(
                Cause::ProtocolError,
                format!(
                    "the peer sent more than {FRAME_LIMIT} HTTP/2 frames beside the body of its \
                        answer"
                ),
            ),
            Flood::OfBody { frames, bytes } => {
                let why = too_many_pieces(u64::from(frames), bytes, "DATA frames");
                ProbeError::down(Cause::BodyLimit, why.unwrap_or_default())
            }
        })
    }
}

pub struct Watched<S> {
    inner: S,
    watch: Rc<Watch>,
    header: [u8; HEADER],
    /// Bytes of the header that are there.
    have: usize,
    /// Bytes of the payload that are yet to come.
    left: u32,
    frames: u32,
    /// Those of the body, and its bytes.
    data_frames: u32,
    data_bytes: u64,
    turn_frames: u32,
    turn_bytes: usize,
    /// The answer ends with the header block that is being read.
    ends: bool,
    /// All of the answer was passed on.
    is_whole: bool,
    turns_after: u8,
}

impl<S> Watched<S> {
    pub fn new(inner: S, watch: Rc<Watch>) -> Self {
        Self {
            inner,
            watch,
            header: [0; HEADER],
            have: 0,
            left: 0,
            frames: 0,
            data_frames: 0,
            data_bytes: 0,
            turn_frames: 0,
            turn_bytes: 0,
            ends: false,
            is_whole: false,
            turns_after: 0,
        }
    }

    /// Follows the frames through `bytes`; gives how many of them belong to the answer or to what
    /// came before its end.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.is_whole {
            if self.have < HEADER {
                let taken = (HEADER - self.have).min(bytes.len() - at);
                self.header[self.have..self.have + taken].copy_from_slice(&bytes[at..at + taken]);
                self.have += taken;
                at += taken;
                if self.have < HEADER {
                    break;
                }
                self.left = u32::from_be_bytes([0, self.header[0], self.header[1], self.header[2]]);
                self.begins();
            }
            let taken = (self.left as usize).min(bytes.len() - at);
            self.left -= taken as u32;
            at += taken;
            if self.left == 0 {
                self.have = 0;
                self.is_whole = self.ends && self.is_last_of_block();
            }
        }
        at
    }

    fn begins(&mut self) {
        let (kind, flags) = (self.header[3], self.header[4]);
        self.turn_frames += 1;
        if kind != DATA || self.left == 0 {
            self.frames += 1;
        } else {
            self.data_frames += 1;
            self.data_bytes += u64::from(self.left);
        }
        // Stream 1 is the only one that was opened.
        let is_ours = self.header[5..] == [0, 0, 0, 1];
        self.ends |= is_ours && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
    }

    fn flood(&self) -> Option<Flood> {
        let (frames, bytes) = (self.data_frames, self.data_bytes);
        if self.frames > FRAME_LIMIT {
            return Some(Flood::BesideBody);
        }
        too_many_pieces(u64::from(frames), bytes, "").map(|_| Flood::OfBody { frames, bytes })
    }

    fn is_last_of_block(&self) -> bool {
        !matches!(self.header[3], HEADERS | CONTINUATION) || self.header[4] & END_HEADERS != 0
    }

    /// How much may be read at once: the rest of a body's frame, and no more small frames than a
    /// turn has.
    fn room(&self) -> usize {
        let body = if self.have == HEADER && self.header[3] == DATA {
            self.left as usize
        } else {
            0
        };
        body.min(16 << 10) + PIECE
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_whole {
            // What was passed on is used first; where it makes no answer, the end of it is the end.
            if self.turns_after == TURNS_AFTER {
                return Poll::Ready(Ok(()));
            }
            self.turns_after += 1;
            return pin!(tokio::task::yield_now()).poll(cx).map(|()| Ok(()));
        }
        if self.turn_frames >= TURN_FRAMES || self.turn_bytes >= TURN_BYTES {
            (self.turn_frames, self.turn_bytes) = (0, 0);
            return pin!(tokio::task::yield_now()).poll(cx).map(|()| Ok(()));
        }
        let room = self.room().min(buf.remaining());
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut piece))?;
        let read = piece.filled().len();
        {
            let mut first = self.watch.first.borrow_mut();
            let wanted = (FIRST_BYTES - first.len()).min(read);
            first.extend_from_slice(&piece.filled()[..wanted]);
        }
        let passed = self.follow(piece.filled());
        self.turn_bytes += read;
        if let Some(flood) = self.flood() {
            self.watch.flood.set(Some(flood));
            return Poll::Ready(Err(io::Error::other("too many frames")));
        }
        buf.advance(passed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        [
            &[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream],
            payload,
        ]
        .concat()
    }

    async fn read(bytes: &[u8], piece: usize) -> (Vec<u8>, bool) {
        let watch = Rc::new(Watch::default());
        let mut watched = Watched::new(bytes, watch.clone());
        let mut out = Vec::new();
        let mut buffer = vec![0; piece];
        while let Ok(n) = watched.read(&mut buffer).await {
            out.extend_from_slice(&buffer[..n]);
            if n == 0 {
                break;
            }
        }
        (out, watch.flood().is_some())
    }

    #[tokio::test]
    async fn nothing_after_the_end_of_the_answer_is_passed_on() {
        let settings = frame(4, 0, 0, &[]);
        let answers = [
            frame(HEADERS, END_HEADERS | END_STREAM, 1, b"h"),
            [
                frame(HEADERS, END_HEADERS, 1, b"h"),
                frame(DATA, 0, 1, b"body"),
                frame(DATA, END_STREAM, 1, b""),
            ]
            .concat(),
            [
                frame(HEADERS, END_STREAM, 1, b"h"),
                frame(CONTINUATION, 0, 1, b"e"),
                frame(CONTINUATION, END_HEADERS, 1, b"ad"),
            ]
            .concat(),
            [
                frame(HEADERS, END_HEADERS, 1, b"h"),
                frame(DATA, 0, 1, &[7; 200]),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, b"trailers"),
            ]
            .concat(),
        ];
        for answer in answers {
            let whole = [&settings[..], &answer].concat();
            let sent = [
                &whole[..],
                &frame(7, 0, 0, &[0; 8]),
                &frame(3, 0, 1, &[0; 4]),
            ]
            .concat();
            for piece in [1, 7, 10, 4096] {
                assert_eq!(read(&sent, piece).await, (whole.clone(), false), "{piece}");
            }
        }
        let other = [
            frame(HEADERS, END_HEADERS | END_STREAM, 3, b"h"),
            frame(6, 1, 0, &[0; 8]),
        ]
        .concat();
        assert_eq!(
            read(&other, 4096).await,
            (other.clone(), false),
            "another stream's end is not ours"
        );
    }

    #[tokio::test]
    async fn frames_that_carry_nothing_are_limited_in_number() {
        let limit = FRAME_LIMIT as usize;
        for (kind, flags, payload) in [
            (6, 0, &[0; 8][..]),
            (4, 0, &[]),
            (8, 0, &[0, 0, 0, 1]),
            (DATA, 0, &[]),
            (HEADERS, END_HEADERS, b"i"),
            (0x42, 0, b"x"),
        ] {
            let few = frame(kind, flags, 1, payload).repeat(limit);
            assert_eq!(read(&few, 4096).await, (few.clone(), false), "{kind}");
            assert!(
                read(&frame(kind, flags, 1, payload).repeat(limit + 1), 4096)
                    .await
                    .1,
                "{kind}"
            );
        }
        let body = frame(DATA, 0, 1, b"x").repeat(limit * 3);
        assert!(
            !read(&body, 4096).await.1,
            "a body in small frames is no flood"
        );
        // 16,384 + 17,476 / 16.
        let most = frame(DATA, 0, 1, b"x").repeat(17_476);
        assert!(!read(&most, 4096).await.1);
        let more = frame(DATA, 0, 1, b"x").repeat(17_477);
        assert!(read(&more, 4096).await.1, "too small for their number");
    }
}
