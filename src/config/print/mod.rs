//! The effective config as TOML, every default filled in, every secret masked: `probity check
//! --print`.

pub mod contract;

use std::fmt::Write;

use super::dns_question::type_word;
use super::document::secret::MASK;
use super::document::value::{show_duration, show_size};
use super::plan::probe::*;
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
        print_probe(&mut out, w);
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
    print_probe(out, e);
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

fn print_probe(out: &mut String, e: &Endpoint) {
    match &e.probe {
        Probe::Http { spec, .. } => print_http(out, &e.probe.target(), spec),
        Probe::Tcp { address, spec } => {
            let _ = writeln!(out, "probe.tcp.address = \"{address}\"");
            let steps: Vec<String> = spec
                .dialogue
                .iter()
                .map(|s| match s {
                    DialogueStep::Send(text) => format!("{{ send = {} }}", quoted(text.0.shown())),
                    DialogueStep::Expect(p) => format!("{{ expect = {} }}", quoted(&p.text)),
                })
                .collect();
            if !steps.is_empty() {
                let _ = writeln!(out, "probe.tcp.dialogue = [{}]", steps.join(", "));
            }
            print_within(out, "tcp", spec.within);
        }
        Probe::Tls { address, spec } => {
            let _ = writeln!(out, "probe.tls.address = \"{address}\"");
            print_tls(out, "tls", &spec.tls);
            print_within(out, "tls", spec.within);
        }
        Probe::Icmp { host, spec } => {
            let _ = writeln!(
                out,
                "probe.icmp.host = \"{host}\"\nprobe.icmp.size = {}",
                spec.size
            );
            print_within(out, "icmp", spec.within);
        }
        Probe::Dns { server, spec } => print_dns(out, server, spec),
    }
}

fn print_http(out: &mut String, url: &str, spec: &Http) {
    let _ = writeln!(
        out,
        "probe.http.url = {}\nprobe.http.method = \"{}\"",
        quoted(url),
        spec.method
    );
    let version = HttpVersion::WORDS
        .iter()
        .find(|(_, v)| *v == spec.version)
        .map_or("auto", |(w, _)| w);
    let _ = writeln!(out, "probe.http.version = \"{version}\"");
    let _ = writeln!(
        out,
        "probe.http.redirects = {{ max = {}, cross_origin = {}, to = \"{}\" }}",
        spec.redirects.max,
        spec.cross_origin == CrossOrigin::Follow,
        spec.redirects.to.as_str()
    );
    let _ = writeln!(
        out,
        "probe.http.compression = {}\nprobe.http.strict = {}",
        spec.compression == Compression::Ask,
        spec.reading == Reading::Strict
    );
    for (name, value) in &spec.headers {
        let _ = writeln!(
            out,
            "probe.http.headers.{} = {}",
            quoted(name),
            quoted(value.shown())
        );
    }
    for (name, _) in &spec.query {
        let _ = writeln!(out, "probe.http.query.{} = \"{MASK}\"", quoted(name));
    }
    match &spec.auth {
        Some(Auth::Basic { username, .. }) => {
            let _ = writeln!(
                out,
                "probe.http.auth.basic = {{ username = {}, password = \"{MASK}\" }}",
                quoted(username)
            );
        }
        Some(Auth::Bearer(_)) => {
            let _ = writeln!(out, "probe.http.auth.bearer = \"{MASK}\"");
        }
        None => {}
    }
    if let Some(body) = &spec.body {
        let _ = writeln!(out, "probe.http.body = {}", quoted(body.0.shown()));
    }
    let l = &spec.limits;
    let _ = writeln!(
        out,
        "probe.http.limits = {{ body = \"{}\", decoded = \"{}\", header = \"{}\" }}",
        show_size(l.body),
        show_size(l.decoded),
        show_size(l.header)
    );
    print_tls(out, "http", &spec.tls);
    let e = &spec.expect;
    let _ = writeln!(out, "probe.http.expect.status = {}", e.status.shown());
    print_header_rules(out, &e.headers);
    let texts = |pick: fn(&TextRule) -> Option<&str>| {
        e.body
            .iter()
            .filter_map(pick)
            .map(quoted)
            .collect::<Vec<_>>()
    };
    for (key, list) in [
        (
            "contains",
            texts(|r| {
                if let TextRule::Contains(t) = r {
                    Some(t)
                } else {
                    None
                }
            }),
        ),
        (
            "not_contains",
            texts(|r| {
                if let TextRule::NotContains(t) = r {
                    Some(t)
                } else {
                    None
                }
            }),
        ),
        (
            "matches",
            texts(|r| {
                if let TextRule::Matches(p) = r {
                    Some(&p.text)
                } else {
                    None
                }
            }),
        ),
        (
            "not_matches",
            texts(|r| {
                if let TextRule::NotMatches(p) = r {
                    Some(&p.text)
                } else {
                    None
                }
            }),
        ),
    ] {
        if !list.is_empty() {
            let _ = writeln!(out, "probe.http.expect.body.{key} = [{}]", list.join(", "));
        }
    }
    for (key, text) in [
        ("json", e.json.as_ref().map(|c| &c.text)),
        ("final_url", e.final_url.as_ref().map(|p| &p.text)),
        ("version", e.version.as_ref()),
    ] {
        if let Some(text) = text {
            let _ = writeln!(out, "probe.http.expect.{key} = {}", quoted(text));
        }
    }
    print_within(out, "http", e.within);
}

/// One line for each header, as a header may have several rules.
fn print_header_rules(out: &mut String, rules: &[HeaderRule]) {
    let mut names: Vec<&str> = rules.iter().map(|r| r.name.as_str()).collect();
    names.dedup();
    for name in names {
        let own: Vec<&HeaderTest> = rules
            .iter()
            .filter(|r| r.name == name)
            .map(|r| &r.rule)
            .collect();
        let tested: Vec<String> = own
            .iter()
            .filter_map(|rule| match rule {
                HeaderTest::Present | HeaderTest::Absent => None,
                HeaderTest::Equals(text) => Some(format!("equals = {}", quoted(text))),
                HeaderTest::Matches(p) => Some(format!("matches = {}", quoted(&p.text))),
                HeaderTest::NotMatches(p) => Some(format!("not_matches = {}", quoted(&p.text))),
            })
            .collect();
        let value = match own.as_slice() {
            [HeaderTest::Present] => "true".to_owned(),
            [HeaderTest::Absent] => "false".to_owned(),
            _ => format!("{{ {} }}", tested.join(", ")),
        };
        let _ = writeln!(out, "probe.http.expect.headers.{} = {value}", quoted(name));
    }
}

fn print_tls(out: &mut String, kind: &str, tls: &Tls) {
    let version = TlsVersion::WORDS
        .iter()
        .find(|(_, v)| *v == tls.min_version)
        .map_or("1.2", |(w, _)| w);
    let _ = writeln!(
        out,
        "probe.{kind}.tls.verify = {}\nprobe.{kind}.tls.min_version = \"{version}\"",
        tls.verify == Verify::Full
    );
    let expiring = match tls.expiring_within {
        Expiring::Length(ms) => show_duration(ms),
        Expiring::Share(percent) => format!("{percent}%"),
    };
    let _ = writeln!(out, "probe.{kind}.tls.expiring_within = \"{expiring}\"");
    let list = |words: Vec<&str>| words.into_iter().map(quoted).collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        out,
        "probe.{kind}.tls.groups = [{}]",
        list(tls.groups.0.iter().map(|g| g.as_str()).collect())
    );
    for (key, words) in [
        ("version", &tls.expect.versions),
        ("cipher", &tls.expect.ciphers),
        ("group", &tls.expect.groups),
    ] {
        if !words.is_empty() {
            let _ = writeln!(
                out,
                "probe.{kind}.expect.tls.{key} = [{}]",
                list(words.iter().map(String::as_str).collect())
            );
        }
    }
    if let Some(file) = &tls.ca {
        let count = file.pem.matches("-----BEGIN CERTIFICATE-----").count();
        let _ = writeln!(
            out,
            "# probe.{kind}.tls.ca_file {} holds {count} certificates",
            file.path.display()
        );
    }
    if tls.client.is_some() {
        let _ = writeln!(
            out,
            "# probe.{kind}.tls.client_certificate and probe.{kind}.tls.client_key are set"
        );
    }
    if let Some(name) = &tls.server_name {
        let _ = writeln!(out, "probe.{kind}.tls.server_name = {}", quoted(name));
    }
}

fn print_dns(out: &mut String, server: &HostPort, spec: &Dns) {
    let transport = Transport::WORDS
        .iter()
        .find(|(_, t)| *t == spec.transport)
        .map_or("udp", |(w, _)| w);
    let _ = writeln!(
        out,
        "probe.dns.server = \"{server}\"\nprobe.dns.query = {}\nprobe.dns.type = \"{}\"",
        quoted(&spec.query),
        type_word(spec.record)
    );
    let _ = writeln!(
        out,
        "probe.dns.transport = \"{transport}\"\nprobe.dns.recursion = {}",
        spec.recursion == Recursion::Desired
    );
    let e = &spec.expect;
    if !e.rcodes.is_empty() {
        let _ = writeln!(
            out,
            "probe.dns.expect.rcode = [{}]",
            e.rcodes
                .iter()
                .map(|r| quoted(r))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    for (key, list) in [
        ("any", &e.any),
        ("all", &e.all),
        ("none", &e.none),
        ("chain", &e.chain),
    ] {
        if !list.is_empty() {
            let _ = writeln!(
                out,
                "probe.dns.expect.{key} = [{}]",
                list.iter()
                    .map(|p| quoted(&p.text))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
        }
    }
    match e.at_least {
        Some(least) => {
            let _ = writeln!(out, "probe.dns.expect.at_least = {least}");
        }
        None => {
            let _ = writeln!(
                out,
                "# probe.dns.expect.at_least is 1 where the rcode is NOERROR"
            );
        }
    }
    if let Some(authoritative) = e.authoritative {
        let _ = writeln!(out, "probe.dns.expect.authoritative = {authoritative}");
    }
    print_within(out, "dns", e.within);
}

fn print_within(out: &mut String, kind: &str, within: Option<u64>) {
    if let Some(ms) = within {
        let _ = writeln!(
            out,
            "probe.{kind}.expect.within = \"{}\"",
            show_duration(ms)
        );
    }
}

/// A TOML basic string.
pub(in crate::config) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
