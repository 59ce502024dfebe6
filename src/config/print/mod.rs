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
use crate::words::{Name, format_utc};

/// The whole plan as TOML text.
pub fn effective(plan: &Plan) -> String {
    let mut out = but_contracts(plan);
    self::contract::contracts(&mut out, &plan.contracts);
    out
}

/// The same without contracts and tenants, which stand at the end.
pub fn but_contracts(plan: &Plan) -> String {
    let mut out = String::new();
    print_daemon(&mut out, &plan.daemon);
    super::listen::print(&mut out, &plan.listen);
    if let Some(page) = &plan.status_page {
        super::status_page::print(&mut out, page);
    }
    print_metrics(&mut out, &plan.metrics);
    for (id, component) in &plan.components {
        print_component(&mut out, id, component);
    }
    print_witnesses(&mut out, &plan.witness);
    print_history(&mut out, &plan.history);
    for window in &plan.maintenance {
        print_window(&mut out, window);
    }
    for endpoint in &plan.endpoints {
        out.push('\n');
        print_endpoint(&mut out, endpoint, plan);
    }
    for receiver in &plan.notify {
        print_receiver(&mut out, receiver);
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

fn print_daemon(out: &mut String, daemon: &Daemon) {
    let _ = writeln!(out, "[daemon]\nvantage = {}", quoted(&daemon.vantage));
    let _ = writeln!(out, "zone_data = \"{}\"", daemon.zone_data.as_str());
    let _ = writeln!(out, "real_time = \"{}\"", daemon.real_time.as_str());
    if let Some(dir) = &daemon.state_dir {
        let _ = writeln!(out, "state_dir = {}", quoted(&dir.display().to_string()));
    }
    for (key, value) in [
        ("max_in_flight", daemon.max_in_flight),
        ("max_in_flight_per_host", daemon.max_in_flight_per_host),
    ] {
        if let Some(value) = value {
            let _ = writeln!(out, "{key} = {value}");
        }
    }
    let clock = ClockChoice::WORDS
        .iter()
        .find(|(_, choice)| *choice == daemon.clock)
        .map_or("verified", |(word, _)| word);
    let _ = writeln!(out, "clock = \"{clock}\"");
}

fn print_metrics(out: &mut String, metrics: &Metrics) {
    let buckets: Vec<String> = metrics
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
    let latency = match metrics.latency {
        LatencyMetrics::Classic => "classic",
        LatencyMetrics::Off => "off",
    };
    let _ = writeln!(
        out,
        "\n[metrics]\nlatency = \"{latency}\"\nbuckets = [{}]\nphases = {}",
        buckets.join(", "),
        metrics.phases
    );
    if !metrics.state_labels.is_empty() {
        let labels = quoted_list(metrics.state_labels.iter().map(String::as_str));
        let _ = writeln!(out, "state_labels = [{labels}]");
    }
}

fn print_component(out: &mut String, id: &Name, component: &Component) {
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

fn print_witnesses(out: &mut String, witness: &Witness) {
    if let Some(quorum) = witness.quorum {
        let _ = writeln!(out, "\n[witness]\nquorum = {quorum}");
    }
    for w in &witness.endpoints {
        let _ = writeln!(
            out,
            "\n[[witness.endpoint]]\nname = {}\ntimeout = \"{}\"",
            quoted(w.name.as_str()),
            show_duration(w.rules.cadence.timeout)
        );
        print_dial(out, w);
        w.probe.print(out);
    }
}

fn print_history(out: &mut String, history: &HistoryPlan) {
    if history.key.is_some() || history.commit_within.is_some() {
        out.push_str("\n[history]\n");
    }
    if history.key.is_some() {
        let _ = writeln!(out, "key = \"{MASK}\"");
    }
    if let Some(within) = history.commit_within {
        let _ = writeln!(out, "commit_within = \"{}\"", show_duration(within));
    }
    if let Some(b) = &history.backup {
        let every = show_duration(b.every);
        let _ = writeln!(
            out,
            "\n[history.backup]\nevery = \"{every}\"\nkeep = {}",
            b.keep
        );
        if let Some(dir) = &b.dir {
            let _ = writeln!(out, "dir = {}", quoted(&dir.display().to_string()));
        }
    }
}

fn print_receiver(out: &mut String, receiver: &Notify) {
    let _ = writeln!(
        out,
        "\n[[notify]]\nname = {}\nwebhook.url = \"{MASK}\"\nafter = \"{}\"",
        quoted(receiver.name.as_str()),
        show_duration(receiver.after)
    );
    let _ = writeln!(
        out,
        "on = [{}]",
        quoted_list(receiver.on.words().into_iter())
    );
    for (name, _) in &receiver.headers {
        let _ = writeln!(out, "webhook.headers.{} = \"{MASK}\"", quoted(name));
    }
}

fn print_window(out: &mut String, window: &Window) {
    let start = window
        .start_instant
        .map_or_else(|| window.start.to_string(), format_utc);
    let _ = writeln!(
        out,
        "\n[[maintenance]]\nid = {}\nstart = {}\ntime_zone = {}",
        quoted(window.id.as_str()),
        quoted(&start),
        quoted(window.zone.iana_name().unwrap_or("UTC"))
    );
    for (key, list) in [
        (
            "components",
            quoted_list(window.components.iter().map(Name::as_str)),
        ),
        (
            "endpoints",
            quoted_list(window.endpoints.iter().map(Name::as_str)),
        ),
        ("every", quoted_list(window.days())),
    ] {
        if !list.is_empty() {
            let _ = writeln!(out, "{key} = [{list}]");
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

fn quoted_list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.map(quoted).collect::<Vec<_>>().join(", ")
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
        ResolverChoice::System => "system".to_owned(),
        ResolverChoice::Server(server) => server.to_string(),
    };
    let _ = writeln!(
        out,
        "addresses = \"{addresses}\"\nresolver = \"{resolver}\""
    );
    if let Some(source) = e.dial.source {
        let _ = writeln!(out, "source_address = \"{source}\"");
    }
}
