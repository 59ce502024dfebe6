//! What a request of the control socket gives: texts, names and windows, or why they are refused.

use jiff::tz::TimeZone;
use serde_json::json;

use super::messages::NewWindow;
use crate::config::build::maintenance::civil;
use crate::judgement::maintenance::Window;
use crate::judgement::zones;
use crate::words::{Name, UtcMs, format_utc, parse_utc};

/// No window is longer than this.
const LONGEST_MS: u64 = 31 * 86_400_000;

/// A printable text, or the option that it is missing in.
pub fn printable(text: Option<&str>, option: &str) -> Result<String, String> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() || text.len() > 2000 || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(format!(
            "missing or invalid --{option}: printable text of at most 2000 bytes"
        ));
    }
    Ok(text.to_owned())
}

pub fn names(list: &[String], key: &str) -> Result<Vec<Name>, String> {
    list.iter()
        .map(|n| Name::new(n).map_err(|e| format!("{key}: {e}")))
        .collect()
}

/// The window that is meant. `now`: makes the id of one that is given none.
pub fn window(request: &NewWindow, now: UtcMs) -> Result<Window, String> {
    let zone = match &request.time_zone {
        Some(name) => zones::zone(name).ok_or_else(|| format!("unknown time zone `{name}`"))?,
        None => TimeZone::UTC,
    };
    let start = request.start.as_ref().and_then(|t| civil(t, &zone)).ok_or(
        "--start is not a valid time; write 2026-12-06T02:00, or with Z or an offset of at most \
            23:59",
    )?;
    let duration = request
        .duration_ms
        .filter(|ms| (1000..=LONGEST_MS).contains(ms))
        .ok_or("--duration goes from 1s to 31d")?;
    let id = match &request.id {
        Some(id) => Name::new(id).map_err(|e| format!("--id: {e}"))?,
        None => Name::new(&format!("window-{}", now)).map_err(|e| e.to_string())?,
    };
    let announced_at = match &request.announced_at {
        Some(t) => Some(
            parse_utc(t)
                .ok_or("invalid time in --announced-at; write it as 2026-11-01T00:00:00Z")?,
        ),
        None => None,
    };
    let definition = json!({
        "id": id.as_str(),
        "components": request.components,
        "endpoints": request.endpoints,
        "start": start.start.to_string(),
        "start_instant": start.instant.map(format_utc),
        "time_zone": zone.iana_name().unwrap_or("UTC"),
        "every": request.every,
        "duration_ms": duration,
        "announced_at": announced_at.map(format_utc),
        "reason": printable(request.reason.as_deref(), "reason")?,
    });
    Window::from_json(&definition).ok_or_else(|| {
        "a name or a day is not what it should be (days: Mon, Tue, Wed, Thu, Fri, Sat, Sun)"
            .to_owned()
    })
}
