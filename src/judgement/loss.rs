//! What becomes of a judge's figures when the record of some time is lost: that time is unknown,
//! whatever was seen in it.

use super::counts::Transitions;
use super::ledger::{Doubt, Ledger};
use super::state::{Change, Judge};
use super::unsettled::Run;
use crate::words::{Ms, Reason, StateName};

/// Where a judge stood before anything was lost.
#[derive(Debug, Clone)]
pub struct JudgeSnapshot {
    first_start: Option<Ms>,
    ledger: Ledger,
    lower: Ms,
    run: Option<Run>,
    known_up: Option<bool>,
    transitions: Transitions,
    unknown_from: Option<Ms>,
    /// When the open outage began.
    outage: Option<Ms>,
}

impl JudgeSnapshot {
    /// Everything before this instant is recorded.
    pub fn recorded_until(&self) -> Ms {
        self.unknown_from.unwrap_or(self.ledger.watermark)
    }
}

impl Judge {
    pub fn snapshot(&self) -> JudgeSnapshot {
        JudgeSnapshot {
            first_start: self.first_start,
            ledger: self.ledger.clone(),
            lower: self.down_lower(),
            run: self.run,
            known_up: self.known_up,
            transitions: self.transitions,
            unknown_from: self.unknown_from,
            outage: self.outage.map(|o| o.from),
        }
    }

    /// The record lacks what became final since `before`: that time becomes unknown (`history`) up
    /// to the watermark, and the changes are what the record needs to go on from there, but for the
    /// end of an outage that is over and the begin of one that is open.
    pub fn lose_since(&mut self, before: &JudgeSnapshot, out: &mut Vec<Change>) {
        let Some(first) = self.first_start else {
            return;
        };
        let to = self.ledger.watermark;
        let mut ledger = before.ledger.clone();
        ledger.share_windows(&self.ledger);
        if before.first_start.is_none() {
            ledger.begin(first);
        }
        let from = before.unknown_from.unwrap_or(ledger.watermark);
        ledger.settle(to, StateName::Unknown, Doubt::Carried);
        self.ledger = ledger;
        self.transitions = before.transitions;
        // Starting is none.
        self.transitions.unknown +=
            u64::from(before.unknown_from.is_none() && before.first_start.is_some());
        match (before.known_up, self.known_up) {
            (Some(true) | None, Some(false)) => self.transitions.down += 1,
            (Some(false) | None, Some(true)) => self.transitions.up += 1,
            _ => {}
        }
        // Runs of failures end where unknown time begins; another may begin with the failure that
        // ends it.
        self.lower_closed = before.lower;
        if let Some(run) = before.run.filter(|run| run.last_start > run.first_end) {
            out.push(Change::Proven {
                from: run.first_end,
                to: run.last_start,
            });
        }
        self.run = self.run.and(self.last).map(|last| Run {
            first_end: last.end,
            last_start: last.start,
        });
        let is_open = self.unknown_from.is_some();
        let doubt_until = self
            .last
            .filter(|_| !is_open && self.known_up == Some(true))
            .map(|last| last.end);
        self.ledger.doubt(doubt_until.unwrap_or(0));
        out.push(Change::UnknownUntil {
            from,
            to,
            reason: Reason::History,
            doubt_until,
        });
        if is_open {
            self.unknown_from = Some(to);
            out.push(Change::UnknownFrom {
                from: to,
                doubt_from: None,
            });
        }
        if let Some(outage) = self
            .outage
            .as_mut()
            .filter(|o| before.outage != Some(o.from))
        {
            (outage.down_before, outage.lower_before) = (self.ledger.down, self.lower_closed);
        }
    }
}
