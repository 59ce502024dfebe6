//! What the history gives back: judges, inputs of marks, tallies, events, windows, checkpoints.

#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use probity::engine::inputs::{self, Input, InputLog};
use probity::history::chain::{GENESIS, canonical, link};
use probity::history::checkpoint::{Signer, verify_signature};
use probity::history::event::EventRecord;
use probity::history::rebuilt::RebuiltTables;
use probity::history::schema;
use probity::history::tally::{tally_counts, tally_latency};
use probity::history::verification::Against;
use probity::history::verify::verify;
use probity::judgement::maintenance::{Origin, Stored, Window};
use probity::judgement::rules::Rules;
use probity::judgement::state::Judge;
use probity::judgement::state_codec::{decode_with, encode_with};
use probity::judgement::timeline::Span;
use probity_fuzz::choice;
use rusqlite::{Connection, params};
use serde_json::{Map, Value};
use tempfile::TempDir;

/// No history is older or newer: about the year 2600 in milliseconds.
const FAR: u64 = 20_000_000_000_000;

thread_local! {
    static EMPTY: RefCell<(TempDir, Connection)> = RefCell::new({
        let directory = tempfile::tempdir().expect("a directory");
        let (_, connection) = schema::own(directory.path()).expect("a history");
        connection.pragma_update(None, "synchronous", "OFF").expect("told");
        (directory, connection)
    });
}

static SIGNER: LazyLock<Signer> =
    LazyLock::new(|| Signer::from_hex(&"07".repeat(32)).expect("a key"));

fuzz_target!(|data: &[u8]| {
    let (which, rest) = choice(data);
    match which % 8 {
        0 => judge(rest),
        1 => marks(rest),
        2 => tally(rest),
        3 => events(rest, false),
        4 => checkpoint(rest),
        5 => window(rest),
        6 => events(rest, true),
        _ => replayed(rest),
    }
});

fn judge(bytes: &[u8]) {
    let Ok((cadence, judge)) = decode_with(bytes) else {
        return;
    };
    let encoded = encode_with(&cadence, &judge);
    assert_eq!(decode_with(&encoded), Ok((cadence, judge)));
}

fn marks(bytes: &[u8]) {
    let Ok(inputs::Logged {
        onset,
        inputs: mut list,
    }) = inputs::read(bytes)
    else {
        return;
    };
    list.retain(|(_, input)| instant(*input) < FAR && is_written(*input));
    let mut log = InputLog::new(1_793_491_200_000);
    for (endpoint, input) in &list {
        log.push(*endpoint, *input);
    }
    assert_eq!(
        inputs::read(&log.into_bytes())
            .map(|logged| logged.inputs)
            .as_ref(),
        Ok(&list),
        "{onset:?}"
    );
}

/// What only logs of earlier versions mean is read and never written.
fn is_written(input: Input) -> bool {
    !matches!(
        input,
        Input::ReconfigureForgetting(_) | Input::ExtendAlways(_)
    )
}

fn instant(input: Input) -> u64 {
    match input {
        Input::Observe(r) => r.start,
        Input::Missed(at, ..)
        | Input::Busy(at)
        | Input::Tick(at)
        | Input::Start(at)
        | Input::Stop(at)
        | Input::Reconfigure(at)
        | Input::ReconfigureForgetting(at) => at,
        Input::LeaveDropping(at)
        | Input::LeaveService(at)
        | Input::ResumeService(at)
        | Input::Extend(at)
        | Input::ExtendAlways(at) => at,
    }
}

/// A start: the judge as stored, then what it was told since. Damage is refused by seals before
/// this; what is left is sane.
fn replayed(bytes: &[u8]) {
    let (length, rest) = choice(bytes);
    let (stored, mark) = rest.split_at(length.min(rest.len()));
    let cadence = decode_with(stored).map(|(cadence, _)| cadence).ok();
    let Some(cadence) = cadence.filter(|c| {
        [c.interval, c.late_after, c.timeout, c.retry_interval]
            .iter()
            .all(|ms| (1..FAR).contains(ms))
            && c.jitter_ppm < 1_000_000
    }) else {
        return;
    };
    let Ok(inputs::Logged {
        onset,
        inputs: list,
    }) = inputs::read(mark)
    else {
        return;
    };
    let (rules, mut judge, mut changes) = (
        Rules {
            onset,
            ..Rules::new(cadence)
        },
        Judge::default(),
        Vec::new(),
    );
    let (mut before, mut in_service) = (0, false);
    for (_, input) in list {
        if matches!(input, Input::Observe(r) if r.end >= FAR)
            || matches!(input, Input::Missed(_, _, count) if count >= FAR)
        {
            continue;
        }
        let at = instant(input);
        // The driver's times never go back.
        if at < before || at >= FAR {
            continue;
        }
        // Nothing is told of an endpoint before its start, nor while it is out of service.
        let begins = matches!(input, Input::Start(_))
            || matches!(input, Input::ResumeService(_)) && judge.first_start().is_some();
        if !(begins || in_service) {
            continue;
        }
        in_service = !matches!(input, Input::LeaveDropping(_) | Input::LeaveService(_));
        before = at;
        input.apply(&mut judge, &rules, &mut changes);
        let l = judge.ledger();
        let first = judge.first_start().unwrap_or(0);
        assert_eq!(
            l.up + l.down + l.unknown + l.out_of_service,
            l.watermark - first
        );
        assert!(
            judge.down_lower() <= l.down && l.down <= l.down_upper && l.down_upper <= l.up + l.down
        );
        assert_eq!(
            decode_with(&encode_with(&cadence, &judge)),
            Ok((cadence, judge.clone()))
        );
    }
}

fn tally(bytes: &[u8]) {
    let _ = tally_counts(bytes);
    for (_, buckets) in tally_latency(bytes) {
        assert!(buckets.iter().all(|(_, count)| *count > 0));
    }
}

/// A line of JSON each, as they stand in a chain; then the tables that should follow from them (an
/// empty history's).
fn events(bytes: &[u8], stored: bool) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    EMPTY.with_borrow_mut(|(_, connection)| {
        let work = connection.transaction().expect("a transaction");
        let (mut tables, mut head) = (RebuiltTables::default(), GENESIS);
        for (k, line) in text.lines().take(50).enumerate() {
            let Ok(Value::Object(mut event)) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            event.entry("seq").or_insert(Value::from(k as u64 + 1));
            event.entry("at_ms").or_insert(Value::from(0));
            let endpoint = event.get("id").and_then(Value::as_i64);
            if let Ok(Some(record)) = EventRecord::read(&event) {
                tables.apply(&record, &event, endpoint);
            }
            if stored && !has_fraction(&Value::Object(event.clone())) {
                event.insert("seq".into(), Value::from(k as u64 + 1));
                let body = canonical(&event);
                assert_eq!(
                    serde_json::from_str::<Map<String, Value>>(&body)
                        .map(|again| canonical(&again))
                        .expect("JSON"),
                    body
                );
                head = link(&head, &body);
                let row = params![k as i64 + 1, head.as_slice(), body, endpoint];
                work.execute(
                    "INSERT INTO event (seq, hash, body, endpoint, kind, at) VALUES (?1, \
                    ?2, ?3, ?4, '', 0)",
                    row,
                )
                .expect("written");
            }
        }
        let _ = tables.differs(&work, None).expect("readable");
        if stored {
            let _ = verify(&work, &Against::default()).expect("readable");
        }
    });
}

fn checkpoint(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let _ = verify_signature(&value);
    let against = Against {
        since: Some(value.clone()),
        key: None,
    };
    EMPTY.with_borrow(|(_, connection)| {
        let _ = verify(connection, &against).expect("readable");
    });
    if let Value::Object(object) = value
        && !has_fraction(&Value::Object(object.clone()))
    {
        let signed = SIGNER.signed(object);
        assert_eq!(verify_signature(&signed), Ok(()));
        // As text, it is read back as what was signed.
        let again: Value = serde_json::from_str(&signed.to_string()).expect("JSON");
        assert_eq!(verify_signature(&again), Ok(()), "{signed}");
    }
}

/// What we chain and sign holds none: from text to number and back is not exact for all of them.
fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(n) => n.is_f64(),
        Value::Array(list) => list.iter().any(has_fraction),
        Value::Object(map) => map.values().any(has_fraction),
        _ => false,
    }
}

fn window(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let Some(window) = Window::from_json(&value) else {
        return;
    };
    assert_eq!(Window::from_json(&window.to_json()).as_ref(), Some(&window));
    let within = Span::new(1_793_491_200_000, 1_796_083_200_000);
    let stored = Stored {
        window,
        recorded: 1_793_000_000_000,
        ended: None,
        by: "x".into(),
        origin: Origin::Config,
    };
    for span in stored.in_force(within) {
        assert!(within.from <= span.from && span.from < span.to && span.to <= within.to);
    }
    let _ = stored.declared(within, None);
}
