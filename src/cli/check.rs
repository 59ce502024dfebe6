//! `probity check`: every fault of a config, or what a valid one implies.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use super::args::Check;
use super::{environment, print};
use crate::account::figures::not_seen_text;
use crate::config::document::source::show_faults;
use crate::config::lint::{Implied, implied};
use crate::config::print::effective;
use crate::config::{Fault, load};
use crate::daemon::exit::Exit;
use crate::daemon::start::state_directory;
use crate::daemon::streams::say_error;
use crate::judgement::zones::{self, ZoneSource};
use crate::kind::run::expensive_patterns;
use crate::net::config_files::{Unread, WithoutSecrets};
use crate::net::guarded;
use crate::net::zone_data;
use crate::serve::metrics::estimate;
use crate::words::people;

/// Endpoints whose detection bounds are listed.
const LISTED: usize = 20;

pub fn run(check: &Check) -> Exit {
    let named = check.named.as_ref().or(check.config.config.as_ref());
    let path = named.map_or_else(|| check.config.path(), Clone::clone);
    let files = WithoutSecrets::new(Unread::MissingCredentials);
    let plan = match load(&path, &files) {
        Ok(plan) => plan,
        Err(faults) => {
            if check.json {
                let value = json!({
                    "schema": "probity-check/1", "valid": false, "faults": faults, "implied": null,
                });
                print(true, &value, String::new);
            } else {
                say_error(show_faults(&faults));
            }
            return Exit::Config;
        }
    };
    if check.print && !check.json {
        print(false, &json!(null), || effective(&plan));
        return Exit::Fine;
    }
    let mut implied = implied(&plan, estimate::series(&plan));
    implied.warnings.extend(files.notes());
    if !check.no_environment {
        let directory = state_directory(&plan, &path);
        implied.warnings.extend(files.notes_of_this_host());
        implied
            .warnings
            .extend(environment::notes(&plan, &directory));
    }
    implied.warnings.extend(expensive_patterns::notes(&plan));
    implied.warnings.extend(guarded::open_secrets());
    implied
        .warnings
        .extend(zone_note(zone_data::system_release().as_deref()));
    let valid = ValidConfig {
        schema: "probity-check/1",
        valid: true,
        faults: [],
        implied: &implied,
        zone_data: zones::in_use().to_json(),
        effective: check.print.then(|| effective(&plan)),
    };
    print(check.json, &json!(valid), || {
        shown(&path.display().to_string(), &implied)
    });
    if check.strict && !implied.warnings.is_empty() {
        let count = people::count(implied.warnings.len() as u64, "note");
        say_error(format_args!("probity: {count}, and --strict allows none"));
        return Exit::Config;
    }
    Exit::Fine
}

/// `probity-check/1` of a config without faults.
#[derive(Serialize)]
struct ValidConfig<'c> {
    schema: &'static str,
    valid: bool,
    faults: [Fault; 0],
    implied: &'c Implied,
    zone_data: Value,
    /// With all defaults, if it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<String>,
}

fn shown(path: &str, implied: &Implied) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{path} is valid: {}, {} probes per second",
        people::count(implied.endpoints as u64, "endpoint"),
        implied.probes_per_second
    );
    let _ = writeln!(
        out,
        "estimate: {} series, {} per scrape, {} on disk after 30 days with some outages",
        implied.series,
        rough(implied.scrape_bytes),
        rough(implied.disk_bytes_per_month)
    );
    let _ = writeln!(out, "zone data: {}", zones::in_use());
    if !implied.detection.is_empty() {
        let _ = writeln!(
            out,
            "\n{:<32} {:>16} {:>26}",
            "endpoint", "detected within", "can go unseen if below"
        );
    }
    for d in implied.detection.iter().take(LISTED) {
        let _ = writeln!(
            out,
            "{:<32} {:>16} {:>26}",
            d.endpoint,
            people::duration(d.bound_ms),
            people::duration(d.unseen_below_ms)
        );
    }
    if implied.detection.len() > LISTED {
        let _ = writeln!(
            out,
            "... and {} more (--json lists all)",
            implied.detection.len() - LISTED
        );
    }
    if let Some(longest) = implied.detection.iter().map(|d| d.unseen_below_ms).max() {
        let _ = writeln!(out, "{}", not_seen_text(Some(longest)));
    }
    for warning in &implied.warnings {
        let _ = writeln!(out, "\nnote: {warning}");
    }
    out
}

/// A copy of the zone data that is older than the other one on this host.
fn zone_note(system: Option<&str>) -> Option<String> {
    let (used, system) = (zones::in_use(), system?);
    match used.source {
        ZoneSource::Bundled if used.release.as_str() < system => Some(format!(
            "the bundled zone data (IANA {}) is older than this system's ({system}): months and \
                windows follow the older rules; set [daemon] zone_data = \"system\", or update \
                Probity",
            used.release
        )),
        ZoneSource::System if system < zones::BUNDLED => Some(format!(
            "this system's zone data (IANA {system}) is older than the bundled one ({}): months \
                and windows follow the older rules; update tzdata, or set [daemon] zone_data \
                = \"bundled\"",
            zones::BUNDLED
        )),
        ZoneSource::Bundled | ZoneSource::System => None,
    }
}

fn rough(bytes: u64) -> String {
    let unit = [1 << 30, 1 << 20, 1 << 10]
        .into_iter()
        .find(|u| bytes >= *u)
        .unwrap_or(1);
    people::size(bytes / unit * unit)
}
