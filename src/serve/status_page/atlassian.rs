//! The same in the shape of Atlassian Statuspage's public API, version 2
//! (<https://www.atlassianstatuspage.io/api>), so that tools which read such pages read this one.
//!
//! It has no word for what is not known. Such a component has `degraded_performance` there, which
//! is neither up nor an outage. The state itself, with availability and bounds, is under the key
//! `probity`, which other pages do not have.

use serde_json::{Value, json};

use super::published::{
    OutageEnd, PublicComponent, PublicFigure, PublicMaintenance, PublicOutage, PublicStatus,
};
use crate::words::{Name, StateName, UtcMs, format_utc};

/// Incidents of one answer, as there.
const MOST: usize = 50;
/// The id of the page: there is one.
const PAGE: &str = "probity";

/// `/api/v2/summary.json`
pub fn summary(status: &PublicStatus) -> Value {
    json!({
        "page": page(status), "status": overall(status), "components": components_of(status),
        "incidents": incidents_of(status, |o| !o.is_resolved()),
        "scheduled_maintenances": maintenance_of(status, |_| true),
    })
}

/// `/api/v2/status.json`
pub fn state(status: &PublicStatus) -> Value {
    json!({"page": page(status), "status": overall(status)})
}

/// `/api/v2/components.json`
pub fn components(status: &PublicStatus) -> Value {
    json!({"page": page(status), "components": components_of(status)})
}

/// `/api/v2/incidents.json`, and `/api/v2/incidents/unresolved.json`
pub fn incidents(status: &PublicStatus, is_wanted: impl Fn(&PublicOutage) -> bool) -> Value {
    json!({"page": page(status), "incidents": incidents_of(status, is_wanted)})
}

/// `/api/v2/scheduled-maintenances.json`, and `upcoming.json` and `active.json` below it
pub fn maintenance(status: &PublicStatus, is_wanted: impl Fn(&PublicMaintenance) -> bool) -> Value {
    let list = maintenance_of(status, is_wanted);
    json!({"page": page(status), "scheduled_maintenances": list})
}

fn page(status: &PublicStatus) -> Value {
    json!({
        "id": PAGE, "name": status.title, "url": status.url, "time_zone": "Etc/UTC",
        "updated_at": format_utc(status.now),
    })
}

fn overall(status: &PublicStatus) -> Value {
    let down = status
        .components
        .iter()
        .filter(|c| c.state == StateName::Down);
    let indicator = match (status.worst(), down.count()) {
        (StateName::Up, _) => "none",
        (StateName::Unknown, _) => "minor",
        (StateName::Down, n) if n == status.components.len() => "critical",
        (StateName::Down, _) => "major",
    };
    json!({"indicator": indicator, "description": status.headline()})
}

fn components_of(status: &PublicStatus) -> Vec<Value> {
    let each = status.components.iter().enumerate();
    each.map(|(position, c)| component(c, position + 1, status.now))
        .collect()
}

/// The word that stands for a state there.
fn word(c: &PublicComponent) -> &'static str {
    match (c.in_maintenance, c.state) {
        (true, _) => "under_maintenance",
        (false, StateName::Up) => "operational",
        (false, StateName::Down) => "major_outage",
        (false, StateName::Unknown) => "degraded_performance",
    }
}

fn component(c: &PublicComponent, position: usize, now: UtcMs) -> Value {
    let availability: Vec<Value> = c.figures.iter().map(figure).collect();
    json!({
        "id": c.id.as_str(), "name": c.title, "status": word(c), "position": position,
        "description": Value::Null, "showcase": true, "start_date": Value::Null,
        "group_id": Value::Null, "group": false, "page_id": PAGE, "only_show_if_degraded": false,
        "created_at": Value::Null, "updated_at": format_utc(now),
        "probity": {"state": c.state.as_str(), "in_maintenance": c.in_maintenance,
            "availability": availability},
    })
}

fn figure(f: &PublicFigure) -> Value {
    json!({"period": f.period, "shown": f.point, "bounds": f.bounds})
}

/// The newest first.
fn incidents_of(status: &PublicStatus, is_wanted: impl Fn(&PublicOutage) -> bool) -> Vec<Value> {
    let each = status.components.iter();
    let mut list: Vec<(&PublicComponent, &PublicOutage)> = each
        .flat_map(|c| c.outages.iter().map(move |o| (c, o)))
        .filter(|(_, o)| is_wanted(o))
        .collect();
    list.sort_by_key(|(_, o)| std::cmp::Reverse(o.from));
    list.truncate(MOST);
    list.iter().map(|(c, o)| incident(c, o)).collect()
}

fn incident(c: &PublicComponent, outage: &PublicOutage) -> Value {
    let id = format!("{}-{}", c.id, outage.from);
    let began = format_utc(outage.from);
    let (state, ended) = match outage.end {
        OutageEnd::Open => ("investigating", None),
        OutageEnd::Unsettled => ("monitoring", None),
        OutageEnd::At(to) => ("resolved", Some(format_utc(to))),
    };
    let updated = ended.clone().unwrap_or_else(|| began.clone());
    let update = |status: &str, at: &str, body: String, (before, after): (&str, &str)| {
        json!({
            "id": format!("{id}-{status}"), "incident_id": id, "status": status, "body": body,
            "created_at": at, "updated_at": at, "display_at": at, "deliver_notifications": false,
            "custom_tweet": Value::Null, "tweet_id": Value::Null,
            "affected_components": [{"code": c.id.as_str(), "name": c.title,
                "old_status": before, "new_status": after}],
        })
    };
    // The newest first, as there.
    let mut updates = Vec::new();
    if let Some(at) = &ended {
        let body = format!("{} is up again.", c.title);
        updates.push(update(
            "resolved",
            at,
            body,
            ("major_outage", "operational"),
        ));
    }
    let body = format!("{} is down.", c.title);
    updates.push(update(
        "investigating",
        &began,
        body,
        ("operational", "major_outage"),
    ));
    let verb = if outage.end == OutageEnd::Open {
        "is"
    } else {
        "was"
    };
    json!({
        "id": id, "name": format!("{} {verb} down", c.title),
        "status": state,
        "impact": "major", "page_id": PAGE, "shortlink": Value::Null,
        "reminder_intervals": Value::Null,
        "created_at": began, "started_at": began, "updated_at": updated,
        "monitoring_at": Value::Null, "resolved_at": ended,
        "incident_updates": updates,
        "components": [{"id": c.id.as_str(), "name": c.title, "status": word(c)}],
    })
}

fn maintenance_of(
    status: &PublicStatus,
    is_wanted: impl Fn(&PublicMaintenance) -> bool,
) -> Vec<Value> {
    let wanted = status.maintenance.iter().filter(|m| is_wanted(m));
    wanted.map(|m| one_maintenance(status, m)).collect()
}

fn one_maintenance(status: &PublicStatus, m: &PublicMaintenance) -> Value {
    let concerned = status.components.iter().filter(|c| m.concerns(&c.id));
    let components: Vec<Value> = concerned
        .map(|c| json!({"id": c.id.as_str(), "name": c.title, "status": word(c)}))
        .collect();
    let (from, to) = (format_utc(m.from), format_utc(m.to));
    // The window's own id is a word of the operator's.
    let whom = m.components.first().map_or("all", Name::as_str);
    let id = format!("maintenance-{whom}-{}-{}", m.from, m.to);
    json!({
        "id": id, "name": "Planned maintenance",
        "status": if m.from <= status.now { "in_progress" } else { "scheduled" },
        "impact": "maintenance", "page_id": PAGE, "shortlink": Value::Null,
        "created_at": Value::Null, "updated_at": Value::Null, "started_at": from,
        "monitoring_at": Value::Null, "resolved_at": Value::Null,
        "scheduled_for": from, "scheduled_until": to,
        "incident_updates": [], "components": components,
    })
}
