//! Options of `probity sla`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::place::{ConfigArg, StateArgs};

#[derive(Debug, Subcommand)]
pub enum Sla {
    /// Evaluate contracts over a period, from this host's history, timeline files or a running
    /// daemon.
    #[command(
        after_help = "Exit codes: 0 met, 1 missed, 3 undetermined or not recorded, 64 usage \
            error, 69 no running daemon, 73 no history found, 78 invalid contract. If terms \
            changed during the period, the code is the worse one of both \
            verdicts.\n\nExamples:\n  probity sla evaluate --period 2026-11\n  probity sla \
            evaluate --contract contract.toml --timeline timeline.json --period 2026-11 --json\n  \
            probity sla evaluate --contract contract.toml --url http://127.0.0.1:9847 --period \
            2026-11"
    )]
    Evaluate(SlaEvaluate),
    /// Create the signed report of a period, with outages, calculation and proof, in six languages.
    #[command(
        after_help = "Exit codes: 0 met, 1 missed, 3 undetermined, not recorded or not settled, \
            64 usage error, 73 no history found, 78 invalid config. If terms changed during the \
            period, the code is the worse one of both verdicts.\n\nExamples:\n  probity sla \
            report --sla standard --period 2026-11 --format html --lang fi > report.html\n  \
            probity sla report --sla standard --period 2026-11 --tenant B --output /srv/reports"
    )]
    Report(SlaReport),
    /// Recompute a report offline from exported events and name the first difference.
    #[command(
        after_help = "Exit codes: 0 every figure follows from the events, 1 a difference was \
            found, 64 a file cannot be read.\n\nExample:\n  probity export journal --tallies > \
            journal.jsonl\n  probity sla verify report.json --events journal.jsonl"
    )]
    Verify {
        /// Report (JSON).
        report: PathBuf,
        #[arg(long, help = "Exported events (probity export journal --tallies)")]
        events: PathBuf,
        #[arg(
            long,
            help = "Checkpoint file that was stored elsewhere earlier; shows that nothing before \
                it was rewritten"
        )]
        since: Option<PathBuf>,
        #[arg(
            long,
            help = "Public key that must have signed the report, in hexadecimal"
        )]
        key: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-report-verified/1)")]
        json: bool,
    },
    /// Show what an objective (SLO) means in time, and what a probe interval can prove.
    #[command(after_help = "Exit codes: 0 explained, 64 usage error, 78 invalid \
            contract.\n\nExamples:\n  probity sla explain --objective 99.999 --interval 30s\n  \
            probity sla explain --contract contract.toml")]
    Explain(SlaExplain),
}

#[derive(Debug, Args)]
pub struct SlaEvaluate {
    #[command(flatten)]
    pub place: StateArgs,
    #[arg(long, help = "File with contracts [default: the config]")]
    pub contract: Option<PathBuf>,
    #[arg(
        long,
        help = "Timeline file (probity-timeline/2 or /1); several are merged by quorum"
    )]
    pub timeline: Vec<PathBuf>,
    #[arg(
        long,
        help = "URL of a running daemon to read the timeline from; can be repeated"
    )]
    pub url: Vec<String>,
    #[arg(
        long,
        help = "Number of timelines that must agree on down [default: more than half of those \
            present, at least 2]"
    )]
    pub quorum: Option<usize>,
    #[arg(
        long,
        help = "2026-11, 2026-Q4, 2026, or the end of a rolling window [default: the current \
            period]"
    )]
    pub period: Option<String>,
    #[arg(long, help = "Only this contract")]
    pub sla: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-sla/2)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SlaReport {
    #[command(flatten)]
    pub place: StateArgs,
    #[arg(long, help = "File with contracts [default: the config]")]
    pub contract: Option<PathBuf>,
    #[arg(
        long,
        help = "Only this contract [default: all with --output, else the only one]"
    )]
    pub sla: Option<String>,
    #[arg(
        long,
        help = "2026-11, 2026-Q4, 2026, or the end of a rolling window [default: the previous \
            period]"
    )]
    pub period: Option<String>,
    #[arg(
        long,
        value_enum,
        default_value = "json",
        help = "json, md, html or csv (the outages)"
    )]
    pub format: crate::report::format::ReportFormat,
    #[arg(
        long,
        value_enum,
        default_value = "en",
        help = "Language of text, numbers and dates"
    )]
    pub lang: crate::report::words::Language,
    #[arg(long, help = "Only this tenant, without any other customer's data")]
    pub tenant: Option<String>,
    #[arg(
        long,
        help = "Write all formats into this directory, for all contracts unless --sla names one"
    )]
    pub output: Option<PathBuf>,
    #[arg(
        long,
        help = "Allow a report of a period that is not settled to its end"
    )]
    pub provisional: bool,
    #[arg(long, help = "Signature of the report that this one replaces")]
    pub replaces: Option<String>,
}

#[derive(Debug, Args)]
pub struct SlaExplain {
    #[command(flatten)]
    pub config: ConfigArg,
    #[arg(long, help = "Objective (SLO) in percent, without a contract")]
    pub objective: Option<String>,
    #[arg(
        long,
        help = "Probe interval [default: that of the contract's endpoints in the config, else 30s]"
    )]
    pub interval: Option<String>,
    #[arg(long, help = "File with contracts to explain [default: the config]")]
    pub contract: Option<PathBuf>,
    #[arg(long, help = "Only this contract")]
    pub sla: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-sla-explain/1)")]
    pub json: bool,
}
