//! Options of `probity export`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::place::StateArgs;

#[derive(Debug, Subcommand)]
pub enum Export {
    /// Export outages and unknown time of every component as JSON (schema probity-timeline/2).
    #[command(
        after_help = "Exit codes: 0 written, 64 usage error or invalid results, 73 no history \
            found.\n\nExamples:\n  probity export timeline --from 2026-11-01T00:00:00Z --to \
            2026-12-01T00:00:00Z"
    )]
    Timeline {
        #[command(flatten)]
        place: StateArgs,
        #[arg(
            long,
            help = "Start of the period: RFC 3339, 2026-11-01 (midnight in UTC), yesterday, \
                \"2h ago\" [default: 30 days before its end]"
        )]
        from: Option<String>,
        #[arg(long, help = "End of the period, in the same forms [default: now]")]
        to: Option<String>,
        #[command(flatten)]
        raw: Box<RawProbes>,
    },
    /// Export states and seconds with timestamps, for `promtool tsdb create-blocks-from
    /// openmetrics`.
    #[command(
        after_help = "Exit codes: 0 written, 73 no history found.\n\nExample:\n  probity export \
            openmetrics --from 2026-10-01T00:00:00Z --step 60s > past.om\n  promtool tsdb \
            create-blocks-from openmetrics past.om /var/lib/prometheus/data"
    )]
    Openmetrics {
        #[command(flatten)]
        place: StateArgs,
        #[arg(
            long,
            help = "Start of the period: RFC 3339, 2026-11-01 (midnight in UTC), yesterday, \
                \"2h ago\" [default: 30 days before its end]"
        )]
        from: Option<String>,
        #[arg(long, help = "End of the period, in the same forms [default: now]")]
        to: Option<String>,
        #[arg(long, default_value = "60s", help = "Time between two samples")]
        step: String,
    },
    /// Export every event as a line of JSON, with its hash.
    #[command(
        after_help = "Exit codes: 0 written, 73 no history found.\n\nExample:\n  probity export \
            journal --state-dir /var/lib/probity > journal.jsonl"
    )]
    Journal {
        #[command(flatten)]
        place: StateArgs,
        #[arg(long, default_value_t = 1, help = "Start at this event")]
        seq: u64,
        #[arg(
            long,
            help = "Also export the sealed hourly aggregates (`sla verify` needs them for slots \
                and latency)"
        )]
        tallies: bool,
    },
}

/// Raw results to evaluate instead of a history.
#[derive(Debug, Args)]
pub struct RawProbes {
    #[arg(
        long,
        help = "Evaluate raw results from this JSON file instead of the history",
        requires = "interval"
    )]
    pub probes: Option<PathBuf>,
    #[arg(long, help = "Interval of the raw results, such as 30s")]
    pub interval: Option<String>,
    #[arg(
        long,
        default_value = "0",
        help = "Fraction of the interval by which probes are spread"
    )]
    pub jitter: String,
    #[arg(long, default_value = "500ms", help = "Maximum start delay of a probe")]
    pub late_after: String,
    #[arg(long, default_value = "10s", help = "Timeout of a probe")]
    pub timeout: String,
    #[arg(
        long,
        default_value = "1s",
        help = "Delay between a failed probe and its retry"
    )]
    pub retry_interval: String,
    #[arg(
        long,
        default_value_t = 1,
        help = "Consecutive failures that confirm an outage"
    )]
    pub down_after: u32,
    #[arg(
        long,
        default_value_t = 1,
        help = "Consecutive successes that end an outage"
    )]
    pub up_after: u32,
    #[arg(long, help = "Number of vantages that must agree on down")]
    pub quorum: Option<usize>,
}
