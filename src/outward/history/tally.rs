//! A tally's stored form: JSON with slots, re-probes, and latency as HDR histograms in V2 encoding.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use serde_json::{Map, Value, json};

use super::TallyDraft;
use crate::judgement::latency::{HIGHEST_US, Series};
use crate::judgement::state::Slots;

/// A tally as JSON: slots, re-probes, and HDR histograms in V2 encoding, base64.
pub fn tally_body(tally: &TallyDraft) -> Vec<u8> {
    use base64::Engine;
    let (mut latency, mut phases) = (Map::new(), Map::new());
    for (series, buckets) in tally.latency.iter().filter(|(_, b)| !b.is_empty()) {
        let mut histogram: Histogram<u64> = Histogram::new_with_bounds(1, HIGHEST_US, 2).expect("constant bounds are valid");
        for (value, count) in buckets {
            let _ = histogram.record_n(*value, *count);
        }
        let mut bytes = Vec::new();
        if V2Serializer::new().serialize(&histogram, &mut bytes).is_ok() {
            let text = json!(base64::engine::general_purpose::STANDARD.encode(bytes));
            match series {
                Series::Whole(ending) => latency.insert(ending.as_str().into(), text),
                Series::Phase(phase) => phases.insert(phase.as_str().into(), text),
            };
        }
    }
    let mut body = json!({
        "endpoint": tally.name.as_str(),
        "slots": slots_json(&tally.slots),
        "slots_before": slots_json(&tally.slots_before),
        "reprobes": tally.reprobes,
        "latency_us_hdr_v2": latency,
    });
    if !phases.is_empty() {
        body["phase_us_hdr_v2"] = Value::Object(phases);
    }
    body.to_string().into_bytes()
}

/// The latency in a stored tally: (highest value of the bucket in us, count) by series. Nothing where it cannot be read.
pub fn tally_latency(body: &[u8]) -> Vec<(Series, Vec<(u64, u64)>)> {
    use base64::Engine;
    use hdrhistogram::serialization::Deserializer;
    let Ok(Value::Object(tally)) = serde_json::from_slice(body) else { return Vec::new() };
    let mut list = Vec::new();
    for series in Series::all() {
        let (key, word) = match series {
            Series::Whole(ending) => ("latency_us_hdr_v2", ending.as_str()),
            Series::Phase(phase) => ("phase_us_hdr_v2", phase.as_str()),
        };
        let Some(text) = tally.get(key).and_then(|m| m.get(word)).and_then(Value::as_str) else { continue };
        let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(text) else { continue };
        let histogram: Result<Histogram<u64>, _> = Deserializer::new().deserialize(&mut bytes.as_slice());
        if let Ok(histogram) = histogram {
            list.push((series, histogram.iter_recorded().map(|v| (histogram.highest_equivalent(v.value_iterated_to()), v.count_at_value())).collect()));
        }
    }
    list
}

fn slots_json(s: &Slots) -> Value {
    json!({"success": s.success, "failure": s.failure, "unconfirmed": s.unconfirmed, "unmeasured": s.unmeasured, "missed": s.missed})
}

/// The slots before the hour and its re-probes in a stored tally.
pub fn tally_counts(body: &[u8]) -> Option<(Slots, u64)> {
    let tally: Value = serde_json::from_slice(body).ok()?;
    Some((slots_of(&tally["slots_before"])?, tally["reprobes"].as_u64()?))
}

/// The hour's own slots in a stored tally.
pub fn tally_slots(body: &[u8]) -> Option<Slots> {
    let tally: Value = serde_json::from_slice(body).ok()?;
    slots_of(&tally["slots"])
}

fn slots_of(value: &Value) -> Option<Slots> {
    let n = |key: &str| value[key].as_u64();
    Some(Slots { success: n("success")?, failure: n("failure")?, unconfirmed: n("unconfirmed")?, unmeasured: n("unmeasured")?, missed: n("missed")? })
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
            latency: vec![(Series::Whole(Ending::Success), buckets.clone()), (Series::Phase(Phase::Tls), vec![(5, 2)])],
        };
        let read = tally_latency(&tally_body(&tally));
        assert_eq!(read.len(), 2);
        assert_eq!(read[1], (Series::Phase(Phase::Tls), vec![(5, 2)]));
        assert_eq!(read[0].1.iter().map(|b| b.1).collect::<Vec<_>>(), vec![3, 1, 2]);
        assert_eq!(read[0].1[0].0, 120);
    }
}
