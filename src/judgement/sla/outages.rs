//! Which outages are those of a contract, of one component or of several together.

use super::contract::{Contract, Measure, Treat};
use super::measure::{Measured, parallel, series, uncut};
use super::record::{Outage, Recorded, Timeline, whole_outages};
use crate::judgement::timeline::{Span, Spans};

/// How several components are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    Series,
    Parallel,
}

/// One contract over one period of a record.
pub(super) struct Case<'c> {
    pub contract: &'c Contract,
    pub timeline: &'c Timeline,
    pub period: Span,
}

impl Case<'_> {
    /// The outages of which something counts as down, each once; of several components together,
    /// until all that decide are known to be up.
    pub(super) fn outages(
        &self,
        parts: &[&Recorded],
        sets: &Measured,
        joined: Joined,
    ) -> Vec<Outage> {
        let by_time = self.contract.measure == Measure::Time;
        let touches = |o: &Outage| {
            sets.down.cut(Span::new(o.from, o.to)).length() > 0
                || o.from == o.to && self.counts_at(sets, o.from)
        };
        if let ([part], true) = (parts, by_time) {
            return whole_outages(&part.down)
                .into_iter()
                .filter(touches)
                .collect();
        }
        let raw: Vec<Measured> = parts.iter().map(|p| uncut(p)).collect();
        let raw = if joined == Joined::Series {
            series(&raw)
        } else {
            parallel(&raw)
        };
        let known = if by_time { &raw } else { sets };
        let up = known
            .service
            .minus(&known.down)
            .minus(&known.unknown)
            .minus(&known.future);
        let mut pieces: Vec<Outage> = sets
            .down
            .as_slice()
            .iter()
            .map(|s| stretch(s, sets))
            .collect();
        if by_time && joined == Joined::Series {
            // Those that have just begun.
            let apart = |o: &Outage| {
                o.from == o.to
                    && touches(o)
                    && !sets
                        .down
                        .as_slice()
                        .iter()
                        .any(|s| s.from <= o.from && o.from <= s.to)
            };
            pieces.extend(
                parts
                    .iter()
                    .flat_map(|p| whole_outages(&p.down))
                    .filter(apart),
            );
            pieces.sort_by_key(|o| (o.from, o.to));
        } else if by_time {
            pieces.extend(self.just_begun(parts, sets));
        }
        let mut number = 0;
        for k in 0..pieces.len() {
            let before = k.checked_sub(1).map(|k| pieces[k].to);
            number += u64::from(
                before.is_none_or(|to| up.cut(Span::new(to, pieces[k].from)).length() > 0),
            );
            pieces[k].outage = Some(number);
        }
        // A number tells outages of one component apart; those of several together have none.
        whole_outages(&pieces)
            .into_iter()
            .map(|o| Outage { outage: None, ..o })
            .collect()
    }

    /// The outage that begins as the record ends, where all that take part are down from then on.
    fn just_begun(&self, parts: &[&Recorded], sets: &Measured) -> Option<Outage> {
        let at = self.timeline.to?;
        let takes_part = |p: &&&Recorded| {
            p.in_service.is_empty() || p.in_service.iter().any(|s| s.from <= at && at < s.to)
        };
        let is_down = |o: &Outage| o.is_open && o.to == at && o.from < at;
        // What unknown time interrupts has an end of no length as well, and began before.
        let begun = |p: &Recorded| {
            whole_outages(&p.down)
                .into_iter()
                .rfind(|o| o.is_open && o.from == at && o.to == at)
        };
        let mut newest: Option<Outage> = None;
        for part in parts.iter().filter(takes_part) {
            match begun(part) {
                Some(outage) => newest = Some(outage),
                None if part.down.iter().any(is_down) => {}
                None => return None,
            }
        }
        newest.filter(|_| {
            self.counts_at(sets, at) && !sets.down.as_slice().iter().any(|s| s.to == at)
        })
    }

    /// Whether an outage that begins at an instant, and has no length yet, is one of the
    /// contract's.
    fn counts_at(&self, sets: &Measured, at: i64) -> bool {
        let spared = if self.contract.maintenance.treat == Treat::AsUp {
            &sets.maintenance
        } else {
            &Spans::default()
        };
        self.contract.min_outage.length == 0
            && sets
                .service
                .minus(spared)
                .cut(Span::new(at, at + 1))
                .length()
                > 0
    }
}

/// A merged stretch that is down, with its widest and its surest ends.
fn stretch(s: &Span, sets: &Measured) -> Outage {
    let wide = sets
        .upper
        .as_slice()
        .iter()
        .find(|u| u.from <= s.from && s.to <= u.to)
        .copied()
        .unwrap_or(*s);
    let sure = sets.lower.cut(*s);
    let (first, last) = (sure.as_slice().first(), sure.as_slice().last());
    Outage {
        from: s.from,
        to: s.to,
        from_earliest: wide.from,
        from_latest: first.map_or(s.to, |f| f.from),
        to_earliest: last.map_or(s.from, |l| l.to),
        to_latest: wide.to,
        ..Outage::default()
    }
}
