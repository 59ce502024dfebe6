//! Endpoints and their probes: tables, groups with their target lines, and specs that many
//! endpoints share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use toml::de::DeValue;

use super::builder::Builder;
use crate::config::document::common::{cadence, dial, labels};
use crate::config::document::problem::problem;
use crate::config::document::secret::by_host::{HostMasks, host_key};
use crate::config::document::secret::mask::Mask;
use crate::config::document::tree::{Item, Layers, Section};
use crate::config::plan::*;
use crate::judgement::rules::Rules;
use crate::kind::{Kind, Probe, Spec};
use crate::words::{Digest, Name};

/// Keys of an endpoint that are no names of targets; one of them inside `targets` has slipped
/// there.
const ENDPOINT_KEYS: [&str; 14] = [
    "interval",
    "timeout",
    "retry_interval",
    "late_after",
    "down_after",
    "up_after",
    "jitter",
    "labels",
    "probe",
    "component",
    "addresses",
    "resolver",
    "source_address",
    "enabled",
];

/// An endpoint as the files name it: its own table, its group's, or a target line of a group.
pub(in crate::config) struct Draft<'a> {
    pub(in crate::config) name: Name,
    pub(in crate::config) layers: Layers<'a>,
    /// The address of a target line.
    pub(in crate::config) address: Option<Item<'a>>,
    pub(in crate::config) at: Item<'a>,
}

impl Builder<'_> {
    /// Looks at every key and builds every probe table of the defaults once, so that those that no
    /// endpoint uses are known, and a fault in one of them is found too.
    pub(in crate::config) fn look_at_unused(&mut self, defaults: &Layers) {
        let _ = (
            labels(defaults),
            cadence(defaults),
            dial(defaults),
            defaults.item("component"),
            defaults.item("enabled"),
        );
        let probes = defaults.layers("probe");
        for kind in Kind::ALL.iter().copied() {
            let tables = Layers(
                probes
                    .items(kind.as_str())
                    .iter()
                    .filter(|i| matches!(i.value, DeValue::Table(_)))
                    .filter_map(Item::section)
                    .collect(),
            );
            if !tables.0.is_empty() {
                self.spec(kind, &tables);
            }
        }
    }

    pub(in crate::config) fn endpoints(
        &mut self,
        drafts: Vec<Draft>,
        components: &BTreeMap<Name, Component>,
    ) -> Vec<Arc<Endpoint>> {
        let mut endpoints = Vec::with_capacity(drafts.len());
        let mut names: HashSet<Name> = HashSet::with_capacity(drafts.len());
        let mut labels_of: HashMap<Vec<usize>, Arc<BTreeMap<String, String>>> = HashMap::new();
        let mut dials: Vec<Arc<Dial>> = Vec::new();
        let configured: HashSet<Name> = drafts.iter().map(|d| d.name.clone()).collect();
        let mut old_names = HashSet::new();
        for draft in drafts {
            if let Some(item) = draft.layers.0[0]
                .item("renamed_from")
                .filter(|_| draft.address.is_none())
            {
                match item.name() {
                    Some(old) if configured.contains(&old) => {
                        item.fault(
                            problem!(
                                "`{old}` is still configured, so its history cannot continue under \
                                    another name"
                            ),
                            "Remove one of the two.",
                        );
                    }
                    Some(old) if !old_names.insert(old.clone()) => item.fault(
                        problem!("two endpoints are renamed from `{old}`"),
                        "Only one of them can continue its history.",
                    ),
                    _ => {}
                }
            }
            if !names.insert(draft.name.clone()) {
                draft.at.fault(
                    problem!("duplicate endpoint name `{}`", draft.name),
                    "Each endpoint needs a name of its own; it is the identity of its history.",
                );
            }
            if let Some(endpoint) = self.endpoint(&draft, components, &mut labels_of, &mut dials) {
                endpoints.push(endpoint);
            }
        }
        endpoints.into_iter().map(Arc::new).collect()
    }

    fn endpoint(
        &mut self,
        draft: &Draft,
        components: &BTreeMap<Name, Component>,
        labels_of: &mut HashMap<Vec<usize>, Arc<BTreeMap<String, String>>>,
        dials: &mut Vec<Arc<Dial>>,
    ) -> Option<Endpoint> {
        let layers = &draft.layers;
        let component = component(draft, components)?;
        let key: Vec<usize> = layers
            .items("labels")
            .iter()
            .map(|i| std::ptr::from_ref(i.value) as usize)
            .collect();
        let labels = labels_of
            .entry(key)
            .or_insert_with(|| Arc::new(labels(layers)))
            .clone();
        let rules = Rules::new(cadence(layers));
        let dial = dial(layers);
        let dial = dials
            .iter()
            .find(|d| ***d == dial)
            .cloned()
            .unwrap_or_else(|| {
                let dial = Arc::new(dial);
                dials.push(dial.clone());
                dial
            });
        let renamed_from = layers.0[0].item("renamed_from").and_then(|i| i.name());
        let enabled = layers
            .item("enabled")
            .and_then(|i| i.flag())
            .unwrap_or(true);
        let probe = self.probe(draft);
        if draft.address.is_none() {
            layers.0[0].end();
        }
        let probe = probe?;
        let dial = in_zone(dial, &probe);
        let (digest, mask) = (
            digest(&probe, &dial),
            probe.mask().cloned().unwrap_or_default(),
        );
        enabled.then_some(Endpoint {
            name: draft.name.clone(),
            component,
            labels,
            renamed_from,
            rules,
            dial,
            probe,
            mask,
            digest,
        })
    }

    pub(in crate::config) fn probe(&mut self, draft: &Draft) -> Option<Probe> {
        let probes = draft.layers.layers("probe");
        let kind = kind(draft, &probes)?;
        let items = probes.items(kind.as_str());
        let tables = Layers(
            items
                .iter()
                .filter(|i| matches!(i.value, DeValue::Table(_)))
                .filter_map(Item::section)
                .collect(),
        );
        let short = items.iter().find(|i| matches!(i.value, DeValue::String(_)));
        for item in items
            .iter()
            .filter(|i| !matches!(i.value, DeValue::Table(_) | DeValue::String(_)))
        {
            item.wrong_type("an address in quotes, or a table");
        }
        let key = kind.address_key();
        let long = tables.item(key);
        let shared = self.spec(kind, &tables);
        let address = draft.address.as_ref().or(long.as_ref()).or(short);
        let Some(address) = address else {
            draft.at.fault(
                problem!("the endpoint `{}` has no address", draft.name),
                format!("Add probe.{}.{key} = \"...\".", kind.as_str()),
            );
            return None;
        };
        shared.aimed(&address.text()?, address)
    }

    /// The shared spec of these tables; built once for tables that hold nothing but the address
    /// themselves.
    fn spec(&mut self, kind: Kind, tables: &Layers) -> Spec {
        let address = kind.address_key();
        let telling: Vec<&Section> = tables
            .0
            .iter()
            .filter(|s| s.table.len() > usize::from(s.table.contains_key(address)))
            .collect();
        let place = |n: usize| {
            telling
                .get(n)
                .map_or(0, |s| std::ptr::from_ref(s.table) as usize)
        };
        let key = (place(0), place(1), kind);
        let few = telling.len() <= 2;
        if let Some(shared) = self.specs.get(&key).filter(|_| few) {
            return shared.clone();
        }
        tables.item(address);
        let layers = tables;
        let shared = kind.spec(layers, self.inputs);
        layers.end();
        if few {
            self.specs.insert(key, shared.clone());
        }
        shared
    }
}

/// The component that an endpoint is part of: the one that is named, or itself.
fn component(draft: &Draft, components: &BTreeMap<Name, Component>) -> Option<Name> {
    let Some(item) = draft.layers.item("component") else {
        return Some(draft.name.clone());
    };
    let name = item.name()?;
    if !components.contains_key(&name) {
        let known: Vec<&str> = components.keys().map(Name::as_str).collect();
        let advice = match crate::config::document::tree::nearest(name.as_str(), &known) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => format!("Declare it: [component.{name}]"),
        };
        item.fault(problem!("the component `{name}` is not declared"), advice);
    }
    Some(name)
}

/// The kind of a draft's probe: that of its own table, else its group's, else the defaults'.
fn kind(draft: &Draft, probes: &Layers) -> Option<Kind> {
    let own = probes
        .0
        .iter()
        .find(|s| Kind::ALL.iter().any(|k| s.table.contains_key(k.as_str())));
    let Some(own) = own else {
        for section in &probes.0 {
            Kind::ALL
                .iter()
                .for_each(|k| drop(section.item(k.as_str())));
            section.end();
        }
        draft.at.fault(
            problem!("the endpoint `{}` has no probe", draft.name),
            format!(
                "Add one, as in probe.http = \"https://...\" or probe.tcp = \"host:port\". The \
                        kinds of probe are {}.",
                Kind::listed(Kind::as_str, "and")
            ),
        );
        return None;
    };
    let kinds: Vec<Kind> = Kind::ALL
        .iter()
        .copied()
        .filter(|k| own.item(k.as_str()).is_some())
        .collect();
    if own.path != "defaults.probe" {
        own.end();
    }
    if let [kind] = kinds.as_slice() {
        return Some(*kind);
    }
    if own.path == "defaults.probe" {
        draft.at.fault(
            problem!(
                "the endpoint `{}` does not say which kind of probe it is",
                draft.name
            ),
            "Name one kind in the endpoint.",
        );
    } else {
        own.source.fault(
            &own.span,
            problem!(
                "the endpoint `{}` has {} kinds of probe",
                draft.name,
                kinds.len()
            ),
            "Make it one endpoint for each kind.",
        );
    }
    None
}

/// The dial of a probe whose URL names a zone.
pub(in crate::config) fn in_zone(dial: Arc<Dial>, probe: &Probe) -> Arc<Dial> {
    match probe.zone() {
        Some(zone) => Arc::new(Dial {
            zone: Some(zone.clone()),
            ..(*dial).clone()
        }),
        None => dial,
    }
}

/// SHA-256 over the shown form of probe and dial: secrets are masked in it.
pub(in crate::config) fn digest(probe: &Probe, dial: &Dial) -> Digest {
    let text = format!("{} {dial:?}", probe.digested());
    Digest::new(Sha256::digest(text.as_bytes()).into())
}

pub(in crate::config) fn draft<'a>(
    section: Section<'a>,
    defaults: &Layers<'a>,
) -> Option<Draft<'a>> {
    let whole = Item {
        source: section.source,
        path: "endpoint".into(),
        span: section.span.clone(),
        value: &DeValue::Boolean(true),
    };
    let Some(item) = section.item("name") else {
        whole.fault(
            "an [[endpoint]] without a name",
            "Add name = \"...\": the identity of its history and the label of its metrics.",
        );
        return None;
    };
    let name = item.name()?;
    let mut layers = vec![section];
    layers.extend(defaults.0.iter().cloned());
    Some(Draft {
        name,
        layers: Layers(layers),
        address: None,
        at: item,
    })
}

/// The endpoints of a group's target lines.
pub(in crate::config) fn group_drafts<'a>(
    section: Section<'a>,
    defaults: &Layers<'a>,
) -> Vec<Draft<'a>> {
    let mut layers = vec![section.clone()];
    layers.extend(defaults.0.iter().cloned());
    let layers = Layers(layers);
    let mut drafts = Vec::new();
    let Some(targets) = section.section("targets") else {
        section.source.fault(
            &section.span,
            problem!("`{}` has no targets", section.path),
            format!(
                "Add [{}.targets] with lines of name = \"address\".",
                section.path
            ),
        );
        return drafts;
    };
    for (key, span, item) in targets.entries() {
        if let DeValue::Table(_) = item.value {
            if ENDPOINT_KEYS.contains(&key) {
                targets.source.fault(
                    &span,
                    problem!("the key `{key}` has landed under `{}`", targets.path),
                    "Put it above the targets' header, into the group's own table.",
                );
            } else {
                targets.source.fault(
                    &span,
                    problem!("the name `{key}.…` has dots and is not quoted"),
                    "Quote it: \"login.example\" = \"https://login.example/\".",
                );
            }
            continue;
        }
        let looks_like_key = ENDPOINT_KEYS.contains(&key)
            && !matches!(item.value, DeValue::String(text) if text.contains([':', '/', '.']));
        if looks_like_key {
            targets.source.fault(
                &span,
                problem!("the key `{key}` has landed under `{}`", targets.path),
                "Put it above the targets' header, into the group's own table.",
            );
            continue;
        }
        if !matches!(item.value, DeValue::String(_)) {
            item.wrong_type("an address in quotes");
            continue;
        }
        match Name::new(key) {
            Ok(name) => drafts.push(Draft {
                name,
                layers: layers.clone(),
                address: Some(item.clone()),
                at: item,
            }),
            Err(error) => targets.source.fault(
                &span,
                problem!("this cannot be a name: {error}"),
                "Use printable characters.",
            ),
        }
    }
    for key in ENDPOINT_KEYS {
        section.item(key);
    }
    section.end();
    drafts
}

/// Gives the endpoints and witnesses of each host the secrets of all of them, and those of the
/// daemon's own calls. Where only their own are known, there is nothing to add.
pub(in crate::config) fn mask_by_host(
    endpoints: &mut [Arc<Endpoint>],
    witnesses: &mut [Arc<Endpoint>],
    own_calls: Vec<(String, Mask)>,
) -> HostMasks {
    let all = || endpoints.iter().chain(&*witnesses);
    let timeouts = all().map(|endpoint| endpoint.rules.cadence.timeout);
    let longest_timeout = timeouts.max().unwrap_or(0);
    let of_probes = all().filter_map(|endpoint| {
        let own = endpoint.probe.mask().filter(|own| !own.is_empty())?;
        Some((endpoint.host().to_owned(), own.clone()))
    });
    let masks = HostMasks::of(of_probes.chain(own_calls), longest_timeout);
    for endpoint in endpoints.iter_mut().chain(witnesses) {
        let of_host = masks.get(&host_key(endpoint.host()));
        if let Some(all) = of_host
            .map(|of_host| &of_host.joined)
            .filter(|all| !all.is_same(&endpoint.mask))
        {
            // Nothing else has it yet.
            if let Some(endpoint) = Arc::get_mut(endpoint) {
                endpoint.mask = endpoint.mask.beside(all);
            }
        }
    }
    masks
}
