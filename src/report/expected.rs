//! How many slots the schedule has in the hours of a period: what should have been measured,
//! whether or not anybody was there to do it.

use super::listing::Listing;
use crate::history::HistoryError;
use crate::history::read::Extent;
use crate::history::seals::{Unit, UnitKind};
use crate::judgement::schedule::SlotTimes;
use crate::judgement::timeline::{Span, Spans};
use crate::words::Name;

const NS_PER_MS: u64 = 1_000_000;

impl Listing<'_> {
    /// Slots of an endpoint in the sealed hours that touch the period, while it was in service;
    /// nothing where its cadence of then is not told.
    pub(crate) fn expected(
        &self,
        vantage: &str,
        (endpoint, extent): (&str, &Extent),
    ) -> Result<Option<u64>, HistoryError> {
        let (reader, period) = (self.reader, self.period);
        let Some(first) = extent.first_start else {
            return Ok(Some(0));
        };
        let cadences = reader.cadences(endpoint)?;
        let hour = |at| Unit::of(UnitKind::Hour, at);
        let hours = Span::new(
            hour(period.from).from(),
            hour(reader.sealed_until(period)? - 1).to(),
        );
        if hours.from >= hours.to {
            return Ok(Some(0));
        }
        let served = Spans::new(vec![Span::new(first as i64, extent.watermark as i64)])
            .minus(&Spans::new(reader.absent(endpoint)?));
        let counted = served.both(&self.calendar.timeline(hours));
        if counted.as_slice().is_empty() {
            return Ok(Some(0));
        }
        // The slots of a name are its own: one that was renamed had others before.
        let mut all = 0;
        for (k, (from, name, cadence)) in cadences.iter().enumerate() {
            let until = cadences
                .get(k + 1)
                .map_or(i64::MAX / 4, |(next, ..)| *next as i64);
            let Ok(name) = Name::new(name) else { continue };
            let slots = SlotTimes::new(&name, vantage, cadence);
            for span in counted.cut(Span::new(*from as i64, until)).as_slice() {
                all += slots
                    .first_from(ns(span.to))
                    .saturating_sub(slots.first_from(ns(span.from)));
            }
        }
        let is_known = cadences
            .first()
            .is_some_and(|(from, ..)| *from as i64 <= counted.as_slice()[0].from);
        Ok(is_known.then_some(all))
    }
}

/// Nanoseconds of an instant of the timeline. Half of what fits leaves room for a slot beyond it,
/// whatever an event says.
fn ns(at: i64) -> u64 {
    u64::try_from(at)
        .unwrap_or(0)
        .saturating_mul(NS_PER_MS)
        .min(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::EventDraft;
    use crate::history::event::{
        ClockStepEvent, DaemonStartedEvent, EndpointAddedEvent, EndpointCadenceEvent,
        EndpointRenamedEvent, Event, OutOfServiceEvent, TalliesEvent, exported,
    };
    use crate::history::in_memory::InMemoryHistory;
    use crate::history::reader::HistoryReader;
    use crate::history::seals::{Unit, UnitKind};
    use crate::judgement::rules::Cadence;
    use crate::words::{Name, format_utc};

    const HOUR_MS: i64 = 3_600_000;

    /// An endpoint from 10:00 of 1 January 2026 on, every 30 s; every 60 s from 12:00, under
    /// another name from 13:00 on; out of service for half an hour at 11:00. The clock is put
    /// forward by an hour at 14:00. Hours are sealed up to 16:00 of that clock.
    fn history() -> (HistoryReader, i64) {
        let ten = 1_767_261_600_000_i64;
        let hour = |n: i64| ten + n * HOUR_MS;
        let cadence = |interval| Cadence {
            interval,
            jitter_ppm: 0,
            late_after: 500,
            timeout: 1000,
            retry_interval: 1000,
            down_after: 2,
            up_after: 1,
        };
        let general = |at: i64, event: Event| EventDraft::general(at as u64, at, event);
        let of = |name: &str, at: i64, event: Event| {
            let who = (1, Name::new(name).expect("a name"));
            EventDraft::of_endpoint(who, at as u64, at, event)
        };
        let half = HOUR_MS / 2;
        let out = OutOfServiceEvent {
            from: format_utc(hour(1)),
            from_ms: hour(1) as u64,
            to: format_utc(hour(1) + half),
            to_ms: (hour(1) + half) as u64,
        };
        let step = ClockStepEvent {
            step_ms: HOUR_MS,
            offset_before_ms: 0,
            offset_after_ms: HOUR_MS,
            boot_ns: 0,
        };
        let added = EndpointAddedEvent::default().every(&cadence(30_000));
        let slower = EndpointCadenceEvent::from(&cadence(60_000));
        let from = "old".to_owned();
        let mut list = vec![
            general(ten, DaemonStartedEvent::default().into()),
            of("old", hour(0), added.into()),
            of("old", hour(1) + half, out.into()),
            of("old", hour(2), slower.into()),
            of("new", hour(3), EndpointRenamedEvent { from }.into()),
            general(hour(4), step.into()),
        ];
        list.extend((0..6).map(|n| {
            let unit = Unit::of(UnitKind::Hour, hour(n));
            let seal = TalliesEvent::new(unit, 1, String::new());
            general(hour(n + 1), seal.into())
        }));
        (
            InMemoryHistory::of(None, &exported(list)).expect("readable"),
            ten,
        )
    }

    #[test]
    fn slots_follow_from_cadence_service_and_clock() {
        let (reader, ten) = history();
        let extent = Extent {
            first_start: Some(ten as u64),
            watermark: (ten + 5 * HOUR_MS) as u64,
            ..Extent::default()
        };
        let of = |from: i64, to: i64| {
            let period = Span::new(ten + from * HOUR_MS, ten + to * HOUR_MS);
            let listing = Listing::new(&reader, &[], period).expect("read");
            listing.expected("v", ("new", &extent)).expect("counted")
        };
        assert_eq!(of(0, 1), Some(120));
        assert_eq!(of(1, 2), Some(60), "half of it out of service");
        assert_eq!(of(2, 3), Some(60), "every 60 s");
        assert_eq!(of(3, 4), Some(60), "under its new name");
        assert_eq!(of(4, 5), Some(0), "the clock has skipped this hour");
        assert_eq!(of(5, 6), Some(60), "and calls the next one so");
        assert_eq!(of(0, 24), Some(360), "what is not sealed is left out");
        assert_eq!(
            of(-5, 1),
            Some(120),
            "before its first start nothing was due"
        );
    }
}
