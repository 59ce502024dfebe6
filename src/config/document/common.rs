//! Parts of a plan that are read from their tables without looking elsewhere: cadence, labels,
//! dial, metrics, addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use toml::de::DeValue;

use super::tree::{Item, Layers};
use crate::config::document::problem::problem;
use crate::config::plan::*;
use crate::judgement::rules::{
    CONFIRMATIONS_LIMIT, Cadence, INTERVAL_LIMIT, LATE_AFTER_LIMIT, RETRY_INTERVAL_LIMIT,
    TIMEOUT_LIMIT,
};
use crate::judgement::timeline::Combine;
use crate::words::{Name, UtcMs, parse_utc};

pub(in crate::config) const DAY_MS: u64 = 86_400_000;

pub(in crate::config) fn cadence(layers: &Layers) -> Cadence {
    let duration = |key, least, most, default| {
        layers
            .item(key)
            .and_then(|i| i.duration(least, most))
            .unwrap_or(default)
    };
    let count = |key, default: u32| {
        layers
            .item(key)
            .and_then(|i| i.integer(1, u64::from(CONFIRMATIONS_LIMIT)))
            .map_or(default, |n| n as u32)
    };
    Cadence {
        interval: duration("interval", 100, INTERVAL_LIMIT, DEFAULT_INTERVAL),
        jitter_ppm: layers
            .item("jitter")
            .and_then(|i| i.share_ppm())
            .unwrap_or(0),
        late_after: duration("late_after", 10, LATE_AFTER_LIMIT, DEFAULT_LATE_AFTER),
        timeout: duration("timeout", 10, TIMEOUT_LIMIT, DEFAULT_TIMEOUT),
        retry_interval: duration(
            "retry_interval",
            100,
            RETRY_INTERVAL_LIMIT,
            DEFAULT_RETRY_INTERVAL,
        ),
        down_after: count("down_after", DEFAULT_DOWN_AFTER),
        up_after: count("up_after", DEFAULT_UP_AFTER),
    }
}

/// Longer names and more labels than any Prometheus would be glad of.
const LONGEST_LABEL: usize = 100;
const MOST_LABELS: usize = 40;
/// Labels that Probity's own series carry.
const TAKEN: [&str; 12] = [
    "endpoint",
    "state",
    "to",
    "result",
    "cause",
    "le",
    "outcome",
    "phase",
    "component",
    "kind",
    "target",
    "connection",
];

pub(in crate::config) fn labels(layers: &Layers) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for section in layers.items("labels").iter().filter_map(Item::section) {
        for (name, span, item) in section.entries() {
            if name.len() > LONGEST_LABEL {
                section.source.fault(
                    &span,
                    problem!(
                        "the name of a label is at most \
                    {LONGEST_LABEL} bytes long, this one has {}",
                        name.len()
                    ),
                    "Shorten it.",
                );
                continue;
            }
            if !is_label(name) {
                section.source.fault(
                    &span,
                    problem!("`{}` cannot be a label", name.escape_debug()),
                    "Labels are made of a-z, A-Z, 0-9 and _, and start with a letter.",
                );
            } else if TAKEN.contains(&name) {
                section.source.fault(
                    &span,
                    problem!("the label `{name}` is set by Probity itself"),
                    "Use another name.",
                );
            }
            if let Some(text) = item.text() {
                if !text.is_empty() && Name::new(&text).is_err() {
                    item.fault(
                        problem!("the label `{name}` is too long or has control characters"),
                        "Use at most 200 printable bytes.",
                    );
                }
                labels.entry(name.to_owned()).or_insert(text);
            }
        }
        if labels.len() > MOST_LABELS {
            section.source.fault(
                &section.span,
                problem!("more than {MOST_LABELS} labels"),
                "Each is stored with every scrape; use fewer.",
            );
        }
    }
    labels
}

pub(in crate::config) fn dial(layers: &Layers) -> Dial {
    let source = layers.item("source_address").and_then(|i| {
        let text = i.text()?;
        let address = text.parse::<IpAddr>().ok();
        if address.is_none() {
            i.fault(
                problem!("`{}` is not a valid IP address", text.escape_debug()),
                "Write one of this host's IP addresses.",
            );
        }
        address
    });
    let resolver = layers
        .item("resolver")
        .and_then(|i| match i.text()?.as_str() {
            "system" => Some(ResolverChoice::System),
            text => {
                let server = text.parse::<SocketAddr>().ok().or_else(|| {
                    text.parse::<IpAddr>()
                        .ok()
                        .map(|ip| SocketAddr::new(ip, 53))
                });
                if server.is_none() {
                    i.fault(
                        problem!("`{}` is not a valid resolver", text.escape_debug()),
                        "Write \"system\", or a server's address: \"10.0.0.2\" or \"10.0.0.2:53\".",
                    );
                }
                server.map(ResolverChoice::Server)
            }
        });
    Dial {
        addresses: layers
            .item("addresses")
            .and_then(|i| i.word(&Addresses::WORDS))
            .unwrap_or(Addresses::Any),
        source,
        resolver: resolver.unwrap_or(ResolverChoice::System),
        zone: None,
    }
}

pub(in crate::config) fn combination(item: &Item) -> Option<Combine> {
    if let DeValue::Table(_) = item.value {
        let section = item.section()?;
        let least = section.item("at_least").and_then(|i| i.integer(1, 100_000));
        section.end();
        if section.table.is_empty() {
            item.fault(
                problem!("`{}` is empty", item.path),
                "Write \"series\", \"parallel\" or { at_least = 2 }.",
            );
        }
        return least.map(|n| Combine::AtLeast(n as usize));
    }
    item.word(&[("series", Combine::Series), ("parallel", Combine::Parallel)])
}

pub(in crate::config) fn metrics(layers: &Layers) -> Metrics {
    let mut buckets_us: Vec<u64> = Vec::new();
    for one in layers.item("buckets").iter().flat_map(Item::list) {
        match bucket_us(&one) {
            Some(us) if buckets_us.last().is_none_or(|last| us > *last) => buckets_us.push(us),
            Some(_) => one.fault(
                "the buckets do not ascend",
                "Write them from the shortest to the longest.",
            ),
            None => {}
        }
    }
    if buckets_us.len() > 40
        && let Some(item) = layers.item("buckets")
    {
        item.fault(
            "more than 40 buckets",
            "Each bucket is one series for each endpoint; use fewer.",
        );
    }
    let metrics = Metrics {
        latency: layers
            .item("latency")
            .and_then(|i| {
                i.word(&[
                    ("classic", LatencyMetrics::Classic),
                    ("off", LatencyMetrics::Off),
                ])
            })
            .unwrap_or(LatencyMetrics::Classic),
        buckets_us: if buckets_us.is_empty() {
            DEFAULT_BUCKETS_US.to_vec()
        } else {
            buckets_us
        },
        phases: layers
            .item("phases")
            .and_then(|i| i.flag())
            .unwrap_or(false),
        state_labels: state_labels(layers),
    };
    layers.end();
    metrics
}

/// A bound of a bucket: below a millisecond in microseconds, `"500us"`.
fn bucket_us(item: &Item) -> Option<u64> {
    if let DeValue::String(text) = item.value
        && let Some(us) = text
            .strip_suffix("us")
            .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|n| n.parse::<u64>().ok())
    {
        if !(10..=300_000_000).contains(&us) {
            item.fault(
                problem!("`{}` = \"{text}\" is out of range", item.path),
                "Allowed range: 10us to 5m.",
            );
            return None;
        }
        return Some(us);
    }
    item.duration(1, 300_000).map(|ms| ms * 1000)
}

fn state_labels(layers: &Layers) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for one in layers.item("state_labels").iter().flat_map(Item::list) {
        let Some(name) = one.text() else { continue };
        if TAKEN.contains(&name.as_str()) {
            one.fault(
                problem!("the label `{name}` is set by Probity itself"),
                "Name a label of your endpoints.",
            );
        } else if !is_label(&name) {
            one.fault(
                problem!("`{name}` cannot be a label"),
                "Name a label of your endpoints.",
            );
        } else if list.contains(&name) {
            one.fault(
                problem!("the label `{name}` appears twice"),
                "Name it once.",
            );
        }
        list.push(name);
    }
    list
}

fn is_label(name: &str) -> bool {
    let is_made_of = name
        .bytes()
        .enumerate()
        .all(|(k, b)| b == b'_' || b.is_ascii_alphabetic() || (k > 0 && b.is_ascii_digit()));
    is_made_of && !name.is_empty() && !name.starts_with("__")
}

pub(in crate::config) fn socket_address(item: &Item) -> Option<SocketAddr> {
    let text = item.text()?;
    let address = text.parse().ok();
    if address.is_none() {
        item.fault(
            problem!(
                "`{}` = \"{}\" is not a valid listen address",
                item.path,
                text.escape_debug()
            ),
            "Write an IP address and a port: \"127.0.0.1:9847\", \"[::1]:9847\".",
        );
    }
    address
}

/// RFC 3339 with an offset; in milliseconds of UTC.
pub(in crate::config) fn calendar_instant(item: &Item) -> Option<UtcMs> {
    let text = item.text()?;
    let at = parse_utc(&text);
    if at.is_none() {
        item.fault(
            problem!(
                "`{}` = \"{}\" is not a valid time",
                item.path,
                text.escape_debug()
            ),
            "Write it with its offset: \"2026-11-16T00:00:00Z\".",
        );
    }
    at
}

pub(in crate::config) fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}
