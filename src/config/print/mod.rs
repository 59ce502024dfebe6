//! The effective config as TOML, every default filled in, every secret masked: `probity check
//! --print`.

pub mod contract;
pub mod probe;

use std::fmt::Write;

use self::probe::quoted;
use super::document::secret::MASK;
use super::document::value::show_duration;
use super::plan::*;
use crate::judgement::maintenance::Window;
use crate::judgement::timeline::Combine;
use crate::words::format_utc;

/// The whole plan as TOML text.
pub fn effective(plan: &Plan) -> String {
    let mut out = but_contracts(plan);
    self::contract::contracts(&mut out, &plan.contracts);
    out
}

/// The same without contracts and tenants, which stand at the end.
pub fn but_contracts(plan: &Plan) -> String {
    let mut out = String::new();
    let d = &plan.daemon;
    let _ = writeln!(out, "[daemon]\nvantage = {}", quoted(&d.vantage));
    let _ = writeln!(out, "zone_data = \"{}\"", d.zone_data.as_str());
    if let Some(dir) = &d.state_dir {
        let _ = writeln!(out, "state_dir = {}", quoted(&dir.display().to_string()));
    }
    for (key, value) in [
        ("max_in_flight", d.max_in_flight),
        ("max_in_flight_per_host", d.max_in_flight_per_host),
    ] {
        if let Some(value) = value {
            let _ = writeln!(out, "{key} = {value}");
        }
    }
    let clock = ClockChoice::WORDS
        .iter()
        .find(|(_, choice)| *choice == d.clock)
        .map_or("verified", |(word, _)| word);
    let _ = writeln!(out, "clock = \"{clock}\"");
    super::listen::print(&mut out, &plan.listen);
    let m = &plan.metrics;
    let buckets: Vec<String> = m
        .buckets_us
        .iter()
        .map(|us| {
            quoted(&if us % 1000 == 0 {
                show_duration(us / 1000)
            } else {
                format!("{us}us")
            })
        })
        .collect();
    let latency = match m.latency {
        LatencyMetrics::Classic => "classic",
        LatencyMetrics::Off => "off",
    };
    let _ = writeln!(
        out,
        "\n[metrics]\nlatency = \"{latency}\"\nbuckets = [{}]\nphases = {}",
        buckets.join(", "),
        m.phases
    );
    if !m.state_labels.is_empty() {
        let _ = writeln!(
            out,
            "state_labels = [{}]",
            m.state_labels
                .iter()
                .map(|l| quoted(l))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    for (id, component) in &plan.components {
        let combine = match component.combine {
            Combine::Series => "\"series\"".to_owned(),
            Combine::Parallel => "\"parallel\"".to_owned(),
            Combine::AtLeast(n) => format!("{{ at_least = {n} }}"),
        };
        let _ = writeln!(
            out,
            "\n[component.{id}]\ntitle = {}\ncombine = {combine}",
            quoted(&component.title)
        );
        if let Some(from) = component.in_service_from {
            let _ = writeln!(out, "in_service_from = \"{}\"", format_utc(from));
        }
    }
    if let Some(quorum) = plan.witness.quorum {
        let _ = writeln!(out, "\n[witness]\nquorum = {quorum}");
    }
    for w in &plan.witness.endpoints {
        let _ = writeln!(
            out,
            "\n[[witness.endpoint]]\nname = {}\ntimeout = \"{}\"",
            quoted(w.name.as_str()),
            show_duration(w.rules.cadence.timeout)
        );
        print_dial(&mut out, w);
        w.probe.print(&mut out);
    }
    if plan.history.key.is_some() {
        let _ = writeln!(out, "\n[history]\nkey = \"{MASK}\"");
    }
    if let Some(b) = &plan.history.backup {
        let (every, dir) = (show_duration(b.every), quoted(&b.dir.display().to_string()));
        let _ = writeln!(
            out,
            "\n[history.backup]\nevery = \"{every}\"\ndir = {dir}\nkeep = {}",
            b.keep
        );
    }
    for window in &plan.maintenance {
        print_window(&mut out, window);
    }
    for endpoint in &plan.endpoints {
        out.push('\n');
        print_endpoint(&mut out, endpoint, plan);
    }
    for n in &plan.notify {
        let _ = writeln!(
            out,
            "\n[[notify]]\nname = {}\nwebhook.url = \"{MASK}\"\nafter = \"{}\"",
            quoted(n.name.as_str()),
            show_duration(n.after)
        );
        let _ = writeln!(
            out,
            "on = [{}]",
            n.on.words()
                .into_iter()
                .map(quoted)
                .collect::<Vec<_>>()
                .join(", ")
        );
        for (name, _) in &n.headers {
            let _ = writeln!(out, "webhook.headers.{} = \"{MASK}\"", quoted(name));
        }
    }
    if let Some(deadman) = &plan.deadman {
        let _ = writeln!(
            out,
            "\n[deadman]\nurl = \"{MASK}\"\nevery = \"{}\"",
            show_duration(deadman.every)
        );
    }
    let _ = writeln!(
        out,
        "\n[proxy]\nfrom_environment = {}",
        plan.proxies == Proxies::Environment
    );
    out
}

fn print_window(out: &mut String, window: &Window) {
    let w = window.to_json();
    let start = w.get("start_instant").unwrap_or(&w["start"]);
    let _ = writeln!(
        out,
        "\n[[maintenance]]\nid = {}\nstart = {start}\ntime_zone = {}",
        w["id"], w["time_zone"]
    );
    for key in ["components", "endpoints", "every"] {
        let list: Vec<String> = w[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|n| n.as_str().map(quoted))
            .collect();
        if !list.is_empty() {
            let _ = writeln!(out, "{key} = [{}]", list.join(", "));
        }
    }
    let _ = writeln!(
        out,
        "duration = \"{}\"\nreason = {}",
        show_duration(window.duration),
        quoted(&window.reason)
    );
    if let Some(at) = window.announced_at {
        let _ = writeln!(out, "announced_at = \"{}\"", format_utc(at));
    }
}

fn print_endpoint(out: &mut String, e: &Endpoint, plan: &Plan) {
    let c = &e.rules.cadence;
    let _ = writeln!(out, "[[endpoint]]\nname = {}", quoted(e.name.as_str()));
    if plan.components.contains_key(&e.component) {
        let _ = writeln!(out, "component = {}", quoted(e.component.as_str()));
    }
    if !e.labels.is_empty() {
        let list: Vec<String> = e
            .labels
            .iter()
            .map(|(k, v)| format!("{k} = {}", quoted(v)))
            .collect();
        let _ = writeln!(out, "labels = {{ {} }}", list.join(", "));
    }
    for (key, ms) in [
        ("interval", c.interval),
        ("timeout", c.timeout),
        ("retry_interval", c.retry_interval),
        ("late_after", c.late_after),
    ] {
        let _ = writeln!(out, "{key} = \"{}\"", show_duration(ms));
    }
    let _ = writeln!(
        out,
        "down_after = {}\nup_after = {}\njitter = 0.{:06}",
        c.down_after, c.up_after, c.jitter_ppm
    );
    if let Some(old) = &e.renamed_from {
        let _ = writeln!(out, "renamed_from = {}", quoted(old.as_str()));
    }
    print_dial(out, e);
    e.probe.print(out);
}

fn print_dial(out: &mut String, e: &Endpoint) {
    let addresses = Addresses::WORDS
        .iter()
        .find(|(_, a)| *a == e.dial.addresses)
        .map_or("any", |(w, _)| w);
    let resolver = match e.dial.resolver {
        Resolver::System => "system".to_owned(),
        Resolver::Server(server) => server.to_string(),
    };
    let _ = writeln!(
        out,
        "addresses = \"{addresses}\"\nresolver = \"{resolver}\""
    );
    if let Some(source) = e.dial.source {
        let _ = writeln!(out, "source_address = \"{source}\"");
    }
}
