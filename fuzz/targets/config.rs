//! Config text to a plan, and to contracts: never a panic, a refusal names a line, and what was
//! accepted can be printed and used.

#![no_main]

use std::path::Path;

use libfuzzer_sys::{Corpus, fuzz_target};
use probity::config::print::effective;
use probity::config::{Fault, Plan, load, load_contracts};
use probity::engine::drive::Gauges;
use probity::judgement::maintenance::Window;
use probity::judgement::sla::calendar::{PeriodKind, current_and_previous, service_spans};
use probity::judgement::sla::contract::Contracts;
use probity::judgement::timeline::Span;
use probity_fuzz::in_memory;

/// 2026-11-15.
const NOW: i64 = 1_794_700_800_000;
const DAY: i64 = 86_400_000;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    let world = in_memory(text);
    match load(Path::new("main.toml"), &world) {
        Ok(plan) => used(&plan),
        Err(faults) => refused(&faults),
    }
    match load_contracts(Path::new("main.toml"), &world) {
        Ok(contracts) => agreed(&contracts),
        Err(faults) => refused(&faults),
    }
    Corpus::Keep
});

fn refused(faults: &[Fault]) {
    assert!(
        faults
            .iter()
            .any(|f| f.line > 0 || f.problem.contains("cannot be read")),
        "refused, and no line says why: {faults:?}"
    );
    for fault in faults {
        assert!(!fault.problem.is_empty());
        let _ = fault.to_string();
    }
}

fn used(plan: &Plan) {
    let _ = Gauges::default();
    let printed = effective(plan);
    assert_eq!(effective(plan), printed);
    for endpoint in plan.endpoints.iter().chain(&plan.witness.endpoints) {
        assert!(endpoint.rules.gap >= endpoint.rules.cadence.interval);
        let _ = (
            endpoint.rules.detection_bound(),
            endpoint.host(),
            endpoint.target(),
        );
    }
    for window in &plan.maintenance {
        assert_eq!(Window::from_json(&window.to_json()).as_ref(), Some(window));
        for span in window.occurrences(Span::new(NOW - DAY, NOW + 60 * DAY)) {
            assert!(span.from < span.to);
        }
    }
    agreed(&plan.contracts);
}

fn agreed(contracts: &Contracts) {
    for contract in &contracts.list {
        for (name, span) in current_and_previous(contract.period, &contract.zone, NOW) {
            assert!(span.from < span.to, "{name}");
            let length = if let PeriodKind::Rolling(_) = contract.period {
                span.length().min(40 * DAY as u64)
            } else {
                span.length()
            };
            let within = Span::new(span.to - length as i64, span.to);
            if let Some(hours) = &contract.service_hours {
                assert!(service_spans(hours, within).length() <= within.length());
            }
        }
    }
}
