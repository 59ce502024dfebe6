//! docs/metrics.md and docs/api.md against a running daemon: what they say is what it answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::authority::{Authority, acceptor, https};
use super::daemon::Daemon;
use super::serve::{answering, closed_port, ok};

/// As the daemon whose answers docs/api.md shows, with a certificate, phases and messages too.
async fn daemon(directory: &std::path::Path, authority: &Authority) -> Daemon {
    let shop = answering(ok("", b"hello")).await;
    let secured = https(acceptor(authority.leaf(|_| {}), &[])).await;
    std::fs::write(directory.join("hook"), "http://127.0.0.1:1/").expect("written");
    let text = format!(
        "[metrics]\nphases = true\n[defaults]\ninterval = \"1s\"\n\
         [[endpoint]]\nname = \"shop\"\ncomponent = \"checkout\"\n\
         probe.http = \"http://127.0.0.1:{shop}/\"\n\
         [[endpoint]]\nname = \"database\"\ncomponent = \"checkout\"\n\
         probe.tcp = \"127.0.0.1:{}\"\n\
         [[endpoint]]\nname = \"tls\"\nprobe.tls.address = \"127.0.0.1:{secured}\"\n\
         probe.tls.tls.ca_file = \"{}\"\n\
         [component.checkout]\ntitle = \"Checkout\"\n\
         [witness]\n[[witness.endpoint]]\nname = \"far-1\"\nprobe.tcp = \"127.0.0.1:{shop}\"\n\
         [[notify]]\nname = \"ops\"\nwebhook.url = {{ file = \"{}\" }}\n\
         [sla.standard]\nobjective = \"99.9\"\ncomponents = [\"checkout\"]\n\
         latency = {{ share = \"99\", within = \"300ms\" }}\n",
        closed_port(),
        authority.ca_file().display(),
        directory.join("hook").display(),
    );
    let daemon = Daemon::start(directory, &text).await;
    daemon.until_state("shop", "up").await;
    daemon.until_state("tls", "up").await;
    daemon.until_state("database", "down").await;
    daemon
}

/// Each section of a page by its heading.
fn sections<'p>(page: &'p str, mark: &str) -> BTreeMap<&'p str, &'p str> {
    page.split(mark)
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .map(|(heading, rest)| (heading.trim_matches('`'), rest))
        .collect()
}

/// The labels of each family that has samples, and the type of each.
fn scraped(metrics: &str) -> (BTreeMap<String, BTreeSet<String>>, BTreeMap<String, String>) {
    let (mut labels, mut types) = (BTreeMap::new(), BTreeMap::new());
    for line in metrics.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            types.insert(name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') {
            let series = line.rsplit_once(' ').expect("a value").0;
            let (name, set) = series.split_once('{').unwrap_or((series, "}"));
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|end| name.strip_suffix(end))
                .find(|family| types.contains_key(*family))
                .unwrap_or(name);
            let names = set
                .trim_end_matches('}')
                .split("\",")
                .filter_map(|l| l.split_once("=\""));
            labels
                .entry(family.to_owned())
                .or_insert_with(BTreeSet::new)
                .extend(names.map(|(label, _)| label.to_owned()));
        }
    }
    (labels, types)
}

#[tokio::test]
async fn the_metrics_page_has_each_family_with_its_type_and_labels() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let daemon = daemon(directory.path(), &authority).await;
    daemon
        .until(|d| async move {
            let metrics = d.get("/metrics").await.unwrap_or_default();
            metrics.contains("probity_sla_latency_ratio{")
                && metrics.contains("probity_component_mean_time_to_recover_seconds{")
                && metrics.contains("probity_tls_handshake_info{")
                && metrics.contains("probity_witness_up{")
        })
        .await;
    let (labels, types) = scraped(&daemon.get("/metrics").await.expect("answered"));
    let page = std::fs::read_to_string("docs/metrics.md").expect("there");
    let sections = sections(&page, "\n### ");
    let own = |name: &&String| name.starts_with("probity_");
    for (name, kind) in types.iter().filter(|(name, _)| own(name)) {
        let section = sections
            .get(name.as_str())
            .unwrap_or_else(|| panic!("docs/metrics.md lacks {name}"));
        let about = section.split("\n\n").next().unwrap_or_default().trim();
        assert!(
            about.starts_with(&format!("Type: {kind}. ")),
            "{name}: {kind}, not {about}"
        );
        let documented: BTreeSet<String> = about
            .split("Labels: ")
            .nth(1)
            .into_iter()
            .flat_map(|list| list.split('`').skip(1).step_by(2))
            .filter(|label| !label.starts_with('['))
            .map(str::to_owned)
            .collect();
        assert_eq!(
            labels.get(name),
            Some(&documented).filter(|_| labels.contains_key(name)),
            "{name}"
        );
    }
    assert!(labels.keys().filter(own).count() > 60, "{labels:?}");
    for name in sections.keys() {
        assert!(types.contains_key(*name), "the daemon writes no {name}");
    }
}

/// The path of every key; what an operator names (labels) and what need not be there (phases,
/// failures that were not confirmed) counts as one.
fn keys(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}.{key}");
                into.insert(path.clone());
                if !matches!(key.as_str(), "labels" | "phases_ms" | "possible_down") {
                    keys(value, &path, into);
                }
            }
        }
        Value::Array(list) => list
            .iter()
            .for_each(|v| keys(v, &format!("{path}[]"), into)),
        _ => {}
    }
}

fn keys_of(text: &str) -> BTreeSet<String> {
    let mut into = BTreeSet::new();
    let value = serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"));
    keys(&value, "", &mut into);
    into
}

#[tokio::test]
async fn the_api_page_has_each_path_with_the_keys_of_a_real_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let daemon = daemon(directory.path(), &authority).await;
    let page = std::fs::read_to_string("docs/api.md").expect("there");
    let routes = ["src/serve/server.rs", "src/serve/pages.rs"]
        .map(|file| std::fs::read_to_string(file).expect("there"))
        .concat()
        .replace("{name}", "NAME");
    let sections = sections(&page, "\n## ");
    let documented: BTreeSet<&str> = sections
        .keys()
        .filter_map(|heading| heading.split_once(' '))
        .map(|(_, path)| path)
        .collect();
    let routed: BTreeSet<&str> = routes
        .split(".route(")
        .skip(1)
        .filter_map(|rest| rest.split('"').nth(1))
        .collect();
    assert_eq!(documented, routed);
    assert!(routed.len() > 10, "{routed:?}");
    let mut compared = 0;
    for (heading, section) in &sections {
        let path = heading.split_once(' ').map_or("", |(_, path)| path);
        assert!(
            page.contains(&format!("| `{heading}` |")),
            "{heading} is not in the table"
        );
        let Some(example) = section.split("```json\n").nth(1) else {
            continue;
        };
        let example = keys_of(example.split("\n```").next().unwrap_or_default());
        let query = if path == "/api/v1/endpoints" {
            "?endpoint=shop"
        } else {
            ""
        };
        // Figures of the last seconds are there when they are recorded.
        let asked = format!("{path}{query}");
        daemon
            .until(|d| {
                let (asked, example) = (&asked, &example);
                async move {
                    let answered = keys_of(&d.get(asked).await.expect("answered"));
                    let different: Vec<_> = answered.symmetric_difference(example).collect();
                    eprintln!("{asked}: {different:?}");
                    different.is_empty()
                }
            })
            .await;
        compared += 1;
    }
    assert_eq!(compared, 6);
}
