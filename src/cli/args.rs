//! Commands, options and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use self::export::Export;
use self::history::HistoryCommand;
use self::maintenance::Maintenance;
use self::place::{ConfigArg, StateArgs};
use self::probe::Probe;
use self::sla::Sla;
use self::status::Status;
use crate::daemon::log::LogFormat;

pub mod export;
pub mod history;
pub mod maintenance;
pub mod place;
pub mod probe;
pub mod sla;
pub mod status;

/// The version, and the release of the zone data that comes with it.
fn version() -> &'static str {
    static TEXT: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        format!(
            "{} (zone data: IANA {})",
            env!("CARGO_PKG_VERSION"),
            crate::judgement::zones::BUNDLED
        )
    });
    &TEXT
}

/// Probes endpoints on a fixed schedule and keeps a tamper-evident availability record.
#[derive(Debug, Parser)]
#[command(
    name = "probity",
    version = version(),
    about,
    propagate_version = true,
    after_help = "Examples:\n  probity demo                      a self-contained demo on \
        loopback\n  probity check my.toml             validate a config and show what it \
        implies\n  probity run --config my.toml      run the daemon\n  probity probe \
        https://example.com probe once and show where the time went\n\nExit codes common to all \
        commands: 64 usage error, 74 output could not be written.\n\nA TIME is RFC 3339 \
        (2026-11-01T00:00:00Z), a date (2026-11-01: midnight in UTC), now, today, yesterday, \
        tomorrow, or a length from now: \"2h ago\", +2h."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Log format on standard error.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        display_order = 900
    )]
    pub log_format: LogFormat,
    /// Log level: error, warn, info, debug, trace.
    #[arg(long, global = true, default_value = "info", display_order = 901)]
    pub log: String,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon until SIGTERM or SIGINT. SIGHUP reloads the config.
    #[command(
        after_help = "Exit codes: 0 ended by a signal, 69 port in use, 73 state directory \
            unusable, 75 state directory in use by another daemon, 78 invalid \
            config.\n\nExample:\n  probity run --config /etc/probity/probity.toml"
    )]
    Run {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Reload the config of a running daemon over its control socket. Only root and the daemon's
    /// user may.
    #[command(
        after_help = "Exit codes: 0 reloaded, 1 refused (the errors are printed), 69 no running \
            daemon.\n\nThe config only says where the daemon is. The daemon reads its own config \
            again.\n\nExample:\n  probity reload --config /etc/probity/probity.toml"
    )]
    Reload {
        #[command(flatten)]
        place: StateArgs,
        #[arg(long, help = "Print JSON (schema probity-reloaded/1)")]
        json: bool,
    },
    /// Run a self-contained demo on loopback. One endpoint fails for 20 s in each minute.
    #[command(after_help = "Example:\n  probity demo --seconds 60")]
    Demo(Demo),
    /// Validate a config: all errors with line and column, then detection times, series and disk
    /// use, and what this host lacks for it.
    #[command(
        after_help = "Exit codes: 0 valid, 78 invalid, or a note with --strict.\n\nCredentials \
            that only the service manager has are not checked; a note names them.\n\n\
            Examples:\n  probity check my.toml\n  probity check my.toml --print   show the \
            effective config, secrets masked\n  probity check my.toml --no-environment \
            --strict   for a build server"
    )]
    Check(Check),
    /// Probe one endpoint or URL and show where the time went.
    #[command(
        after_help = "Options of the request, of TLS and of expectations have the limits and the \
            errors of their config keys. Of several probes, the exit code is that of the \
            worst, also after Ctrl-C.\n\nExit codes: 0 up, 1 down, 3 unmeasured, or Ctrl-C before \
            the first result, 64 usage error, unknown endpoint or invalid address, 78 invalid \
            config.\n\nExamples:\n  probity probe \
            https://example.com/\n  probity probe tcp://db.example:5432\n  probity probe \
            --config my.toml shop-health\n  probity probe https://example.com/ -H 'Accept: \
            text/html'\n  probity probe https://example.com/ --expect status=200 --expect \
            body.contains=Example\n  probity probe \
            https://example.com/ --count 20 --interval 500ms --each-address\n  probity probe \
            https://example.com/ --resolve example.com:443:192.0.2.7"
    )]
    Probe(Probe),
    /// Show the endpoints of a running daemon.
    #[command(
        after_help = "Exit codes: 0 all up, 1 some down, 3 some unknown, 64 usage error, \
            69 no running daemon, 78 invalid config. The code is that of the shown \
            endpoints.\n\nExamples:\n  probity status --url http://127.0.0.1:9847\n  probity \
            status 'shop*' --state down,unknown --sort since"
    )]
    Status(Status),
    /// List outages and state changes; verify, annotate, back up, restore and prune the history.
    #[command(
        after_help = "Examples:\n  probity history list --endpoint shop\n  probity history verify \
            --since checkpoint.json"
    )]
    History {
        #[command(subcommand)]
        command: HistoryCommand,
    },
    /// Schedule, list and cancel maintenance windows. Probing continues; contracts decide what
    /// counts.
    #[command(
        after_help = "Examples:\n  probity maintenance add --component checkout --start \
            2026-12-06T02:00 --duration 2h \\\n      --reason \
            \"PostgreSQL 18\"\n  probity maintenance list"
    )]
    Maintenance {
        #[command(subcommand)]
        command: Maintenance,
    },
    /// Evaluate contracts (SLAs): met, missed or undetermined, and the credit due.
    #[command(
        after_help = "Examples:\n  probity sla explain --objective 99.999 --interval 30s\n  \
            probity sla evaluate --period 2026-11"
    )]
    Sla {
        #[command(subcommand)]
        command: Sla,
    },
    /// Write Prometheus rules for a config, with promtool unit tests.
    #[command(
        after_help = "Exit codes: 0 written, 73 the directory cannot be written, 78 invalid \
            config.\n\nExamples:\n  probity rules --config my.toml --output \
            /etc/prometheus/rules\n  promtool check rules \
            /etc/prometheus/rules/probity-rules.yml\n  promtool test rules \
            /etc/prometheus/rules/probity-rules-test.yml"
    )]
    Rules {
        #[command(flatten)]
        config: ConfigArg,
        #[arg(
            long,
            help = "Directory for probity-rules.yml and probity-rules-test.yml"
        )]
        output: PathBuf,
        #[arg(
            long,
            value_name = "URL",
            default_value = crate::serve::rules::OWN_RUNBOOK,
            help = "Runbook that alerts link to, without #; by default the page that the daemon \
                serves"
        )]
        runbook_url: String,
        #[arg(long, help = "Print JSON (schema probity-rules/1)")]
        json: bool,
    },
    /// Simulate what this config would report for given outages.
    #[command(
        after_help = "Exit codes: 0 simulated, 64 usage error or unreadable outages, 78 invalid \
            config.\n\nExamples:\n  probity simulate --config my.toml --days 30 --outages \
            outages.json\n  probity simulate --config my.toml --days 30 --seed 7    random \
            outages\n\noutages.json: \
            [{\"endpoint\": \"shop\", \"from\": \"2026-11-03T10:00:00Z\", \
            \"to\": \"2026-11-03T10:00:40Z\"}]"
    )]
    Simulate(Simulate),
    /// Export the record as a timeline, as events or for Prometheus.
    #[command(
        after_help = "Examples:\n  probity export timeline > timeline.json\n  probity export \
            journal --tallies > journal.jsonl"
    )]
    Export {
        #[command(subcommand)]
        command: Export,
    },
    /// Test notifications.
    #[command(after_help = "Example:\n  probity notify test ops")]
    Notify {
        #[command(subcommand)]
        command: NotifyCommand,
    },
    /// Print shell completions.
    #[command(after_help = "Example:\n  probity completions bash > /etc/bash_completion.d/probity")]
    Completions { shell: clap_complete::Shell },
    /// Print the manual page of probity or of one command.
    #[command(
        after_help = "Examples:\n  probity man > probity.1\n  probity man sla report > \
            probity-sla-report.1"
    )]
    Man {
        /// The command, such as `sla report`.
        command: Vec<String>,
        /// Write the pages of all commands into this directory, as `probity-sla-report.1`.
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Listen address of metrics, API and page [default: 127.0.0.1:9847, or the next free port].
    #[arg(long)]
    pub listen: Option<std::net::SocketAddr>,
    /// Stop after this many seconds.
    #[arg(long)]
    pub seconds: Option<u64>,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Config file, in place of --config.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub named: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArg,
    #[arg(
        long,
        help = "Look at the config alone: not at this host's port, directories, names, ICMP, trust \
            store and clock"
    )]
    pub no_environment: bool,
    #[arg(long, help = "Fail if there is a note (exit code 78)")]
    pub strict: bool,
    /// Print the effective config with all defaults; secrets are masked.
    #[arg(long)]
    pub print: bool,
    #[arg(long, help = "Print JSON (schema probity-check/1)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Simulate {
    #[command(flatten)]
    pub config: ConfigArg,
    #[arg(long, default_value_t = 30, help = "Number of days to simulate")]
    pub days: u64,
    #[arg(
        long,
        default_value = "2026-11-01T00:00:00Z",
        help = "Start of the simulation (RFC 3339, 2026-11-01 (midnight in UTC), or yesterday)"
    )]
    pub from: String,
    #[arg(
        long,
        help = "True outages, as a JSON file [default: random ones from the seed]"
    )]
    pub outages: Option<PathBuf>,
    #[arg(
        long,
        default_value_t = 1,
        help = "Random seed for response times, loss and outages"
    )]
    pub seed: u64,
    #[arg(
        long,
        default_value_t = 0.0,
        help = "Fraction of probes lost at random (0 to 1)"
    )]
    pub loss: f64,
    #[arg(long, help = "Print JSON (schema probity-simulation/1)")]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a test notification to one receiver of the config.
    #[command(
        after_help = "Exit codes: 0 delivered, 1 not delivered, 64 unknown receiver, 78 invalid \
            config.\n\nExample:\n  probity notify test ops --config my.toml"
    )]
    Test {
        /// Name of the receiver in the config.
        name: String,
        #[command(flatten)]
        config: ConfigArg,
        #[arg(long, help = "Print JSON (schema probity-notify-test/1)")]
        json: bool,
    },
}
