//! Commands, options and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::daemon::log::LogFormat;
use crate::kind::Kind;

/// Where the daemon's config is unless another is named.
const DEFAULT_CONFIG: &str = "/etc/probity/probity.toml";

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
        loopback\n  probity check --config my.toml    validate a config and show what it \
        implies\n  probity run --config my.toml      run the daemon\n  probity probe \
        https://example.com probe once and show where the time went\n\nExit codes common to all \
        commands: 64 usage error, 74 output could not be written."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Log format on standard error.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Log level: error, warn, info, debug, trace.
    #[arg(long, global = true, default_value = "info")]
    pub log: String,
}

#[derive(Debug, Args, Clone)]
pub struct ConfigArg {
    /// Config file [default: /etc/probity/probity.toml].
    #[arg(long, short = 'c')]
    pub config: Option<PathBuf>,
}

impl ConfigArg {
    pub fn path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into())
    }
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
            daemon, 78 the config cannot be read and --state-dir is missing.\n\nExample:\n  \
            probity reload --state-dir /var/lib/probity"
    )]
    Reload {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Print JSON (schema probity-reloaded/1)")]
        json: bool,
    },
    /// Run a self-contained demo on loopback. One endpoint fails after 20 s and recovers after 40
    /// s.
    #[command(after_help = "Example:\n  probity demo --seconds 60")]
    Demo(Demo),
    /// Validate a config: all errors with line and column, then detection times, series and disk
    /// use.
    #[command(
        after_help = "Exit codes: 0 valid, 78 invalid.\n\nExamples:\n  probity check --config \
            my.toml\n  probity check --config my.toml --print   show the effective config, \
            secrets masked"
    )]
    Check(Check),
    /// Probe one endpoint or URL once and show where the time went.
    #[command(
        after_help = "Exit codes: 0 up, 1 down, 3 unmeasured, 64 unknown endpoint or invalid \
            address, 78 invalid config.\n\nExamples:\n  probity probe https://example.com/\n  \
            probity probe tcp://db.example:5432\n  probity probe --config my.toml shop-health"
    )]
    Probe(Probe),
    /// Show the endpoints of a running daemon.
    #[command(
        after_help = "Exit codes: 0 all up, 1 some down, 3 some unknown, 69 no running \
            daemon.\n\nExample:\n  probity status --url http://127.0.0.1:9847"
    )]
    Status(Status),
    /// List outages and state changes; verify, annotate, back up, restore and prune the history.
    #[command(
        after_help = "Examples:\n  probity history list --endpoint shop\n  probity history verify \
            --since checkpoint.json"
    )]
    History {
        #[command(subcommand)]
        command: History,
    },
    /// Schedule, list and cancel maintenance windows. Probing continues; contracts decide what
    /// counts.
    #[command(
        after_help = "Examples:\n  probity maintenance add --component checkout --start \
            2026-12-06T02:00 --duration 2h --reason \"PostgreSQL 18\"\n  probity maintenance list"
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
            [{\"endpoint\": \"shop\", \"from\": \"2026-11-03T10:00:00Z\", \"to\": \"2026-11-03T10:00:40Z\"}]"
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
        command: Notify,
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
    },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Listen address of metrics, API and page.
    #[arg(long, default_value = crate::config::listen::DEFAULT_LISTEN)]
    pub listen: std::net::SocketAddr,
    /// Stop after this many seconds.
    #[arg(long)]
    pub seconds: Option<u64>,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Print the effective config with all defaults; secrets are masked.
    #[arg(long)]
    pub print: bool,
    #[arg(long, help = "Print JSON (schema probity-check/1)")]
    pub json: bool,
}

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
    #[arg(long, help = "Print JSON (schema probity-probe/1)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Status {
    /// URL of the daemon [default: as in the config, else http://127.0.0.1:9847].
    #[arg(long)]
    pub url: Option<String>,
    #[command(flatten)]
    pub config: ConfigArg,
    /// Refresh every two seconds until interrupted.
    #[arg(long)]
    pub watch: bool,
    #[arg(long, help = "Print JSON (schema probity-endpoints/1)")]
    pub json: bool,
}

#[derive(Debug, Args, Clone)]
pub struct Place {
    /// State directory [default: as in the config].
    #[arg(long)]
    pub state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArg,
}

#[derive(Debug, Subcommand)]
pub enum History {
    /// List outages or state changes, newest first.
    #[command(
        after_help = "Exit codes: 0 listed, 64 unknown endpoint, 73 no history \
            found.\n\nExamples:\n  probity history list --endpoint shop --since \
            2026-11-01T00:00:00Z\n  probity history list --transitions"
    )]
    List {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Only this endpoint")]
        endpoint: Option<String>,
        #[arg(
            long,
            help = "Only what ended after this time, or has not ended (RFC 3339)"
        )]
        since: Option<String>,
        #[arg(long, default_value_t = 100, help = "Maximum number of rows")]
        limit: usize,
        #[arg(long, help = "List state changes instead of outages")]
        transitions: bool,
        #[arg(
            long,
            help = "Print JSON (schema probity-outages/1 or probity-transitions/1)"
        )]
        json: bool,
    },
    /// Recompute every hash of the history and verify every signature.
    #[command(
        after_help = "Exit codes: 0 intact, 1 altered, 3 not provable or forked by a restore, 73 \
            no history found.\n\nExamples:\n  probity history verify --state-dir \
            /var/lib/probity\n  curl -s http://127.0.0.1:9847/checkpoint > today.json    store it \
            on another machine; later:\n  probity history verify --since today.json"
    )]
    Verify {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Checkpoint file that was stored elsewhere earlier")]
        since: Option<PathBuf>,
        #[arg(
            long,
            help = "Public key that must have signed, in hexadecimal [default: the state \
                directory's, else any]"
        )]
        key: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-verify/1)")]
        json: bool,
    },
    /// Attach a note to an event of a running daemon. No figure changes.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 69 no running daemon.\n\nExample:\n  \
            probity history annotate --seq 41 --text \"caused by the storage upgrade\" --by anna"
    )]
    Annotate {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Number of the event")]
        seq: u64,
        #[arg(long, help = "Text of the note")]
        text: String,
        #[arg(
            long,
            help = "Your name for the record; the Unix user id is always recorded"
        )]
        by: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-correction/1)")]
        json: bool,
    },
    /// Exclude a time range from reports, page and API. The exclusion is an event; raw data is
    /// kept.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 64 usage error, 69 no running \
            daemon.\n\nExample:\n  probity history exclude --component checkout --from \
            2026-11-10T12:00:00Z --to 2026-11-10T12:30:00Z --reason \"both sides agreed: a test\" \
            --by anna"
    )]
    Exclude {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Component; can be repeated")]
        component: Vec<String>,
        #[arg(long, help = "Endpoint; can be repeated")]
        endpoint: Vec<String>,
        #[arg(long, help = "Start (RFC 3339)")]
        from: String,
        #[arg(long, help = "End (RFC 3339)")]
        to: String,
        #[arg(long, help = "Reason")]
        reason: String,
        #[arg(
            long,
            help = "Your name for the record; the Unix user id is always recorded"
        )]
        by: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-correction/1)")]
        json: bool,
    },
    /// Delete events older than a date. Checkpoints stay verifiable; figures before the date become
    /// unknown.
    #[command(
        after_help = "Exit codes: 0 pruned, 1 refused, 64 usage error, 69 no running \
            daemon.\n\nExample:\n  probity history prune --before 2025-01-01T00:00:00Z --by anna"
    )]
    Prune {
        #[command(flatten)]
        place: Place,
        #[arg(
            long,
            help = "Delete events before this time (RFC 3339); never inside a running period"
        )]
        before: String,
        #[arg(
            long,
            help = "Your name for the record; the Unix user id is always recorded"
        )]
        by: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-pruned/1)")]
        json: bool,
    },
    /// Copy the history to a file. The daemon may be running.
    #[command(
        after_help = "Exit codes: 0 copied, 73 the history cannot be read or the file cannot be \
            written.\n\nExample:\n  probity history backup --to /var/backups/probity.sqlite"
    )]
    Backup {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "New file; an existing file is never overwritten")]
        to: PathBuf,
        #[arg(long, help = "Print JSON (schema probity-backup/1)")]
        json: bool,
    },
    /// Replace the history of a stopped daemon with a backup. Time after the backup becomes
    /// unknown.
    #[command(
        after_help = "Exit codes: 0 restored, 73 the backup or the directory cannot be used, 75 a \
            daemon is running.\n\nExample:\n  probity history restore /var/backups/probity.sqlite \
            --state-dir /var/lib/probity"
    )]
    Restore {
        /// Backup file.
        from: PathBuf,
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Your name for the record")]
        by: Option<String>,
        #[arg(
            long,
            help = "Accept a backup that fails verification; its errors stay in the history"
        )]
        unverified: bool,
        #[arg(long, help = "Print JSON (schema probity-restored/1)")]
        json: bool,
    },
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
        help = "Start of the simulation (RFC 3339)"
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
pub enum Maintenance {
    /// Schedule a maintenance window, never retroactively. Shows how each contract will count it.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 64 usage error, 69 no running \
            daemon.\n\nExamples:\n  probity maintenance add --component checkout --start \
            2026-12-06T02:00 --time-zone Europe/Helsinki --duration 2h --reason \"PostgreSQL 18\" \
            --by anna\n  probity maintenance add --id patching --endpoint db --start \
            2026-12-01T22:00 --every Tue --duration 30m --reason \"kernel updates\""
    )]
    Add(MaintenanceAdd),
    /// List all maintenance windows.
    #[command(
        after_help = "Exit codes: 0 listed, 73 no history found.\n\nExample:\n  probity \
            maintenance list --state-dir /var/lib/probity"
    )]
    List {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Print JSON (schema probity-maintenance/1)")]
        json: bool,
    },
    /// End a maintenance window now.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 69 no running daemon.\n\nExample:\n  \
            probity maintenance cancel patching --by anna"
    )]
    Cancel {
        /// Id of the window.
        id: String,
        #[command(flatten)]
        place: Place,
        #[arg(
            long,
            help = "Your name for the record; the Unix user id is always recorded"
        )]
        by: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-maintenance-cancelled/1)")]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct MaintenanceAdd {
    #[command(flatten)]
    pub place: Place,
    #[arg(long, help = "Id of the window [default: derived from the time]")]
    pub id: Option<String>,
    #[arg(
        long,
        help = "Affected component; can be repeated [default: everything, unless --endpoint is \
            given]"
    )]
    pub component: Vec<String>,
    #[arg(long, help = "Affected endpoint; can be repeated")]
    pub endpoint: Vec<String>,
    #[arg(
        long,
        help = "Start: 2026-12-06T02:00 in --time-zone, or with Z or an offset"
    )]
    pub start: String,
    #[arg(long, help = "Duration, such as 2h")]
    pub duration: String,
    #[arg(long, help = "IANA time zone [default: UTC]")]
    pub time_zone: Option<String>,
    #[arg(long, help = "Repeat on this weekday (Mon to Sun); can be repeated")]
    pub every: Vec<String>,
    #[arg(
        long,
        help = "When it was announced (RFC 3339). This is recorded as a claim, beside the time of \
            recording"
    )]
    pub announced_at: Option<String>,
    #[arg(long, help = "Reason")]
    pub reason: String,
    #[arg(
        long,
        help = "Your name for the record; the Unix user id is always recorded"
    )]
    pub by: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-maintenance-added/1)")]
    pub json: bool,
}

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
    pub place: Place,
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
    #[arg(long, help = "Print JSON (schema probity-sla/1)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SlaReport {
    #[command(flatten)]
    pub place: Place,
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
    #[arg(long, help = "Objective (SLO) in percent, without a contract")]
    pub objective: Option<String>,
    #[arg(long, help = "Probe interval [default: 30s, or as in the config]")]
    pub interval: Option<String>,
    #[arg(long, help = "File with contracts to explain")]
    pub contract: Option<PathBuf>,
    #[arg(long, help = "Only this contract")]
    pub sla: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-sla-explain/1)")]
    pub json: bool,
}

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
        place: Place,
        #[arg(
            long,
            help = "Start of the period (RFC 3339) [default: 30 days before its end]"
        )]
        from: Option<String>,
        #[arg(long, help = "End of the period (RFC 3339) [default: now]")]
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
        place: Place,
        #[arg(
            long,
            help = "Start of the period (RFC 3339) [default: 30 days before its end]"
        )]
        from: Option<String>,
        #[arg(long, help = "End of the period (RFC 3339) [default: now]")]
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
        place: Place,
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

#[derive(Debug, Subcommand)]
pub enum Notify {
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
