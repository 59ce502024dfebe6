//! `probity probe`: one probe of a configured endpoint or a given address.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::args::Probe;
use super::{given, print_colored, waterfall};
use crate::config::document::secret::by_host::HostMasks;
use crate::config::document::source::show_faults;
use crate::config::plan::ClockChoice;
use crate::config::{Endpoint, Fault, OneText, load};
use crate::daemon::exit::Exit;
use crate::daemon::start::read_config;
use crate::daemon::streams::say_error;
use crate::kind::Kind;
use crate::kind::run::{Report, run as probed};
use crate::net::shared::Net;
use crate::words::{CertificateFacts, Facts, Outcome, Phase, format_utc};

pub fn run(args: &Probe) -> Exit {
    let ConfiguredProbe {
        endpoint,
        clock,
        masks,
    } = match endpoint(args) {
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
        net.masks.take_over(&masks, 0);
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

/// What is probed, and what of its config the probe rests on.
struct ConfiguredProbe {
    endpoint: Arc<Endpoint>,
    clock: ClockChoice,
    masks: Arc<HostMasks>,
}

/// The endpoint of that name in the config, or one made of an address.
fn endpoint(args: &Probe) -> Result<ConfiguredProbe, Exit> {
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
            .map(|endpoint| ConfiguredProbe {
                endpoint,
                clock: plan.daemon.clock,
                masks: plan.masks.clone(),
            })
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
        .map(|endpoint| ConfiguredProbe {
            endpoint,
            clock: ClockChoice::Verified,
            masks: plan.masks.clone(),
        })
        .ok_or(Exit::Usage)
}

/// `probity-probe/1`
#[derive(Serialize)]
struct ShownProbeRun<'r> {
    schema: &'static str,
    endpoint: &'r str,
    kind: &'static str,
    target: String,
    result: &'static str,
    cause: Option<&'static str>,
    detail: Option<&'r str>,
    duration_ms: f64,
    phases_ms: BTreeMap<&'static str, f64>,
    /// Left out where nothing was measured.
    #[serde(flatten)]
    facts: Option<ShownFacts<'r>>,
}

#[derive(Serialize)]
struct ShownFacts<'r> {
    address: Option<String>,
    attempts: Vec<Value>,
    http: Value,
    tls: Value,
    certificate: Option<Value>,
    dns: Value,
    icmp: Value,
    findings: Vec<ShownFinding<'r>>,
}

#[derive(Serialize)]
struct ShownFinding<'r> {
    expectation: &'r str,
    found: &'r str,
    met: bool,
}

fn as_json(endpoint: &Endpoint, report: &Report) -> Value {
    let (cause, detail) = match &report.outcome {
        Outcome::Up(_) => (None, None),
        Outcome::Down { cause, detail, .. } => (Some(cause.as_str()), Some(detail.as_str())),
        Outcome::Unmeasured { reason, detail } => (Some(reason.as_str()), Some(detail.as_str())),
    };
    let ms = |p: &Phase| Some((p.as_str(), f64::from(report.phases.us(*p)?) / 1000.0));
    json!(ShownProbeRun {
        schema: "probity-probe/1",
        endpoint: endpoint.name.as_str(),
        kind: endpoint.probe.kind().as_str(),
        target: endpoint.target(),
        result: report.outcome.result(),
        cause,
        detail,
        duration_ms: report.duration_us as f64 / 1000.0,
        phases_ms: Phase::ALL.iter().filter_map(ms).collect(),
        facts: report.outcome.facts().map(ShownFacts::of),
    })
}

impl<'r> ShownFacts<'r> {
    fn of(f: &'r Facts) -> Self {
        let attempts = f.attempts.iter().map(|a| {
            json!({
                "address": a.address.to_string(), "error": a.error,
                "duration_ms": a.duration_us as f64 / 1000.0,
            })
        });
        let findings = f.findings.iter().map(|x| ShownFinding {
            expectation: &x.expectation,
            found: &x.found,
            met: x.met,
        });
        Self {
            address: f.address.map(|a| a.to_string()),
            attempts: attempts.collect(),
            http: json!({
                "status": f.http_status, "version": f.http_version, "final_url": f.final_url,
                "redirects": f.redirects, "body_bytes": f.body_bytes,
            }),
            tls: json!({
                "version": f.tls_version, "cipher": f.tls_cipher, "group": f.tls_group,
            }),
            certificate: f.certificate.as_deref().map(certificate_json),
            dns: json!({"rcode": f.dns_rcode, "answers": f.dns_answers}),
            icmp: json!({"hop_limit": f.icmp_hop_limit}),
            findings: findings.collect(),
        }
    }
}

fn certificate_json(c: &CertificateFacts) -> Value {
    json!({
        "subject": c.subject, "issuer": c.issuer, "names": c.names,
        "not_before": format_utc(c.not_before), "not_after": format_utc(c.not_after),
        "chain_not_after": c.chain_not_after.map(format_utc),
        "sent_not_after": format_utc(c.sent_not_after), "chain_length": c.chain_length,
        "key": c.key, "sha256": c.sha256,
    })
}
