//! `probity sla`: contracts judged and explained.

use std::fmt::Write;
use std::path::Path;

use num_traits::ToPrimitive;
use serde_json::{Value, json};

use super::args::{Sla, SlaEvaluate, SlaExplain};
use super::{given, local, print};
use crate::account::figures::grouped;
use crate::account::figures::{components, maintenance, not_seen_text, say_not_seen};
use crate::account::recorded::{of_sets, told};
use crate::config::plan::Proxies;
use crate::config::plan::{DEFAULT_LATE_AFTER, DEFAULT_RETRY_INTERVAL, DEFAULT_TIMEOUT};
use crate::config::{load_contracts, timeline_file};
use crate::daemon::exit::Exit;
use crate::daemon::start::{read_config, show_faults};
use crate::daemon::streams::say_error;
use crate::history::definitions::told as told_definitions;
use crate::history::past::Which;
use crate::judgement::rules::{Cadence, Rules};
use crate::judgement::sla::calendar::current_and_previous;
use crate::judgement::sla::contract::{Contract, Contracts, MeasuredFrom, Model};
use crate::judgement::sla::evaluate::{
    Judged, NotJudged, Verdict, evaluate as evaluate_contract, evaluate_components,
};
use crate::judgement::sla::exact::{Exact, decimal, fraction, plain, truncated, whole};
use crate::judgement::sla::explain::{
    MONTH_MS, Reach, Reading, budget, reach, readings, three_readings,
};
use crate::judgement::sla::merge::merge;
use crate::judgement::sla::record::Timeline;
use crate::judgement::timeline::Span;
use crate::net::authorities::Authorities;
use crate::net::clock::Clock;
use crate::net::config_files::Files;
use crate::net::own_calls::{OwnCalls, text_of};
use crate::report::ruling::{Books, Earlier, under_present_names};
use crate::report::sla::{answer, instant};
use crate::report::terms::Of;
use crate::words::{Name, people};

/// Months that `explain` looks ahead.
const MONTHS_AHEAD: usize = 12;

pub fn run(command: &Sla) -> Exit {
    let done = match command {
        Sla::Evaluate(args) => evaluate(args),
        Sla::Report(args) => super::report::run(args),
        Sla::Verify {
            report,
            events,
            since,
            key,
            json,
        } => super::report::verify(report, events, since.as_deref(), key.as_deref(), *json),
        Sla::Explain(args) => explain(args),
    };
    done.unwrap_or_else(|exit| exit)
}

pub fn refuse(exit: Exit, why: impl std::fmt::Display) -> Exit {
    say_error(format_args!("probity: {why}"));
    exit
}

/// The contracts that are meant: of a file, else of the config.
pub fn contracts(file: Option<&Path>, place: &super::args::Place) -> Result<Contracts, Exit> {
    if file.is_some() && place.config.config.is_some() {
        // Its zone data counts for the contract beside it, too.
        local::plan_or_empty(place);
    }
    let found = match file {
        Some(path) => load_contracts(path, &Files).map_err(|faults| {
            say_error(show_faults(&faults));
            Exit::Config
        })?,
        None => local::plan(place)?.contracts,
    };
    if found.list.is_empty() {
        return Err(refuse(
            Exit::Usage,
            "no contract found: name a file with --contract, or add [sla.NAME] to the config",
        ));
    }
    Ok(found)
}

/// Each contract once, or the one that is named.
pub fn wanted(contracts: &Contracts, only: Option<&str>) -> Result<Vec<Name>, Exit> {
    let names: Vec<Name> = contracts
        .names()
        .into_iter()
        .filter(|n| only.is_none_or(|o| o == n.as_str()))
        .collect();
    match only {
        Some(name) if names.is_empty() => {
            Err(refuse(Exit::Usage, format!("unknown contract `{name}`")))
        }
        _ => Ok(names),
    }
}

/// The period that is meant, of the version of the contract that is in force when it begins; left
/// out: the present one.
fn period_of<'c>(
    contracts: &'c Contracts,
    name: &Name,
    text: Option<&str>,
) -> Result<(&'c Contract, Span), Exit> {
    let found = match text {
        Some(text) => contracts
            .version_of(name, text)
            .map_err(|error| refuse(Exit::Usage, error))?,
        None => contracts
            .present(name, Clock::Real.read().utc_ms)
            .into_iter()
            .find(|(.., which)| *which == "current")
            .map(|(c, _, span, _)| (c, span)),
    };
    found.ok_or_else(|| refuse(Exit::Unknown, NotJudged::NotInForce(name.to_string())))
}

/// The record that is judged: files, daemons, or this host's history.
fn timeline_for(args: &SlaEvaluate, span: Span, named: &[Name]) -> Result<Timeline, Exit> {
    let mut all = Vec::new();
    let quorum = given::quorum(
        args.quorum,
        args.timeline.len() + args.url.len(),
        "timelines",
    )?;
    for path in &args.timeline {
        let value = given::json(path).map_err(|why| refuse(Exit::Usage, why))?;
        all.push(
            timeline_file::timeline(&value)
                .map_err(|e| refuse(Exit::Usage, format!("{}: {e}", path.display())))?,
        );
    }
    // Contracts can come from elsewhere: then there need be no config.
    let proxies = read_config(&args.place.config.path()).map_or(Proxies::None, |plan| plan.proxies);
    for url in &args.url {
        let value = fetched(
            &format!(
                "{}/api/v1/timeline?from={}&to={}",
                url.trim_end_matches('/'),
                instant(span.from),
                instant(span.to)
            ),
            proxies,
        )
        .map_err(|why| refuse(Exit::Unavailable, format!("no timeline from {url}: {why}")))?;
        all.push(
            timeline_file::timeline(&value)
                .map_err(|e| refuse(Exit::Unavailable, format!("{url}: {e}")))?,
        );
    }
    match all.len() {
        0 => own_timeline(&args.place, span, named),
        1 => Ok(all.remove(0)),
        _ => Ok(merge(&all, quorum, |sets| {
            of_sets(&sets.down, &sets.lower, &sets.upper, &sets.up, |_| None)
        })),
    }
}

/// This host's history over a span, of all components.
pub fn own_timeline(
    place: &super::args::Place,
    span: Span,
    named: &[Name],
) -> Result<Timeline, Exit> {
    let connection = local::open(place)?;
    let plan = local::plan_or_empty(place);
    let extents = local::extents(&connection).map_err(local::complain)?;
    let now = Clock::Real.read().utc_ms;
    let grouped = grouped(&connection, &plan, &extents).map_err(local::complain)?;
    let (reached, mut parts) = components(
        &connection,
        &grouped,
        Span::new(span.from, span.to.min(now).max(span.from)),
        Which::All,
    )
    .map_err(local::complain)?;
    say_not_seen(&connection, &grouped, &mut parts, reached, Some(named))
        .map_err(local::complain)?;
    Ok(told(
        reached,
        parts,
        maintenance(&connection, &grouped, span).map_err(local::complain)?,
    ))
}

fn fetched(url: &str, proxies: Proxies) -> Result<Value, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let response = OwnCalls::new(Authorities::of_the_system())?
            .client_for(url, proxies)?
            .get(url)
            .send()
            .await
            .map_err(|e| e.without_url().to_string())?;
        if !response.status().is_success() {
            return Err(format!("it answered {}", response.status()));
        }
        let text = text_of(response).await?;
        serde_json::from_str(&text).map_err(|e| e.to_string())
    })
}

fn evaluate(args: &SlaEvaluate) -> Result<Exit, Exit> {
    let contracts = contracts(args.contract.as_deref(), &args.place)?;
    let mut exit = Exit::Fine;
    let mut answers = Vec::new();
    for name in wanted(&contracts, args.sla.as_deref())? {
        let (contract, asked) = period_of(&contracts, &name, args.period.as_deref())?;
        let present = Of {
            contract,
            contracts: &contracts,
            tenant: None,
        };
        let before = terms_before(args, &present, asked)?;
        let is_changed = before.is_some();
        let (contract_then, tenants, span) = match before {
            Some(b) => (b.contract, b.contracts.tenants, b.period),
            None => (contract.clone(), contracts.tenants.clone(), asked),
        };
        let named = contract_then.all_components(&tenants);
        let timeline = timeline_for(args, span, &named)?;
        let unjudged = |error: NotJudged| refuse(Exit::Unknown, error);
        let list =
            evaluate_contract(&contract_then, &tenants, &timeline, span).map_err(unjudged)?;
        let each =
            evaluate_components(&contract_then, &tenants, &timeline, span).map_err(unjudged)?;
        exit = worse(exit, verdict_of(&list));
        let mut value = answer(&contract_then, span, &list, &each);
        value["not_seen_below_ms"] = json!(timeline.not_seen_below(&named));
        if is_changed {
            let timeline = timeline_for(args, asked, &contract.all_components(&contracts.tenants))?;
            let later = evaluate_contract(contract, &contracts.tenants, &timeline, asked)
                .map_err(unjudged)?;
            exit = worse(exit, verdict_of(&later));
            value["later_terms"] = json!({"evaluation": answer(contract, asked, &later, &[])});
        }
        answers.push((value, contract_then, list));
    }
    for (value, contract, list) in &answers {
        print(args.json, value, || shown(value, contract, list));
    }
    Ok(exit)
}

/// The terms that the period is judged by on this host's history, where they are not those of the
/// config. A file of contracts, and a timeline that somebody sent, are judged as they are.
fn terms_before(args: &SlaEvaluate, present: &Of, period: Span) -> Result<Option<Earlier>, Exit> {
    if args.contract.is_some() || !args.timeline.is_empty() || !args.url.is_empty() {
        return Ok(None);
    }
    let connection = local::open(&args.place)?;
    let told = told_definitions(&connection).map_err(local::complain)?;
    let asked = |contracts: &Contracts, name: &Name| {
        let found = match &args.period {
            Some(text) => contracts.version_of(name, text).ok().flatten(),
            None => contracts
                .present(name, Clock::Real.read().utc_ms)
                .into_iter()
                .find(|(.., which)| *which == "current")
                .map(|(c, _, span, _)| (c, span)),
        };
        found.map(|(contract, span)| (contract.clone(), span))
    };
    let name = &present.contract.name;
    let found = local::signer(&args.place).and_then(|signer| {
        Books::new(&told, signer.terms_key())
            .ruling((name, None), Some((present, period)), &asked)
            .parts()
            .0
    });
    let Some(mut found) = found else {
        return Ok(None);
    };
    let parts = grouped(
        &connection,
        &local::plan_or_empty(&args.place),
        &local::extents(&connection).map_err(local::complain)?,
    )
    .map_err(local::complain)?;
    let of_it = found
        .contracts
        .tenants
        .into_iter()
        .filter(|t| t.sla == found.contract.name)
        .collect();
    (found.contract, found.contracts.tenants) =
        under_present_names(&connection, &parts, (found.contract, of_it))
            .map_err(local::complain)?;
    Ok(Some(found))
}

fn verdict_of(list: &[Judged]) -> Exit {
    let any = |verdict| list.iter().any(|j| j.verdict == verdict);
    match (any(Verdict::Missed), any(Verdict::Undetermined)) {
        (true, _) => Exit::Bad,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Fine,
    }
}

/// What several commands come to together: any failure, else the worst verdict.
pub fn worse(a: Exit, b: Exit) -> Exit {
    let rank = |e: Exit| match e {
        Exit::Fine => 0,
        Exit::Unknown => 1,
        Exit::Bad => 2,
        _ => 3,
    };
    if rank(b) > rank(a) { b } else { a }
}

fn shown(value: &Value, contract: &Contract, list: &[Judged]) -> String {
    let mut out = String::new();
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    // Before any figure.
    for j in list.iter().filter(|j| j.is_little_measured()) {
        let _ = writeln!(
            out,
            "{LITTLE} ({}): the figures below rest on what was",
            whom(j)
        );
    }
    let later: Vec<String> = value["later_terms"]["evaluation"]["results"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|r| {
            format!(
                "{} {}",
                r["tenant"]
                    .as_str()
                    .or(r["component"].as_str())
                    .unwrap_or("all together"),
                text(&r["verdict"]).to_uppercase()
            )
        })
        .collect();
    if !later.is_empty() {
        let _ = writeln!(
            out,
            "judged by the terms that were in force before they were changed; by the later terms: \
                {}",
            later.join(", ")
        );
    }
    let _ = writeln!(
        out,
        "{}: objective {} %, {} to {}",
        contract.name,
        plain(&contract.objective),
        text(&value["period"]["start"]),
        text(&value["period"]["end"])
    );
    for (j, result) in list
        .iter()
        .zip(value["results"].as_array().into_iter().flatten())
    {
        let who = whom(j);
        if !j.was_in_service() {
            let _ = writeln!(
                out,
                "\n  {who}: no verdict, it was not in service in this period"
            );
            continue;
        }
        let _ = writeln!(
            out,
            "\n  {who}: {}{}",
            j.verdict.as_str().to_uppercase(),
            if j.complete {
                ""
            } else {
                " (the period is not over, or not all recorded)"
            }
        );
        let [availability, lower, upper] = shares(result);
        match j.so_far(contract) {
            Some(bounds) => {
                let [low, high] = bounds.map(|share| {
                    people::percent(&truncated(&(share * whole(100)), 10), measured(result))
                });
                let _ = writeln!(
                    out,
                    "    availability {availability}, so far between {low} (all unknown time \
                        down) and {high} (all of it up)"
                );
                let _ = writeln!(
                    out,
                    "    over the whole period between {lower} and {upper}: {} of it are still to \
                        come or not settled",
                    people::duration(j.times.future)
                );
            }
            None => {
                let _ = writeln!(
                    out,
                    "    availability {availability}, between {lower} (all unknown time down) and \
                        {upper} (all of it up)"
                );
            }
        }
        let (least, measured) = (contract.min_coverage.as_ref(), &result["coverage_percent"]);
        if let (Some(least), Some(percent), Verdict::Undetermined) =
            (least, measured.as_str(), j.verdict)
            && decimal(percent).is_none_or(|share| share < *least)
        {
            let _ = writeln!(
                out,
                "    measured for {percent} % of the service time: the contract asks for {} %, \
                    and gives no verdict on less",
                plain(least)
            );
        }
        let t = &j.times;
        let _ = writeln!(
            out,
            "    up {}, down {} (between {} and {}), unknown {}, maintenance {}, of a service \
                time of {}",
            people::duration(t.up),
            people::duration(t.down),
            people::duration(t.down_lower),
            people::duration(t.down_upper),
            people::duration(t.unknown),
            people::duration(t.maintenance),
            people::duration(t.service)
        );
        let _ = writeln!(out, "    {}", spent(&j.budget, &j.spent));
        let _ = writeln!(out, "    {}", told_spells(&result["spells"]));
        if let Some(sentence) = result["credit"]["sentence"].as_str() {
            let _ = writeln!(out, "    {sentence}");
        }
    }
    for result in value["components"].as_array().into_iter().flatten() {
        let [percent, lower, upper] = shares(result);
        let _ = writeln!(
            out,
            "\n  {} by itself: availability {percent}, between {lower} and {upper}",
            text(&result["component"])
        );
        let _ = writeln!(out, "    {}", told_spells(&result["spells"]));
    }
    let _ = writeln!(
        out,
        "\n{}",
        not_seen_text(value["not_seen_below_ms"].as_u64())
    );
    out
}

/// What was measured of a result.
fn measured(result: &Value) -> u64 {
    result["up_ms"].as_u64().unwrap_or(0) + result["down_ms"].as_u64().unwrap_or(0)
}

/// The availability of a result and its bounds.
fn shares(result: &Value) -> [String; 3] {
    [
        "availability_percent",
        "lower_bound_percent",
        "upper_bound_percent",
    ]
    .map(|key| {
        result[key].as_str().map_or("unknown".to_owned(), |text| {
            people::percent(text, measured(result))
        })
    })
}

/// What the first line says where it is so.
const LITTLE: &str = "less than half of the service time was measured";

fn whom(j: &Judged) -> String {
    match (&j.component, &j.tenant) {
        (_, Some(tenant)) => format!("tenant {tenant}"),
        (Some(component), None) => component.to_string(),
        (None, None) => "all together".to_owned(),
    }
}

/// How many outages, the longest, and the means.
fn told_spells(spells: &Value) -> String {
    let ms = |key: &str| spells[key].as_u64().map(people::duration);
    let count = spells["count"].as_u64().unwrap_or(0);
    match (
        ms("longest_ms"),
        ms("mean_time_to_recover_ms"),
        ms("mean_time_between_failures_ms"),
    ) {
        (Some(longest), Some(recover), Some(between)) => {
            let outages = if count == 1 {
                "1 outage".to_owned()
            } else {
                format!("{count} outages")
            };
            format!(
                "{outages}, the longest {longest}; mean time to recover {recover}, between \
                    failures {between}"
            )
        }
        _ => "no outage".to_owned(),
    }
}

/// What became of an error budget, in lengths like those beside it; fractions of a millisecond are
/// dropped.
fn spent(budget: &Exact, down: &Exact) -> String {
    let millis = |exact: &Exact| people::duration(exact.to_integer().to_u64().unwrap_or(u64::MAX));
    if budget >= down {
        return format!(
            "error budget {}, of which {} is left",
            millis(budget),
            millis(&(budget - down))
        );
    }
    format!(
        "error budget {}, exceeded by {}",
        millis(budget),
        millis(&(down - budget))
    )
}

// ---- explain
// ----------------------------------------------------------------------------------------------------------

fn explain(args: &SlaExplain) -> Result<Exit, Exit> {
    let interval = match &args.interval {
        Some(text) => given::duration("interval", text, 100)?,
        None => 30_000,
    };
    let rules = Rules::new(Cadence {
        interval,
        jitter_ppm: 0,
        late_after: DEFAULT_LATE_AFTER,
        timeout: DEFAULT_TIMEOUT,
        retry_interval: DEFAULT_RETRY_INTERVAL,
        down_after: 2,
        up_after: 1,
    });
    let now = Clock::Real.read().utc_ms;
    let mut values = Vec::new();
    match (&args.contract, &args.objective) {
        (None, Some(text)) => {
            let advice = "--objective is not a valid percentage; write it as 99.999";
            let objective = decimal(text)
                .filter(|o| *o <= whole(100))
                .ok_or_else(|| refuse(Exit::Usage, advice))?;
            let months = months(
                &crate::judgement::sla::contract::PeriodKind::CalendarMonth,
                &jiff::tz::TimeZone::UTC,
                now,
                &objective,
            );
            let span = Span::new(0, MONTH_MS as i64);
            let linear = three_readings(
                &objective,
                &whole(1),
                &whole(10),
                MeasuredFrom::Target,
                &whole(100),
                span,
            );
            values.push(explained(
                None,
                &plain(&objective),
                interval,
                months,
                &reach(&objective, &rules),
                &linear,
            ));
        }
        (Some(path), None) => {
            let contracts = contracts(
                Some(path),
                &super::args::Place {
                    state_dir: None,
                    config: super::args::ConfigArg { config: None },
                },
            )?;
            for name in wanted(&contracts, args.sla.as_deref())? {
                let in_force = contracts
                    .present(&name, now)
                    .first()
                    .map(|(contract, ..)| *contract);
                let Some(contract) =
                    in_force.or_else(|| contracts.list.iter().find(|c| c.name == name))
                else {
                    continue;
                };
                let months = months(&contract.period, &contract.zone, now, &contract.objective);
                let span = current_and_previous(contract.period, &contract.zone, now)[0].1;
                values.push(explained(
                    Some(contract),
                    &plain(&contract.objective),
                    interval,
                    months,
                    &reach(&contract.objective, &rules),
                    &readings(contract, span),
                ));
            }
        }
        _ => {
            return Err(refuse(
                Exit::Usage,
                "missing option: use --objective 99.999, or --contract FILE",
            ));
        }
    }
    for value in &values {
        print(args.json, value, || told_to_a_person(value));
    }
    Ok(Exit::Fine)
}

/// The coming periods with their length and budget.
fn months(
    kind: &crate::judgement::sla::contract::PeriodKind,
    zone: &jiff::tz::TimeZone,
    now: i64,
    objective: &crate::judgement::sla::exact::Exact,
) -> Vec<Value> {
    let mut at = now;
    let mut list = Vec::new();
    for _ in 0..MONTHS_AHEAD {
        let [(name, span), _] = current_and_previous(*kind, zone, at);
        let allowed = budget(objective, span.length());
        list.push(
            json!({"period": name, "length_ms": span.length(), "budget_ms": fraction(&allowed), "budget_seconds": truncated(&(allowed / whole(1000)), 3)}),
        );
        if matches!(
            kind,
            crate::judgement::sla::contract::PeriodKind::Rolling(_)
        ) {
            break;
        }
        at = span.to;
    }
    list
}

fn explained(
    contract: Option<&Contract>,
    objective: &str,
    interval: u64,
    months: Vec<Value>,
    reach: &Reach,
    linear: &[Reading],
) -> Value {
    let fee = contract.and_then(|c| c.fee.clone().zip(c.currency.clone()));
    let (step, per_step) = match contract.and_then(|c| c.credit.as_ref()).map(|c| &c.model) {
        Some(Model::Linear { step, per_step, .. }) => (step.clone(), per_step.clone()),
        _ => (whole(1), whole(10)),
    };
    let readings: Vec<Value> = linear
        .iter()
        .map(|r| {
            let each: serde_json::Map<String, Value> = r
                .readings
                .iter()
                .map(|(rounding, due)| {
                    let word = crate::judgement::sla::contract::Rounding::WORDS.iter().find(|(_, w)| w == rounding).map_or("", |(w, _)| w);
                    let (fee, currency) = fee.clone().unwrap_or((whole(1000), String::new()));
                    let amount =
                        crate::judgement::sla::exact::money(&(fee * &due.percent / whole(100)), crate::judgement::sla::exact::currency_digits(&currency));
                    (word.to_owned(), json!({"percent": fraction(&due.percent), "percent_decimal": truncated(&due.percent, 8), "amount": amount}))
                })
                .collect();
            json!({"down_ms": r.down_ms, "credit": each})
        })
        .collect();
    json!({
        "schema": "probity-sla-explain/1",
        "sla": contract.map(|c| c.name.as_str()),
        "objective_percent": objective,
        "interval_ms": interval,
        "budgets": months,
        "detection_bound_ms": reach.detection_bound_ms,
        "shortest_outage_surely_seen_ms": reach.shortest_surely_seen_ms,
        "probes_in_30_days": reach.probes_in_month,
        "probes_needed_with_zero_failures": (reach.probes_needed < u64::MAX).then_some(reach.probes_needed),
        "days_needed": (reach.probes_needed < u64::MAX).then(|| truncated(&reach.days_needed, 2)),
        "max_failures_that_still_prove_target": reach.max_failures.map_or(-1, |n| n as i64),
        "month_can_prove": reach.month_can_prove,
        "linear_readings": {"step_points": plain(&step), "per_step_percent": plain(&per_step), "fee": fee.as_ref().map_or("1000.00".to_owned(), |(f, _)| plain(f)), "of": readings},
    })
}

fn told_to_a_person(value: &Value) -> String {
    let mut out = String::new();
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    let ms = |v: &Value| people::duration(v.as_u64().unwrap_or(0));
    let _ = writeln!(
        out,
        "{}objective {} %",
        value["sla"]
            .as_str()
            .map_or(String::new(), |s| format!("{s}: ")),
        text(&value["objective_percent"])
    );
    let _ = writeln!(out, "\nAllowed downtime (error budget):");
    for month in value["budgets"].as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "  {:<24} {:>12} s of {}",
            text(&month["period"]),
            text(&month["budget_seconds"]),
            ms(&month["length_ms"])
        );
    }
    let _ = writeln!(out, "\nProbed every {}:", ms(&value["interval_ms"]));
    let _ = writeln!(
        out,
        "  detection time (worst case) {}",
        ms(&value["detection_bound_ms"])
    );
    let _ = writeln!(
        out,
        "  {}",
        not_seen_text(value["shortest_outage_surely_seen_ms"].as_u64())
    );
    let can = if value["month_can_prove"] == true {
        "can"
    } else {
        "cannot"
    };
    if value["probes_needed_with_zero_failures"].is_null() {
        let _ = writeln!(
            out,
            "  no number of probes proves the objective: it allows no failure at all"
        );
    } else {
        let _ = writeln!(
            out,
            "  {} probes without a failure prove the objective with 95 % confidence ({} days)\n  \
                30 days have {} probes: a month {can} prove it by counting probes",
            value["probes_needed_with_zero_failures"],
            text(&value["days_needed"]),
            value["probes_in_30_days"]
        );
    }
    let most = value["max_failures_that_still_prove_target"]
        .as_i64()
        .unwrap_or(-1);
    if most >= 0 {
        let _ = writeln!(
            out,
            "  with up to {most} failed probes in 30 days, the objective is \
            still proven"
        );
    }
    let linear = &value["linear_readings"];
    if linear["of"].as_array().is_some_and(|l| !l.is_empty()) {
        let (step, per_step) = (
            text(&linear["step_points"]),
            text(&linear["per_step_percent"]),
        );
        let each = if step == "1" {
            "For each missing percent".to_owned()
        } else {
            format!("For each {step} missing points")
        };
        let _ = writeln!(
            out,
            "\nExample: \"{each}\" {per_step} % of a fee of {}, in three roundings:",
            text(&linear["fee"])
        );
        let _ = writeln!(
            out,
            "  {:<12} {:>14} {:>14} {:>14}",
            "downtime", "pro rata", "started", "full"
        );
        for r in linear["of"].as_array().into_iter().flatten() {
            let amount = |word: &str| text(&r["credit"][word]["amount"]);
            let _ = writeln!(
                out,
                "  {:<12} {:>14} {:>14} {:>14}",
                ms(&r["down_ms"]),
                amount("pro_rata"),
                amount("started"),
                amount("full")
            );
        }
    }
    out
}
