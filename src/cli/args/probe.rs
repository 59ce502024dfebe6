//! Options of `probity probe`.

use std::path::PathBuf;

use clap::Args;

use super::place::ConfigArg;
use crate::kind::Kind;

/// Probes of one address at most, of `--count`.
pub const MOST_PROBES: u64 = 1000;

#[derive(Debug, Args)]
pub struct Probe {
    #[arg(help = format!(
        "An endpoint name from the config, or an address: {}",
        Kind::listed(Kind::usage, "or")
    ))]
    pub target: String,
    #[command(flatten)]
    pub config: ConfigArg,
    /// Timeout for an address, such as 5s.
    #[arg(long, default_value = "10s")]
    pub timeout: String,
    #[command(flatten)]
    pub sent: SentArgs,
    #[command(flatten)]
    pub dialed: DialArgs,
    #[command(flatten)]
    pub series: SeriesArgs,
    /// What to expect of the answer, as KEY=VALUE. The keys are those of `expect` in the config,
    /// such as status=2xx or body.contains=ok. Can be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub expect: Vec<String>,
    /// Print the curl command that repeats an http probe, secrets masked. Nothing is probed.
    #[arg(long, conflicts_with_all = ["json", "junit", "count", "each_address", "watch"])]
    pub curl: bool,
    /// Print JUnit XML, with a test case for each probe and each expectation.
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    pub junit: bool,
    #[arg(
        long,
        help = "Print JSON (schema probity-probe/1; with --count or --each-address \
            probity-probe-series/1; with --watch a line for each probe)"
    )]
    pub json: bool,
}

/// What an address is sent and how it is verified. An endpoint of the config has keys for that.
#[derive(Debug, Args)]
pub struct SentArgs {
    /// Request header (http). Can be repeated. A value whose name says that it is secret is masked.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// Request method (http) [default: GET, with --data POST].
    #[arg(long, short = 'X', value_name = "METHOD")]
    pub request: Option<String>,
    /// Request body (http): a text, or @FILE.
    #[arg(long, value_name = "TEXT")]
    pub data: Option<String>,
    /// The only authorities that are trusted, as PEM (http and tls).
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Do not verify the certificate (http and tls).
    #[arg(long, short = 'k')]
    pub insecure: bool,
    /// Name server to ask [default: those of the host].
    #[arg(long, value_name = "IP[:PORT]")]
    pub resolver: Option<String>,
}

/// How the addresses of a name are found and chosen.
#[derive(Debug, Args)]
pub struct DialArgs {
    /// Use this address for that host and port, as curl does. Can be repeated.
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub resolve: Vec<String>,
    /// Use IPv4 only.
    #[arg(long, short = '4', conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Use IPv6 only.
    #[arg(long, short = '6')]
    pub ipv6: bool,
    /// Probe each address of the name (16 at most), with a row for each.
    #[arg(long)]
    pub each_address: bool,
}

/// How often to probe.
#[derive(Debug, Args)]
pub struct SeriesArgs {
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=MOST_PROBES),
        help = "Number of probes (1 to 1000), then p50 and p95 of each phase over the successes"
    )]
    pub count: Option<u64>,
    /// Pause between two probes, such as 500ms [default: 1s].
    #[arg(long)]
    pub interval: Option<String>,
    /// Probe until Ctrl-C, with a row for each probe. The summary is about the last 1000.
    #[arg(long, conflicts_with = "count")]
    pub watch: bool,
}
