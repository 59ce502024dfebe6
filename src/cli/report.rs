//! `probity sla report` and `verify`: the signed report of a period, and its recomputation.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::args::sla::SlaReport;
use super::contracts::{contracts, refuse, wanted, worse};
use super::{given, local, print};
use clap::ValueEnum;

use crate::account::figures::grouped;
use crate::config::Plan;
use crate::daemon::exit::Exit;
use crate::daemon::streams::say;
use crate::history::checkpoint::Signer;
use crate::judgement::sla::contract::{Contract, Contracts};
use crate::judgement::sla::evaluation::ContractVerdict;
use crate::judgement::timeline::Span;
use crate::judgement::zones;
use crate::net::clock::Clock;
use crate::net::files::{Readers, put};
use crate::net::zone_data;
use crate::report::answer::ContractAnswer;
use crate::report::build::{NoReport, Subject, build};
use crate::report::check::{Recomputed, check, evaluation_by_zones_here};
use crate::report::difference::Difference;
use crate::report::format::ReportFormat;
use crate::report::object::{ChangeOf, ContractReport, ReportedZones};
use crate::report::ruling::{ContractVersions, Earlier};
use crate::report::terms::Of;
use crate::words::{Name, UtcMs};

pub fn run(args: &SlaReport) -> Result<Exit, Exit> {
    let contracts = contracts(args.contract.as_deref(), &args.place)?;
    let mut names = wanted(&contracts, args.sla.as_deref())?;
    if let Some(tenant) = &args.tenant {
        let is_of = |name: &Name, contracts: &Contracts| {
            contracts
                .tenants
                .iter()
                .any(|t| t.sla == *name && t.name.as_str() == tenant)
        };
        let all = names.clone();
        names.retain(|name| is_of(name, &contracts));
        if names.is_empty() {
            // One that left has a report of the periods in which it was there.
            let reader = local::open(&args.place)?;
            let signer = signer(&args.place, &local::plan_or_empty(&args.place))?;
            let definitions = reader.definitions().map_err(local::complain)?;
            let versions = ContractVersions::new(definitions, signer.terms_key());
            names.extend(
                all.into_iter()
                    .filter(|name| versions.all().any(|contracts| is_of(name, contracts))),
            );
        }
        if names.is_empty() {
            return Err(refuse(
                Exit::Usage,
                format!(
                    "unknown tenant `{tenant}`: neither the config nor the history has one of \
                        this contract"
                ),
            ));
        }
    }
    let now = Clock::Real.read().utc_ms;
    if names.len() > 1 && (args.output.is_none() || args.replaces.is_some()) {
        let all: Vec<&str> = names.iter().map(Name::as_str).collect();
        return Err(refuse(
            Exit::Usage,
            format!(
                "several contracts ({}): choose one with --sla, or write all of them with \
                    --output DIRECTORY",
                all.join(", ")
            ),
        ));
    }
    let mut exit = Exit::Fine;
    for name in &names {
        // One that is not in force in the period, or not settled, keeps no other from its report.
        let own = one(args, &contracts, name, now);
        if names.len() == 1 {
            return own;
        }
        exit = worse(exit, own.unwrap_or_else(|failed| failed));
    }
    Ok(exit)
}

/// The report of one contract.
fn one(args: &SlaReport, contracts: &Contracts, name: &Name, now: UtcMs) -> Result<Exit, Exit> {
    let found = asked(args, contracts, name, now)?;
    let replaces = replaced(args)?;
    let tenant = args
        .tenant
        .as_deref()
        .map(Name::new)
        .transpose()
        .map_err(|e| refuse(Exit::Usage, format!("--tenant: {e}")))?;
    let reader = local::open(&args.place)?;
    let plan = local::plan_or_empty(&args.place);
    let extents = local::extents(&reader).map_err(local::complain)?;
    let signer = signer(&args.place, &plan)?;
    let definitions = reader.definitions().map_err(local::complain)?;
    let present = found.map(|(contract, span)| {
        (
            Of {
                contract,
                contracts,
                tenant: tenant.as_ref(),
            },
            span,
        )
    });
    let then = |contracts: &Contracts, name: &Name| {
        let found = in_period(args, contracts, name, now).ok().flatten();
        found.map(|(contract, span)| (contract.clone(), span))
    };
    let ruling = ContractVersions::new(definitions, signer.terms_key()).ruling(
        (name, tenant.as_ref()),
        present.as_ref().map(|(of, span)| (of, *span)),
        &then,
    );
    let (before, fewer_tenants) = ruling.parts();
    let (judged, later) = judged_by(contracts, name, before.as_ref(), found)?;
    let subject = Subject {
        contract: judged.0,
        contracts: judged.1,
        period: judged.2,
        later,
        before: fewer_tenants,
        tenant: tenant.as_ref(),
        provisional: args.provisional,
        replaces,
        terms_key: signer.terms_key(),
    };
    let parts = grouped(&reader, &plan, &extents).map_err(local::complain)?;
    let report = build(&reader, &plan, &parts, &subject, now)
        .map_err(unbuilt)?
        .signed(&signer);
    match &args.output {
        Some(directory) => write_all(&report, args, directory, name)?,
        None => {
            let shown = args.format.render(&report, args.lang);
            // A document, whose bytes count.
            say(shown.as_bytes());
        }
    }
    Ok(worst(&report))
}

/// The version of a contract that is in force when the period that is asked for begins.
fn in_period<'c>(
    args: &SlaReport,
    contracts: &'c Contracts,
    name: &Name,
    now: UtcMs,
) -> Result<Option<(&'c Contract, Span)>, String> {
    match &args.period {
        Some(text) => contracts.version_of(name, text).map_err(|e| e.to_string()),
        None => Ok(previous(contracts, name, now)),
    }
}

fn asked<'c>(
    args: &SlaReport,
    contracts: &'c Contracts,
    name: &Name,
    now: UtcMs,
) -> Result<Option<(&'c Contract, Span)>, Exit> {
    in_period(args, contracts, name, now).map_err(|e| refuse(Exit::Usage, e))
}

/// The signature of the report that is replaced.
fn replaced(args: &SlaReport) -> Result<Option<String>, Exit> {
    let is_signature =
        |text: &String| text.len() == 128 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if args.replaces.iter().all(is_signature) {
        return Ok(args.replaces.clone());
    }
    Err(refuse(
        Exit::Usage,
        "invalid --replaces: a signature has 128 hexadecimal digits",
    ))
}

type Version<'c> = (&'c Contract, &'c Contracts, Span);

/// The terms that a report is about, and those that came into force after them.
fn judged_by<'c>(
    contracts: &'c Contracts,
    name: &Name,
    before: Option<&'c Earlier>,
    found: Option<(&'c Contract, Span)>,
) -> Result<(Version<'c>, Option<Version<'c>>), Exit> {
    let not_in_force = || {
        refuse(
            Exit::Unknown,
            format!("no version of the contract `{name}` is in force when the period starts"),
        )
    };
    let Some(before) = before else {
        let (contract, span) = found.ok_or_else(not_in_force)?;
        return Ok(((contract, contracts, span), None));
    };
    // One that is not in force yet makes nothing of the period, and the report says so.
    let first = || {
        let own = contracts.list.iter().find(|c| c.name == *name)?;
        Some((own, before.period))
    };
    let (contract, span) = found.or_else(first).ok_or_else(not_in_force)?;
    Ok((
        (&before.contract, &before.contracts, before.period),
        Some((contract, contracts, span)),
    ))
}

fn unbuilt(error: NoReport) -> Exit {
    match error {
        NoReport::History(error) => local::complain(error),
        NoReport::NoTenant(_) => refuse(Exit::Usage, error),
        NoReport::NotSettled(_) | NoReport::NotEvaluated(_) => refuse(Exit::Unknown, error),
    }
}

/// Of all verdicts, by the terms of the report and by later ones, which may be the stricter ones.
fn worst(report: &ContractReport) -> Exit {
    let later = report.later_terms.iter().map(|l| l.evaluation.results());
    let results = later.flatten().chain(&report.evaluation.results);
    let verdicts: Vec<ContractVerdict> = results.map(|r| r.verdict).collect();
    match (
        verdicts.contains(&ContractVerdict::Missed),
        verdicts.contains(&ContractVerdict::Undetermined),
    ) {
        (true, _) => Exit::Bad,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Fine,
    }
}

/// The version of a contract that is in force when the period before this one begins.
fn previous<'c>(contracts: &'c Contracts, name: &Name, now: UtcMs) -> Option<(&'c Contract, Span)> {
    contracts
        .present(name, now)
        .into_iter()
        .find(|(.., which)| *which == "previous")
        .map(|(contract, _, span, _)| (contract, span))
}

fn signer(place: &super::args::place::StateArgs, plan: &Plan) -> Result<Signer, Exit> {
    if plan.history.key.is_some()
        && let Some(key) = local::key(place)?
    {
        return Signer::from_hex(key.reveal()).map_err(|why| refuse(Exit::Config, why));
    }
    Signer::of_directory(&local::directory(place)?).map_err(local::complain)
}

fn write_all(
    report: &ContractReport,
    args: &SlaReport,
    directory: &Path,
    name: &Name,
) -> Result<(), Exit> {
    let failed = |e: std::io::Error| {
        refuse(
            Exit::StateDirectory,
            format!("{}: {e}", directory.display()),
        )
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let start = report.evaluation.period.start.get(..10).unwrap_or("period");
    let tenant: String = args
        .tenant
        .iter()
        .map(|t| format!("-{}", t.replace(|c: char| !c.is_ascii_alphanumeric(), "_")))
        .collect();
    for format in ReportFormat::value_variants().iter().copied() {
        let end = format.extension();
        let path = directory.join(format!("{name}{tenant}-{start}.{end}"));
        let document = format.render(report, args.lang);
        put(&path, document.as_bytes(), Readers::All).map_err(failed)?;
        print(false, &Value::Null, || format!("{}\n", path.display()));
    }
    Ok(())
}

/// `probity-report-verified/1`.
#[derive(Serialize)]
struct Verified {
    schema: &'static str,
    verdict: &'static str,
    events: u64,
    key: String,
    with_tallies: Option<bool>,
    with_terms: Option<bool>,
    with_open_runs: Option<bool>,
    place: Option<String>,
    why: Option<String>,
    zone_data: ZonesOfBoth,
}

#[derive(Serialize)]
struct ZonesOfBoth {
    report: Option<String>,
    here: String,
    figures: Vec<FigureBy>,
}

/// What a report's result is by one release of the zone data.
#[derive(Serialize)]
struct FigureBy {
    release: String,
    start: String,
    end: String,
    component: Option<String>,
    availability_percent: Option<String>,
    verdict: Option<ContractVerdict>,
}

impl Verified {
    /// Of a report, before it is verified.
    fn of(object: &Value, reported: Option<&ReportedZones>, here: &zones::Zones) -> Self {
        let key = object.get("key").and_then(Value::as_str);
        let last = object.get("events").and_then(|e| e.get("last")?.as_u64());
        Self {
            schema: "probity-report-verified/1",
            verdict: "follows",
            events: last.unwrap_or(0),
            key: key.unwrap_or("-").to_owned(),
            with_tallies: None,
            with_terms: None,
            with_open_runs: None,
            place: None,
            why: None,
            zone_data: ZonesOfBoth {
                report: reported.map(|z| z.release.clone()),
                here: here.release.clone(),
                figures: Vec::new(),
            },
        }
    }
}

/// Recomputes; exit 1 names the first figure that differs.
pub fn verify(
    report: &Path,
    events: &Path,
    since: Option<&Path>,
    key: Option<&str>,
    json: bool,
) -> Result<Exit, Exit> {
    let read = |path: &Path| given::text(path).map_err(|why| refuse(Exit::Usage, why));
    let parsed = |path: &Path| given::json(path).map_err(|why| refuse(Exit::Usage, why));
    let object = parsed(report)?;
    let journal = read(events)?;
    // What cannot be read does not follow from anything either, and the check says why.
    let report = ContractReport::read(&object).ok();
    let zones_told = report.as_ref().and_then(|r| r.zone_data.clone());
    as_the_report_was_computed(zones_told.as_ref().map(|z| z.release.as_str()));
    let here = zones::in_use();
    let since = since.map(parsed).transpose()?;
    let mut verified = Verified::of(&object, zones_told.as_ref(), &here);
    let signed_by = &verified.key;
    let found = match key.filter(|key| key != signed_by) {
        Some(key) => Err(Difference {
            place: "key".into(),
            why: format!("the report was signed by {signed_by}, not by {key}"),
        }),
        None => check(&object, &journal, since.as_ref()),
    };
    let other = zones_told.filter(|z| z.release != here.release);
    if let Some((report, other)) = report.as_ref().zip(other) {
        let by_here = found
            .is_err()
            .then(|| evaluation_by_zones_here(report, &journal))
            .flatten();
        let releases = (&other.release[..], &here.release[..]);
        let figures = figures_by_both(&report.evaluation, by_here.as_ref(), releases);
        if !json {
            print(false, &Value::Null, || {
                zones_differ(&other, &here, &figures)
            });
        }
        verified.zone_data.figures = figures;
    }
    Ok(match (found, &report) {
        (Ok(recomputed), Some(report)) => {
            verified.with_tallies = Some(recomputed.tallies);
            verified.with_terms = Some(recomputed.terms);
            verified.with_open_runs = Some(recomputed.open_runs);
            print(json, &json!(verified), || {
                follows(report, recomputed, &verified.key)
            });
            Exit::Fine
        }
        (found, _) => {
            let difference = found.err();
            verified.verdict = "differs";
            verified.place = difference.as_ref().map(|d| d.place.clone());
            verified.why = difference.as_ref().map(|d| d.why.clone());
            print(json, &json!(verified), || {
                difference.map_or(String::new(), |d| format!("{}: {}\n", d.place, d.why))
            });
            Exit::Bad
        }
    })
}

/// What a report that follows from the events rests on.
fn follows(report: &ContractReport, recomputed: Recomputed, signed_by: &str) -> String {
    let but = match recomputed.tallies {
        true => "",
        false => {
            " (slots and latency were not recomputed: the events contain no sealed hour; `probity \
                export journal --tallies` exports each hour once it is sealed)"
        }
    };
    let came_later = report.changed.iter().any(|c| c.what == ChangeOf::Terms);
    let later = report.later_terms.as_ref();
    let terms = match &report.terms_recorded_at {
        Some(at) if came_later => {
            format!("its terms were recorded at {at}, after the period started")
        }
        Some(at) => match later.and_then(|l| l.terms_recorded_at.as_ref()) {
            Some(later) => {
                format!("its terms are on record since {at}, and were changed at {later}")
            }
            None => format!("its terms are on record since {at}"),
        },
        None => "its terms are on no record: they are what the signer says".to_owned(),
    };
    let runs = match recomputed.open_runs {
        true => "",
        false => {
            "; how much of an outage that goes on is certain is what the signer says until an \
                event proves it: `down_lower_ms` and the upper bound rest on it"
        }
    };
    format!(
        "every figure follows from the {} events{but}; {terms}{runs}; signed by {signed_by}\n",
        report.events.last
    )
}

/// Uses the copy of the zone data that the report was computed by, where this host has it.
fn as_the_report_was_computed(release: Option<&str>) {
    if release.is_some_and(|release| {
        release != zones::BUNDLED && zone_data::system_release().as_deref() == Some(release)
    }) && let Ok(found) = zone_data::system()
    {
        zones::choose(found);
    }
}

/// Period, availability and verdict of each component by the report's release and by the one here.
fn figures_by_both(
    reported: &ContractAnswer,
    here: Option<&ContractAnswer>,
    (release, own): (&str, &str),
) -> Vec<FigureBy> {
    let one = |answer: &ContractAnswer, k: usize, release: &str| {
        let r = answer.results.get(k);
        FigureBy {
            release: release.to_owned(),
            start: answer.period.start.clone(),
            end: answer.period.end.clone(),
            component: r.and_then(|r| r.component.clone()),
            availability_percent: r.and_then(|r| r.availability_percent.clone()),
            verdict: r.map(|r| r.verdict),
        }
    };
    let here = here.unwrap_or(reported);
    (0..reported.results.len())
        .flat_map(|k| [one(reported, k, release), one(here, k, own)])
        .collect()
}

fn zones_differ(reported: &ReportedZones, here: &zones::Zones, figures: &[FigureBy]) -> String {
    let mut out = format!(
        "the report was computed with zone data IANA {} ({}); this host has {here}\n",
        reported.release, reported.source
    );
    for f in figures {
        out.push_str(&format!(
            "  by {}: {} to {}, {}, {} %, {}\n",
            f.release,
            f.start,
            f.end,
            f.component.as_deref().unwrap_or("all components"),
            f.availability_percent.as_deref().unwrap_or("-"),
            f.verdict.map_or("-", ContractVerdict::as_str)
        ));
    }
    out
}
