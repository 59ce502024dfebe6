//! Probes as JUnit XML, as build servers read it: a test case for each probe, and one for each of
//! its expectations.

use std::fmt::Write;

use super::series::ProbeOfSeries;
use crate::config::Endpoint;
use crate::words::Outcome;

/// The whole document.
pub fn document(endpoint: &Endpoint, probes: &[ProbeOfSeries]) -> String {
    let (kind, target) = (endpoint.probe.kind().as_str(), endpoint.target());
    let (mut cases, mut sums) = (String::new(), JunitSums::default());
    for (n, probed) in probes.iter().enumerate() {
        let of = match (probes.len(), probed.address) {
            (1, _) => String::new(),
            (_, None) => format!(" {}", n + 1),
            (_, Some(address)) => format!(" {} of {address}", n + 1),
        };
        cases_of(&mut cases, &mut sums, (kind, &of), probed);
    }
    let JunitSums {
        tests,
        failures,
        errors,
        us,
    } = sums;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{}\" \
            tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
            time=\"{}\">\n{cases}</testsuite>\n</testsuites>\n",
        attribute(&format!("probity probe {target}")),
        seconds(us)
    )
}

#[derive(Default)]
struct JunitSums {
    tests: u64,
    failures: u64,
    errors: u64,
    us: u64,
}

fn cases_of(
    out: &mut String,
    sums: &mut JunitSums,
    (kind, of): (&str, &str),
    probed: &ProbeOfSeries,
) {
    let report = &probed.report;
    let verdict = match &report.outcome {
        Outcome::Success(_) => None,
        Outcome::Failure { cause, detail, .. } => {
            sums.failures += 1;
            Some(("failure", cause.as_str(), detail))
        }
        Outcome::Unmeasured { reason, detail } => {
            sums.errors += 1;
            Some(("error", reason.as_str(), detail))
        }
    };
    sums.tests += 1;
    sums.us += report.duration_us;
    let time = seconds(report.duration_us);
    let name = attribute(&format!("probe{of}"));
    let _ = write!(
        out,
        "<testcase classname=\"probity.{kind}\" name=\"{name}\" time=\"{time}\""
    );
    let _ = match verdict {
        None => writeln!(out, "/>"),
        Some((tag, kind, detail)) => writeln!(
            out,
            "><{tag} type=\"{kind}\" message=\"{}\"/></testcase>",
            attribute(detail)
        ),
    };
    let facts = report.outcome.facts();
    for finding in facts.iter().flat_map(|f| &f.findings) {
        if finding.is_odd() {
            continue;
        }
        sums.tests += 1;
        let name = attribute(&format!("{}{of}", finding.expectation));
        let _ = write!(
            out,
            "<testcase classname=\"probity.{kind}.expect\" name=\"{name}\" time=\"0\""
        );
        let found = attribute(&format!("found {}", finding.found));
        let _ = if finding.met {
            writeln!(out, "/>")
        } else {
            sums.failures += 1;
            writeln!(
                out,
                "><failure type=\"expectation\" message=\"{found}\"/></testcase>"
            )
        };
    }
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// A text inside quotes. What XML 1.0 cannot have, escaped or not, is shown as `\u{1b}`.
fn attribute(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if crate::words::is_invisible(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                out.extend(c.escape_default());
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_well_formed_whatever_a_peer_says() {
        assert_eq!(
            attribute("a<b>&\"c\"\u{1b}[2J\n\u{ffff}é"),
            "a&lt;b&gt;&amp;&quot;c&quot;\\u{1b}[2J\\n\\u{ffff}é"
        );
        assert_eq!(seconds(1_000_250), "1.000250");
    }
}
