//! The export that a report is held against: its events with the chain recomputed, the prune record
//! of pruned ones, its tallies.

use serde_json::{Map, Value};

use crate::history::chain::{GENESIS, canonical, hex, link};
use crate::history::checkpoint::verify_signature;
use crate::history::event::{Event as KnownEvent, recorded};
use crate::history::prune_record::PruneRecord;
use crate::history::trust::{Introduced, trusted};
use crate::report::difference::{Difference, differs};
use crate::report::object::ContractReport;

pub(crate) type Parted<'j> = (Option<PruneRecord>, Vec<&'j str>, Vec<Value>);

/// An export in its parts: the prune record that stands for pruned events, the events, the tallies.
pub(crate) fn parted<'j>(journal: &'j str) -> Result<Parted<'j>, Difference> {
    let (mut prune_record, mut events, mut tallies) = (None, Vec::new(), Vec::new());
    for (k, line) in journal.lines().enumerate() {
        if k == 0 && line.starts_with(r#"{"carried":"#) {
            let mut value: Value =
                serde_json::from_str(line).map_err(|e| differs("stub", e.to_string()))?;
            let read = PruneRecord::parse(take(&mut value, "stub"), take(&mut value, "carried"))
                .map_err(|why| differs("stub", why))?;
            prune_record = Some(read);
        } else if line.starts_with(r#"{"tally":"#) {
            let mut value: Value =
                serde_json::from_str(line).map_err(|e| differs("tallies", e.to_string()))?;
            tallies.push(take(&mut value, "tally"));
        } else {
            events.push(line);
        }
    }
    Ok((prune_record, events, tallies))
}

/// The report and something else are signed by one key, or by two of which one vouched for the
/// other.
pub(crate) fn same_hand(
    place: &str,
    what: &str,
    report: &ContractReport,
    other: &Value,
    events: &[Event],
) -> Result<(), Difference> {
    let (own, given) = (
        report.key.as_deref().unwrap_or_default(),
        text_of(other, "key").unwrap_or_default(),
    );
    let introduced: Vec<Introduced> = recorded(events)
        .filter_map(|e| match &e.event {
            KnownEvent::CheckpointKeyChanged(key) => Some(Introduced::by_event(e.seq, key)),
            _ => None,
        })
        .collect();
    if trusted([given], &introduced).contains(own) || trusted([own], &introduced).contains(given) {
        return Ok(());
    }
    Err(differs(
        place,
        format!(
            "the report was signed by {own}, {what} by {given}, and neither key signed the other"
        ),
    ))
}

fn take(object: &mut Value, key: &str) -> Value {
    object.get_mut(key).map(Value::take).unwrap_or_default()
}

pub(crate) type Event = Map<String, Value>;

fn text_of<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.get(key).and_then(Value::as_str)
}

fn seq_of(object: &Value) -> Option<u64> {
    object.get("seq").and_then(Value::as_u64)
}

/// The events up to the report's last one, and those after it, with the chain recomputed.
pub(crate) fn chain_of(
    journal: &[&str],
    prune_record: Option<&PruneRecord>,
    report: &ContractReport,
    since: Option<&Value>,
) -> Result<(Vec<Event>, Vec<Event>), Difference> {
    let last = report.events.last;
    if last == 0 {
        return Err(differs("events.last", "the report names no events"));
    }
    if let Some(since) = since {
        is_usable(since, prune_record)?;
    }
    let (before, mut head) = prune_record.map_or((0, GENESIS), |s| (s.last, s.head));
    let (mut events, mut later) = (Vec::new(), Vec::new());
    for (k, line) in journal.iter().enumerate() {
        let seq = before + k as u64 + 1;
        let event;
        (event, head) = linked(seq, line, &head)?;
        if since.is_some_and(|s| seq_of(s) == Some(seq) && text_of(s, "head") != Some(&hex(&head)))
        {
            return Err(differs(
                &format!("event {seq}"),
                "the events up to here are not those that the given checkpoint signed",
            ));
        }
        if seq <= last { &mut events } else { &mut later }.push(event);
        head_held(report, seq, &hex(&head))?;
    }
    let given = before + events.len() as u64;
    if given < last {
        return Err(differs(
            "events.last",
            format!("the report rests on {last} events, and {given} are given"),
        ));
    }
    if since.and_then(seq_of).unwrap_or(0) > before + journal.len() as u64 {
        return Err(differs(
            "--since",
            "the given checkpoint signed more events than are given",
        ));
    }
    Ok((events, later))
}

/// The report's first event is that of the export, or one that was pruned since.
pub(crate) fn first_held(
    report: &ContractReport,
    prune_record: Option<&PruneRecord>,
) -> Result<(), Difference> {
    let (first, said) = (prune_record.map_or(1, |s| s.last + 1), report.events.first);
    if said == first || prune_record.is_some() && (1..first).contains(&said) {
        return Ok(());
    }
    let why = format!("the events begin with number {first}, the report says {said}");
    Err(differs("events.first", why))
}

/// A checkpoint that left the machine earlier is signed, and pruned events do not contradict it.
fn is_usable(since: &Value, prune_record: Option<&PruneRecord>) -> Result<(), Difference> {
    let Some(seq) = seq_of(since) else {
        return Err(differs("--since", "the given checkpoint names no event"));
    };
    verify_signature(since).map_err(|why| differs("--since", why))?;
    let is_same =
        |c: &Value| c.get("seq") == since.get("seq") && c.get("head") == since.get("head");
    match prune_record {
        Some(prune_record)
            if seq <= prune_record.last && !prune_record.checkpoints().iter().any(is_same) =>
        {
            Err(differs(
                "--since",
                "the prune record does not have the given checkpoint",
            ))
        }
        _ => Ok(()),
    }
}

/// The next event of a chain, and its head with it.
fn linked(seq: u64, line: &str, head: &[u8; 32]) -> Result<(Event, [u8; 32]), Difference> {
    let place = format!("event {seq}");
    let parsed: Option<Event> = serde_json::from_str(line).ok();
    let mut event = parsed.ok_or_else(|| differs(&place, "this line is not a JSON object"))?;
    let told = event.remove("hash");
    if event.get("seq").and_then(Value::as_u64) != Some(seq) {
        return Err(differs(
            &place,
            "its number does not follow from the one before",
        ));
    }
    let head = link(head, &canonical(&event));
    if told.as_ref().and_then(Value::as_str) != Some(hex(&head).as_str()) {
        return Err(differs(
            &place,
            "its hash does not follow from its text and the event before it",
        ));
    }
    Ok((event, head))
}

/// The report and its checkpoint name the head of the events up to an event, where they name one.
fn head_held(report: &ContractReport, seq: u64, head: &str) -> Result<(), Difference> {
    if let Some(checkpoint) = &report.events.checkpoint
        && seq_of(checkpoint) == Some(seq)
        && (text_of(checkpoint, "head") != Some(head)
            || text_of(checkpoint, "key") != report.key.as_deref()
            || verify_signature(checkpoint).is_err())
    {
        return Err(differs(
            "events.checkpoint",
            "it is not what the key of the report signed of the events up to here",
        ));
    }
    if seq == report.events.last && report.events.head != head {
        return Err(differs(
            "events.head",
            "the events up to the report's last one have another head",
        ));
    }
    Ok(())
}
