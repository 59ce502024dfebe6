//! The tcp kind: a connection, and if configured a dialogue over it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::TcpTarget;
use super::spec::DialogueStep;
use crate::config::plan::Dial;
use crate::config::plan::probe::Pattern;
use crate::kind::run::cost::{self, apart};
use crate::kind::run::expect::shown;
use crate::net::dial;
use crate::net::dialogue::{Dialogue, Step};
use crate::net::halt::{Halt, stream_error};
use crate::net::peer;
use crate::net::shared::Net;
use crate::net::stream::StampedTcp;
use crate::net::trace::{Stage, Trace};
use crate::words::{Cause, Finding};

pub async fn probe(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    TcpTarget { address, spec }: &TcpTarget,
    deadline: Instant,
) -> Result<(), Halt> {
    let mut stream = dial::connect(net, trace, dial, &address.host, address.port, deadline).await?;
    let mut dialogue = Dialogue::default();
    for step in &spec.dialogue {
        match step {
            DialogueStep::Send(text) => {
                trace.enter(Stage::Request);
                let text = text.0.reveal();
                dialogue.sent(text);
                stream
                    .write_all(text.as_bytes())
                    .await
                    .map_err(|e| stream_error(&e, Cause::ConnectReset))?;
            }
            DialogueStep::Expect(pattern) => {
                expect(trace, &mut stream, &mut dialogue, pattern, deadline).await?
            }
        }
    }
    trace.enter(Stage::Idle);
    crate::kind::run::expect::within(trace, spec.within)
}

/// Reads until the pattern matches, or cannot match any more.
async fn expect(
    trace: &Trace,
    stream: &mut StampedTcp<'_>,
    dialogue: &mut Dialogue,
    pattern: &Pattern,
    deadline: Instant,
) -> Result<(), Halt> {
    trace.enter(Stage::Reply(Cause::ExpectTimeout));
    loop {
        match looked(trace, dialogue, pattern).await? {
            Step::Matched(line) => {
                let expectation = expectation(pattern);
                trace.facts.borrow_mut().findings.push(Finding {
                    expectation,
                    found: shown(&line),
                    met: true,
                });
                return Ok(());
            }
            Step::Cannot(line) => {
                return Err(unmet(
                    trace,
                    dialogue,
                    pattern,
                    Cause::ExpectMismatch,
                    &peer::heard(&line),
                ));
            }
            Step::More => {}
        }
        if dialogue.is_full() {
            let found = format!(
                "{} bytes without it, {}",
                dialogue.heard().len(),
                peer::heard(&dialogue.said())
            );
            return Err(unmet(
                trace,
                dialogue,
                pattern,
                Cause::ExpectMismatch,
                &found,
            ));
        }
        // Bounded here, too, so that what was heard is told.
        match timeout_at(trace.moved(deadline), stream.read_buf(dialogue.buffer())).await {
            Ok(Ok(0)) => {
                let found = format!(
                    "{} before the peer closed the connection",
                    peer::heard(&dialogue.said())
                );
                return Err(unmet(
                    trace,
                    dialogue,
                    pattern,
                    Cause::ExpectMismatch,
                    &found,
                ));
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                return Err(match stream_error(&error, Cause::ExpectMismatch) {
                    Halt::Down(cause, detail) => unmet(
                        trace,
                        dialogue,
                        pattern,
                        cause,
                        &format!("{} before the {detail}", peer::heard(&dialogue.said())),
                    ),
                    ours @ Halt::Unmeasured(..) => ours,
                });
            }
            Err(_) => {
                let found = format!(
                    "{} until the timeout{}",
                    peer::heard(&dialogue.said()),
                    silence(trace, dialogue)
                );
                return Err(unmet(
                    trace,
                    dialogue,
                    pattern,
                    Cause::ExpectTimeout,
                    &found,
                ));
            }
        }
    }
}

/// What is to be said of a peer that has said nothing at all.
fn silence(trace: &Trace, dialogue: &Dialogue) -> String {
    if !dialogue.unmatched_begin().is_some_and(<[u8]>::is_empty) {
        return String::new();
    }
    let after = if dialogue.has_sent() {
        peer::Unanswered::Words
    } else {
        peer::Unanswered::Connection
    };
    format!(
        ": {}",
        peer::silence(trace.port.get(), after, trace.age_ms())
    )
}

/// What has come, held against the pattern: as lines, as the start of one, and as a whole.
async fn looked(trace: &Trace, dialogue: &mut Dialogue, pattern: &Pattern) -> Result<Step, Halt> {
    if cost::is_small(cost::pattern(pattern, 3 * dialogue.heard().len())) {
        return Ok(dialogue.look(&pattern.regex));
    }
    trace.is_answered.set(true);
    trace.enter(Stage::Judging);
    let (mut taken, regex) = (std::mem::take(dialogue), pattern.regex.clone());
    let (step, taken) = apart(move || (taken.look(&regex), taken)).await?;
    *dialogue = taken;
    trace.is_answered.set(false);
    trace.enter(Stage::Reply(Cause::ExpectTimeout));
    Ok(step)
}

fn expectation(pattern: &Pattern) -> String {
    format!("a line that matches /{}/", pattern.text)
}

fn unmet(trace: &Trace, dialogue: &Dialogue, pattern: &Pattern, cause: Cause, found: &str) -> Halt {
    let protocol = dialogue
        .unmatched_begin()
        .and_then(peer::named)
        .map(|name| format!("; the peer speaks {name}"));
    let found = format!("{found}{}", protocol.unwrap_or_default());
    let expectation = expectation(pattern);
    let detail = format!("expected {expectation}, {found}");
    trace.facts.borrow_mut().findings.push(Finding {
        expectation,
        found: found.trim_start_matches("received ").to_owned(),
        met: false,
    });
    Halt::down(cause, detail)
}
