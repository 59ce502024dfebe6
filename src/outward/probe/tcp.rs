//! The tcp kind: a connection, and if configured a dialogue of lines over it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::super::dial;
use super::super::halt::{Halt, stream_error};
use super::super::net::Net;
use super::super::stream::StampedTcp;
use super::super::trace::{Stage, Trace};
use super::expect::shown;
use crate::config::plan::Dial;
use crate::config::plan_probe::{DialogueStep, HostPort, Pattern, Tcp};
use crate::words::{Cause, Finding};

/// Bytes read while waiting for one expected line.
const REPLY_LIMIT: usize = 64 << 10;

pub async fn probe(net: &Net, trace: &Trace, dial: &Dial, address: &HostPort, spec: &Tcp, deadline: Instant) -> Result<(), Halt> {
    let mut stream = dial::connect(net, trace, dial, &address.host, address.port, deadline).await?;
    let mut unread = Vec::new();
    for step in &spec.dialogue {
        match step {
            DialogueStep::Send(text) => {
                trace.enter(Stage::Request);
                stream.write_all(text.as_bytes()).await.map_err(|e| stream_error(&e, Cause::ConnectReset))?;
            }
            DialogueStep::Expect(pattern) => expect(trace, &mut stream, &mut unread, pattern).await?,
        }
    }
    trace.enter(Stage::Idle);
    super::within(trace, spec.within)
}

/// Reads lines until one matches; the end of the stream also ends a line.
async fn expect(trace: &Trace, stream: &mut StampedTcp<'_>, unread: &mut Vec<u8>, pattern: &Pattern) -> Result<(), Halt> {
    trace.enter(Stage::Reply(Cause::ExpectTimeout));
    let expectation = format!("a line that matches /{}/", pattern.text);
    let mut read = 0;
    let mut last = Vec::new();
    let mut ended = false;
    loop {
        while let Some(end) = unread.iter().position(|b| *b == b'\n').or_else(|| (ended && !unread.is_empty()).then(|| unread.len() - 1)) {
            let mut line: Vec<u8> = unread.drain(..=end).collect();
            while line.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
                line.pop();
            }
            if pattern.regex.is_match(&line) {
                trace.facts.borrow_mut().findings.push(Finding { expectation, found: shown(&line), met: true });
                return Ok(());
            }
            last = line;
        }
        if ended || read > REPLY_LIMIT {
            let found = if ended { format!("the end of the connection after {}", shown(&last)) } else { format!("{read} bytes without it") };
            trace.facts.borrow_mut().findings.push(Finding { expectation: expectation.clone(), found: found.clone(), met: false });
            return Err(Halt::down(Cause::ExpectMismatch, format!("expected {expectation}, found {found}")));
        }
        let count = stream.read_buf(unread).await.map_err(|e| stream_error(&e, Cause::ExpectMismatch))?;
        read += count;
        ended = count == 0;
    }
}
