//! The tcp kind: a connection, and if configured a dialogue over it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::TcpTarget;
use super::spec::DialogueStep;
use crate::config::plan::Dial;
use crate::config::plan::probe::Pattern;
use crate::kind::run::cost::{self, apart};
use crate::kind::run::expect::{shown, too_expensive};
use crate::kind::run::search::{self, End};
use crate::kind::run::work::{Awaited, Work};
use crate::net::clock::{Clock, thread_cpu_ns};
use crate::net::dial;
use crate::net::dialogue::{Dialogue, REPLY_LIMIT, Step};
use crate::net::peer;
use crate::net::probe_error::{ProbeError, stream_error};
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
) -> Result<(), ProbeError> {
    let mut stream = dial::connect(net, trace, dial, &address.host, address.port, deadline).await?;
    let mut dialogue = Dialogue::default();
    let awaited = Awaited::default();
    let mut work = awaited.usual();
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
                let spoken = (&mut stream, &mut dialogue);
                expect((net, trace), spoken, pattern, deadline, &mut work).await?
            }
        }
    }
    trace.enter(Stage::Idle);
    crate::kind::run::expect::within(trace, spec.within)
}

/// Reads until the pattern matches, or cannot match any more.
async fn expect(
    (net, trace): (&Net, &Trace),
    (stream, dialogue): (&mut StampedTcp<'_>, &mut Dialogue),
    pattern: &Pattern,
    deadline: Instant,
    work: &mut Work,
) -> Result<(), ProbeError> {
    trace.enter(Stage::Reply(Cause::ExpectTimeout));
    let mut pace = Pace::begin();
    let own_ns = trace.own_ns();
    let mut came_ns = Clock::Real.boot_ns();
    let mut read = ReadProgress::More;
    loop {
        let is_last = !matches!(read, ReadProgress::More) || dialogue.is_full();
        if is_last || pace.is_due(dialogue) {
            let step = looked((net, trace), dialogue, pattern, (&mut pace, work)).await?;
            if step != Step::More {
                trace.judged_since(came_ns);
            }
            match step {
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
                    let found = peer::received_text(&line);
                    return Err(unmet(
                        trace,
                        dialogue,
                        pattern,
                        Cause::ExpectMismatch,
                        &found,
                    ));
                }
                Step::More => {}
            }
        }
        if is_last {
            return Err(unanswered(trace, dialogue, pattern, read));
        }
        let (before, began_ns) = (dialogue.received().len(), Clock::Real.boot_ns());
        // Bounded here, too, so that what was heard is told.
        read = more(stream, dialogue, &pace, trace.moved(deadline)).await;
        if dialogue.received().len() > before {
            trace.went_on(own_ns, began_ns);
            came_ns = Clock::Real.boot_ns();
        }
    }
}

/// How reading went on.
enum ReadProgress {
    More,
    Closed,
    Failed(std::io::Error),
    TimedOut,
}

/// Reads on, or waits until what is there may be looked at. What came until the timeout is read
/// once more, as it may have come while something else was looked at.
async fn more(
    stream: &mut StampedTcp<'_>,
    dialogue: &mut Dialogue,
    pace: &Pace,
    deadline: Instant,
) -> ReadProgress {
    let is_over = Instant::now() >= deadline;
    if is_over {
        dialogue.buffer().reserve(REPLY_LIMIT);
    }
    let until = pace.next(dialogue).map_or(deadline, |at| at.min(deadline));
    match timeout_at(until, stream.read_buf(dialogue.buffer())).await {
        Ok(Ok(0)) => ReadProgress::Closed,
        Ok(Ok(_)) if is_over => ReadProgress::TimedOut,
        Ok(Ok(_)) => ReadProgress::More,
        Ok(Err(error)) => ReadProgress::Failed(error),
        Err(_) if until < deadline => ReadProgress::More,
        Err(_) => ReadProgress::TimedOut,
    }
}

/// When what has come is looked at. As a look may have to go through all of it again, a peer could
/// have any number of them with a byte for each: the second one comes after some rest or with a
/// quarter more, and each rest is twice as long.
struct Pace {
    /// Bytes that were there at the last look.
    looked_at: Option<usize>,
    next: Instant,
    rest: u32,
}

impl Pace {
    /// A look that took less asks for no rest.
    const SHORT: Duration = Duration::from_micros(250);

    fn begin() -> Self {
        Self {
            looked_at: None,
            next: Instant::now(),
            rest: 2,
        }
    }

    fn is_due(&self, dialogue: &Dialogue) -> bool {
        let bytes = dialogue.received().len();
        self.looked_at.is_none_or(|before| {
            bytes > before + before / 4 || bytes > before && Instant::now() >= self.next
        })
    }

    /// When it is due although nothing more has come.
    fn next(&self, dialogue: &Dialogue) -> Option<Instant> {
        let bytes = dialogue.received().len();
        self.looked_at
            .is_some_and(|before| bytes > before)
            .then_some(self.next)
    }

    fn has_looked(&mut self, dialogue: &Dialogue, took: Duration) {
        self.looked_at = Some(dialogue.received().len());
        self.next = Instant::now();
        if took > Self::SHORT {
            self.next += took * self.rest;
            self.rest = self.rest.saturating_mul(2).min(1 << 16);
        }
    }
}

/// Why no further line is waited for.
fn unanswered(
    trace: &Trace,
    dialogue: &Dialogue,
    pattern: &Pattern,
    read: ReadProgress,
) -> ProbeError {
    let said = peer::received_text(&dialogue.said());
    let (cause, found) = match read {
        ReadProgress::More => (
            Cause::ExpectMismatch,
            format!("{} bytes without it, {said}", dialogue.received().len()),
        ),
        ReadProgress::Closed => (
            Cause::ExpectMismatch,
            format!("{said} before the peer closed the connection"),
        ),
        ReadProgress::TimedOut => (
            Cause::ExpectTimeout,
            format!("{said} until the timeout{}", silence(trace, dialogue)),
        ),
        ReadProgress::Failed(error) => match stream_error(&error, Cause::ExpectMismatch) {
            ProbeError::Down(cause, detail) => (cause, format!("{said} before the {detail}")),
            ours @ ProbeError::Unmeasured(..) => return ours,
        },
    };
    unmet(trace, dialogue, pattern, cause, &found)
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

/// What has come, held against the pattern: as lines, as the start of one, and as a whole. The
/// time of it is the peer's where it goes on after that.
async fn looked(
    (net, trace): (&Net, &Trace),
    dialogue: &mut Dialogue,
    pattern: &Pattern,
    (pace, work): (&mut Pace, &mut Work),
) -> Result<Step, ProbeError> {
    if cost::is_small(cost::pattern(pattern, 3 * dialogue.received().len())) {
        let began = Instant::now();
        let step = dialogue.look(&pattern.regex);
        pace.has_looked(dialogue, began.elapsed());
        return Ok(step);
    }
    trace.is_looked_at.set(true);
    let thread = net.judging_threads.one_for(trace.whose.get()).await;
    let (mut taken, sought) = (std::mem::take(dialogue), pattern.clone());
    let mine = std::mem::replace(work, Work::of(Duration::ZERO, Arc::default()));
    let looked = apart(&thread, trace, move || {
        let began_ns = thread_cpu_ns();
        let step = taken.look_by(&sought.regex, &|text| {
            search::is_in(&sought, text, End::Whole, &mine).unwrap_or_default()
        });
        mine.rests();
        (step, taken, mine, thread_cpu_ns().saturating_sub(began_ns))
    });
    let (step, taken, mine, took_ns) = looked.await?;
    drop(thread);
    trace.is_looked_at.set(false);
    *dialogue = taken;
    pace.has_looked(dialogue, Duration::from_nanos(took_ns));
    *work = mine;
    if !matches!(step, Step::Matched(_)) && work.ended().is_some() {
        let found = too_expensive(work);
        return Err(unmet(trace, dialogue, pattern, Cause::JudgeLimit, &found));
    }
    Ok(step)
}

fn expectation(pattern: &Pattern) -> String {
    format!("a line that matches /{}/", pattern.text)
}

fn unmet(
    trace: &Trace,
    dialogue: &Dialogue,
    pattern: &Pattern,
    cause: Cause,
    found: &str,
) -> ProbeError {
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
    ProbeError::down(cause, detail)
}
