//! `probity rules`: Prometheus rules of a config.

use std::path::Path;

use serde_json::json;

use super::args::place::ConfigArg;
use super::print;
use crate::config::document::source::show_faults;
use crate::daemon::exit::Exit;
use crate::daemon::start::read_without_secrets;
use crate::daemon::streams::say_error;
use crate::net::clock::Clock;
use crate::net::config_files::Unread;
use crate::net::files::{Readers, put};
use crate::serve::rules::rules;

pub fn run(config: &ConfigArg, output: &Path, runbook: &str, json: bool) -> Exit {
    let plan = match read_without_secrets(&config.path(), Unread::All) {
        Ok(plan) => plan,
        Err(faults) => {
            say_error(show_faults(&faults));
            return Exit::Config;
        }
    };
    if runbook.contains(['"', '\\', '\n', '#']) {
        say_error(
            "probity: invalid --runbook-url: quotes, backslashes, line feeds and # are not allowed",
        );
        return Exit::Usage;
    }
    let rules = rules(
        &plan,
        Clock::Real.read().utc_ms,
        runbook.trim_end_matches('/'),
    );
    let written = std::fs::create_dir_all(output)
        .and_then(|()| {
            put(
                &output.join("probity-rules.yml"),
                rules.rules.as_bytes(),
                Readers::All,
            )
        })
        .and_then(|()| {
            put(
                &output.join("probity-rules-test.yml"),
                rules.tests.as_bytes(),
                Readers::All,
            )
        });
    match written {
        Ok(()) => {
            let files = ["probity-rules.yml", "probity-rules-test.yml"]
                .map(|name| output.join(name).display().to_string());
            print(
                json,
                &json!({"schema": "probity-rules/1", "files": files}),
                || files.iter().map(|file| format!("{file}\n")).collect(),
            );
            Exit::Fine
        }
        Err(error) => {
            say_error(format_args!("probity: {}: {error}", output.display()));
            Exit::StateDirectory
        }
    }
}
