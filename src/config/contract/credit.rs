//! `[sla.NAME.credit]`: what is owed for what was missed.

use super::values::*;
use super::words::{AGGREGATE, MEASURED_FROM};
use crate::config::document::problem::problem;
use crate::config::document::tree::{Item, Section};
use crate::judgement::sla::contract::*;
use crate::judgement::sla::exact::{Exact, whole};

pub(super) fn credit(section: &Section) -> Option<Credit> {
    let model = required(
        section,
        "model",
        "model = \"linear\" (tiers, per_downtime, multiple)",
    )?
    .text()?;
    let model = match model.as_str() {
        "linear" => linear(section),
        "tiers" => required(
            section,
            "below",
            "below = [[\"99.99\", \"10\"], [\"99.0\", \"30\"]]",
        )
        .and_then(|i| tiers(&i))
        .map(Model::Tiers),
        "per_downtime" => per_downtime(section),
        "multiple" => {
            let of = required(section, "of", "of = \"fee_of_downtime\"")
                .and_then(|i| i.word(&[("fee_of_downtime", ())]));
            let factor = above_zero(section, "factor", "factor = \"10\"");
            of.and(factor).map(Model::Multiple)
        }
        other => {
            section.source.fault(
                &section.span,
                problem!("unknown credit model `{}`", other.escape_debug()),
                "The models are linear, tiers, per_downtime and multiple.",
            );
            None
        }
    };
    let cap = section
        .item("cap")
        .and_then(|i| number(&i))
        .unwrap_or_else(|| whole(100));
    section.end();
    Some(Credit { model: model?, cap })
}

/// A credit for each step below the target.
fn linear(section: &Section) -> Option<Model> {
    let step = above_zero(section, "step", "step = \"1\", in percentage points");
    let per_step = above_zero(section, "per_step", "per_step = \"10\", percent of the fee");
    let rounding = rounding(
        section,
        "rounding = \"pro_rata\", \"started\" or \"full\": the same minute of downtime is 0.13, \
            100.00 or 0 of a fee of 1000.00",
    );
    let measured_from = word(
        section,
        "measured_from",
        &MEASURED_FROM,
        MeasuredFrom::Target,
    );
    Some(Model::Linear {
        step: step?,
        per_step: per_step?,
        rounding: rounding?,
        measured_from,
    })
}

/// A credit for each unit of downtime.
fn per_downtime(section: &Section) -> Option<Model> {
    let unit = required(section, "unit", "unit = \"30m\"").and_then(|i| i.duration(1000, YEAR_MS));
    let per_unit = above_zero(section, "per_unit", "per_unit = \"5\", percent of the fee");
    let rounding = rounding(section, "rounding = \"started\", \"full\" or \"pro_rata\"");
    let aggregate = word(section, "aggregate", &AGGREGATE, Aggregate::Period);
    Some(Model::PerDowntime {
        unit: unit?,
        per_unit: per_unit?,
        rounding: rounding?,
        aggregate,
    })
}

fn above_zero(section: &Section, key: &'static str, example: &str) -> Option<Exact> {
    required(section, key, example).and_then(|i| positive(&i))
}

fn rounding(section: &Section, example: &str) -> Option<Rounding> {
    required(section, "rounding", example).and_then(|i| i.word(&Rounding::WORDS))
}

fn tiers(item: &Item) -> Option<Vec<(Exact, Exact)>> {
    let mut list: Vec<(Exact, Exact)> = Vec::new();
    for one in item.list() {
        let pair = one.list();
        let [below, percent] = pair.as_slice() else {
            one.fault(
                "a tier is a pair",
                "Write [\"99.99\", \"10\"]: below this percentage, this credit.",
            );
            continue;
        };
        let (Some(below), Some(percent)) = (percentage(below), number(percent)) else {
            continue;
        };
        if list.last().is_some_and(|(last, _)| below >= *last) {
            one.fault(
                "the tiers do not descend",
                "Write them from the highest percentage to the lowest.",
            );
        }
        list.push((below, percent));
    }
    if list.is_empty() {
        item.fault(
            "the list of tiers is empty",
            "Write [[\"99.99\", \"10\"], [\"99.0\", \"30\"]].",
        );
        return None;
    }
    Some(list)
}
