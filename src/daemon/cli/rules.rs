//! `probity rules`: Prometheus rules of a config.

use std::path::Path;

use super::args::ConfigArg;
use crate::daemon::exit::Exit;
use crate::daemon::start::{read_config, show_faults};
use crate::daemon::streams::say_error;
use crate::expose::rules::rules;
use crate::outward::clock::Clock;

pub fn run(config: &ConfigArg, output: &Path) -> Exit {
    let plan = match read_config(&config.path()) {
        Ok(plan) => plan,
        Err(faults) => {
            say_error(show_faults(&faults));
            return Exit::Config;
        }
    };
    let rules = rules(&plan, Clock::Real.read().utc_ms);
    let written = std::fs::create_dir_all(output)
        .and_then(|()| std::fs::write(output.join("probity-rules.yml"), rules.rules))
        .and_then(|()| std::fs::write(output.join("probity-rules-test.yml"), rules.tests));
    match written {
        Ok(()) => Exit::Fine,
        Err(error) => {
            say_error(format_args!("probity: {}: {error}", output.display()));
            Exit::StateDirectory
        }
    }
}
