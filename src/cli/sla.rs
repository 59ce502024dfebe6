//! `probity sla`: contracts judged and explained.

use serde_json::json;

use super::args::sla::{Sla, SlaEvaluate, SlaExplain};
use super::contracts::{contracts, refuse, wanted, worse};
use super::sla_shown::Evaluated;
use super::{given, local, print, sla_explain, sla_shown};
use crate::account::figures::grouped;
use crate::account::figures::{components, say_not_seen};
use crate::account::recorded::{of_sets, timeline};
use crate::account::timelines::maintenance;
use crate::config::plan::Proxies;
use crate::config::timeline_file;
use crate::config::timeline_text::timeline_of;
use crate::daemon::exit::Exit;
use crate::daemon::start::read_without_secrets;
use crate::history::read_tallies::WhichTallies;
use crate::judgement::sla::contract::{Contract, Contracts};
use crate::judgement::sla::evaluate::{evaluate as evaluate_contract, evaluate_components};
use crate::judgement::sla::evaluation::{ContractVerdict, Evaluation, NotEvaluated};
use crate::judgement::sla::merge::merge;
use crate::judgement::sla::record::Timeline;
use crate::judgement::timeline::Span;
use crate::net::clock::Clock;
use crate::net::config_files::Unread;
use crate::net::own_calls::fetch;
use crate::report::ruling::{ContractVersions, Earlier, under_present_names};
use crate::report::sla::{answer, instant};
use crate::report::terms::Of;
use crate::words::Name;

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
    found.ok_or_else(|| refuse(Exit::Unknown, NotEvaluated::NotInForce(name.to_string())))
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
    let proxies = read_without_secrets(&args.place.config.path(), Unread::All)
        .map_or(Proxies::None, |plan| plan.proxies);
    for url in &args.url {
        let text = fetch(
            format!(
                "{}/api/v1/timeline?from={}&to={}",
                url.trim_end_matches('/'),
                instant(span.from),
                instant(span.to)
            ),
            proxies,
        )
        .map_err(|why| refuse(Exit::Unavailable, format!("no timeline from {url}: {why}")))?;
        all.push(timeline_of(&text).map_err(|e| refuse(Exit::Unavailable, format!("{url}: {e}")))?);
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
    place: &super::args::place::StateArgs,
    span: Span,
    named: &[Name],
) -> Result<Timeline, Exit> {
    let reader = local::open(place)?;
    let plan = local::plan_or_empty(place);
    let extents = local::extents(&reader).map_err(local::complain)?;
    let now = Clock::Real.read().utc_ms;
    let grouped = grouped(&reader, &plan, &extents).map_err(local::complain)?;
    let (reached, mut parts) = components(
        &reader,
        &grouped,
        Span::new(span.from, span.to.min(now).max(span.from)),
        WhichTallies::All,
    )
    .map_err(local::complain)?;
    say_not_seen(&reader, &grouped, &mut parts, reached, Some(named)).map_err(local::complain)?;
    Ok(timeline(
        reached,
        parts,
        maintenance(&reader, &grouped, span).map_err(local::complain)?,
    ))
}

fn evaluate(args: &SlaEvaluate) -> Result<Exit, Exit> {
    let contracts = contracts(args.contract.as_deref(), &args.place)?;
    let mut exit = Exit::Fine;
    let mut answers = Vec::new();
    for name in wanted(&contracts, args.sla.as_deref())? {
        let (one, own) = evaluated(args, &contracts, &name)?;
        exit = worse(exit, own);
        answers.push(one);
    }
    for one in &answers {
        print(args.json, &one.to_json(), || sla_shown::shown(one));
    }
    Ok(exit)
}

/// What one contract comes to, by the terms that count and by later ones.
fn evaluated(
    args: &SlaEvaluate,
    contracts: &Contracts,
    name: &Name,
) -> Result<(Evaluated, Exit), Exit> {
    let (contract, asked) = period_of(contracts, name, args.period.as_deref())?;
    let present = Of {
        contract,
        contracts,
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
    let unjudged = |error: NotEvaluated| refuse(Exit::Unknown, error);
    let list = evaluate_contract(&contract_then, &tenants, &timeline, span).map_err(unjudged)?;
    let each = evaluate_components(&contract_then, &tenants, &timeline, span).map_err(unjudged)?;
    let mut exit = verdict_of(&list);
    let mut one = Evaluated {
        answer: answer(&contract_then, span, &list, &each),
        not_seen_below: timeline.not_seen_below(&named),
        later: None,
        contract: contract_then,
        list,
    };
    if is_changed {
        let timeline = timeline_for(args, asked, &contract.all_components(&contracts.tenants))?;
        let later =
            evaluate_contract(contract, &contracts.tenants, &timeline, asked).map_err(unjudged)?;
        exit = worse(exit, verdict_of(&later));
        one.later = Some(answer(contract, asked, &later, &[]));
    }
    Ok((one, exit))
}

/// The terms that the period is judged by on this host's history, where they are not those of the
/// config. A file of contracts, and a timeline that somebody sent, are judged as they are.
fn terms_before(args: &SlaEvaluate, present: &Of, period: Span) -> Result<Option<Earlier>, Exit> {
    if args.contract.is_some() || !args.timeline.is_empty() || !args.url.is_empty() {
        return Ok(None);
    }
    let reader = local::open(&args.place)?;
    let definitions = reader.definitions().map_err(local::complain)?;
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
        ContractVersions::new(definitions, signer.terms_key())
            .ruling((name, None), Some((present, period)), &asked)
            .parts()
            .0
    });
    let Some(mut found) = found else {
        return Ok(None);
    };
    let parts = grouped(
        &reader,
        &local::plan_or_empty(&args.place),
        &local::extents(&reader).map_err(local::complain)?,
    )
    .map_err(local::complain)?;
    let of_it = found
        .contracts
        .tenants
        .into_iter()
        .filter(|t| t.sla == found.contract.name)
        .collect();
    (found.contract, found.contracts.tenants) =
        under_present_names(&reader, &parts, (found.contract, of_it)).map_err(local::complain)?;
    Ok(Some(found))
}

fn verdict_of(list: &[Evaluation]) -> Exit {
    let any = |verdict| list.iter().any(|j| j.verdict == verdict);
    match (
        any(ContractVerdict::Missed),
        any(ContractVerdict::Undetermined),
    ) {
        (true, _) => Exit::Bad,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Fine,
    }
}

fn explain(args: &SlaExplain) -> Result<Exit, Exit> {
    for one in sla_explain::explanations(args)? {
        print(args.json, &json!(one), || one.shown());
    }
    Ok(Exit::Fine)
}
