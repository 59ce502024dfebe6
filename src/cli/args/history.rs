//! Options of `probity history`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::place::StateArgs;

#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// List outages or state changes, newest first.
    #[command(
        after_help = "Exit codes: 0 listed, 64 unknown endpoint, 73 no history \
            found.\n\nExamples:\n  probity history list --endpoint shop --since \
            2026-11-01T00:00:00Z\n  probity history list --transitions"
    )]
    List(HistoryList),
    /// Recompute every hash of the history and verify every signature.
    #[command(
        after_help = "Exit codes: 0 intact, 1 altered, 3 not provable or forked by a restore, 73 \
            no history found.\n\nExamples:\n  probity history verify --state-dir \
            /var/lib/probity\n  curl -s http://127.0.0.1:9847/checkpoint > today.json    store it \
            on another machine; later:\n  probity history verify --since today.json"
    )]
    Verify(HistoryVerify),
    /// Attach a note to an event of a running daemon. No figure changes.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 69 no running daemon.\n\nExample:\n  \
            probity history annotate --seq 41 --text \"caused by the storage upgrade\" --by anna"
    )]
    Annotate(HistoryAnnotate),
    /// Exclude a time range from reports, page and API. The exclusion is an event; raw data is
    /// kept.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 64 usage error, 69 no running \
            daemon.\n\nExample:\n  probity history exclude --component checkout \\\n      --from \
            2026-11-10T12:00:00Z --to 2026-11-10T12:30:00Z \\\n      --reason \
            \"both sides agreed: a test\" \
            --by anna"
    )]
    Exclude(HistoryExclude),
    /// Delete events older than a date. Checkpoints stay verifiable; figures before the date become
    /// unknown.
    #[command(
        after_help = "Exit codes: 0 pruned, 1 refused, 64 usage error, 69 no running \
            daemon.\n\nExample:\n  probity history prune --before 2025-01-01T00:00:00Z --by anna"
    )]
    Prune(HistoryPrune),
    /// Copy the history to a file. The daemon may be running.
    #[command(
        after_help = "Exit codes: 0 copied, 73 the history cannot be read or the file cannot be \
            written.\n\nExample:\n  probity history backup --to /var/backups/probity.sqlite"
    )]
    Backup {
        #[command(flatten)]
        place: StateArgs,
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
    Restore(HistoryRestore),
}

#[derive(Debug, Args)]
pub struct HistoryList {
    #[command(flatten)]
    pub place: StateArgs,
    #[arg(long, help = "Only this endpoint")]
    pub endpoint: Option<String>,
    #[arg(
        long,
        help = "Only what ended after this time, or has not ended: RFC 3339, 2026-11-01 (midnight \
            in UTC), yesterday, \"2h ago\""
    )]
    pub since: Option<String>,
    #[arg(long, default_value_t = 100, help = "Maximum number of rows")]
    pub limit: usize,
    #[arg(long, help = "List state changes instead of outages")]
    pub transitions: bool,
    #[arg(
        long,
        help = "Print JSON (schema probity-outages/1 or probity-transitions/1)"
    )]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HistoryVerify {
    #[command(flatten)]
    pub place: StateArgs,
    #[arg(long, help = "Checkpoint file that was stored elsewhere earlier")]
    pub since: Option<PathBuf>,
    #[arg(
        long,
        help = "Public key that must have signed, in hexadecimal [default: the state \
            directory's, else any]"
    )]
    pub key: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-verify/1)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HistoryAnnotate {
    #[command(flatten)]
    pub place: StateArgs,
    #[arg(long, help = "Number of the event")]
    pub seq: u64,
    #[arg(long, help = "Text of the note")]
    pub text: String,
    #[arg(
        long,
        help = "Your name for the record; the Unix user id is always recorded"
    )]
    pub by: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-correction/1)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HistoryExclude {
    #[command(flatten)]
    pub place: StateArgs,
    #[arg(long, help = "Component; can be repeated")]
    pub component: Vec<String>,
    #[arg(long, help = "Endpoint; can be repeated")]
    pub endpoint: Vec<String>,
    #[arg(
        long,
        help = "Start: RFC 3339, 2026-11-01 (midnight in UTC), \"2h ago\""
    )]
    pub from: String,
    #[arg(long, help = "End, in the same forms, or now")]
    pub to: String,
    #[arg(long, help = "Reason")]
    pub reason: String,
    #[arg(
        long,
        help = "Your name for the record; the Unix user id is always recorded"
    )]
    pub by: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-correction/1)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HistoryPrune {
    #[command(flatten)]
    pub place: StateArgs,
    #[arg(
        long,
        help = "Delete events before this time: RFC 3339, or 2025-01-01 (midnight in UTC); never \
            inside a running period"
    )]
    pub before: String,
    #[arg(
        long,
        help = "Your name for the record; the Unix user id is always recorded"
    )]
    pub by: Option<String>,
    #[arg(long, help = "Print JSON (schema probity-pruned/1)")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct HistoryRestore {
    /// Backup file.
    pub from: PathBuf,
    #[command(flatten)]
    pub place: StateArgs,
    #[arg(long, help = "Your name for the record")]
    pub by: Option<String>,
    #[arg(
        long,
        help = "Accept a backup that fails verification; its errors stay in the history"
    )]
    pub unverified: bool,
    #[arg(long, help = "Print JSON (schema probity-restored/1)")]
    pub json: bool,
}
