//! The command line: one file per command; this one parses and dispatches.

pub mod args;
mod check;
mod contracts;
mod control;
pub mod demo;
mod environment;
mod export;
mod given;
mod history;
mod instants;
mod local;
mod maintenance;
mod notify;
mod probe;
pub mod raw;
mod report;
mod restore;
mod rules;
mod simulate;
mod sla;
mod sla_explain;
mod sla_shown;
mod status;
mod verify;
mod waterfall;

use std::path::Path;

use clap::{CommandFactory, Parser};

use self::args::{Cli, Command};
use crate::daemon::control::messages::ConfigReloaded;
use crate::daemon::exit::Exit;
use crate::daemon::streams::{OutputReader, say, say_error, wants_no_color, written};
use crate::daemon::{log, run};
use crate::net::files::{Readers, put};
use crate::words::{escaped_but_colors, escaped_json, escaped_lines};

/// Parses the arguments of the process and performs the command.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() {
                let _ = error.print();
                return Exit::Usage;
            }
            written(error.print());
            return Exit::Fine;
        }
    };
    log::begin(cli.log_format, &cli.log);
    match cli.command {
        Command::Run { config } => run::run(&config.path()),
        Command::Reload { place, json } => {
            let text = |answer: &ConfigReloaded| format!("{}\n", answer.summary);
            control::reload(&place, json, text)
        }
        Command::Demo(demo) => demo::run(&demo),
        Command::Check(check) => check::run(&check),
        Command::Probe(probe) => probe::run(&probe),
        Command::Status(status) => status::run(&status),
        Command::History { command } => history::run(&command),
        Command::Maintenance { command } => maintenance::run(&command),
        Command::Rules {
            config,
            output,
            runbook_url,
            json,
        } => rules::run(&config, &output, &runbook_url, json),
        Command::Simulate(args) => simulate::run(&args),
        Command::Sla { command } => sla::run(&command),
        Command::Export { command } => export::run(&command),
        Command::Notify { command } => notify::run(&command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "probity", &mut script);
            say(&script);
            Exit::Fine
        }
        Command::Man {
            output: Some(folder),
            ..
        } => manuals(&folder),
        Command::Man {
            command,
            output: None,
        } => manual(&command),
    }
}

/// The manual page of all, or of one command under its whole name.
fn manual(path: &[String]) -> Exit {
    let mut command = Cli::command();
    command.build();
    let mut found = &command;
    for name in path {
        let Some(inner) = found.find_subcommand(name) else {
            say_error(format_args!(
                "probity: unknown command `{}`",
                path.join(" ")
            ));
            return Exit::Usage;
        };
        found = inner;
    }
    let mut page = Vec::new();
    written(clap_mangen::Man::new(found.clone()).render(&mut page));
    say(&page);
    Exit::Fine
}

/// The manual pages of all commands, a file each.
fn manuals(folder: &Path) -> Exit {
    let mut command = Cli::command();
    command.build();
    match std::fs::create_dir_all(folder).and_then(|()| manual_of(&command, folder)) {
        Ok(()) => Exit::Fine,
        Err(why) => {
            say_error(format_args!(
                "probity: the manual pages cannot be written to {}: {why}",
                folder.display()
            ));
            Exit::Output
        }
    }
}

/// The page of a command, and those of the commands in it.
fn manual_of(command: &clap::Command, folder: &Path) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    put(&folder.join(format!("{name}.1")), &page, Readers::All)?;
    command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
        .try_for_each(|inner| manual_of(inner, folder))
}

/// Prints JSON on one line, or the text for people, without what a terminal would obey.
fn print(json: bool, value: &serde_json::Value, text: impl FnOnce() -> String) -> OutputReader {
    match json {
        true => print_json(&value.to_string()),
        false => say(escaped_lines(&text()).as_bytes()),
    }
}

/// A line of JSON.
fn print_json(json: &str) -> OutputReader {
    say(escaped_json(&format!("{json}\n")).as_bytes())
}

/// The same for a text that may have colours; what others wrote must have been escaped in it.
fn print_colored(
    json: bool,
    value: &serde_json::Value,
    text: impl FnOnce() -> String,
) -> OutputReader {
    match json {
        true => print(true, value, text),
        false => say(escaped_but_colors(&text()).as_bytes()),
    }
}

/// Whether to colour what people read.
fn is_colored() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && !wants_no_color()
}
