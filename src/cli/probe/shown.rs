//! One probe as JSON: `probity-probe/1`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::Endpoint;
use crate::kind::run::ProbeReport;
use crate::words::{CertificateFacts, Facts, Outcome, Phase, format_utc};

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

pub fn as_json(endpoint: &Endpoint, report: &ProbeReport) -> Value {
    let (cause, detail) = match &report.outcome {
        Outcome::Success(_) => (None, None),
        Outcome::Failure { cause, detail, .. } => (Some(cause.as_str()), Some(detail.as_str())),
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
