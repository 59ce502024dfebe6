//! A judge as bytes: the compact record from which the history restores it, exactly.
//!
//! Little-endian base-128 numbers in a fixed order behind a version byte. Pure: the history stores
//! and fetches the bytes, this file only knows their meaning.

use super::counts::{Base, Slots, Transitions};
use super::ledger::Ledger;
use super::rules::Cadence;
use super::state::Judge;
use super::unsettled::{Notes, OpenOutage, Pending, Run, Vouch};
use crate::words::{Cause, Ms, Reason};

/// The second version added maintenance and the base of the counters to the first, the third since
/// when, the fourth the longest blind time of the hour.
const VERSION: u8 = 4;

/// The bytes are not a judge that this version wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored endpoint state cannot be read (byte {0})")]
pub struct Unreadable(pub usize);

/// Appends numbers to a record.
#[derive(Default)]
pub struct NumberWriter(pub Vec<u8>);

impl NumberWriter {
    pub fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    /// Zero for `None`, else one more than the number.
    fn option(&mut self, n: Option<u64>) {
        self.number(n.map_or(0, |n| n + 1));
    }
}

/// Takes numbers off a record.
pub struct NumberReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> NumberReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn number(&mut self) -> Result<u64, Unreadable> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Unreadable(self.at))?;
            self.at += 1;
            n |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Unreadable(self.at))
    }

    fn option(&mut self) -> Result<Option<u64>, Unreadable> {
        Ok(self.number()?.checked_sub(1))
    }

    /// What follows a mark that says whether it is there.
    fn present<T>(
        &mut self,
        read: fn(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Option<T>, Unreadable> {
        self.option()?.map(|_| read(self)).transpose()
    }

    fn code<T>(&mut self, decode: fn(u8) -> Option<T>) -> Result<Option<T>, Unreadable> {
        match self.option()? {
            None => Ok(None),
            Some(code) => {
                let value = u8::try_from(code).ok().and_then(decode);
                value.map(Some).ok_or(Unreadable(self.at))
            }
        }
    }
}

/// A judge with the cadence that it judges by.
pub fn encode_with(cadence: &Cadence, judge: &Judge) -> Vec<u8> {
    let mut w = NumberWriter(Vec::with_capacity(128));
    let c = cadence;
    for n in [
        c.interval,
        c.jitter_ppm,
        c.late_after,
        c.timeout,
        c.retry_interval,
        u64::from(c.down_after),
        u64::from(c.up_after),
    ] {
        w.number(n);
    }
    w.0.extend(judge.encode());
    w.0
}

/// The inverse of [`encode_with`].
pub fn decode_with(bytes: &[u8]) -> Result<(Cadence, Judge), Unreadable> {
    let mut r = NumberReader::new(bytes);
    let (interval, jitter_ppm, late_after, timeout, retry_interval) = (
        r.number()?,
        r.number()?,
        r.number()?,
        r.number()?,
        r.number()?,
    );
    let (down_after, up_after) = (r.number()? as u32, r.number()? as u32);
    let judge = Judge::decode(&bytes[r.at..])?;
    let cadence = Cadence {
        interval,
        jitter_ppm,
        late_after,
        timeout,
        retry_interval,
        down_after,
        up_after,
    };
    if cadence.is_possible() {
        Ok((cadence, judge))
    } else {
        Err(Unreadable(0))
    }
}

impl Judge {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = NumberWriter(Vec::with_capacity(96));
        w.0.push(VERSION);
        w.option(self.first_start);
        for n in self.ledger.fields().into_iter().chain(self.base.fields()) {
            w.number(n);
        }
        w.number(self.lower_closed);
        w.option(self.run.map(|r| r.first_end));
        w.option(self.run.map(|r| r.last_start));
        w.option(self.known_up.map(u64::from));
        w.option(self.last.map(|_| 0));
        if let Some(last) = self.last {
            write_vouch(&mut w, last);
        }
        write_notes(&mut w, self.notes);
        w.option(self.unknown_from);
        w.option(self.outage.map(|_| 0));
        if let Some(o) = self.outage {
            for n in [
                o.from,
                o.from_earliest,
                o.from_latest,
                o.confirmed_at,
                o.cause as u64,
                o.down_before,
                o.lower_before,
            ] {
                w.number(n);
            }
        }
        let (s, t) = (&self.slots, &self.transitions);
        for n in [
            s.success,
            s.failure,
            s.unconfirmed,
            s.unmeasured,
            s.missed,
            t.up,
            t.down,
            t.unknown,
            self.longest_blind,
        ] {
            w.number(n);
        }
        w.number(self.pending.len() as u64);
        for p in &self.pending {
            write_vouch(&mut w, p.vouch);
            w.number(u64::from(p.slot));
            w.option(p.cause.map(|c| c as u64));
            write_notes(&mut w, p.before);
        }
        w.option(self.since);
        w.option(self.changed_at);
        w.number(self.blind_lately);
        w.0
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut r = NumberReader::new(bytes);
        let version = r.number()?;
        if version == 0 || version > u64::from(VERSION) {
            return Err(Unreadable(0));
        }
        let first_start = r.option()?;
        let (ledger, base) = read_sums(&mut r, version)?;
        let lower_closed = r.number()?;
        let run = read_run(&mut r)?;
        let known_up = r.option()?.map(|n| n == 1);
        let last = r.present(read_vouch)?;
        let notes = read_notes(&mut r)?;
        let unknown_from = r.option()?;
        let outage = r.present(read_outage)?;
        let (slots, transitions) = read_counts(&mut r)?;
        let longest_blind = r.number()?;
        let pending = read_pending(&mut r)?;
        let (since, changed_at) = if version < 3 {
            (None, None)
        } else {
            (r.option()?, r.option()?)
        };
        // One from before may have seen its longest lately.
        let blind_lately = if version < 4 {
            longest_blind
        } else {
            r.number()?
        };
        if !r.is_at_end() {
            return Err(Unreadable(r.at));
        }
        Ok(Judge {
            first_start,
            base,
            ledger,
            lower_closed,
            run,
            known_up,
            last,
            pending,
            notes,
            unknown_from,
            outage,
            slots,
            transitions,
            longest_blind,
            blind_lately,
            since,
            changed_at,
        })
    }
}

/// The ledger, and from where exported counters count. The first version had neither the sums of
/// maintenance nor a base.
fn read_sums(r: &mut NumberReader, version: u64) -> Result<(Ledger, Base), Unreadable> {
    let (mut sums, mut base) = ([0; 10], [0; 12]);
    for n in sums.iter_mut().take(if version == 1 { 7 } else { 10 }) {
        *n = r.number()?;
    }
    for n in base.iter_mut().take(if version == 1 { 0 } else { 12 }) {
        *n = r.number()?;
    }
    Ok((Ledger::restored(sums), Base::restored(base)))
}

fn read_run(r: &mut NumberReader) -> Result<Option<Run>, Unreadable> {
    let ends = r.option()?.zip(r.option()?);
    Ok(ends.map(|(first_end, last_start)| Run {
        first_end,
        last_start,
    }))
}

fn read_counts(r: &mut NumberReader) -> Result<(Slots, Transitions), Unreadable> {
    let mut n = || r.number();
    let slots = Slots {
        success: n()?,
        failure: n()?,
        unconfirmed: n()?,
        unmeasured: n()?,
        missed: n()?,
    };
    let transitions = Transitions {
        up: n()?,
        down: n()?,
        unknown: n()?,
    };
    Ok((slots, transitions))
}

fn read_pending(r: &mut NumberReader) -> Result<Vec<Pending>, Unreadable> {
    let count = r.number()?;
    let mut pending = Vec::new();
    for _ in 0..count {
        let vouch = read_vouch(r)?;
        let slot = r.number()? == 1;
        let cause = r.code(Cause::from_code)?;
        pending.push(Pending {
            vouch,
            slot,
            cause,
            before: read_notes(r)?,
        });
    }
    Ok(pending)
}

fn write_vouch(w: &mut NumberWriter, v: Vouch) {
    w.number(v.start);
    w.number(v.end - v.start);
    w.number(v.until_from - v.start);
}

fn read_vouch(r: &mut NumberReader) -> Result<Vouch, Unreadable> {
    let start: Ms = r.number()?;
    let end = start.checked_add(r.number()?).ok_or(Unreadable(r.at))?;
    let until_from = start.checked_add(r.number()?).ok_or(Unreadable(r.at))?;
    Ok(Vouch {
        start,
        end,
        until_from,
    })
}

fn write_notes(w: &mut NumberWriter, notes: Notes) {
    w.option(notes.started_at);
    w.option(notes.reason.map(|r| r as u64));
    // The second bit came later, then the third; neither is set in what earlier builds wrote.
    let bits = [notes.unmeasured, notes.failed, notes.dropped];
    w.number((0..).zip(bits).map(|(n, bit)| u64::from(bit) << n).sum());
}

fn read_notes(r: &mut NumberReader) -> Result<Notes, Unreadable> {
    let (started_at, reason, bits) = (r.option()?, r.code(Reason::from_code)?, r.number()?);
    Ok(Notes {
        started_at,
        reason,
        unmeasured: bits & 1 != 0,
        failed: bits & 2 != 0,
        dropped: bits & 4 != 0,
    })
}

fn read_outage(r: &mut NumberReader) -> Result<OpenOutage, Unreadable> {
    let mut n = || r.number();
    let (from, from_earliest, from_latest, confirmed_at, code) = (n()?, n()?, n()?, n()?, n()?);
    let (down_before, lower_before) = (n()?, n()?);
    let cause = u8::try_from(code)
        .ok()
        .and_then(Cause::from_code)
        .ok_or(Unreadable(0))?;
    Ok(OpenOutage {
        from,
        from_earliest,
        from_latest,
        confirmed_at,
        cause,
        down_before,
        lower_before,
    })
}
