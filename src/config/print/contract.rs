//! Contracts as the config that `check --print` shows.

use std::fmt::Write;

use super::probe::quoted;
use crate::config::contract::words::*;
use crate::config::document::value::show_duration;
use crate::judgement::sla::calendar::PeriodKind;
use crate::judgement::sla::calendar::ServiceHours;
use crate::judgement::sla::contract::*;
use crate::judgement::sla::exact::{Exact, plain};
use crate::words::Name;

fn list(names: &[Name]) -> String {
    names
        .iter()
        .map(|n| quoted(n.as_str()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Writes them as the tables they could have been read from.
pub fn contracts(out: &mut String, contracts: &Contracts) {
    for contract in &contracts.list {
        print_contract(out, contract);
    }
    for t in &contracts.tenants {
        let _ = writeln!(
            out,
            "\n[[tenant]]\nname = {}\nsla = {}\nfee = \"{}\"",
            quoted(t.name.as_str()),
            quoted(t.sla.as_str()),
            plain(&t.fee)
        );
        if !t.components.is_empty() {
            let _ = writeln!(out, "components = [{}]", list(&t.components));
        }
        for (key, day) in [("from", t.from), ("to", t.to)] {
            if let Some(day) = day {
                let _ = writeln!(out, "{key} = \"{day}\"");
            }
        }
    }
}

fn zone(zone: &jiff::tz::TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

fn print_contract(out: &mut String, c: &Contract) {
    let _ = writeln!(
        out,
        "\n[[sla.{}]]\nobjective = \"{}\"\nperiod = \"{}\"\ntime_zone = \"{}\"",
        c.name,
        plain(&c.objective),
        period(c.period),
        zone(&c.zone)
    );
    let _ = writeln!(out, "components = [{}]", list(&c.components));
    let combine = match &c.together {
        Together::Each => "each",
        Together::Series => "series",
        Together::Parallel => "parallel",
        Together::Weighted(weights) => {
            print_weights(out, &c.components, weights);
            "weighted"
        }
    };
    let _ = writeln!(
        out,
        "combine = \"{combine}\"\nmeasure = {}\nunknown = \"{}\"\ndecide_by = \"{}\"\n\
            before_in_service = \"{}\"",
        measure(&c.measure),
        word_of(&UNKNOWN, &c.unknown),
        c.decide_by.as_str(),
        word_of(&BEFORE_IN_SERVICE, &c.before_in_service)
    );
    let _ = writeln!(
        out,
        "min_outage = {{ length = \"{}\", count = \"{}\" }}",
        show_duration(c.min_outage.length),
        word_of(&OUTAGE_COUNT, &c.min_outage.whole_minutes)
    );
    for (key, value) in [
        ("min_coverage", c.min_coverage.as_ref().map(plain)),
        ("fee", c.fee.as_ref().map(plain)),
        ("currency", c.currency.clone()),
        ("valid_from", c.valid_from.map(|d| d.to_string())),
    ] {
        if let Some(value) = value {
            let _ = writeln!(out, "{key} = \"{value}\"");
        }
    }
    if let Some(hours) = &c.service_hours {
        print_service_hours(out, hours);
    }
    print_maintenance(out, &c.maintenance);
    if let Some(credit) = &c.credit {
        let _ = writeln!(
            out,
            "credit = {{ {}, cap = \"{}\" }}",
            model(&credit.model),
            plain(&credit.cap)
        );
    }
    if let Some(latency) = &c.latency {
        let _ = writeln!(
            out,
            "latency = {{ share = \"{}\", within = \"{}\" }}",
            plain(&latency.share),
            show_duration(latency.within_us / 1000)
        );
    }
}

fn print_weights(out: &mut String, components: &[Name], weights: &[Exact]) {
    let pairs = components.iter().zip(weights);
    let pairs: Vec<String> = pairs
        .map(|(n, w)| format!("{} = \"{}\"", quoted(n.as_str()), plain(w)))
        .collect();
    let _ = writeln!(out, "weights = {{ {} }}", pairs.join(", "));
}

fn period(period: PeriodKind) -> String {
    match period {
        PeriodKind::CalendarMonth => "calendar_month".to_owned(),
        PeriodKind::CalendarQuarter => "calendar_quarter".to_owned(),
        PeriodKind::CalendarYear => "calendar_year".to_owned(),
        PeriodKind::Rolling(ms) => format!("rolling {}", show_duration(ms)),
    }
}

fn measure(measure: &Measure) -> String {
    match measure {
        Measure::Time => "\"time\"".to_owned(),
        Measure::Slices { length, down_if } => {
            let rule = match down_if {
                DownIf::AllFail => "\"all_fail\"".to_owned(),
                DownIf::AnyFail => "\"any_fail\"".to_owned(),
                DownIf::ErrorRatioAbove(limit) => {
                    format!("{{ error_ratio_above = \"{}\" }}", plain(limit))
                }
            };
            format!(
                "{{ slices = \"{}\", down_if = {rule} }}",
                show_duration(*length)
            )
        }
        Measure::MeanErrorRatio { length, no_probe } => {
            format!(
                "{{ slices = \"{}\", value = \"mean_error_ratio\", no_probe = \"{}\" }}",
                show_duration(*length),
                plain(no_probe)
            )
        }
    }
}

fn print_service_hours(out: &mut String, hours: &ServiceHours) {
    let days = hours.days.iter().map(|day| quoted(word_of(&DAYS, day)));
    let days: Vec<String> = days.collect();
    let holidays: Vec<String> = hours.holidays.iter().map(|d| format!("\"{d}\"")).collect();
    let _ = writeln!(
        out,
        "service_hours = {{ days = [{}], from = \"{:02}:{:02}\", to = \"{:02}:{:02}\", \
            time_zone = \"{}\", holidays = [{}] }}",
        days.join(", "),
        hours.from.hour(),
        hours.from.minute(),
        hours.to.hour(),
        hours.to.minute(),
        zone(&hours.zone),
        holidays.join(", ")
    );
}

fn print_maintenance(out: &mut String, rules: &MaintenanceRules) {
    let mut limits = String::new();
    for (key, ms) in [("notice", rules.notice), ("allowance", rules.allowance)] {
        if let Some(ms) = ms {
            let _ = write!(limits, ", {key} = \"{}\"", show_duration(ms));
        }
    }
    let _ = writeln!(
        out,
        "maintenance = {{ treat = \"{}\", announcement = \"{}\"{limits} }}",
        word_of(&TREAT, &rules.treat),
        word_of(&ANNOUNCEMENT, &rules.announcement)
    );
}

fn model(model: &Model) -> String {
    let rounding = |r: &Rounding| word_of(&Rounding::WORDS, r);
    match model {
        Model::Linear {
            step,
            per_step,
            rounding: r,
            measured_from,
        } => {
            let from = word_of(&MEASURED_FROM, measured_from);
            format!(
                "model = \"linear\", step = \"{}\", per_step = \"{}\", rounding = \"{}\", \
                    measured_from = \"{from}\"",
                plain(step),
                plain(per_step),
                rounding(r)
            )
        }
        Model::Tiers(tiers) => {
            let pairs: Vec<String> = tiers
                .iter()
                .map(|(below, percent)| format!("[\"{}\", \"{}\"]", plain(below), plain(percent)))
                .collect();
            format!("model = \"tiers\", below = [{}]", pairs.join(", "))
        }
        Model::PerDowntime {
            unit,
            per_unit,
            rounding: r,
            aggregate,
        } => {
            let aggregate = word_of(&AGGREGATE, aggregate);
            let (unit, per_unit, rounding) = (show_duration(*unit), plain(per_unit), rounding(r));
            format!(
                "model = \"per_downtime\", unit = \"{unit}\", per_unit = \"{per_unit}\", rounding \
                    = \"{rounding}\", aggregate = \"{aggregate}\""
            )
        }
        Model::Multiple(factor) => format!(
            "model = \"multiple\", of = \"fee_of_downtime\", factor = \"{}\"",
            plain(factor)
        ),
    }
}
