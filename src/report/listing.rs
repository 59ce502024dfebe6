//! The lists of a report that are read from the history as they are: how endpoints were probed, how
//! far their records reach, slots, outages, corrections, and the events behind it all.

use super::object::{
    ExcludedSpan, ListedOutage, OpenUnknown, ReportedCadence, ReportedConfig, ReportedEndpoint,
    ReportedEvents, ReportedExtent, ReportedSlots,
};
use super::outages::{OutageCorrections, outage};
use super::sla::instant;
use crate::account::figures::{Part, members};
use crate::config::Plan;
use crate::history::HistoryError;
use crate::history::calendar::Calendar;
use crate::history::component_lineage::ComponentLineage;
use crate::history::definitions::RecordedDefinitions;
use crate::history::read::{Extent, StoredOutage};
use crate::history::read_tallies::WhichTallies;
use crate::history::reader::HistoryReader;
use crate::history::tally::{tally_hours, tally_slots};
use crate::judgement::rules::Rules;
use crate::judgement::timeline::{Span, Spans};

/// What the lists are read from: the history, for some components and a period.
pub(crate) struct Listing<'h> {
    pub reader: &'h HistoryReader,
    pub calendar: &'h Calendar,
    pub parts: &'h [Part],
    pub period: Span,
}

/// The config in force when the period began, and those that came into force in it.
pub(crate) fn configs(definitions: &RecordedDefinitions, period: Span) -> Vec<ReportedConfig> {
    let all = &definitions.configs;
    let before = all
        .iter()
        .rposition(|(at, _)| *at <= period.from)
        .unwrap_or(0);
    all.iter()
        .skip(before)
        .filter(|(at, _)| *at < period.to)
        .map(|(at, sum)| ReportedConfig {
            from: instant(*at),
            sha256: sum.clone(),
        })
        .collect()
}

impl<'h> Listing<'h> {
    pub(crate) fn new(
        reader: &'h HistoryReader,
        parts: &'h [Part],
        period: Span,
    ) -> Result<Self, HistoryError> {
        Ok(Self {
            reader,
            calendar: reader.calendar()?,
            parts,
            period,
        })
    }

    /// How each endpoint was probed, as the events tell it, with every cadence that was in force in
    /// the period; where they do not tell, as the config has it.
    pub(crate) fn endpoints(&self, plan: &Plan) -> Result<Vec<ReportedEndpoint>, HistoryError> {
        let (reader, calendar) = (self.reader, self.calendar);
        let mut list = Vec::new();
        for (part, name) in self
            .parts
            .iter()
            .flat_map(|p| p.endpoints.iter().map(move |(name, _)| (p, name)))
            .filter(|(p, name)| !p.former.contains(*name))
        {
            let configured = plan.endpoints.iter().find(|e| e.name.as_str() == name);
            // Another name is no other cadence.
            let mut recorded = reader.cadences(name)?;
            recorded.dedup_by(|later, first| later.2 == first.2);
            let until = |k: usize| {
                recorded
                    .get(k + 1)
                    .map_or(i64::MAX / 4, |(at, ..)| calendar.utc(*at))
            };
            let in_force = recorded.iter().enumerate().filter(|(k, (from, ..))| {
                calendar.utc(*from) < self.period.to && until(*k) > self.period.from
            });
            let cadences = in_force
                .map(|(_, (from, _, cadence))| {
                    cadence_of(calendar.utc(*from), &Rules::new(*cadence))
                })
                .collect();
            let rules = recorded
                .last()
                .map(|(.., cadence)| Rules::new(*cadence))
                .or(configured.map(|e| e.rules));
            let last = rules.as_ref();
            list.push(ReportedEndpoint {
                name: name.clone(),
                component: part.component.to_string(),
                kind: configured.map(|e| e.probe.kind().as_str().to_owned()),
                cadences,
                interval_ms: last.map(|r| r.cadence.interval),
                timeout_ms: last.map(|r| r.cadence.timeout),
                retry_interval_ms: last.map(|r| r.cadence.retry_interval),
                down_after: last.map(|r| r.cadence.down_after.into()),
                up_after: last.map(|r| r.cadence.up_after.into()),
                detection_bound_ms: last.map(Rules::detection_bound),
            });
        }
        Ok(list)
    }

    /// The schedule's slots in the sealed hours that touch the period, by endpoint and result.
    pub(crate) fn slots(&self, vantage: &str) -> Result<Vec<ReportedSlots>, HistoryError> {
        let reader = self.reader;
        let mut list = Vec::new();
        for (name, extent) in self.parts.iter().flat_map(|p| &p.endpoints) {
            let mut sum = [0_u64; 5];
            let mut hours = 0_u64;
            for tally in reader.tallies(name, self.period, WhichTallies::Sealed)? {
                let Some(slots) = tally_slots(&tally.body) else {
                    continue;
                };
                let own = [
                    slots.success,
                    slots.failure,
                    slots.unconfirmed,
                    slots.unmeasured,
                    slots.missed,
                ];
                sum.iter_mut()
                    .zip(own)
                    .for_each(|(all, n)| *all = n.saturating_add(*all));
                hours = tally_hours(&tally.body).saturating_add(hours);
            }
            let [success, failure, unconfirmed, unmeasured, missed] = sum;
            let of = |counts: &[u64]| counts.iter().fold(0, |all: u64, n| all.saturating_add(*n));
            let counted = of(&sum);
            // What is decided just after an hour's end is counted in the next one.
            let due = self.expected(vantage, (name, extent))?;
            list.push(ReportedSlots {
                endpoint: name.clone(),
                hours,
                expected: due,
                counted,
                not_run: due.map(|due| due.saturating_sub(counted)),
                probed: of(&[success, failure, unconfirmed]),
                success,
                failure,
                unconfirmed,
                unmeasured,
                missed,
            });
        }
        Ok(list)
    }

    /// How far each endpoint's record reaches: what the events alone do not say of the present.
    pub(crate) fn extents(&self) -> Result<Vec<ReportedExtent>, HistoryError> {
        let reader = self.reader;
        let one = |(p, name, e): (&Part, &String, &Extent)| {
            Ok(ReportedExtent {
                endpoint: name.clone(),
                component: p.component.to_string(),
                combine: p.combine.into(),
                in_service_from: p.service.from,
                first_start_ms: e.first_start,
                watermark_ms: e.watermark,
                open_unknown: e.open_unknown.map(|(from, why)| OpenUnknown {
                    from_ms: from,
                    reason: why.as_str().to_owned(),
                }),
                open_run: e.open_run,
                gone: e.is_gone,
                longest_blind_ms: reader.longest_blind(name, e, self.period)?,
                not_seen_below_ms: reader.not_seen_below(name, e, self.period)?,
            })
        };
        self.parts
            .iter()
            .flat_map(|p| p.endpoints.iter().map(move |(name, e)| (p, name, e)))
            .map(one)
            .collect()
    }

    /// Every outage of the endpoints that touches the period, with its bounds and its cause; of an
    /// endpoint that moved, those of the time in which it belonged to the component.
    pub(crate) fn outages(&self) -> Result<Vec<ListedOutage>, HistoryError> {
        let (reader, calendar) = (self.reader, self.calendar);
        let (mut list, mut corrections) = (Vec::new(), OutageCorrections::default());
        for part in self.parts {
            let (component, members) = (part.component.as_str(), members(calendar, part));
            let lineage = ComponentLineage::of(reader, component, &members)?;
            for member in &members {
                let outside = lineage.outside(member);
                let utc = |at: u64| calendar.utc(at);
                let is_of_it = |o: &StoredOutage| {
                    let whole = Span::new(
                        utc(o.from),
                        o.to.map_or(i64::MAX / 4, utc).max(utc(o.from) + 1),
                    );
                    utc(o.from_earliest) < self.period.to
                        && Spans::new(vec![whole]).minus(&outside).length() > 0
                };
                for o in reader
                    .outages(Some(&member.0), self.period.from, 100_000)?
                    .iter()
                    .filter(|o| is_of_it(o))
                {
                    let mut one = outage(reader, o, &mut corrections)?;
                    one.component = component.to_owned();
                    // The ends that are surely inside the outage are those of its first and of its
                    // last failing probe.
                    one.first_failure_ended = Some(one.from_latest.clone());
                    one.last_failure_started = Some(one.to_earliest.clone());
                    list.push(one);
                }
            }
        }
        list.sort_by_key(|o| o.seq);
        Ok(list)
    }

    pub(crate) fn excluded(&self) -> Result<Vec<ExcludedSpan>, HistoryError> {
        let reader = self.reader;
        let mut list = Vec::new();
        for part in self.parts {
            for (name, _) in &part.endpoints {
                let own = reader.exclusions(name, part.component.as_str())?;
                for e in own {
                    let Some(span) = e.span.cut(self.period) else {
                        continue;
                    };
                    list.push(ExcludedSpan {
                        endpoint: name.clone(),
                        from: instant(span.from),
                        to: instant(span.to),
                        event: e.seq,
                        by: e.by,
                        reason: e.reason,
                    });
                }
            }
        }
        Ok(list)
    }

    /// The events that the report rests on, and the newest checkpoint over them.
    pub(crate) fn events(&self) -> Result<ReportedEvents, HistoryError> {
        let reader = self.reader;
        let (seq, hash) = reader.last_event()?;
        Ok(ReportedEvents {
            first: reader
                .prune_record()?
                .map_or(1, |prune_record| prune_record.last + 1),
            last: seq,
            head: crate::history::chain::hex(&hash),
            checkpoint: reader
                .newest_checkpoint()?
                .and_then(|body| serde_json::from_str(&body).ok()),
        })
    }
}

fn cadence_of(from: i64, rules: &Rules) -> ReportedCadence {
    let c = &rules.cadence;
    ReportedCadence {
        from: instant(from),
        interval_ms: c.interval,
        timeout_ms: c.timeout,
        retry_interval_ms: c.retry_interval,
        down_after: c.down_after.into(),
        up_after: c.up_after.into(),
        detection_bound_ms: rules.detection_bound(),
    }
}
