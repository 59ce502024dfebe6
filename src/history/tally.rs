//! A tally's stored form: JSON with slots, re-probes, and latency as HDR histograms in V2 encoding.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use serde_json::{Map, Value, json};

use super::TallyDraft;
use crate::judgement::counts::Slots;
use crate::judgement::latency::{HIGHEST_US, Series, merge};
use crate::words::{Ms, UtcMs};

const LONGEST_BLIND: &str = "longest_blind_ms";

/// A tally as it is stored. What stands in one of a later version is kept.
struct StoredTally(Map<String, Value>);

impl StoredTally {
    /// `None` where it cannot be read.
    fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key).and_then(Value::as_u64)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn name(&self) -> Option<&str> {
        self.text("endpoint")
    }

    fn slots(&self) -> Option<Slots> {
        self.0.get("slots").and_then(slots_of)
    }

    fn slots_before(&self) -> Option<Slots> {
        self.0.get("slots_before").and_then(slots_of)
    }

    fn reprobes(&self) -> Option<u64> {
        self.number("reprobes")
    }

    fn longest_blind(&self) -> Option<Ms> {
        self.number(LONGEST_BLIND)
    }

    fn hours(&self) -> u64 {
        self.number("hours").unwrap_or(1)
    }

    fn results(&self) -> Option<&str> {
        self.text("results")
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }

    fn body(self) -> Vec<u8> {
        Value::Object(self.0).to_string().into_bytes()
    }
}

/// A tally as JSON: slots, re-probes, and HDR histograms in V2 encoding, base64.
pub fn tally_body(tally: &TallyDraft) -> Vec<u8> {
    let counted = counted(
        tally.name.as_str(),
        &tally.slots,
        &tally.slots_before,
        tally.reprobes,
        &tally.latency,
    );
    counted
        .with(LONGEST_BLIND, json!(tally.longest_blind))
        .body()
}

fn counted(
    name: &str,
    slots: &Slots,
    slots_before: &Slots,
    reprobes: u64,
    series: &[(Series, Vec<(u64, u64)>)],
) -> StoredTally {
    use base64::Engine;
    let (mut latency, mut phases) = (Map::new(), Map::new());
    for (series, buckets) in series.iter().filter(|(_, b)| !b.is_empty()) {
        let mut histogram: Histogram<u64> =
            Histogram::new_with_bounds(1, HIGHEST_US, 2).expect("constant bounds are valid");
        for (value, count) in buckets {
            let _ = histogram.record_n(*value, *count);
        }
        let mut bytes = Vec::new();
        if V2Serializer::new()
            .serialize(&histogram, &mut bytes)
            .is_ok()
        {
            let text = json!(base64::engine::general_purpose::STANDARD.encode(bytes));
            match series {
                Series::Whole(ending) => latency.insert(ending.as_str().into(), text),
                Series::Phase(phase) => phases.insert(phase.as_str().into(), text),
            };
        }
    }
    let counted = StoredTally(Map::new())
        .with("endpoint", json!(name))
        .with("slots", slots_json(slots))
        .with("slots_before", slots_json(slots_before))
        .with("reprobes", json!(reprobes))
        .with("latency_us_hdr_v2", Value::Object(latency));
    if phases.is_empty() {
        counted
    } else {
        counted.with("phase_us_hdr_v2", Value::Object(phases))
    }
}

/// The latency in a stored tally: (highest value of the bucket in us, count) by series. Nothing
/// where it cannot be read.
pub fn tally_latency(body: &[u8]) -> Vec<(Series, Vec<(u64, u64)>)> {
    use base64::Engine;
    use hdrhistogram::serialization::Deserializer;
    let Ok(Value::Object(tally)) = serde_json::from_slice(body) else {
        return Vec::new();
    };
    let mut list = Vec::new();
    for series in Series::all() {
        let (key, word) = match series {
            Series::Whole(ending) => ("latency_us_hdr_v2", ending.as_str()),
            Series::Phase(phase) => ("phase_us_hdr_v2", phase.as_str()),
        };
        let Some(text) = tally
            .get(key)
            .and_then(|m| m.get(word))
            .and_then(Value::as_str)
        else {
            continue;
        };
        let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(text) else {
            continue;
        };
        let histogram: Result<Histogram<u64>, _> =
            Deserializer::new().deserialize(&mut bytes.as_slice());
        if let Ok(histogram) = histogram {
            list.push((
                series,
                histogram
                    .iter_recorded()
                    .map(|v| {
                        (
                            histogram.highest_equivalent(v.value_iterated_to()),
                            v.count_at_value(),
                        )
                    })
                    .collect(),
            ));
        }
    }
    list
}

/// Several tallies of one endpoint as one, in the order of time: counts and histograms add up.
/// `None` without any that can be read.
pub fn merged(bodies: &[Vec<u8>]) -> Option<Vec<u8>> {
    all_of(bodies).map(StoredTally::body)
}

fn all_of(bodies: &[Vec<u8>]) -> Option<StoredTally> {
    let read: Vec<StoredTally> = bodies.iter().filter_map(|b| StoredTally::read(b)).collect();
    let (first, last) = (read.first()?, read.last()?);
    let sum = |pick: fn(&Slots) -> u64| {
        read.iter()
            .filter_map(StoredTally::slots)
            .map(|s| pick(&s))
            .sum()
    };
    let slots = Slots {
        success: sum(|s| s.success),
        failure: sum(|s| s.failure),
        unconfirmed: sum(|s| s.unconfirmed),
        unmeasured: sum(|s| s.unmeasured),
        missed: sum(|s| s.missed),
    };
    let mut buckets: Vec<(Series, Vec<(u64, u64)>)> =
        Series::all().map(|s| (s, Vec::new())).collect();
    for (series, own) in bodies.iter().flat_map(|b| tally_latency(b)) {
        buckets
            .iter_mut()
            .filter(|(s, _)| *s == series)
            .for_each(|(_, all)| all.extend(&own));
    }
    buckets.iter_mut().for_each(|(_, all)| merge(all));
    let reprobes = read.iter().filter_map(StoredTally::reprobes).sum::<u64>();
    let hours = read.iter().map(StoredTally::hours).sum::<u64>();
    let slots_before = first.slots_before().unwrap_or_default();
    let mut whole = counted(last.name()?, &slots, &slots_before, reprobes, &buckets)
        .with("hours", json!(hours));
    // One that does not say leaves the whole without it.
    if let Some(longest) = read
        .iter()
        .map(StoredTally::longest_blind)
        .try_fold(0, |longest, one| one.map(|one| longest.max(one)))
    {
        whole = whole.with(LONGEST_BLIND, json!(longest));
    }
    let mut results: Vec<(UtcMs, bool)> = bodies.iter().flat_map(|b| tally_results(b)).collect();
    if !results.is_empty() {
        results.sort_unstable();
        results.dedup();
        whole = whole.with("results", json!(pack_results(&results)));
    }
    Some(whole)
}

/// What was counted in an hour before the clock left it, and what was since it came back: the slots
/// before the hour are such that the endpoint's own count still tells the hour's from them.
pub fn continued(before: &[u8], since: &[u8]) -> Option<Vec<u8>> {
    let mut whole = all_of(&[before.to_vec(), since.to_vec()])?;
    let (own, begun) = (tally_slots(before)?, tally_counts(since)?.0);
    let left = Slots {
        success: begun.success.saturating_sub(own.success),
        failure: begun.failure.saturating_sub(own.failure),
        unconfirmed: begun.unconfirmed.saturating_sub(own.unconfirmed),
        unmeasured: begun.unmeasured.saturating_sub(own.unmeasured),
        missed: begun.missed.saturating_sub(own.missed),
    };
    whole.0.remove("hours");
    Some(whole.with("slots_before", slots_json(&left)).body())
}

/// Results of slots as text: base64 of numbers of seven bits a byte, the first instant and then the
/// steps, each doubled, plus one for a success.
pub fn pack_results(results: &[(UtcMs, bool)]) -> String {
    use base64::Engine;
    let mut bytes = Vec::new();
    let mut last = 0;
    for (at, ok) in results {
        let mut n = ((at - last).max(0) as u64) << 1 | u64::from(*ok);
        while n >= 0x80 {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
        last = *at;
    }
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The results of slots in a stored tally: (start, whether it succeeded).
pub fn tally_results(body: &[u8]) -> Vec<(UtcMs, bool)> {
    use base64::Engine;
    let tally = StoredTally::read(body);
    let Some(bytes) = tally
        .as_ref()
        .and_then(StoredTally::results)
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok())
    else {
        return Vec::new();
    };
    let (mut list, mut last, mut n, mut shift) = (Vec::new(), 0_i64, 0_u64, 0);
    for byte in bytes {
        n |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            last = last.saturating_add((n >> 1) as i64);
            list.push((last, n & 1 == 1));
            (n, shift) = (0, 0);
        }
    }
    list
}

/// A tally with the results of its hour, made anew where there is none.
pub fn with_results(stored: Option<&[u8]>, name: &str, packed: &str) -> Vec<u8> {
    let none = || counted(name, &Slots::default(), &Slots::default(), 0, &[]);
    stored
        .and_then(StoredTally::read)
        .unwrap_or_else(none)
        .with("results", json!(packed))
        .body()
}

/// The longest time between two probes in a stored tally; those of earlier versions do not say.
pub fn tally_longest_blind(body: &[u8]) -> Option<Ms> {
    #[derive(serde::Deserialize)]
    struct Only {
        longest_blind_ms: Option<Ms>,
    }
    serde_json::from_slice::<Only>(body).ok()?.longest_blind_ms
}

/// The tally with a longest blind time of at least `longest`, if it said less.
pub fn with_longest_blind(stored: &[u8], longest: Ms) -> Option<Vec<u8>> {
    if tally_longest_blind(stored)? >= longest {
        return None;
    }
    let tally = StoredTally::read(stored)?;
    Some(tally.with(LONGEST_BLIND, json!(longest)).body())
}

/// How many hours a stored tally is of.
pub fn tally_hours(body: &[u8]) -> u64 {
    StoredTally::read(body).map_or(1, |tally| tally.hours())
}

fn slots_json(s: &Slots) -> Value {
    json!({
        "success": s.success, "failure": s.failure, "unconfirmed": s.unconfirmed,
        "unmeasured": s.unmeasured, "missed": s.missed,
    })
}

/// The slots before the hour and its re-probes in a stored tally.
pub fn tally_counts(body: &[u8]) -> Option<(Slots, u64)> {
    let tally = StoredTally::read(body)?;
    Some((tally.slots_before()?, tally.reprobes()?))
}

/// The hour's own slots in a stored tally.
pub fn tally_slots(body: &[u8]) -> Option<Slots> {
    StoredTally::read(body)?.slots()
}

fn slots_of(value: &Value) -> Option<Slots> {
    let n = |key: &str| value.get(key).and_then(Value::as_u64);
    Some(Slots {
        success: n("success")?,
        failure: n("failure")?,
        unconfirmed: n("unconfirmed")?,
        unmeasured: n("unmeasured")?,
        missed: n("missed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::latency::Ending;
    use crate::words::{Name, Phase};

    #[test]
    fn a_tally_keeps_its_latency() {
        let buckets = vec![(120, 3), (1007, 1), (60_030_975, 2)];
        let name = Name::new("e").expect("a name");
        let tally = TallyDraft {
            endpoint: 1,
            name,
            hour: 5,
            slots: Slots::default(),
            slots_before: Slots::default(),
            reprobes: 0,
            longest_blind: 31_000,
            latency: vec![
                (Series::Whole(Ending::Success), buckets.clone()),
                (Series::Phase(Phase::Tls), vec![(5, 2)]),
            ],
        };
        assert_eq!(tally_longest_blind(&tally_body(&tally)), Some(31_000));
        let read = tally_latency(&tally_body(&tally));
        assert_eq!(read.len(), 2);
        assert_eq!(read[1], (Series::Phase(Phase::Tls), vec![(5, 2)]));
        assert_eq!(
            read[0].1.iter().map(|b| b.1).collect::<Vec<_>>(),
            vec![3, 1, 2]
        );
        assert_eq!(read[0].1[0].0, 120);
    }
    fn hour(success: u64, before: u64, latency: &[(u64, u64)]) -> Vec<u8> {
        let slots = |success| Slots {
            success,
            ..Slots::default()
        };
        counted(
            "e",
            &slots(success),
            &slots(before),
            2,
            &[(Series::Whole(Ending::Success), latency.to_vec())],
        )
        .body()
    }

    #[test]
    fn tallies_add_up() {
        let all = merged(&[
            hour(10, 100, &[(100, 4), (120, 6)]),
            hour(5, 110, &[(120, 5)]),
        ])
        .expect("a tally");
        assert_eq!(tally_slots(&all).map(|s| s.success), Some(15));
        assert_eq!(
            tally_counts(&all).map(|(before, reprobes)| (before.success, reprobes)),
            Some((100, 4))
        );
        assert_eq!(tally_latency(&all)[0].1, vec![(100, 4), (120, 11)]);
        assert_eq!(tally_hours(&all), 2);
        assert_eq!(
            tally_hours(&merged(&[all, hour(1, 115, &[])]).expect("a tally")),
            3
        );
        assert_eq!(merged(&[]), None);
    }

    #[test]
    fn an_hour_that_the_clock_comes_back_to_goes_on() {
        // Ten slots before it left, ninety elsewhere, five since it is back.
        let whole = continued(&hour(10, 100, &[]), &hour(5, 200, &[])).expect("a tally");
        assert_eq!(tally_slots(&whole).map(|s| s.success), Some(15));
        assert_eq!(
            tally_counts(&whole).map(|(before, _)| before.success),
            Some(190),
            "the endpoint's own count, 205, is fifteen more"
        );
    }

    #[test]
    fn results_read_back() {
        let results = vec![
            (1_700_000_000_123, true),
            (1_700_000_030_123, false),
            (1_700_000_030_124, true),
        ];
        let body = with_results(None, "e", &pack_results(&results));
        assert_eq!(tally_results(&body), results);
        assert_eq!(
            tally_results(
                &merged(&[
                    with_results(Some(&body), "e", &pack_results(&results[1..])),
                    body
                ])
                .expect("a tally")
            ),
            results,
            "each once"
        );
    }
}
