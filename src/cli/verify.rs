//! `probity history verify`: whether the chain is whole, and everything else follows from it.

use serde::Serialize;
use serde_json::json;

use super::args::history::HistoryVerify;
use super::{given, local, print};
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;
use crate::engine::stored_judges;
use crate::history::HistoryError;
use crate::history::reader::HistoryReader;
use crate::history::verification::{Against, Verification};

pub fn run(args: &HistoryVerify) -> Exit {
    let since = match args.since.as_deref().map(given::json) {
        Some(Err(why)) => {
            say_error(format_args!("probity: --since: {why}"));
            return Exit::Usage;
        }
        since => since.and_then(Result::ok),
    };
    let own = || local::signer(&args.place).map(|s| s.key());
    let against = Against {
        since,
        key: args.key.clone().or_else(own),
    };
    match local::open(&args.place) {
        Ok(reader) => verify(&reader, &against, args.json),
        Err(exit) => exit,
    }
}

/// The events and the tables that follow from them, then the judges.
pub fn verified(reader: &HistoryReader, against: &Against) -> Result<Verification, HistoryError> {
    let verdict = reader.verify(against)?;
    if !matches!(verdict, Verification::Whole { .. }) {
        return Ok(verdict);
    }
    let found = match stored_judges::differ(reader) {
        Err(HistoryError::Damaged { why, .. }) => Some(why),
        found => found?,
    };
    Ok(found.map_or(verdict, |why| Verification::Altered { seq: 0, why }))
}

/// `probity-verify/1`
#[derive(Default, Serialize)]
struct ShownVerdict<'v> {
    schema: &'static str,
    verdict: &'static str,
    events: Option<u64>,
    head: Option<&'v str>,
    /// The event at which a fault was found.
    seq: Option<u64>,
    why: Option<&'v str>,
    /// Of a history that is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoints: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restores: Option<u64>,
}

fn verify(reader: &HistoryReader, against: &Against, json: bool) -> Exit {
    let verdict = verified(reader, against).unwrap_or_else(|error| Verification::NotProvable {
        why: error.to_string(),
    });
    let fault = |verdict, seq, why| ShownVerdict {
        schema: "probity-verify/1",
        verdict,
        seq,
        why: Some(why),
        ..ShownVerdict::default()
    };
    let (shown, text, exit) = match &verdict {
        Verification::Whole {
            events,
            head,
            checkpoints,
            restores,
        } => {
            let shown = ShownVerdict {
                schema: "probity-verify/1",
                verdict: "whole",
                events: Some(*events),
                head: Some(head),
                checkpoints: Some(*checkpoints),
                restores: Some(*restores),
                ..ShownVerdict::default()
            };
            let forks = match restores {
                0 => String::new(),
                1 => ", restored from a backup once".to_owned(),
                more => format!(", restored from a backup {more} times"),
            };
            let since = if against.since.is_some() {
                "; nothing before the given checkpoint was rewritten"
            } else {
                ""
            };
            let text = format!(
                "intact: {events} events, {checkpoints} signed checkpoints{forks}, head \
                    {head}{since}\n"
            );
            (shown, text, Exit::Fine)
        }
        Verification::Altered { seq, why } => (
            fault("altered", Some(*seq), why),
            format!("altered: event {seq}: {why}\n"),
            Exit::Bad,
        ),
        Verification::Forked { seq, why } => (
            fault("forked by restore", Some(*seq), why),
            format!("{why} (event {seq})\n"),
            Exit::Unknown,
        ),
        Verification::NotProvable { why } => (
            fault("not provable", None, why),
            format!("not provable: {why}\n"),
            Exit::Unknown,
        ),
    };
    print(json, &json!(shown), || text);
    exit
}
