//! One probe drawn for a person: its phases as a waterfall, the certificate, each expectation with
//! what was found.

use std::fmt::Write;

use super::is_colored;
use crate::config::Endpoint;
use crate::config::plan::probe::Expiring;
use crate::kind::run::ProbeReport;
use crate::net::clock::Clock;
use crate::words::{Facts, Outcome, Phase, escaped, format_utc};

const WIDTH: u64 = 48;

pub fn drawn(endpoint: &Endpoint, report: &ProbeReport) -> String {
    let mut out = String::new();
    let (word, color) = match &report.outcome {
        Outcome::Success(_) => ("up", "32"),
        Outcome::Failure { .. } => ("down", "31"),
        Outcome::Unmeasured { .. } => ("unmeasured", "33"),
    };
    let word = if is_colored() {
        format!("\u{1b}[1;{color}m{word}\u{1b}[0m")
    } else {
        word.to_owned()
    };
    let _ = writeln!(
        out,
        "{word}  {} {}  in {}",
        endpoint.probe.kind().as_str(),
        escaped(&endpoint.target()),
        millis(report.duration_us)
    );
    match &report.outcome {
        Outcome::Success(_) => {}
        Outcome::Failure { cause, detail, .. } => {
            let _ = writeln!(out, "      {}: {}", cause.as_str(), escaped(detail));
        }
        Outcome::Unmeasured { reason, detail } => {
            let _ = writeln!(out, "      {}: {}", reason.as_str(), escaped(detail));
        }
    }
    phases(&mut out, report);
    if let Some(facts) = report.outcome.facts() {
        show_facts(&mut out, facts);
        let within = endpoint.probe.tls().map(|tls| tls.expiring_within);
        show_findings(&mut out, facts, within);
    }
    out
}

fn phases(out: &mut String, report: &ProbeReport) {
    let list: Vec<(&str, u64)> = Phase::ALL
        .iter()
        .filter_map(|p| report.phases.us(*p).map(|us| (p.as_str(), u64::from(us))))
        .collect();
    let total: u64 = list.iter().map(|(_, us)| us).sum::<u64>().max(1);
    let mut begun = 0;
    out.push('\n');
    for (name, us) in list {
        let (from, to) = (begun * WIDTH / total, (begun + us) * WIDTH / total);
        let bar = format!(
            "{}{}",
            " ".repeat(from as usize),
            "█".repeat(to.saturating_sub(from).max(1) as usize)
        );
        let _ = writeln!(out, "  {name:<10} {:>10}  {bar}", millis(us));
        begun += us;
    }
}

fn show_facts(out: &mut String, facts: &Facts) {
    out.push('\n');
    show_attempts(out, facts);
    if let Some(status) = facts.http_status {
        let _ = writeln!(
            out,
            "  {:<12} {status} HTTP/{}, {} bytes, {} redirects",
            "response",
            facts.http_version.unwrap_or("?"),
            facts.body_bytes.unwrap_or(0),
            facts.redirects
        );
    }
    if let Some(url) = &facts.final_url {
        let _ = writeln!(out, "  {:<12} {}", "final URL", escaped(url));
    }
    if let (Some(version), Some(cipher)) = (facts.tls_version, facts.tls_cipher) {
        let _ = writeln!(
            out,
            "  {:<12} {version} {cipher} {}",
            "tls",
            facts.tls_group.unwrap_or_default()
        );
    }
    if let Some(c) = &facts.certificate {
        let days = (c.not_after - Clock::Real.read().utc_ms).div_euclid(86_400_000);
        let _ = writeln!(
            out,
            "  {:<12} {} issued by {}",
            "certificate",
            escaped(&c.subject),
            escaped(&c.issuer)
        );
        let _ = writeln!(out, "  {:<12} for {}", "", escaped(&c.names.join(", ")));
        let _ = writeln!(
            out,
            "  {:<12} {}, valid {} to {} ({days} days left)",
            "",
            c.key,
            &format_utc(c.not_before)[..10],
            &format_utc(c.not_after)[..10]
        );
    }
    if let Some(rcode) = &facts.dns_rcode {
        let _ = writeln!(
            out,
            "  {:<12} {rcode}: {}",
            "dns",
            escaped(&facts.dns_answers.join(", "))
        );
    }
    if let Some(hops) = facts.icmp_hop_limit {
        let _ = writeln!(out, "  {:<12} {hops}", "hop limit");
    }
}

fn show_attempts(out: &mut String, facts: &Facts) {
    // What the kernel says of a connection is there where one was made.
    let answered = match facts.tcp_rtt_us {
        Some(_) => "connected",
        None => "answered",
    };
    for a in &facts.attempts {
        let _ = writeln!(
            out,
            "  {:<12} {} {}",
            "address",
            a.address,
            a.error.as_ref().map_or_else(
                || format!("{answered} in {}", millis(a.duration_us)),
                |e| format!("failed: {}", escaped(e))
            )
        );
    }
}

fn show_findings(out: &mut String, facts: &Facts, within: Option<Expiring>) {
    let certificate = facts.certificate.as_deref();
    let lifetime = certificate.map(|c| c.not_after - c.not_before);
    let note = lifetime.and_then(|lifetime| within?.note(lifetime));
    if note.is_some() || !facts.findings.is_empty() {
        out.push('\n');
    }
    if let Some(note) = note {
        let _ = writeln!(out, "  note the certificate is short-lived: {note}");
    }
    for f in &facts.findings {
        if f.is_odd() {
            let _ = writeln!(out, "  odd  {}", escaped(&f.found));
            continue;
        }
        let mark = if f.met { "ok  " } else { "FAIL" };
        let _ = writeln!(
            out,
            "  {mark} {} (found {})",
            escaped(&f.expectation),
            escaped(&f.found)
        );
    }
}

fn millis(us: u64) -> String {
    format!("{}.{:03} ms", us / 1000, us % 1000)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::words::{CertificateFacts, Finding};

    #[test]
    fn findings_are_drawn_by_what_they_are() {
        let mut facts = Facts::default();
        let shown = |facts: &Facts, within| {
            let mut out = String::new();
            show_findings(&mut out, facts, within);
            out
        };
        assert_eq!(shown(&facts, None), "");
        let unmet = |expectation: &str, met| Finding {
            expectation: expectation.to_owned(),
            found: "503".to_owned(),
            met,
        };
        facts.findings = vec![
            unmet("status 503", true),
            unmet("status 200", false),
            Finding::odd("a header line was folded\u{1b}[2J".to_owned()),
        ];
        assert_eq!(
            shown(&facts, None),
            "\n  ok   status 503 (found 503)\n  FAIL status 200 (found 503)\n  odd  a header line \
                was folded\\u{1b}[2J\n"
        );
        facts.findings.clear();
        facts.certificate = Some(Arc::new(CertificateFacts {
            not_after: 6 * 86_400_000,
            ..CertificateFacts::default()
        }));
        let fourteen_days = Expiring::Length(14 * 86_400_000);
        assert_eq!(
            shown(&facts, Some(fourteen_days)),
            "\n  note the certificate is short-lived: its whole lifetime is 6 d and \
                expiring_within asks for 14 d: write a share, such as \"33%\"\n"
        );
        assert_eq!(shown(&facts, Some(Expiring::Share(33))), "");
    }
}
