//! Builds the [`Plan`] from the config's files, and gathers every fault of all of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::build_maintenance::windows;
use super::build_probe;
use super::contract::contracts;
use super::parts::{cadence, calendar_instant, combination, dial, digest, host_port, http_url, is_id, labels, metrics, socket_address};
use super::plan::*;
use super::plan_probe::{Dns, Http, Icmp, Probe, Tcp, TlsProbe};
use super::secret::{Secret, secret};
use super::source::{Fault, Source, Surroundings};
use super::walk::{Item, Layers, Section};
use crate::judgement::rules::{Cadence, Rules};
use crate::judgement::timeline::Combine;
use crate::words::{Kind, Name};

const DAY_MS: u64 = 86_400_000;
/// Keys of an endpoint that are no names of targets; one of them inside `targets` has slipped there.
const ENDPOINT_KEYS: [&str; 12] =
    ["interval", "timeout", "retry_interval", "late_after", "down_after", "up_after", "jitter", "labels", "probe", "component", "addresses", "resolver"];

/// Reads the config at `path` with all that it includes. Either a plan that is right, or every fault at once.
pub fn load(path: &Path, surroundings: &dyn Surroundings) -> Result<Plan, Vec<Fault>> {
    let sources = read_all(path, surroundings)?;
    let mut faults = Vec::new();
    let parsed: Vec<(usize, Spanned<DeTable>)> = sources
        .iter()
        .enumerate()
        .map(|(k, source)| {
            let (tree, errors) = DeTable::parse_recoverable(&source.text);
            for error in errors {
                let span = error.span().unwrap_or(0..0);
                let (problem, advice) = explained(error.message(), source, span.start);
                source.fault(&span, problem, advice);
            }
            (k, tree)
        })
        .collect();
    let roots: Vec<Section> = parsed.iter().map(|(k, tree)| Section::new(&sources[*k], String::new(), tree.get_ref(), tree.span())).collect();
    let broken = sources.iter().any(|s| {
        let f = s.take_faults();
        let any = !f.is_empty();
        faults.extend(f);
        any
    });
    let plan = if broken { None } else { Some(Builder { surroundings, specs: HashMap::new() }.plan(&roots)) };
    for source in &sources {
        faults.extend(source.take_faults());
    }
    faults.sort();
    match plan {
        Some(plan) if faults.is_empty() => Ok(plan),
        _ => Err(faults),
    }
}

/// The main file and the files that its `include` names.
fn read_all(path: &Path, surroundings: &dyn Surroundings) -> Result<Vec<Source>, Vec<Fault>> {
    let whole =
        |path: &Path, problem: String, advice: &str| vec![Fault { file: path.display().to_string(), line: 0, column: 0, problem, advice: advice.into() }];
    let text = surroundings
        .read(path)
        .map_err(|why| whole(path, format!("the config cannot be read: {why}"), "Name another with --config, or start from config/quickstart.toml."))?;
    let main = Source::new(path, text);
    let mut paths: Vec<PathBuf> = Vec::new();
    {
        let (tree, _) = DeTable::parse_recoverable(&main.text);
        let root = Section::new(&main, String::new(), tree.get_ref(), tree.span());
        for pattern in root.item("include").iter().flat_map(Item::list) {
            let Some(text) = pattern.text() else { continue };
            let absolute = path.parent().unwrap_or(Path::new(".")).join(&text);
            match surroundings.matching(&absolute) {
                Ok(found) => paths.extend(found),
                Err(why) => {
                    pattern.fault(format!("`{text}` cannot be included: {why}"), "Write a path or a pattern such as \"conf.d/*.toml\", relative to this file.")
                }
            }
        }
    }
    let mut sources = vec![main];
    for include in paths {
        let text = surroundings
            .read(&include)
            .map_err(|why| whole(&include, format!("the included file cannot be read: {why}"), "Make it readable, or take it out."))?;
        sources.push(Source::new(&include, text));
    }
    Ok(sources)
}

/// The parser's message in our words where a common slip is behind it.
fn explained(message: &str, source: &Source, at: usize) -> (String, String) {
    let line_start = source.text.get(..at).and_then(|t| t.rfind('\n')).map_or(0, |n| n + 1);
    let line = source.text.get(line_start..).and_then(|t| t.lines().next()).unwrap_or_default().trim();
    if message.contains("duplicate key") || message.contains("cannot extend value of type") {
        let advice = if line.starts_with("probe.") {
            "`probe.http = \"...\"` is short for `probe.http.url = \"...\"`; beside other keys write the long form."
        } else {
            "Keep one of them."
        };
        return (format!("this key stands twice ({message})"), advice.into());
    }
    (format!("this is not TOML: {message}"), "Texts stand in quotes, names with dots too; each key on a line of its own.".into())
}

struct Builder<'s> {
    surroundings: &'s dyn Surroundings,
    /// Specs that endpoints share, by the tables that they were built from.
    specs: HashMap<(usize, usize, Kind), Shared>,
}

#[derive(Clone)]
enum Shared {
    Http(Arc<Http>),
    Tcp(Arc<Tcp>),
    Tls(Arc<TlsProbe>),
    Icmp(Arc<Icmp>),
    Dns(Arc<Dns>),
}

/// An endpoint as the files name it: its own table, its group's, or a target line of a group.
struct Draft<'a> {
    name: Name,
    layers: Layers<'a>,
    /// The address of a target line.
    address: Option<Item<'a>>,
    at: Item<'a>,
}

impl Builder<'_> {
    fn plan(&mut self, roots: &[Section]) -> Plan {
        let main = &roots[0];
        main.item("include");
        let top = Layers(roots.to_vec());
        let defaults = top.layers("defaults");
        let components = self.components(&top.layers("component"));
        let metrics = metrics(&top.layers("metrics"));
        let mut drafts = Vec::new();
        for root in roots {
            for section in root.tables("endpoint") {
                drafts.extend(draft(section, &defaults));
            }
        }
        for group in top.layers("group").0 {
            for (id, span, item) in group.entries() {
                let Some(section) = item.section() else { continue };
                if !is_id(id) {
                    group.source.fault(&span, format!("`{}` cannot be a group's id", id.escape_debug()), "Ids are made of a-z, 0-9, _ and -.");
                }
                drafts.extend(group_drafts(section, &defaults));
            }
        }
        self.look_at_unused(&defaults);
        let daemon = self.daemon(&top.layers("daemon"));
        let endpoints = self.endpoints(drafts, &components);
        let mut receivers = HashSet::new();
        let mut notify: Vec<Notify> = Vec::new();
        for section in roots.iter().flat_map(|r| r.tables("notify")) {
            let Some(receiver) = self.notify(&section) else { continue };
            if !receivers.insert(receiver.name.clone()) {
                section.source.fault(&section.span, format!("the receiver `{}` stands twice", receiver.name), "Give each [[notify]] a name of its own.");
            }
            notify.push(receiver);
        }
        let deadman = self.deadman(&top);
        let witness = self.witness(&top.layers("witness"));
        let history = self.history(&top.layers("history"));
        let mut declared: Vec<&str> = components.keys().map(Name::as_str).collect();
        declared.extend(endpoints.iter().map(|e| e.component.as_str()));
        let contracts = contracts(&top, Some(&declared));
        let names: Vec<&str> = endpoints.iter().map(|e| e.name.as_str()).collect();
        let maintenance = windows(&top, &declared, &names);
        defaults.end();
        roots.iter().for_each(Section::end);
        Plan { daemon, metrics, components, endpoints, history, witness, contracts, maintenance, notify, deadman }
    }

    fn daemon(&self, layers: &Layers) -> Daemon {
        let listen = layers.item("listen").and_then(|i| socket_address(&i));
        let daemon = Daemon {
            vantage: layers.item("vantage").and_then(|i| i.name()).map_or_else(|| self.surroundings.host_name(), |n| n.to_string()),
            state_dir: layers.item("state_dir").and_then(|i| i.text()).map(PathBuf::from),
            listen: listen.unwrap_or_else(|| DEFAULT_LISTEN.parse().expect("a constant address")),
            max_in_flight: layers.item("max_in_flight").and_then(|i| i.integer(1, 1_000_000)).map(|n| n as usize),
            max_in_flight_per_host: layers.item("max_in_flight_per_host").and_then(|i| i.integer(1, 1_000_000)).map(|n| n as usize),
        };
        layers.end();
        daemon
    }

    fn components(&self, layers: &Layers) -> BTreeMap<Name, Component> {
        let mut components = BTreeMap::new();
        for section in &layers.0 {
            for (id, span, item) in section.entries() {
                let Some(table) = item.section() else { continue };
                let title = table.item("title").and_then(|i| i.name()).map_or_else(|| id.to_owned(), |n| n.to_string());
                let combine = table.item("combine").and_then(|i| combination(&i)).unwrap_or(Combine::Series);
                let in_service_from = table.item("in_service_from").and_then(|i| calendar_instant(&i));
                table.end();
                match Name::new(id) {
                    Ok(name) if is_id(id) => {
                        components.insert(name, Component { title, combine, in_service_from });
                    }
                    _ => section.source.fault(
                        &span,
                        format!("`{}` cannot be a component's id", id.escape_debug()),
                        "Ids are made of a-z, 0-9, _ and -; the text for people is `title`.",
                    ),
                }
            }
        }
        components
    }

    /// Builds every probe table of the defaults once, so that a fault in one that no endpoint uses is found too.
    fn look_at_unused(&mut self, defaults: &Layers) {
        let probes = defaults.layers("probe");
        for kind in Kind::ALL {
            let tables = Layers(probes.items(kind.as_str()).iter().filter(|i| matches!(i.value, DeValue::Table(_))).filter_map(Item::section).collect());
            if !tables.0.is_empty() {
                self.spec(kind, &tables);
            }
        }
    }

    fn endpoints(&mut self, drafts: Vec<Draft>, components: &BTreeMap<Name, Component>) -> Vec<Arc<Endpoint>> {
        let mut endpoints = Vec::with_capacity(drafts.len());
        let mut names: HashSet<Name> = HashSet::with_capacity(drafts.len());
        let mut labels_of: HashMap<Vec<usize>, Arc<BTreeMap<String, String>>> = HashMap::new();
        let mut dials: Vec<Arc<Dial>> = Vec::new();
        let configured: HashSet<Name> = drafts.iter().map(|d| d.name.clone()).collect();
        let mut old_names = HashSet::new();
        for draft in drafts {
            if let Some(item) = draft.layers.0[0].item("renamed_from").filter(|_| draft.address.is_none()) {
                match item.name() {
                    Some(old) if configured.contains(&old) => {
                        item.fault(format!("`{old}` is still configured, so its history cannot go on under another name"), "Take one of the two out.");
                    }
                    Some(old) if !old_names.insert(old.clone()) => {
                        item.fault(format!("two endpoints are renamed from `{old}`"), "One of them can go on with its history.")
                    }
                    _ => {}
                }
            }
            if !names.insert(draft.name.clone()) {
                draft.at.fault(format!("the name `{}` stands twice", draft.name), "Each endpoint needs a name of its own; it is the identity of its history.");
            }
            if let Some(endpoint) = self.endpoint(&draft, components, &mut labels_of, &mut dials) {
                endpoints.push(Arc::new(endpoint));
            }
        }
        endpoints
    }

    fn endpoint(
        &mut self,
        draft: &Draft,
        components: &BTreeMap<Name, Component>,
        labels_of: &mut HashMap<Vec<usize>, Arc<BTreeMap<String, String>>>,
        dials: &mut Vec<Arc<Dial>>,
    ) -> Option<Endpoint> {
        let layers = &draft.layers;
        let component = match layers.item("component") {
            Some(item) => {
                let name = item.name()?;
                if !components.contains_key(&name) {
                    let known: Vec<&str> = components.keys().map(Name::as_str).collect();
                    let advice = match super::walk::nearest(name.as_str(), &known) {
                        Some(near) => format!("Did you mean \"{near}\"?"),
                        None => format!("Declare it: [component.{name}]"),
                    };
                    item.fault(format!("the component `{name}` is not declared"), advice);
                }
                name
            }
            None => draft.name.clone(),
        };
        let key: Vec<usize> = layers.items("labels").iter().map(|i| std::ptr::from_ref(i.value) as usize).collect();
        let labels = labels_of.entry(key).or_insert_with(|| Arc::new(labels(layers))).clone();
        let rules = Rules::new(cadence(layers));
        let dial = dial(layers);
        let dial = dials.iter().find(|d| ***d == dial).cloned().unwrap_or_else(|| {
            let dial = Arc::new(dial);
            dials.push(dial.clone());
            dial
        });
        let renamed_from = layers.0[0].item("renamed_from").and_then(|i| i.name());
        let enabled = layers.item("enabled").and_then(|i| i.flag()).unwrap_or(true);
        let probe = self.probe(draft);
        if draft.address.is_none() {
            layers.0[0].end();
        }
        let probe = probe?;
        let digest = digest(&probe, &dial);
        enabled.then_some(Endpoint { name: draft.name.clone(), component, labels, renamed_from, rules, dial, probe, digest })
    }

    /// The probe of a draft: its kind is that of its own table, else its group's, else the defaults'.
    fn probe(&mut self, draft: &Draft) -> Option<Probe> {
        let probes = draft.layers.layers("probe");
        let own = probes.0.iter().find(|s| Kind::ALL.iter().any(|k| s.table.contains_key(k.as_str())));
        let Some(own) = own else {
            for section in &probes.0 {
                Kind::ALL.iter().for_each(|k| drop(section.item(k.as_str())));
                section.end();
            }
            draft.at.fault(
                format!("the endpoint `{}` has no probe", draft.name),
                "Add one: probe.http = \"https://...\", probe.tcp = \"host:port\", probe.tls, probe.icmp or probe.dns.",
            );
            return None;
        };
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|k| own.item(k.as_str()).is_some()).collect();
        if own.path != "defaults.probe" {
            own.end();
        }
        let [kind] = kinds.as_slice() else {
            if own.path == "defaults.probe" {
                draft.at.fault(format!("the endpoint `{}` does not say which kind of probe it is", draft.name), "Name one kind in the endpoint.");
            } else {
                own.source.fault(&own.span, format!("the endpoint `{}` has {} kinds of probe", draft.name, kinds.len()), "Make it one endpoint for each kind.");
            }
            return None;
        };
        let items = probes.items(kind.as_str());
        let tables = Layers(items.iter().filter(|i| matches!(i.value, DeValue::Table(_))).filter_map(Item::section).collect());
        let short = items.iter().find(|i| matches!(i.value, DeValue::String(_)));
        for item in items.iter().filter(|i| !matches!(i.value, DeValue::Table(_) | DeValue::String(_))) {
            item.wrong_type("an address in quotes, or a table");
        }
        let key = address_key(*kind);
        let long = tables.item(key);
        let shared = self.spec(*kind, &tables);
        let address = draft.address.as_ref().or(long.as_ref()).or(short);
        let Some(address) = address else {
            draft.at.fault(format!("the endpoint `{}` has no address", draft.name), format!("Add probe.{}.{key} = \"...\".", kind.as_str()));
            return None;
        };
        self.aimed(shared, address)
    }

    /// The shared spec of these tables; built once for tables that hold nothing but the address themselves.
    fn spec(&mut self, kind: Kind, tables: &Layers) -> Shared {
        let address = address_key(kind);
        let telling: Vec<&Section> = tables.0.iter().filter(|s| s.table.len() > usize::from(s.table.contains_key(address))).collect();
        let place = |n: usize| telling.get(n).map_or(0, |s| std::ptr::from_ref(s.table) as usize);
        let key = (place(0), place(1), kind);
        let few = telling.len() <= 2;
        if let Some(shared) = self.specs.get(&key).filter(|_| few) {
            return shared.clone();
        }
        tables.item(address);
        let layers = tables;
        let shared = match kind {
            Kind::Http => Shared::Http(Arc::new(build_probe::http(layers, self.surroundings))),
            Kind::Tcp => Shared::Tcp(Arc::new(build_probe::tcp(layers))),
            Kind::Tls => Shared::Tls(Arc::new(build_probe::tls_probe(layers, self.surroundings))),
            Kind::Icmp => Shared::Icmp(Arc::new(build_probe::icmp(layers))),
            Kind::Dns => Shared::Dns(Arc::new(build_probe::dns(layers))),
        };
        layers.end();
        if few {
            self.specs.insert(key, shared.clone());
        }
        shared
    }

    fn aimed(&self, shared: Shared, address: &Item) -> Option<Probe> {
        let text = address.text()?;
        match shared {
            Shared::Http(spec) => http_url(&text, address).map(|url| Probe::Http { url: Arc::new(url), spec }),
            Shared::Tcp(spec) => host_port(&text, address, None).map(|address| Probe::Tcp { address, spec }),
            Shared::Tls(spec) => host_port(&text, address, Some(443)).map(|address| Probe::Tls { address, spec }),
            Shared::Dns(spec) => host_port(&text, address, Some(53)).map(|server| Probe::Dns { server, spec }),
            Shared::Icmp(spec) => {
                let plain = text.trim_start_matches('[').trim_end_matches(']');
                if plain.is_empty() || plain.contains(['/', ' ']) || plain.contains(':') && plain.parse::<IpAddr>().is_err() {
                    address.fault(format!("`{}` is no host", text.escape_debug()), "Write a host name or an address, without a port.");
                    return None;
                }
                Some(Probe::Icmp { host: Arc::from(plain), spec })
            }
        }
    }

    fn history(&self, layers: &Layers) -> History {
        let key = layers.item("key").and_then(|i| {
            let key = secret(&i, self.surroundings)?;
            let is_key = key.reveal().trim().len() == 64 && key.reveal().trim().bytes().all(|b| b.is_ascii_hexdigit());
            if !is_key {
                i.fault("the key that signs checkpoints is not 64 hexadecimal digits", "Make one: openssl rand -hex 32");
            }
            Some(key)
        });
        let backup = layers.item("backup").and_then(|i| {
            let section = i.section()?;
            let dir = section.item("dir").and_then(|i| i.text());
            if dir.is_none() && !section.table.contains_key("dir") {
                section.source.fault(&section.span, "[history.backup] has no dir", "Add dir = \"/var/backups/probity\".");
            }
            let plan = BackupPlan {
                every: section.item("every").and_then(|i| i.duration(1000, 31 * DAY_MS)).unwrap_or(DEFAULT_BACKUP_EVERY),
                keep: section.item("keep").and_then(|i| i.integer(1, 100_000)).map_or(DEFAULT_BACKUP_KEEP, |n| n as usize),
                dir: PathBuf::from(dir.unwrap_or_default()),
            };
            section.end();
            Some(plan)
        });
        layers.end();
        History { key, backup }
    }

    fn witness(&mut self, layers: &Layers) -> Witness {
        let quorum = layers.item("quorum");
        let mut witness = Witness::default();
        for section in layers.0.iter().flat_map(|l| l.tables("endpoint")) {
            let Some(draft) = draft(section.clone(), &Layers(Vec::new())) else { continue };
            let (own, dial) = (&draft.layers, dial(&draft.layers));
            let timeout = own.item("timeout").and_then(|i| i.duration(10, 5000)).unwrap_or(DEFAULT_WITNESS_TIMEOUT);
            let rules = Rules::new(Cadence { timeout, ..cadence(&Layers(Vec::new())) });
            let probe = self.probe(&draft);
            section.end();
            if witness.endpoints.iter().any(|e: &Arc<Endpoint>| e.name == draft.name) {
                draft.at.fault(format!("the witness `{}` stands twice", draft.name), "Give each witness a name of its own.");
            }
            let Some(probe) = probe else { continue };
            let digest = digest(&probe, &dial);
            let endpoint = Endpoint {
                component: draft.name.clone(),
                name: draft.name,
                labels: Arc::default(),
                renamed_from: None,
                rules,
                dial: Arc::new(dial),
                probe,
                digest,
            };
            witness.endpoints.push(Arc::new(endpoint));
        }
        if let Some(item) = quorum {
            witness.quorum = item.integer(1, 1000).map(|n| n as usize);
            if witness.quorum.is_some_and(|q| q > witness.endpoints.len()) {
                item.fault("the quorum is larger than the number of witnesses", "Take fewer, or add another [[witness.endpoint]].");
            }
        }
        layers.end();
        witness
    }

    fn notify(&self, section: &Section) -> Option<Notify> {
        let name = section.item("name").and_then(|i| i.name());
        let webhook = section.section("webhook");
        let after = section.item("after").and_then(|i| i.duration(0, DAY_MS)).unwrap_or(0);
        let headers = webhook.as_ref().and_then(|w| w.section("headers"));
        let headers = headers
            .iter()
            .flat_map(|h| h.entries().collect::<Vec<_>>())
            .filter_map(|(k, _, i)| secret(&i, self.surroundings).map(|s| (k.to_owned(), s)))
            .collect();
        let url = webhook.as_ref().and_then(|w| {
            let url = w.item("url").and_then(|i| secret(&i, self.surroundings));
            w.end();
            url
        });
        section.end();
        if name.is_none() {
            section.source.fault(&section.span, "a [[notify]] without a name", "Add name = \"ops\".");
        }
        if webhook.is_none() {
            section.source.fault(&section.span, "a [[notify]] without a receiver", "Add webhook.url = { file = \"...\" }.");
        }
        let url = url.filter(|u| is_web_address(section, u));
        Some(Notify { name: name?, url: url?, after, headers })
    }

    fn deadman(&self, top: &Layers) -> Option<Deadman> {
        let section = top.item("deadman")?.section()?;
        let url = section.item("url").and_then(|i| secret(&i, self.surroundings));
        let every = section.item("every").and_then(|i| i.duration(1000, DAY_MS)).unwrap_or(DEFAULT_DEADMAN_EVERY);
        section.end();
        if !section.table.contains_key("url") {
            section.source.fault(&section.span, "[deadman] has no url", "Add url = { file = \"...\" }, or take the table out.");
        }
        Some(Deadman { url: url.filter(|u| is_web_address(&section, u))?, every })
    }
}

/// The fault names the table only: the address is a secret.
fn is_web_address(section: &Section, address: &Secret) -> bool {
    let is_one = url::Url::parse(address.reveal()).is_ok_and(|u| matches!(u.scheme(), "http" | "https"));
    if !is_one {
        section.source.fault(
            &section.span,
            format!("the secret url of `{}` is no http or https URL", section.path),
            "Its source must hold one line such as https://hooks.example/x.",
        );
    }
    is_one
}

fn address_key(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => "url",
        Kind::Tcp | Kind::Tls => "address",
        Kind::Icmp => "host",
        Kind::Dns => "server",
    }
}

fn draft<'a>(section: Section<'a>, defaults: &Layers<'a>) -> Option<Draft<'a>> {
    let whole = Item { source: section.source, path: "endpoint".into(), span: section.span.clone(), value: &DeValue::Boolean(true) };
    let Some(item) = section.item("name") else {
        whole.fault("an [[endpoint]] without a name", "Add name = \"...\": the identity of its history and the label of its metrics.");
        return None;
    };
    let name = item.name()?;
    let mut layers = vec![section];
    layers.extend(defaults.0.iter().cloned());
    Some(Draft { name, layers: Layers(layers), address: None, at: item })
}

/// The endpoints of a group's target lines.
fn group_drafts<'a>(section: Section<'a>, defaults: &Layers<'a>) -> Vec<Draft<'a>> {
    let mut layers = vec![section.clone()];
    layers.extend(defaults.0.iter().cloned());
    let layers = Layers(layers);
    let mut drafts = Vec::new();
    let Some(targets) = section.section("targets") else {
        section.source.fault(
            &section.span,
            format!("`{}` has no targets", section.path),
            format!("Add [{}.targets] with lines of name = \"address\".", section.path),
        );
        return drafts;
    };
    for (key, span, item) in targets.entries() {
        if let DeValue::Table(_) = item.value {
            if ENDPOINT_KEYS.contains(&key) {
                targets.source.fault(
                    &span,
                    format!("the key `{key}` has landed under `{}`", targets.path),
                    "Put it above the targets' header, into the group's own table.",
                );
            } else {
                targets.source.fault(
                    &span,
                    format!("the name `{key}.…` has dots and is not quoted"),
                    "Quote it: \"login.example\" = \"https://login.example/\".",
                );
            }
            continue;
        }
        let looks_like_key = ENDPOINT_KEYS.contains(&key) && !matches!(item.value, DeValue::String(text) if text.contains([':', '/', '.']));
        if looks_like_key {
            targets.source.fault(
                &span,
                format!("the key `{key}` has landed under `{}`", targets.path),
                "Put it above the targets' header, into the group's own table.",
            );
            continue;
        }
        match Name::new(key) {
            Ok(name) => drafts.push(Draft { name, layers: layers.clone(), address: Some(item.clone()), at: item }),
            Err(error) => targets.source.fault(&span, format!("this cannot be a name: {error}"), "Take printable characters."),
        }
    }
    for key in ENDPOINT_KEYS {
        section.item(key);
    }
    section.item("enabled");
    section.end();
    drafts
}

#[cfg(test)]
mod tests {
    use super::super::walk::LOOKED_UP;
    use super::*;

    /// The example's text; every file that it names is there.
    struct Example;

    impl Surroundings for Example {
        fn read(&self, path: &Path) -> Result<String, String> {
            if path == Path::new("example.toml") {
                return Ok(include_str!("../../config/example.toml").into());
            }
            let is_address = path.ends_with("hook.url") || path.ends_with("deadman");
            if path.ends_with("checkpoint-key") {
                return Ok("07".repeat(32));
            }
            Ok(if is_address { "https://hooks.example/planted" } else { "-----BEGIN CERTIFICATE-----" }.into())
        }

        fn matching(&self, _: &Path) -> Result<Vec<PathBuf>, String> {
            Ok(Vec::new())
        }

        fn environment(&self, _: &str) -> Option<String> {
            Some("planted".into())
        }

        fn credentials(&self) -> Option<PathBuf> {
            Some("/run/credentials".into())
        }

        fn host_name(&self) -> String {
            "host".into()
        }
    }

    fn keys(value: &DeValue, into: &mut HashSet<String>) {
        match value {
            DeValue::Table(table) => {
                for (key, value) in table {
                    into.insert(key.get_ref().to_string());
                    keys(value.get_ref(), into);
                }
            }
            DeValue::Array(array) => array.iter().for_each(|v| keys(v.get_ref(), into)),
            _ => {}
        }
    }

    #[test]
    fn the_example_config_is_valid_and_shows_every_key() {
        let plan = load(Path::new("example.toml"), &Example).unwrap_or_else(|faults| panic!("{faults:#?}"));
        assert_eq!(plan.endpoints.len(), 9);
        let mut shown = HashSet::new();
        let text = include_str!("../../config/example.toml");
        let tree = DeTable::parse(text).expect("valid TOML");
        keys(&DeValue::Table(tree.into_inner()), &mut shown);
        let known = LOOKED_UP.with_borrow(|all| all.clone());
        let missing: Vec<_> = known.iter().filter(|k| !shown.contains(**k)).collect();
        assert!(missing.is_empty(), "config/example.toml lacks {missing:?}");
    }

    #[test]
    fn what_check_prints_is_a_config_of_the_same_meaning() {
        let plan = load(Path::new("example.toml"), &Example).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let printed = super::super::print::effective(&plan);
        assert!(!printed.contains("planted"), "secrets are masked");
        if let Err(error) = DeTable::parse(&printed) {
            panic!("{error}\n{printed}");
        }
    }
}
