//! Options of `probity maintenance`.

use clap::{Args, Subcommand};

use super::place::StateArgs;

#[derive(Debug, Subcommand)]
pub enum Maintenance {
    /// Schedule a maintenance window, never retroactively. Shows how each contract will count it.
    #[command(
        after_help = "Exit codes: 0 recorded, 1 refused, 64 usage error, 69 no running \
            daemon.\n\nExamples:\n  probity maintenance add --component checkout \\\n      \
            --start 2026-12-06T02:00 --time-zone \
            Europe/Helsinki --duration 2h \\\n      --reason \
            \"PostgreSQL 18\" --by anna\n  probity maintenance add --id patching --endpoint \
            db \\\n      --start 2026-12-01T22:00 --every Tue --duration 30m \
            --reason \"kernel updates\""
    )]
    Add(MaintenanceAdd),
    /// List all maintenance windows.
    #[command(
        after_help = "Exit codes: 0 listed, 73 no history found.\n\nExample:\n  probity \
            maintenance list --state-dir /var/lib/probity"
    )]
    List {
        #[command(flatten)]
        place: StateArgs,
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
        place: StateArgs,
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
    pub place: StateArgs,
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
        help = "Start: 2026-12-06T02:00 or 2026-12-06 (midnight) in --time-zone, RFC 3339 \
            with Z or an offset, now (in a moment), or +2h"
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
        help = "When it was announced: RFC 3339, or 2026-11-01 (midnight in UTC). This is \
            recorded as a claim, beside the time of recording"
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
