//! `probity probe`: one probe of a configured endpoint or a given address.

use std::path::Path;

use serde_json::json;

use super::args::Probe;
use super::{given, print_colored, waterfall};
use crate::config::document::source::show_faults;
use crate::config::plan::ClockChoice;
use crate::config::{Endpoint, Fault, OneText, load};
use crate::daemon::exit::Exit;
use crate::daemon::start::read_config;
use crate::daemon::streams::say_error;
use crate::kind::Kind;
use crate::kind::run::{Report, run as probed};
use crate::net::shared::Net;
use crate::words::{Outcome, Phase, format_utc};

pub fn run(args: &Probe) -> Exit {
    let (endpoint, clock) = match endpoint(args) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Exit::Unknown;
    };
    let report = tokio::task::LocalSet::new().block_on(&runtime, async {
        let net = Net::default();
        net.clock.choose(clock);
        probed(&net, &endpoint).await
    });
    print_colored(args.json, &as_json(&endpoint, &report), || {
        waterfall::drawn(&endpoint, &report)
    });
    match report.outcome {
        Outcome::Up(_) => Exit::Fine,
        Outcome::Down { .. } => Exit::Bad,
        Outcome::Unmeasured { .. } => Exit::Unknown,
    }
}

/// The endpoint of that name in the config, or one made of an address; and who vouches for the
/// clock.
fn endpoint(args: &Probe) -> Result<(std::sync::Arc<Endpoint>, ClockChoice), Exit> {
    let faulty = |faults: Vec<Fault>| {
        say_error(show_faults(&faults));
        Exit::Config
    };
    let Some((scheme, rest)) = args.target.split_once("://") else {
        let plan = read_config(&args.config.path()).map_err(faulty)?;
        let found = plan
            .endpoints
            .iter()
            .find(|e| e.name.as_str() == args.target)
            .cloned();
        return found
            .map(|endpoint| (endpoint, plan.daemon.clock))
            .ok_or_else(|| {
                say_error(format_args!(
                    "probity: the config has no endpoint named {}; an address starts with {}",
                    args.target,
                    Kind::listed(Kind::usage, "or")
                ));
                Exit::Usage
            });
    };
    given::duration("timeout", &args.timeout, 1)?;
    let kind = Kind::ALL.iter().find(|k| k.schemes().contains(&scheme));
    let Some(kind) = kind else {
        say_error(format_args!(
            "probity: unknown probe kind {scheme}://. Use {}",
            Kind::listed(Kind::usage, "or")
        ));
        return Err(Exit::Usage);
    };
    let line = kind.lines(scheme, rest);
    let text = format!(
        "[[endpoint]]\nname = \"probe\"\ntimeout = {:?}\n{line}\n",
        args.timeout
    );
    // The config that stands for the address is ours: its lines and columns would say nothing.
    let plan = load(Path::new("command line"), &OneText(&text)).map_err(|faults| {
        faults.iter().for_each(|f| {
            say_error(format_args!(
                "probity: {}: {}\n    {}",
                args.target, f.problem, f.advice
            ))
        });
        Exit::Usage
    })?;
    plan.endpoints
        .first()
        .cloned()
        .map(|endpoint| (endpoint, ClockChoice::Verified))
        .ok_or(Exit::Usage)
}

fn as_json(endpoint: &Endpoint, report: &Report) -> serde_json::Value {
    let (why, detail) = match &report.outcome {
        Outcome::Up(_) => (None, None),
        Outcome::Down { cause, detail, .. } => (Some(cause.as_str()), Some(detail)),
        Outcome::Unmeasured { reason, detail } => (Some(reason.as_str()), Some(detail)),
    };
    let phases: serde_json::Map<_, _> = Phase::ALL
        .iter()
        .filter_map(|p| {
            report
                .phases
                .us(*p)
                .map(|us| (p.as_str().to_owned(), json!(f64::from(us) / 1000.0)))
        })
        .collect();
    let mut value = json!({
        "schema": "probity-probe/1",
        "endpoint": endpoint.name.as_str(),
        "kind": endpoint.probe.kind().as_str(),
        "target": endpoint.target(),
        "result": report.outcome.result(),
        "cause": why,
        "detail": detail,
        "duration_ms": report.duration_us as f64 / 1000.0,
        "phases_ms": phases,
    });
    if let Some(f) = report.outcome.facts() {
        value["address"] = json!(f.address.map(|a| a.to_string()));
        value["attempts"] =
            f.attempts.iter().map(|a| json!({"address": a.address.to_string(), "error": a.error, "duration_ms": a.duration_us as f64 / 1000.0})).collect();
        value["http"] = json!({"status": f.http_status, "version": f.http_version, "final_url": f.final_url, "redirects": f.redirects, "body_bytes": f.body_bytes});
        value["tls"] =
            json!({"version": f.tls_version, "cipher": f.tls_cipher, "group": f.tls_group});
        value["certificate"] = f.certificate.as_ref().map_or(json!(null), |c| {
            json!({"subject": c.subject, "issuer": c.issuer, "names": c.names, "not_before": format_utc(c.not_before), "not_after": format_utc(c.not_after),
                   "chain_not_after": c.chain_not_after.map(format_utc), "sent_not_after": format_utc(c.sent_not_after), "chain_length": c.chain_length, "key": c.key, "sha256": c.sha256})
        });
        value["dns"] = json!({"rcode": f.dns_rcode, "answers": f.dns_answers});
        value["icmp"] = json!({"hop_limit": f.icmp_hop_limit});
        value["findings"] = f
            .findings
            .iter()
            .map(|x| json!({"expectation": x.expectation, "found": x.found, "met": x.met}))
            .collect();
    }
    value
}
