//! Contracts as the config that `check --print` shows.

use std::fmt::Write;

use super::quoted;
use crate::config::document::value::show_duration;
use crate::judgement::sla::calendar::PeriodKind;
use crate::judgement::sla::contract::*;
use crate::judgement::sla::exact::plain;
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
    let period = match c.period {
        PeriodKind::CalendarMonth => "calendar_month".to_owned(),
        PeriodKind::CalendarQuarter => "calendar_quarter".to_owned(),
        PeriodKind::CalendarYear => "calendar_year".to_owned(),
        PeriodKind::Rolling(ms) => format!("rolling {}", show_duration(ms)),
    };
    let _ = writeln!(
        out,
        "\n[[sla.{}]]\nobjective = \"{}\"\nperiod = \"{period}\"\ntime_zone = \"{}\"",
        c.name,
        plain(&c.objective),
        zone(&c.zone)
    );
    let _ = writeln!(out, "components = [{}]", list(&c.components));
    let combine = match &c.together {
        Together::Each => "each",
        Together::Series => "series",
        Together::Parallel => "parallel",
        Together::Weighted(weights) => {
            let pairs: Vec<String> = c
                .components
                .iter()
                .zip(weights)
                .map(|(n, w)| format!("{} = \"{}\"", quoted(n.as_str()), plain(w)))
                .collect();
            let _ = writeln!(out, "weights = {{ {} }}", pairs.join(", "));
            "weighted"
        }
    };
    let measure = match &c.measure {
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
    };
    let unknown = match c.unknown {
        Unknown::Exclude => "exclude",
        Unknown::Up => "up",
        Unknown::Down => "down",
    };
    let before = if c.before_in_service == BeforeInService::AsUp {
        "as_up"
    } else {
        "exclude"
    };
    let _ = writeln!(
        out,
        "combine = \"{combine}\"\nmeasure = {measure}\nunknown = \"{unknown}\"\ndecide_by \
            = \"{}\"\nbefore_in_service = \"{before}\"",
        c.decide_by.as_str()
    );
    let count = if c.min_outage.whole_minutes {
        "whole_minutes"
    } else {
        "whole"
    };
    let _ = writeln!(
        out,
        "min_outage = {{ length = \"{}\", count = \"{count}\" }}",
        show_duration(c.min_outage.length)
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
        let days: Vec<String> = hours
            .days
            .iter()
            .filter_map(|d| {
                crate::config::contract::DAYS
                    .iter()
                    .find(|(_, w)| w == d)
                    .map(|(word, _)| quoted(word))
            })
            .collect();
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
    let m = &c.maintenance;
    let treat = match m.treat {
        Treat::Exclude => "exclude",
        Treat::AsUp => "as_up",
        Treat::Count => "count",
    };
    let announcement = if m.announcement == Announcement::Claimed {
        "claimed"
    } else {
        "recorded"
    };
    let mut limits = String::new();
    for (key, ms) in [("notice", m.notice), ("allowance", m.allowance)] {
        if let Some(ms) = ms {
            let _ = write!(limits, ", {key} = \"{}\"", show_duration(ms));
        }
    }
    let _ = writeln!(
        out,
        "maintenance = {{ treat = \"{treat}\", announcement = \"{announcement}\"{limits} }}"
    );
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

fn model(model: &Model) -> String {
    let rounding = |r: &Rounding| {
        Rounding::WORDS
            .iter()
            .find(|(_, w)| w == r)
            .map_or("", |(word, _)| word)
    };
    match model {
        Model::Linear {
            step,
            per_step,
            rounding: r,
            measured_from,
        } => {
            let from = if *measured_from == MeasuredFrom::Hundred {
                "100"
            } else {
                "target"
            };
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
            let aggregate = if *aggregate == Aggregate::PerOutage {
                "per_outage"
            } else {
                "period"
            };
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
