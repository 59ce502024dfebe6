//! docs/metrics.md, generated from the table of metrics.

use std::fmt::Write as _;

use super::metric::{Metric, MetricWriter, OWN_LABELS, STATE_LABELS};
use super::samples::Format;
use super::{component, contract, daemon, endpoint};

const INTRODUCTION: &str = "\
# Metrics

<!-- Generated from src/serve/metrics: `WRITE_DOCS=1 cargo test --test tidy metrics` writes it. -->

Every metric family of `/metrics`, in the order of its output. A test compares this page with the
table of the code, another with what a running daemon writes. Each query is parsed.

Time is in seconds. Counters end in `_total`. Every value of `state`, `to` and `result` exists from
the start; a `cause` appears when it first occurs. Scrapes get the text format or OpenMetrics, as
their `Accept` header says. [causes.md](causes.md) lists causes and reasons.
[glossary.md](glossary.md) defines the words.

`probity rules` writes recording and alerting rules for a config. `probity check` estimates the
number of series.
";

const LIVE: &str = "\
## Live series of endpoints

`/metrics?collect[]=state`. They follow each result at once.
";

const ACCOUNTING: &str = "\
## Counters and certificates of endpoints

`/metrics?collect[]=accounting`. Counters of seconds and of transitions contain only settled time:
it is final and on record, and they survive restarts. The counters of probes start at 0 with the
daemon.
";

const LATENCY: &str = "\
## Latency of endpoints

`/metrics?collect[]=latency`. [latency.md](latency.md) has more queries.
";

const DAEMON: &str = "\
## The daemon itself

`/metrics?collect[]=daemon`. It has all that follows here.
";

const PROCESS: &str = "\
## The process

The usual series of a process, read from `/proc`.
";

const COMPONENTS: &str = "\
## Components

Components of `[component.ID]` or of a contract, over the present calendar month (UTC,
`period=\"current\"`) and the one before (`previous`).
";

const CONTRACTS: &str = "\
## Contracts

Each contract over its present period (`period=\"current\"`) and the one before (`previous`).
Without a contract these series are absent.
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    section(&mut page, LIVE, endpoint::live::METRICS);
    section(&mut page, ACCOUNTING, endpoint::accounting::METRICS);
    section(&mut page, LATENCY, endpoint::latency::METRICS);
    section(&mut page, DAEMON, daemon::METRICS);
    section(&mut page, PROCESS, daemon::PROCESS);
    section(&mut page, COMPONENTS, component::METRICS);
    section(&mut page, CONTRACTS, contract::METRICS);
    page
}

fn section(page: &mut String, begin: &str, metrics: &[Metric]) {
    let _ = write!(page, "\n{begin}");
    for metric in metrics {
        let about = format!(
            "Type: {}. Unit: {}. {}.",
            metric.kind.as_str(Format::Text),
            metric.unit.as_str(),
            labels(metric)
        );
        let _ = write!(
            page,
            "\n### `{}`\n\n{}\n\n{}\n\n```promql\n{}\n```\n",
            metric.name,
            wrapped(&about),
            wrapped(metric.help),
            metric.query
        );
    }
}

fn labels(metric: &Metric) -> String {
    let endpoint = matches!(metric.writer, MetricWriter::Endpoint(_)).then_some("`endpoint`");
    let each = metric.labels.iter().map(|label| match *label {
        STATE_LABELS => format!("and those of `{STATE_LABELS}`"),
        OWN_LABELS => "and the labels of the endpoint".to_owned(),
        name => format!("`{name}`"),
    });
    let list: Vec<String> = endpoint
        .map(str::to_owned)
        .into_iter()
        .chain(each)
        .collect();
    if list.is_empty() {
        "No labels".to_owned()
    } else {
        format!("Labels: {}", list.join(", "))
    }
}

/// Lines of at most 99 columns.
fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 99 {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join("\n")
}
