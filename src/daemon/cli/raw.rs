//! `probity export timeline --probes`: raw results of any prober, judged by our rules, as a timeline.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::args::RawProbes;
use super::print;
use crate::config::leaf::parse_duration;
use crate::daemon::exit::Exit;
use crate::expose::recorded::{self, Component, component_json};
use crate::judgement::recording::Recording;
use crate::judgement::rules::{Cadence, PPM, Rules};
use crate::judgement::sla::merge::merge;
use crate::judgement::sla::record::Timeline;
use crate::judgement::state::{Judge, ProbeResult, Verdict};
use crate::judgement::timeline::{Combine, Record, Span, Sums};
use crate::words::time::is_writable;
use crate::words::{Cause, Ms, Reason, format_utc, parse_utc};

pub fn run(raw: &RawProbes) -> Exit {
    let Some(path) = &raw.probes else { return Exit::Usage };
    let rules = match rules(raw) {
        Ok(rules) => rules,
        Err(option) => {
            eprintln!("probity: --{option} is not what it should be; write durations as 30s, shares as 0.1");
            return Exit::Usage;
        }
    };
    let read = std::fs::read_to_string(path).map_err(|e| e.to_string()).and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string()));
    let told = read.and_then(|value: Value| timeline(&value, &rules, raw.quorum));
    match told {
        Ok(value) => {
            print(true, &value, String::new);
            Exit::Fine
        }
        Err(why) => {
            eprintln!("probity: {}: {why}", path.display());
            Exit::Usage
        }
    }
}

fn rules(raw: &RawProbes) -> Result<Rules, &'static str> {
    let duration = |text: &str, option| parse_duration(text).filter(|ms| *ms > 0).ok_or(option);
    let jitter: f64 = raw.jitter.parse().map_err(|_| "jitter")?;
    if !(0.0..1.0).contains(&jitter) {
        return Err("jitter");
    }
    if raw.quorum == Some(0) {
        return Err("quorum");
    }
    if raw.down_after == 0 || raw.up_after == 0 {
        return Err("down-after and --up-after");
    }
    Ok(Rules::new(Cadence {
        interval: duration(raw.interval.as_deref().unwrap_or_default(), "interval")?,
        jitter_ppm: (jitter * PPM as f64).round() as u64,
        late_after: parse_duration(&raw.late_after).ok_or("late-after")?,
        timeout: duration(&raw.timeout, "timeout")?,
        retry_interval: duration(&raw.retry_interval, "retry-interval")?,
        down_after: raw.down_after,
        up_after: raw.up_after,
    }))
}

/// One thing that happened, in the order in which it is judged.
enum Happened {
    Result(ProbeResult),
    Start(Ms),
    Stop(Ms),
    Busy(Ms),
    Tick(Ms),
}

impl Happened {
    /// Events come before results of the same instant.
    fn order(&self) -> (Ms, u8) {
        match self {
            Happened::Result(r) => (r.start, 1),
            Happened::Start(at) | Happened::Stop(at) | Happened::Busy(at) | Happened::Tick(at) => (*at, 0),
        }
    }
}

fn instant(value: &Value, place: usize) -> Result<Ms, String> {
    let at = match value {
        Value::String(text) => parse_utc(text).and_then(|at| u64::try_from(at).ok()),
        Value::Number(n) => n.as_u64(),
        _ => None,
    };
    let at = at.filter(|at| i64::try_from(*at).is_ok_and(is_writable));
    at.ok_or_else(|| format!("item {place}: an instant is missing, or is neither RFC 3339 nor a whole number of milliseconds before the year 10000"))
}

fn happened(item: &Value, place: usize) -> Result<Happened, String> {
    if let Some(event) = item["event"].as_str() {
        let at = instant(&item["at"], place)?;
        return match event {
            "start" => Ok(Happened::Start(at)),
            "stop" => Ok(Happened::Stop(at)),
            "busy" => Ok(Happened::Busy(at)),
            "tick" => Ok(Happened::Tick(at)),
            other => Err(format!("item {place}: there is no event `{other}`; write start, stop, busy or tick")),
        };
    }
    let failure = Verdict::Failure(Cause::ProtocolError);
    let (start, end, verdict) = if let Some(ok) = item["ok"].as_bool() {
        let at = instant(&item["at"], place)?;
        (at, at, if ok { Verdict::Success } else { failure })
    } else {
        let (start, end) = (instant(&item["start"], place)?, instant(&item["end"], place)?);
        let verdict = match item["result"].as_str() {
            Some("success") => Verdict::Success,
            Some("failure") => failure,
            Some("unmeasured") => Verdict::Unmeasured(item["reason"].as_str().and_then(Reason::parse).unwrap_or(Reason::Late)),
            _ => return Err(format!("item {place}: it has neither `ok` nor a `result` of success, failure or unmeasured")),
        };
        (start, end, verdict)
    };
    if end < start {
        return Err(format!("item {place}: it ends before it starts"));
    }
    Ok(Happened::Result(ProbeResult { start, end, verdict, slot: item["kind"] != "reprobe" }))
}

/// Judges every component at every vantage, merges vantages by quorum, and tells the sums beside each.
pub fn timeline(value: &Value, rules: &Rules, quorum: Option<usize>) -> Result<Value, String> {
    let items = value.as_array().or_else(|| value["probes"].as_array()).ok_or("this should be a list of results")?;
    let mut all: BTreeMap<String, BTreeMap<String, Vec<Happened>>> = BTreeMap::new();
    for (place, item) in items.iter().enumerate() {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let component = if item["component"].is_string() { text("component") } else { "component".to_owned() };
        all.entry(component).or_default().entry(text("vantage")).or_default().push(happened(item, place)?);
    }
    let vantages: std::collections::BTreeSet<&String> = all.values().flat_map(BTreeMap::keys).collect();
    let expected = vantages.len();
    let (mut from, mut to) = (i64::MAX, i64::MIN);
    let mut components = Vec::new();
    for (name, mut by_vantage) in all {
        let records: Vec<Record> = by_vantage.values_mut().map(|list| judged(list, rules)).collect();
        let first = records.iter().filter_map(|r| r.from).min().unwrap_or(0);
        let settled = records.iter().map(|r| r.settled).max().unwrap_or(0);
        (from, to) = (from.min(first), to.max(settled));
        let component = if records.len() == 1 && expected == 1 {
            recorded::component(&name, Combine::Series, recorded::Service::default(), &records, Span::new(first, settled))
        } else {
            by_quorum(&name, &records, expected, quorum)
        };
        let mut value = component_json(&component);
        value["first_start"] = json!(format_utc(first));
        value["watermark"] = json!(format_utc(settled));
        components.push(value);
    }
    if components.is_empty() {
        return Err("there is no result in it".into());
    }
    Ok(json!({"schema": "probity-timeline/1", "from": format_utc(from), "to": format_utc(to), "components": components, "maintenance": []}))
}

fn judged(list: &mut [Happened], rules: &Rules) -> Record {
    list.sort_by_key(Happened::order);
    let (mut judge, mut recording, mut changes) = (Judge::default(), Recording::default(), Vec::new());
    for one in list.iter() {
        match *one {
            Happened::Result(result) => judge.observe(rules, result, &mut changes),
            Happened::Start(at) => judge.start(rules, at, &mut changes),
            Happened::Stop(at) => judge.stop(rules, at, &mut changes),
            Happened::Busy(at) => judge.busy(rules, at, &mut changes),
            Happened::Tick(at) => judge.tick(rules, at, &mut changes),
        }
        changes.drain(..).for_each(|change| recording.hear(&change));
    }
    recording.record(&judge)
}

/// Several vantages: each is a timeline of its own; one that is missing for this component is an absent vote.
fn by_quorum(name: &str, records: &[Record], expected: usize, quorum: Option<usize>) -> Component {
    let mut timelines: Vec<Timeline> = records
        .iter()
        .map(|record| {
            let period = Span::new(record.from.unwrap_or(record.settled), record.settled);
            let component = recorded::component(name, Combine::Series, recorded::Service::default(), std::slice::from_ref(record), period);
            recorded::told(period, vec![component], Vec::new())
        })
        .collect();
    timelines.resize_with(expected.max(timelines.len()), || Timeline { from: Some(0), to: Some(0), ..Timeline::default() });
    let span = Span::new(records.iter().filter_map(|r| r.from).min().unwrap_or(0), records.iter().map(|r| r.settled).max().unwrap_or(0));
    for absent in timelines.iter_mut().filter(|t| t.components.is_empty()) {
        (absent.from, absent.to) = (Some(span.from), Some(span.from));
    }
    let mut sums = Sums::default();
    let merged = std::cell::RefCell::new(Sums::default());
    let mut whole = merge(&timelines, quorum, |sets| {
        let (down, unknown) = (sets.down.cut(span).length(), sets.unknown.cut(span).length());
        *merged.borrow_mut() = Sums {
            covered: span.length(),
            down,
            unknown,
            up: span.length() - down - unknown,
            down_lower: sets.lower.cut(span).length(),
            down_upper: sets.upper.cut(span).length(),
        };
        recorded::of_sets(&sets.down, &sets.lower, &sets.upper)
    });
    std::mem::swap(&mut sums, &mut merged.borrow_mut());
    let recorded = whole.components.pop().unwrap_or_default();
    Component { recorded, open: false, sums }
}
