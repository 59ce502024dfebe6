//! `probity export timeline --probes`: raw results of any prober, judged by our rules, as a
//! timeline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args::export::RawProbes;
use super::{given, print};
use crate::account::recorded::{self, RecordedComponent};
use crate::account::shown::ShownComponent;
use crate::config::document::tree::distance;
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;
use crate::judgement::recording::Recording;
use crate::judgement::rules::{Cadence, PPM, Rules};
use crate::judgement::sla::merge::merge;
use crate::judgement::sla::record::Timeline;
use crate::judgement::state::{Judge, ProbeResult, ResultKind};
use crate::judgement::timeline::{Combine, EndpointRecord, Span, Spans, Sums};
use crate::words::time::is_writable;
use crate::words::{Cause, Ms, Reason, format_utc, parse_utc};

pub fn run(raw: &RawProbes) -> Exit {
    let Some(path) = &raw.probes else {
        return Exit::Usage;
    };
    let rules = match rules(raw) {
        Ok(rules) => rules,
        Err(exit) => return exit,
    };
    let items = match given::json(path)
        .and_then(|value| results(&value).map_err(|why| format!("{}: {why}", path.display())))
    {
        Ok(items) => items,
        Err(why) => {
            say_error(format_args!("probity: {why}"));
            return Exit::Usage;
        }
    };
    let quorum = match given::quorum(raw.quorum, vantages(&items), "vantages") {
        Ok(quorum) => quorum,
        Err(exit) => return exit,
    };
    print(true, &told(items, &rules, quorum), String::new);
    Exit::Fine
}

/// As many results in a row as a config may ask for.
const MOST_IN_A_ROW: u32 = 100;

fn rules(raw: &RawProbes) -> Result<Rules, Exit> {
    let in_a_row = |flag: &str, n: u32| {
        let fits = (1..=MOST_IN_A_ROW).contains(&n);
        if fits {
            Ok(n)
        } else {
            Err(given::out_of_range(
                flag,
                n,
                format_args!("a whole number from 1 to {MOST_IN_A_ROW}"),
            ))
        }
    };
    let jitter = raw
        .jitter
        .parse()
        .ok()
        .filter(|share| (0.0..1.0).contains(share));
    let jitter: f64 = jitter.ok_or_else(|| {
        given::out_of_range(
            "jitter",
            &raw.jitter,
            "a share from 0 to less than 1, such as 0.1",
        )
    })?;
    Ok(Rules::new(Cadence {
        interval: given::duration("interval", raw.interval.as_deref().unwrap_or_default(), 1)?,
        jitter_ppm: (jitter * PPM as f64).round() as u64,
        late_after: given::duration("late-after", &raw.late_after, 0)?,
        timeout: given::duration("timeout", &raw.timeout, 1)?,
        retry_interval: given::duration("retry-interval", &raw.retry_interval, 1)?,
        down_after: in_a_row("down-after", raw.down_after)?,
        up_after: in_a_row("up-after", raw.up_after)?,
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
            Happened::Start(at) | Happened::Stop(at) | Happened::Busy(at) | Happened::Tick(at) => {
                (*at, 0)
            }
        }
    }
}

fn instant(value: &Option<Value>, place: usize) -> Result<Ms, String> {
    let at = match value {
        Some(Value::String(text)) => parse_utc(text).and_then(|at| u64::try_from(at).ok()),
        Some(Value::Number(n)) => n.as_u64(),
        _ => None,
    };
    let at = at.filter(|at| i64::try_from(*at).is_ok_and(is_writable));
    at.ok_or_else(|| {
        format!(
            "item {place}: a time is missing, or is neither RFC 3339 nor whole \
        milliseconds before the year 10000"
        )
    })
}

/// One item of the list. What is in it may be of any type: the refusals say which it should be.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawItem {
    component: Option<Value>,
    vantage: Option<Value>,
    event: Option<Value>,
    at: Option<Value>,
    start: Option<Value>,
    end: Option<Value>,
    ok: Option<Value>,
    result: Option<Value>,
    reason: Option<Value>,
    kind: Option<Value>,
    /// Keys that say nothing that is judged, or are misspelt.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

fn text(value: &Option<Value>) -> Option<&str> {
    value.as_ref().and_then(Value::as_str)
}

fn happened(item: &RawItem, place: usize) -> Result<Happened, String> {
    let (has_ok, has_result) = (item.ok.is_some(), item.result.is_some());
    if item.event.is_some() && (has_ok || has_result) {
        return Err(format!(
            "item {place}: both an event and a result; write two items"
        ));
    }
    if has_ok && has_result {
        return Err(format!("item {place}: both `ok` and `result`; keep one"));
    }
    let ok = item.ok.as_ref().and_then(Value::as_bool);
    if has_ok && ok.is_none() {
        return Err(format!(
            "item {place}: `ok` should be true or false, without quotes"
        ));
    }
    if let Some(event) = text(&item.event) {
        let at = instant(&item.at, place)?;
        return match event {
            "start" => Ok(Happened::Start(at)),
            "stop" => Ok(Happened::Stop(at)),
            "busy" => Ok(Happened::Busy(at)),
            "tick" => Ok(Happened::Tick(at)),
            other => Err(format!(
                "item {place}: unknown event `{other}`. Allowed: start, stop, busy, tick"
            )),
        };
    }
    let failure = ResultKind::Failure(Cause::ProtocolError);
    let (start, end, verdict) = if let Some(ok) = ok {
        let at = instant(&item.at, place)?;
        (at, at, if ok { ResultKind::Success } else { failure })
    } else {
        let (start, end) = (instant(&item.start, place)?, instant(&item.end, place)?);
        let verdict = match text(&item.result) {
            Some("success") => ResultKind::Success,
            Some("failure") => failure,
            Some("unmeasured") => ResultKind::Unmeasured(reason(item, place)?),
            _ => {
                return Err(format!(
                    "item {place}: neither `ok` nor a `result` of success, failure or unmeasured"
                ));
            }
        };
        (start, end, verdict)
    };
    if end < start {
        return Err(format!("item {place}: it ends before it starts"));
    }
    Ok(Happened::Result(ProbeResult {
        start,
        end,
        kind: verdict,
        slot: text(&item.kind) != Some("reprobe"),
    }))
}

/// Why a probe could not be measured; late when it is not said.
fn reason(item: &RawItem, place: usize) -> Result<Reason, String> {
    match &item.reason {
        None => Ok(Reason::Late),
        Some(Value::String(text)) => Reason::parse(text).ok_or_else(|| {
            let known: Vec<&str> = Reason::ALL.iter().map(|r| r.as_str()).collect();
            format!(
                "item {place}: unknown reason `{text}`. Allowed: {}",
                known.join(", ")
            )
        }),
        Some(_) => Err(format!("item {place}: `reason` should be a text")),
    }
}

/// What happened, by component and vantage.
type Items = BTreeMap<String, BTreeMap<String, Vec<Happened>>>;

/// Refuses a slip in a key that may be left out: what is required is missed anyway.
fn spelt_right(item: &RawItem, place: usize) -> Result<(), String> {
    let optional = [
        ("component", &item.component),
        ("vantage", &item.vantage),
        ("reason", &item.reason),
        ("kind", &item.kind),
    ];
    for key in item.others.keys() {
        if let Some((near, _)) = optional
            .iter()
            .find(|(known, value)| value.is_none() && distance(key, known) == 1)
        {
            return Err(format!(
                "item {place}: unknown key `{key}`; did you mean `{near}`?"
            ));
        }
    }
    Ok(())
}

fn results(value: &Value) -> Result<Items, String> {
    let items = value
        .as_array()
        .or_else(|| value.get("probes")?.as_array())
        .ok_or("this should be a list of results")?;
    let mut all = Items::new();
    for (place, item) in items.iter().enumerate() {
        let item = RawItem::deserialize(item).unwrap_or_default();
        let component = text(&item.component).unwrap_or("component").to_owned();
        spelt_right(&item, place)?;
        all.entry(component)
            .or_default()
            .entry(text(&item.vantage).unwrap_or_default().to_owned())
            .or_default()
            .push(happened(&item, place)?);
    }
    if all.is_empty() {
        Err("there is no result in it".into())
    } else {
        Ok(all)
    }
}

fn vantages(all: &Items) -> usize {
    all.values()
        .flat_map(BTreeMap::keys)
        .collect::<std::collections::BTreeSet<_>>()
        .len()
}

/// Judges every component at every vantage, merges vantages by quorum, and tells the sums beside
/// each.
pub fn timeline(value: &Value, rules: &Rules, quorum: Option<usize>) -> Result<Value, String> {
    Ok(told(results(value)?, rules, quorum))
}

/// A component, and the time of which its results speak.
#[derive(Serialize)]
struct JudgedComponent {
    #[serde(flatten)]
    shown: ShownComponent,
    first_start: String,
    watermark: String,
}

fn told(all: Items, rules: &Rules, quorum: Option<usize>) -> Value {
    let expected = vantages(&all);
    let (mut from, mut to) = (i64::MAX, i64::MIN);
    let mut parts = Vec::new();
    for (name, mut by_vantage) in all {
        let records: Vec<EndpointRecord> = by_vantage
            .values_mut()
            .map(|list| judged(list, rules))
            .collect();
        let first = records.iter().filter_map(|r| r.from).min().unwrap_or(0);
        let settled = records.iter().map(|r| r.settled).max().unwrap_or(0);
        (from, to) = (from.min(first), to.max(settled));
        let component = if records.len() == 1 && expected == 1 {
            recorded::component(
                &name,
                &recorded::Version::ever(Combine::Series, recorded::ServiceStart::default()),
                (&records, &Spans::default()),
                Span::new(first, settled),
            )
        } else {
            by_quorum(&name, &records, expected, quorum)
        };
        parts.push((component, Span::new(first, settled)));
    }
    let beyond = |mut component: RecordedComponent, own: Span| {
        // Where another component's record reaches further, nothing is known of this one.
        let around = [Span::new(from, own.from), Span::new(own.to, to)]
            .into_iter()
            .filter(|s| s.length() > 0);
        component.recorded.in_service.clear();
        component
            .recorded
            .unknown
            .extend(around.map(|s| (s, Some(Reason::NotRunning.as_str().to_owned()))));
        component.recorded.unknown.sort_by_key(|u| u.0.from);
        JudgedComponent {
            shown: ShownComponent::of(&component),
            first_start: format_utc(own.from),
            watermark: format_utc(own.to),
        }
    };
    let components: Vec<JudgedComponent> = parts
        .into_iter()
        .map(|(component, own)| beyond(component, own))
        .collect();
    json!({
        "schema": "probity-timeline/2", "from": format_utc(from), "to": format_utc(to),
        "components": components, "maintenance": [],
    })
}

fn judged(list: &mut [Happened], rules: &Rules) -> EndpointRecord {
    list.sort_by_key(Happened::order);
    let (mut judge, mut recording, mut changes) =
        (Judge::default(), Recording::default(), Vec::new());
    for one in list.iter() {
        match *one {
            Happened::Result(result) => judge.observe(rules, result, &mut changes),
            Happened::Start(at) => judge.start(rules, at, &mut changes),
            Happened::Stop(at) => judge.stop(rules, at, &mut changes),
            Happened::Busy(at) => judge.busy(rules, at, &mut changes),
            Happened::Tick(at) => judge.tick(rules, at, &mut changes),
        }
        changes
            .drain(..)
            .for_each(|change| recording.apply(&change));
    }
    recording.record(&judge)
}

/// Several vantages: each is a timeline of its own; one that is missing for this component is an
/// absent vote.
fn by_quorum(
    name: &str,
    records: &[EndpointRecord],
    expected: usize,
    quorum: Option<usize>,
) -> RecordedComponent {
    let mut timelines: Vec<Timeline> = records
        .iter()
        .map(|record| {
            let period = Span::new(record.from.unwrap_or(record.settled), record.settled);
            let component = recorded::component(
                name,
                &recorded::Version::ever(Combine::Series, recorded::ServiceStart::default()),
                (std::slice::from_ref(record), &Spans::default()),
                period,
            );
            recorded::timeline(period, vec![component], Vec::new())
        })
        .collect();
    timelines.resize_with(expected.max(timelines.len()), || Timeline {
        from: Some(0),
        to: Some(0),
        ..Timeline::default()
    });
    let span = Span::new(
        records.iter().filter_map(|r| r.from).min().unwrap_or(0),
        records.iter().map(|r| r.settled).max().unwrap_or(0),
    );
    for absent in timelines.iter_mut().filter(|t| t.components.is_empty()) {
        (absent.from, absent.to) = (Some(span.from), Some(span.from));
    }
    let mut sums = Sums::default();
    let merged = std::cell::RefCell::new(Sums::default());
    let mut whole = merge(&timelines, quorum, |sets| {
        let (down, unknown) = (
            sets.down.cut(span).length(),
            sets.unknown.cut(span).length(),
        );
        *merged.borrow_mut() = Sums {
            covered: span.length(),
            down,
            unknown,
            up: span.length() - down - unknown,
            down_lower: sets.lower.cut(span).length(),
            down_upper: sets.upper.cut(span).length(),
        };
        recorded::of_sets(&sets.down, &sets.lower, &sets.upper, &sets.up, |_| None)
    });
    std::mem::swap(&mut sums, &mut merged.borrow_mut());
    let recorded = whole.components.pop().unwrap_or_default();
    RecordedComponent { recorded, sums }
}
