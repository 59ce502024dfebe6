//! `probity sla report` and `verify`: the signed report of a period, and its recomputation.

use std::path::Path;

use serde_json::{Value, json};

use super::args::SlaReport;
use super::sla::{contracts, refuse, wanted, worse};
use super::{given, local, print};
use crate::account::figures::grouped;
use crate::config::Plan;
use crate::daemon::exit::Exit;
use crate::daemon::streams::say;
use crate::history::checkpoint::Signer;
use crate::history::definitions::told;
use crate::judgement::sla::contract::{Contract, Contracts};
use crate::judgement::timeline::Span;
use crate::judgement::zones;
use crate::net::clock::Clock;
use crate::net::files::{Readers, put};
use crate::net::zone_data;
use crate::report::check::{Difference, check, evaluation_by_zones_here};
use crate::report::ruling::Books;
use crate::report::terms::Of;
use crate::report::{NoReport, Subject, build, csv, html, text};
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
            let connection = local::open(&args.place)?;
            let signer = signer(&args.place, &local::plan_or_empty(&args.place))?;
            let told = told(&connection).map_err(local::complain)?;
            let books = Books::new(&told, signer.terms_key());
            names.extend(
                all.into_iter()
                    .filter(|name| books.all().any(|contracts| is_of(name, contracts))),
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
    let found = match &args.period {
        Some(text) => contracts
            .version_of(name, text)
            .map_err(|e| refuse(Exit::Usage, e))?,
        None => previous(contracts, name, now),
    };
    let is_signature =
        |text: &String| text.len() == 128 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if args
        .replaces
        .as_ref()
        .is_some_and(|text| !is_signature(text))
    {
        return Err(refuse(
            Exit::Usage,
            "invalid --replaces: a signature has 128 hexadecimal digits",
        ));
    }
    let tenant = args
        .tenant
        .as_deref()
        .map(Name::new)
        .transpose()
        .map_err(|e| refuse(Exit::Usage, format!("--tenant: {e}")))?;
    let connection = local::open(&args.place)?;
    let plan = local::plan_or_empty(&args.place);
    let extents = local::extents(&connection).map_err(local::complain)?;
    let signer = signer(&args.place, &plan)?;
    let told = told(&connection).map_err(local::complain)?;
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
    let asked = |contracts: &Contracts, name: &Name| {
        let found = match &args.period {
            Some(text) => contracts.version_of(name, text).ok().flatten(),
            None => previous(contracts, name, now),
        };
        found.map(|(contract, span)| (contract.clone(), span))
    };
    let ruling = Books::new(&told, signer.terms_key()).ruling(
        (name, tenant.as_ref()),
        present.as_ref().map(|(of, span)| (of, *span)),
        &asked,
    );
    let (before, fewer_tenants) = ruling.parts();
    let not_in_force = || {
        refuse(
            Exit::Unknown,
            format!("no version of the contract `{name}` is in force when the period starts"),
        )
    };
    let (judged, later) = match (&before, found) {
        (Some(before), found) => {
            // One that is not in force yet makes nothing of the period, and the report says so.
            let (contract, span) = found
                .or_else(|| {
                    Some((
                        contracts.list.iter().find(|c| c.name == *name)?,
                        before.period,
                    ))
                })
                .ok_or_else(not_in_force)?;
            (
                (&before.contract, &before.contracts, before.period),
                Some((contract, contracts, span)),
            )
        }
        (None, Some((contract, span))) => ((contract, contracts, span), None),
        (None, None) => return Err(not_in_force()),
    };
    let subject = Subject {
        contract: judged.0,
        contracts: judged.1,
        period: judged.2,
        later,
        before: fewer_tenants,
        tenant: tenant.as_ref(),
        provisional: args.provisional,
        replaces: args.replaces.clone(),
        terms_key: signer.terms_key(),
    };
    let parts = grouped(&connection, &plan, &extents).map_err(local::complain)?;
    let object = build(&connection, &plan, &parts, &subject, now).map_err(|error| match error {
        NoReport::History(error) => local::complain(error),
        NoReport::NoTenant(_) => refuse(Exit::Usage, error),
        NoReport::NotSettled(_) | NoReport::NotJudged(_) => refuse(Exit::Unknown, error),
    })?;
    let Value::Object(object) = object else {
        return Err(Exit::Bad);
    };
    let report = signer.signed(object);
    match &args.output {
        Some(directory) => write_all(&report, args, directory, name)?,
        None => {
            let shown = rendered(&report, &args.format, args);
            // A document, whose bytes count.
            say(shown.as_bytes());
        }
    }
    // Terms that came later may be the stricter ones.
    let evaluations = [&report["evaluation"], &report["later_terms"]["evaluation"]];
    let results = evaluations
        .into_iter()
        .flat_map(|e| e["results"].as_array().into_iter().flatten());
    let verdicts: Vec<&str> = results.filter_map(|r| r["verdict"].as_str()).collect();
    Ok(
        match (
            verdicts.contains(&"missed"),
            verdicts.contains(&"undetermined"),
        ) {
            (true, _) => Exit::Bad,
            (false, true) => Exit::Unknown,
            (false, false) => Exit::Fine,
        },
    )
}

/// The version of a contract that is in force when the period before this one begins.
fn previous<'c>(contracts: &'c Contracts, name: &Name, now: UtcMs) -> Option<(&'c Contract, Span)> {
    contracts
        .present(name, now)
        .into_iter()
        .find(|(.., which)| *which == "previous")
        .map(|(contract, _, span, _)| (contract, span))
}

fn signer(place: &super::args::Place, plan: &Plan) -> Result<Signer, Exit> {
    if let Some(key) = &plan.history.key {
        return Signer::from_hex(key.reveal()).map_err(|why| refuse(Exit::Config, why));
    }
    Signer::of_directory(&local::directory(place)?).map_err(local::complain)
}

fn rendered(report: &Value, format: &str, args: &SlaReport) -> String {
    match format {
        "md" => text::markdown(report, args.lang),
        "html" => html::html(report, args.lang),
        "csv" => csv::csv(report),
        _ => format!("{report}\n"),
    }
}

fn write_all(report: &Value, args: &SlaReport, directory: &Path, name: &Name) -> Result<(), Exit> {
    let failed = |e: std::io::Error| {
        refuse(
            Exit::StateDirectory,
            format!("{}: {e}", directory.display()),
        )
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let start = report["evaluation"]["period"]["start"]
        .as_str()
        .and_then(|t| t.get(..10))
        .unwrap_or("period");
    let tenant: String = args
        .tenant
        .iter()
        .map(|t| format!("-{}", t.replace(|c: char| !c.is_ascii_alphanumeric(), "_")))
        .collect();
    for format in ["json", "md", "html", "csv"] {
        let path = directory.join(format!("{name}{tenant}-{start}.{format}"));
        put(
            &path,
            rendered(report, format, args).as_bytes(),
            Readers::All,
        )
        .map_err(failed)?;
        print(false, &Value::Null, || format!("{}\n", path.display()));
    }
    Ok(())
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
    let told_release = object["zone_data"]["release"].as_str();
    as_the_report_was_computed(told_release);
    let here = zones::in_use();
    let since = since.map(parsed).transpose()?;
    let signed_by = object["key"].as_str().unwrap_or("-").to_owned();
    let last = object["events"]["last"].as_u64().unwrap_or(0);
    let found = match key.filter(|key| *key != signed_by) {
        Some(key) => Err(Difference {
            place: "key".into(),
            why: format!("the report was signed by {signed_by}, not by {key}"),
        }),
        None => check(&object, &journal, since.as_ref()),
    };
    let mut value = json!({"schema": "probity-report-verified/1", "verdict": "follows", "events": last, "key": signed_by, "with_tallies": null, "with_terms": null, "place": null, "why": null,
        "zone_data": {"report": told_release, "here": here.release, "figures": []}});
    let other = told_release.filter(|release| *release != here.release);
    if let Some(release) = other {
        let by_here = found
            .is_err()
            .then(|| evaluation_by_zones_here(&object, &journal))
            .flatten();
        let figures = figures_by_both(
            &object["evaluation"],
            by_here.as_ref(),
            (release, &here.release),
        );
        if !json {
            print(false, &Value::Null, || {
                zones_differ(&object["zone_data"], &here, &figures)
            });
        }
        value["zone_data"]["figures"] = json!(figures);
    }
    match found {
        Ok(recomputed) => {
            (value["with_tallies"], value["with_terms"]) =
                (json!(recomputed.tallies), json!(recomputed.terms));
            let but = match recomputed.tallies {
                true => "",
                false => {
                    " (slots and latency were not recomputed: the events contain no sealed hour; \
                        `probity export journal --tallies` exports each hour once it is sealed)"
                }
            };
            let came_later = object["changed"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|c| c["what"] == "terms");
            let terms = match object["terms_recorded_at"].as_str() {
                Some(at) if came_later => {
                    format!("its terms were recorded at {at}, after the period started")
                }
                Some(at) => match object["later_terms"]["terms_recorded_at"].as_str() {
                    Some(later) => {
                        format!("its terms are on record since {at}, and were changed at {later}")
                    }
                    None => format!("its terms are on record since {at}"),
                },
                None => "its terms are on no record: they are what the signer says".to_owned(),
            };
            print(json, &value, || {
                format!(
                    "every figure follows from the {last} events{but}; {terms}; signed by \
                        {signed_by}\n"
                )
            });
            Ok(Exit::Fine)
        }
        Err(difference) => {
            (value["verdict"], value["place"], value["why"]) = (
                json!("differs"),
                json!(difference.place),
                json!(difference.why),
            );
            print(json, &value, || {
                format!("{}: {}\n", difference.place, difference.why)
            });
            Ok(Exit::Bad)
        }
    }
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
fn figures_by_both(told: &Value, here: Option<&Value>, (release, own): (&str, &str)) -> Vec<Value> {
    let one = |evaluation: &Value, k: usize, release: &str| {
        let r = &evaluation["results"][k];
        json!({"release": release, "start": evaluation["period"]["start"], "end": evaluation["period"]["end"], "component": r["component"],
               "availability_percent": r["availability_percent"], "verdict": r["verdict"]})
    };
    let count = told["results"].as_array().map_or(0, Vec::len);
    let here = here.unwrap_or(told);
    (0..count)
        .flat_map(|k| [one(told, k, release), one(here, k, own)])
        .collect()
}

fn zones_differ(told: &Value, here: &zones::Zones, figures: &[Value]) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut out = format!(
        "the report was computed with zone data IANA {} ({}); this host has {here}\n",
        text(&told["release"]),
        text(&told["source"])
    );
    for f in figures {
        out.push_str(&format!(
            "  by {}: {} to {}, {}, {} %, {}\n",
            text(&f["release"]),
            text(&f["start"]),
            text(&f["end"]),
            f["component"].as_str().unwrap_or("all components"),
            text(&f["availability_percent"]),
            text(&f["verdict"])
        ));
    }
    out
}
