//! Answers in pieces: written on a thread of their own, sent as the client takes them, never whole
//! in memory.
//!
//! What fits into one piece is sent with its length; of anything larger at most four pieces exist,
//! the one that is being written among them. What fails before the first piece is an error to the
//! client; later it breaks the connection off.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::gate::Place;
use crate::history::HistoryError;
use crate::net::apart;

/// Of an answer.
const PIECE: usize = 16 << 10;
/// Pieces that may wait for a slow reader.
const PIECES_WAITING: usize = 2;

/// Why an answer was not made.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Nothing is there under that name.
    #[error("not found")]
    Unknown,
    /// The client is gone.
    #[error(transparent)]
    Gone(#[from] io::Error),
    #[error("the thread that made the answer ended by itself")]
    Died,
    #[error(transparent)]
    Unbegun(#[from] apart::NotDone),
}

impl From<serde_json::Error> for Unmade {
    fn from(error: serde_json::Error) -> Self {
        Unmade::Gone(error.into())
    }
}

enum NextPiece {
    More(Bytes),
    Last(Bytes),
    Failed(Unmade),
}

/// The body that `make` writes, as soon as its first piece is there.
pub async fn body(
    place: Place,
    make: impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + Send + 'static,
) -> Result<Body, Unmade> {
    let (sender, mut events) = mpsc::channel(PIECES_WAITING);
    let mut pieces = Pieces {
        sender,
        buffer: Vec::new(),
        runtime: Handle::current(),
        place,
    };
    apart::begin(move || {
        let made = make(&mut pieces);
        pieces.end(made);
    })?;
    match events.recv().await {
        Some(NextPiece::Last(all)) => Ok(Body::from(all)),
        Some(NextPiece::More(first)) => Ok(Body::from_stream(Streamed {
            first: Some(first),
            events,
            state: BodyState::Open,
        })),
        Some(NextPiece::Failed(why)) => Err(why),
        None => Err(Unmade::Died),
    }
}

/// Sends what is written in pieces.
struct Pieces {
    sender: mpsc::Sender<NextPiece>,
    buffer: Vec<u8>,
    runtime: Handle,
    /// Given back when the last piece is handed over.
    place: Place,
}

impl Pieces {
    fn send(&self, event: NextPiece) -> io::Result<()> {
        let sent = match self.sender.try_send(event) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(event)) => {
                // The connection bounds how long: when it ends, so does this.
                self.place.taking.waits();
                let sent = self.runtime.block_on(self.sender.send(event)).is_ok();
                self.place.taking.goes_on();
                sent
            }
        };
        if sent {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn end(mut self, made: Result<(), Unmade>) {
        let event = match made {
            Ok(()) => NextPiece::Last(std::mem::take(&mut self.buffer).into()),
            Err(why) => NextPiece::Failed(why),
        };
        if self.send(event).is_err() {
            tracing::debug!("answer aborted by the client");
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == PIECE {
            let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
            self.send(NextPiece::More(full.into()))?;
        }
        let count = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// Pieces go when they are full, and the last at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Streamed {
    first: Option<Bytes>,
    events: mpsc::Receiver<NextPiece>,
    state: BodyState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyState {
    Open,
    Over,
}

impl futures_core::Stream for Streamed {
    type Item = Result<Bytes, Unmade>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.state == BodyState::Over {
            return Poll::Ready(None);
        }
        self.events.poll_recv(cx).map(|event| {
            if !matches!(event, Some(NextPiece::More(_))) {
                self.state = BodyState::Over;
            }
            Some(match event {
                Some(NextPiece::More(piece) | NextPiece::Last(piece)) => Ok(piece),
                Some(NextPiece::Failed(why)) => Err(why),
                None => Err(Unmade::Died),
            })
        })
    }
}

/// Writes a JSON object whose one long list is made item by item; `frame` is the object with that
/// list empty.
pub fn write_list(
    out: &mut dyn Write,
    frame: &Value,
    key: &str,
    mut items: impl Iterator<Item = Value>,
) -> Result<(), Unmade> {
    write_lists(out, frame, &mut [(key, &mut items)])
}

/// A list of an answer with its key.
type KeyedItems<'i> = (&'i str, &'i mut dyn Iterator<Item = Value>);

/// The same of an object with several long lists.
pub fn write_lists(
    out: &mut dyn Write,
    frame: &Value,
    lists: &mut [KeyedItems],
) -> Result<(), Unmade> {
    let mut before = "{";
    for (name, value) in frame.as_object().into_iter().flatten() {
        out.write_all(before.as_bytes())?;
        before = ",";
        serde_json::to_writer(&mut *out, name)?;
        out.write_all(b":")?;
        match lists.iter_mut().find(|(key, _)| name == key) {
            None => serde_json::to_writer(&mut *out, value)?,
            Some((_, items)) => write_items(out, items)?,
        }
    }
    Ok(out.write_all(b"}\n")?)
}

fn write_items(out: &mut dyn Write, items: impl Iterator<Item = Value>) -> Result<(), Unmade> {
    let mut before = "[";
    for item in items {
        out.write_all(before.as_bytes())?;
        before = ",";
        serde_json::to_writer(&mut *out, &item)?;
    }
    Ok(out.write_all(if before == "[" { b"[]" } else { b"]" })?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::HttpBody;
    use serde_json::json;

    use super::*;
    use crate::serve::listener::gate::{ClientLink, Gate};

    async fn made(
        make: impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + Send + 'static,
    ) -> Result<Body, Unmade> {
        let place = Arc::new(Gate::default())
            .enter(&ClientLink::default())
            .await
            .unwrap_or_else(|refusal| panic!("{refusal:?}"));
        body(place, make).await
    }

    #[test]
    fn a_list_is_written_as_if_it_were_whole() {
        for items in [
            vec![],
            vec![json!(1)],
            vec![json!({"b": [1, 2]}), json!("x")],
        ] {
            let whole = json!({"a": 1, "list": items, "z": {"y": null}});
            let mut out = Vec::new();
            let frame = json!({"a": 1, "list": [], "z": {"y": null}});
            write_list(&mut out, &frame, "list", items.into_iter()).expect("written");
            assert_eq!(String::from_utf8(out).expect("UTF-8"), format!("{whole}\n"));
        }
    }

    #[tokio::test]
    async fn a_small_answer_has_a_length_and_a_large_one_its_pieces() {
        let small = made(|out| Ok(out.write_all(b"small")?))
            .await
            .expect("made");
        assert_eq!(small.size_hint().exact(), Some(5));
        let large = made(|out| (0..100_000).try_for_each(|n| Ok(writeln!(out, "{n}")?)))
            .await
            .expect("made");
        assert_eq!(large.size_hint().exact(), None);
        let all = axum::body::to_bytes(large, 1 << 20).await.expect("whole");
        let expected: String = (0..100_000).map(|n| format!("{n}\n")).collect();
        assert!(all == expected.as_bytes());
    }

    #[tokio::test]
    async fn what_fails_at_once_is_an_error_and_what_fails_later_is_never_whole() {
        assert!(matches!(
            made(|_| Err(Unmade::Unknown)).await,
            Err(Unmade::Unknown)
        ));
        let late = made(|out| {
            out.write_all(&[b'x'; 3 * PIECE])?;
            Err(Unmade::Unknown)
        });
        assert!(
            axum::body::to_bytes(late.await.expect("begun"), 1 << 20)
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_maker_ends_when_its_client_is_gone() {
        let (sender, ended) = tokio::sync::oneshot::channel();
        let endless = made(move |out| {
            let result = std::iter::repeat(()).try_for_each(|()| out.write_all(&[b'x'; PIECE]));
            let _ = sender.send(result.is_err());
            Ok(result?)
        });
        drop(endless.await.expect("begun"));
        assert_eq!(ended.await, Ok(true));
    }
}
