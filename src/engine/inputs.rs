//! The inputs of the judges, in order, as bytes: the body of a mark, from which a restart replays
//! them.

use crate::judgement::rules::{Onset, Rules};
use crate::judgement::state::{Change, Judge, ProbeResult, ResultKind};
use crate::judgement::state_codec::{NumberReader, NumberWriter, Unreadable};
use crate::words::{Cause, Ms, Reason};

/// One call of a judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    Observe(ProbeResult),
    Busy(Ms),
    /// So many slots, the last of them at this instant.
    Missed(Ms, Reason, u64),
    Tick(Ms),
    Start(Ms),
    Stop(Ms),
    Reconfigure(Ms),
    /// As logs up to version 2 mean it: a success within the gap explains what was dropped.
    ReconfigureForgetting(Ms),
    /// As builds up to this rule logged it: failures that were not confirmed are dropped with the
    /// time in which they were.
    LeaveDropping(Ms),
    LeaveService(Ms),
    ResumeService(Ms),
    /// The rules change after this.
    Extend(Ms),
    /// As logs up to version 2 mean it: whatever lies between.
    ExtendAlways(Ms),
}

impl Input {
    /// Tells the judge.
    pub fn apply(self, judge: &mut Judge, rules: &Rules, out: &mut Vec<Change>) {
        let before = out.len();
        match self {
            Input::Observe(result) => judge.observe(rules, result, out),
            Input::Busy(at) => judge.busy(rules, at, out),
            Input::Missed(at, reason, count) => judge.missed(rules, at, reason, count, out),
            Input::Extend(at) => judge.extend(rules, at),
            Input::ExtendAlways(at) => judge.extend_always(rules, at),
            Input::Tick(at) => judge.tick(rules, at, out),
            Input::Start(at) => judge.start(rules, at, out),
            Input::Stop(at) => judge.stop(rules, at, out),
            Input::Reconfigure(_) => judge.reconfigure(out),
            Input::ReconfigureForgetting(_) => judge.reconfigure_forgetting(out),
            Input::LeaveDropping(_) => judge.leave_service(out),
            Input::LeaveService(at) => judge.leave_service_at(rules, at, out),
            Input::ResumeService(at) => judge.resume_service(at, out),
        }
        judge.note(&out[before..]);
    }
}

/// Version 2 came with the estimate of an outage's start from the start of the first failure,
/// version 3 with what a new definition or cadence leaves open. What earlier versions hold is
/// replayed as it was judged then, so that the judge still equals the events that were written
/// beside it.
const VERSION: u8 = 3;

/// The inputs of one mark; `base` is an instant that its times are counted from.
pub struct InputLog {
    writer: NumberWriter,
    base: Ms,
    count: usize,
}

impl InputLog {
    pub fn new(base: Ms) -> Self {
        let mut writer = NumberWriter::default();
        writer.0.push(VERSION);
        writer.number(base);
        Self {
            writer,
            base,
            count: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn bytes(&self) -> usize {
        self.writer.0.len()
    }

    pub fn push(&mut self, endpoint: u64, input: Input) {
        self.count += 1;
        let (code, at, more) = match input {
            Input::Observe(r) => {
                let (kind, detail) = match r.kind {
                    ResultKind::Success => (0, None),
                    ResultKind::Failure(cause) => (1, Some(cause as u64)),
                    ResultKind::Unmeasured(reason) => (2, Some(reason as u64)),
                };
                (
                    kind + if r.slot { 0 } else { 3 },
                    r.start,
                    [Some(r.end - r.start), detail],
                )
            }
            Input::Busy(at) => (6, at, [None, None]),
            Input::Missed(at, reason, count) => (7, at, [Some(reason as u64), Some(count)]),
            Input::Tick(at) => (8, at, [None, None]),
            Input::Start(at) => (9, at, [None, None]),
            Input::Stop(at) => (10, at, [None, None]),
            // Those of earlier versions are only read.
            Input::Reconfigure(at) | Input::ReconfigureForgetting(at) => (11, at, [None, None]),
            Input::LeaveDropping(at) => (12, at, [None, None]),
            Input::ResumeService(at) => (13, at, [None, None]),
            Input::Extend(at) | Input::ExtendAlways(at) => (14, at, [None, None]),
            Input::LeaveService(at) => (15, at, [None, None]),
        };
        let delta = at as i64 - self.base as i64;
        self.writer.number(endpoint << 4 | code);
        self.writer.number(((delta << 1) ^ (delta >> 63)) as u64);
        for n in more.into_iter().flatten() {
            self.writer.number(n);
        }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.writer.0
    }
}

/// The inputs of one mark, each with the number of its endpoint, and the rule that they were judged
/// by.
#[derive(Debug, PartialEq, Eq)]
pub struct Logged {
    pub onset: Onset,
    pub inputs: Vec<(u64, Input)>,
}

/// Reads a mark's body back.
pub fn read(bytes: &[u8]) -> Result<Logged, Unreadable> {
    let mut r = NumberReader::new(bytes);
    let mut inputs = Vec::new();
    if bytes.is_empty() {
        return Ok(Logged {
            onset: Onset::FailureStart,
            inputs,
        });
    }
    let version = r.number()?;
    let onset = match version {
        1 => Onset::FailureEnd,
        2 => Onset::FailureStart,
        now if now == u64::from(VERSION) => Onset::FailureStart,
        _ => return Err(Unreadable(0)),
    };
    let base = r.number()?;
    while !r.is_at_end() {
        let head = r.number()?;
        let zigzag = r.number()?;
        let delta = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        let at = base.checked_add_signed(delta).ok_or(Unreadable(0))?;
        let input = match read_one(&mut r, head & 0xF, at)? {
            Input::Reconfigure(at) if version < 3 => Input::ReconfigureForgetting(at),
            Input::Extend(at) if version < 3 => Input::ExtendAlways(at),
            input => input,
        };
        inputs.push((head >> 4, input));
    }
    Ok(Logged { onset, inputs })
}

fn read_one(r: &mut NumberReader, code: u64, at: Ms) -> Result<Input, Unreadable> {
    Ok(match code {
        0..=5 => {
            let end = at.checked_add(r.number()?).ok_or(Unreadable(0))?;
            let verdict = match code % 3 {
                0 => ResultKind::Success,
                1 => ResultKind::Failure(code_of(r.number()?, Cause::from_code)?),
                _ => ResultKind::Unmeasured(code_of(r.number()?, Reason::from_code)?),
            };
            Input::Observe(ProbeResult {
                start: at,
                end,
                kind: verdict,
                slot: code < 3,
            })
        }
        6 => Input::Busy(at),
        7 => Input::Missed(at, code_of(r.number()?, Reason::from_code)?, r.number()?),
        8 => Input::Tick(at),
        9 => Input::Start(at),
        10 => Input::Stop(at),
        11 => Input::Reconfigure(at),
        12 => Input::LeaveDropping(at),
        13 => Input::ResumeService(at),
        14 => Input::Extend(at),
        15 => Input::LeaveService(at),
        _ => return Err(Unreadable(0)),
    })
}

fn code_of<T>(code: u64, decode: fn(u8) -> Option<T>) -> Result<T, Unreadable> {
    u8::try_from(code)
        .ok()
        .and_then(decode)
        .ok_or(Unreadable(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_read_back_in_order() {
        let result = |verdict, slot| {
            Input::Observe(ProbeResult {
                start: 1_700_000_000_123,
                end: 1_700_000_000_456,
                kind: verdict,
                slot,
            })
        };
        let inputs = vec![
            (0, Input::Start(1_700_000_000_000)),
            (7, result(ResultKind::Success, true)),
            (7, result(ResultKind::Failure(Cause::TooSlow), false)),
            (100_000, result(ResultKind::Unmeasured(Reason::Late), true)),
            (3, Input::Busy(1_699_999_999_000)),
            (3, Input::Missed(5, Reason::LocalResource, 3000)),
            (3, Input::Extend(11)),
            (3, Input::Tick(6)),
            (3, Input::Stop(7)),
            (3, Input::Reconfigure(8)),
            (3, Input::LeaveDropping(9)),
            (3, Input::LeaveService(9)),
            (3, Input::ResumeService(10)),
        ];
        let mut log = InputLog::new(1_700_000_000_100);
        for (endpoint, input) in &inputs {
            log.push(*endpoint, *input);
        }
        let bytes = log.into_bytes();
        assert_eq!(
            read(&bytes),
            Ok(Logged {
                onset: Onset::FailureStart,
                inputs: inputs.clone()
            })
        );
        // As the builds before wrote them.
        let before = |(endpoint, input): &(u64, Input)| {
            let input = match *input {
                Input::Reconfigure(at) => Input::ReconfigureForgetting(at),
                Input::Extend(at) => Input::ExtendAlways(at),
                other => other,
            };
            (*endpoint, input)
        };
        for (version, onset) in [(1, Onset::FailureEnd), (2, Onset::FailureStart)] {
            let old: Vec<u8> = std::iter::once(version)
                .chain(bytes[1..].iter().copied())
                .collect();
            let inputs = inputs.iter().map(before).collect();
            assert_eq!(read(&old), Ok(Logged { onset, inputs }));
        }
        assert!(
            read(&[VERSION + 1, 0]).is_err(),
            "a log of a later build is not guessed at"
        );
        for cut in 1..bytes.len() {
            // Cut anywhere, it is shorter or refused, never something else.
            if let Ok(short) = read(&bytes[..cut]) {
                assert!(inputs.starts_with(&short.inputs));
            }
        }
    }
}
