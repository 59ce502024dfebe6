//! Commands, options and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::daemon::log::LogFormat;

/// Where the daemon's config is unless another is named.
const DEFAULT_CONFIG: &str = "/etc/probity/probity.toml";

/// The version, and the release of the zone data that comes with it.
fn version() -> &'static str {
    static TEXT: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| format!("{} (zone data: IANA {})", env!("CARGO_PKG_VERSION"), crate::judgement::zones::BUNDLED));
    &TEXT
}

/// Probes endpoints on a fixed schedule and keeps an availability history that survives a dispute.
#[derive(Debug, Parser)]
#[command(
    name = "probity",
    version = version(),
    about,
    propagate_version = true,
    after_help = "Examples:\n  probity demo                      see it work in a minute, without a config\n  probity check --config my.toml    what is wrong with a config, and what it implies\n  probity run --config my.toml      the daemon\n  probity probe https://example.com one probe now, drawn as a waterfall\n\nExit codes of every command beside its own: 64 usage, 74 the output cannot be written."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Format of the log on standard error.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What to log: error, warn, info, debug, trace.
    #[arg(long, global = true, default_value = "info")]
    pub log: String,
}

#[derive(Debug, Args, Clone)]
pub struct ConfigArg {
    /// The config file [default: /etc/probity/probity.toml].
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
    /// Run the daemon until SIGTERM or SIGINT. SIGHUP reads the config again.
    #[command(
        after_help = "Exit codes: 0 ended by a signal, 69 port in use, 73 state directory unusable, 75 owned by another daemon, 78 config refused.\n\nExample:\n  probity run --config /etc/probity/probity.toml"
    )]
    Run {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Make a running daemon read its config again, over its control socket. For root and the daemon's user.
    #[command(
        after_help = "Exit codes: 0 the new config is in force, 1 refused (the faults are printed), 69 no daemon answers, 78 the config names no state directory as it cannot be read.\n\nExample:\n  probity reload --state-dir /var/lib/probity"
    )]
    Reload {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Print JSON (schema probity-reloaded/1)")]
        json: bool,
    },
    /// Run against servers of our own on loopback, one of which fails after 20 s. Needs no config and no network.
    #[command(after_help = "Example:\n  probity demo --seconds 60")]
    Demo(Demo),
    /// Check a config: every fault with line and column, then what it implies.
    #[command(
        after_help = "Exit codes: 0 valid, 78 refused.\n\nExamples:\n  probity check --config my.toml\n  probity check --config my.toml --print   the effective config, secrets masked"
    )]
    Check(Check),
    /// Probe one endpoint or URL now and show where the time went.
    #[command(
        after_help = "Exit codes: 0 up, 1 down, 3 unmeasured, 64 no such endpoint or address, 78 config refused.\n\nExamples:\n  probity probe https://example.com/\n  probity probe tcp://db.example:5432\n  probity probe --config my.toml shop-health"
    )]
    Probe(Probe),
    /// Show the endpoints of a running daemon.
    #[command(
        after_help = "Exit codes: 0 all up, 1 some down, 3 some unknown, 69 no daemon answers.\n\nExample:\n  probity status --url http://127.0.0.1:9847"
    )]
    Status(Status),
    /// Read the history: outages, transitions, and whether it is whole.
    #[command(after_help = "Examples:\n  probity history list --endpoint shop\n  probity history verify --since checkpoint.json")]
    History {
        #[command(subcommand)]
        command: History,
    },
    /// Declare, list and cancel maintenance at run time. Probing goes on; contracts decide what they admit.
    #[command(
        after_help = "Examples:\n  probity maintenance add --component checkout --start 2026-12-06T02:00 --duration 2h --reason \"PostgreSQL 18\"\n  probity maintenance list"
    )]
    Maintenance {
        #[command(subcommand)]
        command: Maintenance,
    },
    /// Contracts: met, missed or undetermined, and the credit that is due.
    #[command(after_help = "Examples:\n  probity sla explain --objective 99.999 --interval 30s\n  probity sla evaluate --period 2026-11")]
    Sla {
        #[command(subcommand)]
        command: Sla,
    },
    /// Write Prometheus rules for a config, with promtool's unit tests of them.
    #[command(
        after_help = "Exit codes: 0 written, 73 the directory cannot be written, 78 config refused.\n\nExamples:\n  probity rules --config my.toml --output /etc/prometheus/rules\n  promtool check rules /etc/prometheus/rules/probity-rules.yml\n  promtool test rules /etc/prometheus/rules/probity-rules-test.yml"
    )]
    Rules {
        #[command(flatten)]
        config: ConfigArg,
        #[arg(long, help = "The directory to write probity-rules.yml and probity-rules-test.yml into")]
        output: PathBuf,
        #[arg(
            long,
            value_name = "URL",
            default_value = crate::expose::rules::OWN_RUNBOOK,
            help = "The runbook that alerts link to, without #; the default is the page that the daemon itself serves"
        )]
        runbook_url: String,
        #[arg(long, help = "Print JSON (schema probity-rules/1)")]
        json: bool,
    },
    /// What this config would have shown for given outages, in simulated time.
    #[command(
        after_help = "Exit codes: 0 simulated, 64 usage or outages that cannot be read, 78 config refused.\n\nExamples:\n  probity simulate --config my.toml --days 30 --outages outages.json\n  probity simulate --config my.toml --days 30 --seed 7    random outages\n\noutages.json: [{\"endpoint\": \"shop\", \"from\": \"2026-11-03T10:00:00Z\", \"to\": \"2026-11-03T10:00:40Z\"}]"
    )]
    Simulate(Simulate),
    /// Write out what is recorded.
    #[command(after_help = "Examples:\n  probity export timeline > timeline.json\n  probity export journal --tallies > journal.jsonl")]
    Export {
        #[command(subcommand)]
        command: Export,
    },
    /// Notifications.
    #[command(after_help = "Example:\n  probity notify test ops")]
    Notify {
        #[command(subcommand)]
        command: Notify,
    },
    /// Print shell completions.
    #[command(after_help = "Example:\n  probity completions bash > /etc/bash_completion.d/probity")]
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, of all or of one command.
    #[command(after_help = "Examples:\n  probity man > probity.1\n  probity man sla report > probity-sla-report.1")]
    Man {
        /// The command, such as `sla report`.
        command: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Address of metrics, API and page.
    #[arg(long, default_value = crate::config::listen::DEFAULT_LISTEN)]
    pub listen: std::net::SocketAddr,
    /// End by itself after this many seconds.
    #[arg(long)]
    pub seconds: Option<u64>,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Print the effective config with all defaults, secrets masked.
    #[arg(long)]
    pub print: bool,
    #[arg(long, help = "Print JSON (schema probity-check/1)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Probe {
    /// A name from the config, or an address: http://, https://, tcp://, tls://, icmp://, dns://SERVER/NAME/TYPE.
    pub target: String,
    #[command(flatten)]
    pub config: ConfigArg,
    /// Timeout of an address given here, such as 5s.
    #[arg(long, default_value = "10s")]
    pub timeout: String,
    #[arg(long, help = "Print JSON (schema probity-probe/1)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Status {
    /// Where the daemon listens [default: as in the config, else http://127.0.0.1:9847].
    #[arg(long)]
    pub url: Option<String>,
    #[command(flatten)]
    pub config: ConfigArg,
    /// Show again every two seconds until interrupted.
    #[arg(long)]
    pub watch: bool,
    #[arg(long, help = "Print JSON (schema probity-endpoints/1)")]
    pub json: bool,
}

#[derive(Debug, Args, Clone)]
pub struct Place {
    /// The state directory [default: as in the config].
    #[arg(long)]
    pub state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArg,
}

#[derive(Debug, Subcommand)]
pub enum History {
    /// List outages, or transitions, newest first.
    #[command(
        after_help = "Exit codes: 0 listed, 64 no such endpoint, 73 no history there.\n\nExamples:\n  probity history list --endpoint shop --since 2026-11-01T00:00:00Z\n  probity history list --transitions"
    )]
    List {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Only of this endpoint")]
        endpoint: Option<String>,
        #[arg(long, help = "Only what was not over before this instant (RFC 3339)")]
        since: Option<String>,
        #[arg(long, default_value_t = 100, help = "At most so many")]
        limit: usize,
        #[arg(long, help = "Every event that changed a state, in place of outages")]
        transitions: bool,
        #[arg(long, help = "Print JSON (schema probity-outages/1 or probity-transitions/1)")]
        json: bool,
    },
    /// Recompute every hash of the history and check every signature.
    #[command(
        after_help = "Exit codes: 0 whole, 1 altered, 3 not provable or forked by restore, 73 no history there.\n\nExamples:\n  probity history verify --state-dir /var/lib/probity\n  curl -s http://127.0.0.1:9847/checkpoint > today.json    keep it elsewhere; later:\n  probity history verify --since today.json"
    )]
    Verify {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "A checkpoint that left the machine earlier (a file)")]
        since: Option<PathBuf>,
        #[arg(long, help = "The public key that must have signed, in hexadecimal [default: the state directory's, else any one]")]
        key: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-verify/1)")]
        json: bool,
    },
    /// Add words to an event of a running daemon's history. Nothing is changed by them.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 69 no daemon answers.\n\nExample:\n  probity history annotate --seq 41 --text \"caused by the storage upgrade\" --by anna"
    )]
    Annotate {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "The event's number")]
        seq: u64,
        #[arg(long, help = "The words")]
        text: String,
        #[arg(long, help = "Who says so; the user id is recorded anyway")]
        by: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-correction/1)")]
        json: bool,
    },
    /// Take time out of reports, page and API of a running daemon by a new event. Raw counters and events stay.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 64 usage, 69 no daemon answers.\n\nExample:\n  probity history exclude --component checkout --from 2026-11-10T12:00:00Z --to 2026-11-10T12:30:00Z --reason \"both sides agreed: a test\" --by anna"
    )]
    Exclude {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "A component; may be given several times")]
        component: Vec<String>,
        #[arg(long, help = "An endpoint; may be given several times")]
        endpoint: Vec<String>,
        #[arg(long, help = "Begin (RFC 3339)")]
        from: String,
        #[arg(long, help = "End (RFC 3339)")]
        to: String,
        #[arg(long, help = "Why")]
        reason: String,
        #[arg(long, help = "Who says so; the user id is recorded anyway")]
        by: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-correction/1)")]
        json: bool,
    },
    /// Forget events of long ago in a running daemon's history; a signed stub keeps every checkpoint. Time before is unknown from then on.
    #[command(
        after_help = "Exit codes: 0 pruned, 1 refused, 64 usage, 69 no daemon answers.\n\nExample:\n  probity history prune --before 2025-01-01T00:00:00Z --by anna"
    )]
    Prune {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Events before this instant are deleted (RFC 3339). It is refused inside a running period")]
        before: String,
        #[arg(long, help = "Who says so; the user id is recorded anyway")]
        by: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-pruned/1)")]
        json: bool,
    },
    /// Copy the history to a file, while the daemon runs or not.
    #[command(
        after_help = "Exit codes: 0 copied, 73 the history or the file cannot be used.\n\nExample:\n  probity history backup --to /var/backups/probity.sqlite"
    )]
    Backup {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "The file; it must not exist")]
        to: PathBuf,
        #[arg(long, help = "Print JSON (schema probity-backup/1)")]
        json: bool,
    },
    /// Put a backup in place of the history of a stopped daemon. What came after it becomes unknown time; the chain says so.
    #[command(
        after_help = "Exit codes: 0 restored, 73 cannot be used, 75 a daemon runs on it.\n\nExample:\n  probity history restore /var/backups/probity.sqlite --state-dir /var/lib/probity"
    )]
    Restore {
        /// The backup.
        from: PathBuf,
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Who says so")]
        by: Option<String>,
        #[arg(long, help = "Take a backup that does not verify: what is wrong in it stays wrong")]
        unverified: bool,
        #[arg(long, help = "Print JSON (schema probity-restored/1)")]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct Simulate {
    #[command(flatten)]
    pub config: ConfigArg,
    #[arg(long, default_value_t = 30, help = "Days to simulate")]
    pub days: u64,
    #[arg(long, default_value = "2026-11-01T00:00:00Z", help = "When the simulation begins (RFC 3339)")]
    pub from: String,
    #[arg(long, help = "True outages (a JSON file); left out: random ones from the seed")]
    pub outages: Option<PathBuf>,
    #[arg(long, default_value_t = 1, help = "Of everything random: response times, loss, outages")]
    pub seed: u64,
    #[arg(long, default_value_t = 0.0, help = "Share of probes that fail by themselves")]
    pub loss: f64,
    #[arg(long, help = "Print JSON (schema probity-simulation/1)")]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Maintenance {
    /// Declare a window of a running daemon; never for time past. Says what each contract will admit.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 64 usage, 69 no daemon answers.\n\nExamples:\n  probity maintenance add --component checkout --start 2026-12-06T02:00 --time-zone Europe/Helsinki --duration 2h --reason \"PostgreSQL 18\" --by anna\n  probity maintenance add --id patching --endpoint db --start 2026-12-01T22:00 --every Tue --duration 30m --reason \"kernel updates\""
    )]
    Add(MaintenanceAdd),
    /// List every window that was declared.
    #[command(after_help = "Exit codes: 0 listed, 73 no history there.\n\nExample:\n  probity maintenance list --state-dir /var/lib/probity")]
    List {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Print JSON (schema probity-maintenance/1)")]
        json: bool,
    },
    /// End a window of a running daemon from now on.
    #[command(after_help = "Exit codes: 0 recorded, 1 refused, 69 no daemon answers.\n\nExample:\n  probity maintenance cancel patching --by anna")]
    Cancel {
        /// Its id.
        id: String,
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Who says so; the user id is recorded anyway")]
        by: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-maintenance-cancelled/1)")]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct MaintenanceAdd {
    #[command(flatten)]
    pub place: Place,
    #[arg(long, help = "The window's id [default: made of the time]")]
    pub id: Option<String>,
    #[arg(long, help = "A component that it concerns; may be given several times. Neither this nor --endpoint: everything")]
    pub component: Vec<String>,
    #[arg(long, help = "An endpoint that it concerns; may be given several times")]
    pub endpoint: Vec<String>,
    #[arg(long, help = "When it begins: 2026-12-06T02:00 on the clock of --time-zone, or with Z or an offset")]
    pub start: String,
    #[arg(long, help = "How long: 2h")]
    pub duration: String,
    #[arg(long, help = "A name of the IANA database [default: UTC]")]
    pub time_zone: Option<String>,
    #[arg(long, help = "Repeat on this weekday (Mon to Sun); may be given several times")]
    pub every: Vec<String>,
    #[arg(long, help = "When it was announced (RFC 3339): a claim; the moment it is recorded is kept beside it")]
    pub announced_at: Option<String>,
    #[arg(long, help = "Why")]
    pub reason: String,
    #[arg(long, help = "Who says so; the user id is recorded anyway")]
    pub by: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-maintenance-added/1)")]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Sla {
    /// Judge contracts over a period, on this host's history, on timeline files, or on a running daemon.
    #[command(
        after_help = "Exit codes: 0 met, 1 missed, 3 undetermined or not recorded, 64 usage, 69 no daemon answers, 73 no history there, 78 contract refused.\n\nExamples:\n  probity sla evaluate --period 2026-11\n  probity sla evaluate --contract contract.toml --timeline timeline.json --period 2026-11 --json\n  probity sla evaluate --contract contract.toml --url http://127.0.0.1:9847 --period 2026-11"
    )]
    Evaluate(SlaEvaluate),
    /// The signed report of a period: figures, outages, arithmetic and proof, in the language of its reader.
    #[command(
        after_help = "Exit codes: 0 met, 1 missed, 3 undetermined, not recorded or not settled, 64 usage, 73 no history there, 78 config refused.\n\nExamples:\n  probity sla report --sla standard --period 2026-11 --format html --lang fi > report.html\n  probity sla report --sla standard --period 2026-11 --tenant B --output /srv/reports"
    )]
    Report(SlaReport),
    /// Recompute a report offline from exported events, and name the first figure that differs.
    #[command(
        after_help = "Exit codes: 0 every figure follows from the events, 1 something differs, 64 a file cannot be read.\n\nExample:\n  probity export journal --tallies > journal.jsonl\n  probity sla verify report.json --events journal.jsonl"
    )]
    Verify {
        /// The report (JSON).
        report: PathBuf,
        #[arg(long, help = "The exported events (probity export journal --tallies)")]
        events: PathBuf,
        #[arg(long, help = "A checkpoint that left the machine earlier: nothing before it was rewritten")]
        since: Option<PathBuf>,
        #[arg(long, help = "The public key that must have signed the report, in hexadecimal")]
        key: Option<String>,
        #[arg(long, help = "Print JSON (schema probity-report-verified/1)")]
        json: bool,
    },
    /// What an objective means in time, and what an interval can and cannot prove of it.
    #[command(
        after_help = "Exit codes: 0 explained, 64 usage, 78 contract refused.\n\nExamples:\n  probity sla explain --objective 99.999 --interval 30s\n  probity sla explain --contract contract.toml"
    )]
    Explain(SlaExplain),
}

#[derive(Debug, Args)]
pub struct SlaEvaluate {
    #[command(flatten)]
    pub place: Place,
    #[arg(long, help = "The contracts [default: those of the config]")]
    pub contract: Option<PathBuf>,
    #[arg(long, help = "A timeline file (probity-timeline/2 or /1); given several times, they are merged by quorum")]
    pub timeline: Vec<PathBuf>,
    #[arg(long, help = "A running daemon to take the timeline from; may be given several times")]
    pub url: Vec<String>,
    #[arg(long, help = "How many timelines must say down [default: more than half of those present, at least 2]")]
    pub quorum: Option<usize>,
    #[arg(long, help = "2026-11, 2026-Q4, 2026, or for rolling windows the instant it ends [default: the present one]")]
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
    #[arg(long, help = "The contracts [default: those of the config]")]
    pub contract: Option<PathBuf>,
    #[arg(long, help = "Only this contract [default: all, with --output; else the only one]")]
    pub sla: Option<String>,
    #[arg(long, help = "2026-11, 2026-Q4, 2026, or for rolling windows the instant it ends [default: the period before the present one]")]
    pub period: Option<String>,
    #[arg(long, help = "json, md, html or csv (the outages)", default_value = "json", value_parser = ["json", "md", "html", "csv"])]
    pub format: String,
    #[arg(long, value_enum, default_value = "en", help = "Language of words, numbers and dates")]
    pub lang: crate::expose::report::words::Language,
    #[arg(long, help = "Only this tenant, with nobody else's figures")]
    pub tenant: Option<String>,
    #[arg(long, help = "Write every format into this directory, of every contract unless --sla names one")]
    pub output: Option<PathBuf>,
    #[arg(long, help = "Also when the period is not settled to its end")]
    pub provisional: bool,
    #[arg(long, help = "The signature of the report that this one replaces")]
    pub replaces: Option<String>,
}

#[derive(Debug, Args)]
pub struct SlaExplain {
    #[arg(long, help = "The objective in percent, without a contract")]
    pub objective: Option<String>,
    #[arg(long, help = "How often is probed [default: 30s, or the config's]")]
    pub interval: Option<String>,
    #[arg(long, help = "Contracts to explain")]
    pub contract: Option<PathBuf>,
    #[arg(long, help = "Only this contract")]
    pub sla: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-sla-explain/1)")]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Export {
    /// Outages and unknown time of every component as JSON (schema probity-timeline/2).
    #[command(
        after_help = "Exit codes: 0 written, 64 usage or results that cannot be judged, 73 no history there.\n\nExamples:\n  probity export timeline --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z"
    )]
    Timeline {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Begin of the period (RFC 3339) [default: 30 days before its end]")]
        from: Option<String>,
        #[arg(long, help = "End of the period (RFC 3339) [default: now]")]
        to: Option<String>,
        #[command(flatten)]
        raw: Box<RawProbes>,
    },
    /// States and seconds of every endpoint with time stamps, for `promtool tsdb create-blocks-from openmetrics`.
    #[command(
        after_help = "Exit codes: 0 written, 73 no history there.\n\nExample:\n  probity export openmetrics --from 2026-10-01T00:00:00Z --step 60s > past.om\n  promtool tsdb create-blocks-from openmetrics past.om /var/lib/prometheus/data"
    )]
    Openmetrics {
        #[command(flatten)]
        place: Place,
        #[arg(long, help = "Begin of the period (RFC 3339) [default: 30 days before its end]")]
        from: Option<String>,
        #[arg(long, help = "End of the period (RFC 3339) [default: now]")]
        to: Option<String>,
        #[arg(long, default_value = "60s", help = "Time between two samples")]
        step: String,
    },
    /// Every event as a line of JSON, with its hash.
    #[command(after_help = "Exit codes: 0 written, 73 no history there.\n\nExample:\n  probity export journal --state-dir /var/lib/probity > journal.jsonl")]
    Journal {
        #[command(flatten)]
        place: Place,
        #[arg(long, default_value_t = 1, help = "Begin with this event")]
        seq: u64,
        #[arg(long, help = "Let the sealed tallies follow: slots, latency and single results, which `sla verify` recomputes from them")]
        tallies: bool,
    },
}

/// Raw results to judge in place of a history.
#[derive(Debug, Args)]
pub struct RawProbes {
    #[arg(long, help = "Judge raw results from this JSON file in place of the history", requires = "interval")]
    pub probes: Option<PathBuf>,
    #[arg(long, help = "How often they were probed, such as 30s")]
    pub interval: Option<String>,
    #[arg(long, default_value = "0", help = "Share of the interval by which slots are moved")]
    pub jitter: String,
    #[arg(long, default_value = "500ms", help = "How late a probe may start")]
    pub late_after: String,
    #[arg(long, default_value = "10s", help = "Timeout of a probe")]
    pub timeout: String,
    #[arg(long, default_value = "1s", help = "Time from a failed probe to its re-probe")]
    pub retry_interval: String,
    #[arg(long, default_value_t = 1, help = "Failures in a row that confirm an outage")]
    pub down_after: u32,
    #[arg(long, default_value_t = 1, help = "Successes in a row that end one")]
    pub up_after: u32,
    #[arg(long, help = "How many vantages must say down")]
    pub quorum: Option<usize>,
}

#[derive(Debug, Subcommand)]
pub enum Notify {
    /// Send a test notification to one receiver of the config.
    #[command(
        after_help = "Exit codes: 0 delivered, 1 not delivered, 64 no such receiver, 78 config refused.\n\nExample:\n  probity notify test ops --config my.toml"
    )]
    Test {
        /// The receiver, as the config names it.
        name: String,
        #[command(flatten)]
        config: ConfigArg,
        #[arg(long, help = "Print JSON (schema probity-notify-test/1)")]
        json: bool,
    },
}
