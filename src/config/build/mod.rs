//! Builds the [`Plan`] from the config's files, and gathers every fault of all of them.

mod beside;
mod builder;
#[cfg(test)]
mod documented;
mod endpoint;
mod listen;
pub mod maintenance;
#[cfg(test)]
mod planted;
pub mod probe;
mod status_page;
pub mod tls;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use toml::Spanned;
use toml::de::DeTable;

use self::beside::{proxies, sent_by_own_calls};
use self::builder::Builder;
use self::endpoint::{Draft, digest, draft, group_drafts, in_zone, mask_by_host};
use self::listen::listen;
use self::maintenance::windows;
use self::status_page::status_page;
use super::contract::contracts;
use super::document::common::{cadence, calendar_instant, combination, dial, is_id, metrics};
use super::document::source::{ConfigInputs, Fault, Source};
use super::document::tree::{Item, Layers, Section};
use super::plan::*;
use crate::config::document::problem::{Problem, problem};
use crate::judgement::rules::{Cadence, Rules};
use crate::judgement::timeline::Combine;
use crate::judgement::zones::{self, ZoneSource};
use crate::words::Name;

/// Reads the config at `path` with all that it includes. Either a plan that is right, or every
/// fault at once.
pub fn load(path: &Path, inputs: &dyn ConfigInputs) -> Result<Plan, Vec<Fault>> {
    let (sources, patterns) = read_all(path, inputs)?;
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
    let roots: Vec<Section> = parsed
        .iter()
        .map(|(k, tree)| Section::new(&sources[*k], String::new(), tree.get_ref(), tree.span()))
        .collect();
    let broken = sources.iter().any(|s| {
        let f = s.take_faults();
        let any = !f.is_empty();
        faults.extend(f);
        any
    });
    let plan = if broken {
        None
    } else {
        Some(
            Builder {
                inputs,
                specs: HashMap::new(),
            }
            .plan(&roots),
        )
    };
    for source in &sources {
        faults.extend(source.take_faults());
    }
    faults.sort();
    match plan {
        Some(plan) if faults.is_empty() => Ok(Plan {
            read_from: read_from(&sources, patterns),
            ..plan
        }),
        _ => Err(faults),
    }
}

/// What a text says of the state directory, whatever else is wrong with it.
pub fn state_dir_in(text: &str) -> Option<String> {
    key_in(text, "daemon", "state_dir")
}

/// And of the address at which the daemon listens.
pub fn listen_in(text: &str) -> Option<String> {
    key_in(text, "listen", "address").or_else(|| key_in(text, "daemon", "listen"))
}

fn key_in(text: &str, table: &str, key: &str) -> Option<String> {
    let (tree, _) = DeTable::parse_recoverable(text);
    let table = tree.get_ref().get(table)?.get_ref().as_table()?;
    let named = table.get(key)?.get_ref().as_str()?;
    Some(named.to_owned())
}

fn read_from(sources: &[Source], patterns: Vec<PathBuf>) -> ConfigFiles {
    let digest = |source: &Source| Sha256::digest(source.text.as_bytes()).into();
    let files = sources.iter().map(|s| (s.path.clone(), digest(s)));
    ConfigFiles {
        files: files.collect(),
        patterns,
    }
}

/// The main file and the files that its `include` names, and the patterns of these.
fn read_all(
    path: &Path,
    inputs: &dyn ConfigInputs,
) -> Result<(Vec<Source>, Vec<PathBuf>), Vec<Fault>> {
    let text = inputs.read(path).map_err(|why| {
        let advice = "Name another with --config, or start from config/quickstart.toml.".to_owned();
        let problem = problem!("the config cannot be read: {why}");
        vec![Fault::of_file(path, problem, advice)]
    })?;
    let main = Source::new(path, text);
    let (included, patterns) = included(&main, inputs);
    let sources = std::iter::once(main).chain(included).collect();
    Ok((sources, patterns))
}

fn included(main: &Source, inputs: &dyn ConfigInputs) -> (Vec<Source>, Vec<PathBuf>) {
    let (tree, _) = DeTable::parse_recoverable(&main.text);
    let root = Section::new(main, String::new(), tree.get_ref(), tree.span());
    let (mut sources, mut patterns): (Vec<Source>, Vec<PathBuf>) = Default::default();
    for pattern in root.item("include").iter().flat_map(Item::list) {
        let Some(text) = pattern.text() else { continue };
        let path = main.path.parent().unwrap_or(Path::new(".")).join(&text);
        let found = inputs.matching(&path);
        patterns.push(path);
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                pattern.fault(
                    problem!("`{text}` cannot be included: {why}"),
                    "Write a path or a pattern such as \"conf.d/*.toml\", relative to this file.",
                );
                continue;
            }
        };
        for one in found {
            if one == main.path || sources.iter().any(|s| s.path == one) {
                pattern.fault(
                    problem!("`{}` is read twice", one.display()),
                    "Include each file once, and not the main file.",
                );
                continue;
            }
            match inputs.read(&one) {
                Ok(text) => sources.push(Source::new(&one, text)),
                Err(why) => pattern.fault(
                    problem!("`{}` cannot be included: {why}", one.display()),
                    "Make it readable, or remove it.",
                ),
            }
        }
    }
    (sources, patterns)
}

/// The parser's message in our words where a common slip is behind it.
fn explained(message: &str, source: &Source, at: usize) -> (Problem, String) {
    let line_start = source
        .text
        .get(..at)
        .and_then(|t| t.rfind('\n'))
        .map_or(0, |n| n + 1);
    let line = source
        .text
        .get(line_start..)
        .and_then(|t| t.lines().next())
        .unwrap_or_default()
        .trim();
    if message.contains("duplicate key") || message.contains("cannot extend value of type") {
        let advice = if line.starts_with("probe.") {
            "`probe.http = \"...\"` is short for `probe.http.url = \"...\"`; beside other keys \
                write the long form."
        } else {
            "Keep one of them."
        };
        return (
            problem!("this key appears twice ({message})"),
            advice.into(),
        );
    }
    (
        problem!("this is not TOML: {message}"),
        "Quote strings and names with dots, and put each key on its own line.".into(),
    )
}

/// The endpoints as the files name them: single ones first, then those of groups.
fn drafts<'a>(top: &Layers<'a>, defaults: &Layers<'a>) -> Vec<Draft<'a>> {
    let mut drafts = Vec::new();
    for root in &top.0 {
        for section in root.tables("endpoint") {
            drafts.extend(draft(section, defaults));
        }
    }
    for group in top.layers("group").0 {
        for (id, span, item) in group.entries() {
            let Some(section) = item.section() else {
                continue;
            };
            if !is_id(id) {
                group.source.fault(
                    &span,
                    problem!("`{}` cannot be a group's id", id.escape_debug()),
                    "Ids are made of a-z, 0-9, _ and -.",
                );
            }
            drafts.extend(group_drafts(section, defaults));
        }
    }
    drafts
}

impl Builder<'_> {
    fn plan(&mut self, roots: &[Section]) -> Plan {
        let main = &roots[0];
        main.item("include");
        let top = Layers(roots.to_vec());
        let defaults = top.layers("defaults");
        let components = self.components(&top.layers("component"));
        let metrics = metrics(&top.layers("metrics"));
        let drafts = drafts(&top, &defaults);
        self.look_at_unused(&defaults);
        let daemon = top.layers("daemon");
        let listen = listen(
            &top.layers("listen"),
            daemon.item("listen").as_ref(),
            self.inputs,
        );
        let daemon = self.daemon(&daemon);
        let mut endpoints = self.endpoints(drafts, &components);
        let notify = self.receivers(roots);
        let (deadman, proxies) = (self.deadman(&top), proxies(&top.layers("proxy")));
        let mut witness = self.witness(&top.layers("witness"));
        let own_calls = sent_by_own_calls(&notify, deadman.as_ref());
        let masks = mask_by_host(&mut endpoints, &mut witness.endpoints, own_calls);
        let history = self.history(&top.layers("history"));
        let mut declared: Vec<&str> = components.keys().map(Name::as_str).collect();
        declared.extend(endpoints.iter().map(|e| e.component.as_str()));
        let shown: Vec<&str> = components.keys().map(Name::as_str).collect();
        let status_page = status_page(&top, &shown, listen.address);
        let contracts = contracts(&top, Some(&declared));
        let names: Vec<&str> = endpoints.iter().map(|e| e.name.as_str()).collect();
        let maintenance = windows(&top, &declared, &names);
        defaults.end();
        roots.iter().for_each(Section::end);
        Plan {
            daemon,
            listen,
            status_page,
            metrics,
            components,
            endpoints,
            history,
            witness,
            contracts,
            maintenance,
            notify,
            deadman,
            proxies,
            masks: Arc::new(masks),
            read_from: ConfigFiles::default(),
        }
    }

    /// The receivers of notifications, each with a name of its own.
    fn receivers(&self, roots: &[Section]) -> Vec<Notify> {
        let mut names = HashSet::new();
        let mut receivers: Vec<Notify> = Vec::new();
        for section in roots.iter().flat_map(|r| r.tables("notify")) {
            let Some(receiver) = self.notify(&section) else {
                continue;
            };
            if !names.insert(receiver.name.clone()) {
                section.source.fault(
                    &section.span,
                    problem!("duplicate receiver `{}`", receiver.name),
                    "Give each [[notify]] a name of its own.",
                );
            }
            receivers.push(receiver);
        }
        receivers
    }

    fn daemon(&self, layers: &Layers) -> Daemon {
        let daemon = Daemon {
            vantage: layers
                .item("vantage")
                .and_then(|i| i.name())
                .map_or_else(|| self.inputs.host_name(), |n| n.to_string()),
            state_dir: layers
                .item("state_dir")
                .and_then(|i| i.text())
                .map(PathBuf::from),
            max_in_flight: layers
                .item("max_in_flight")
                .and_then(|i| i.integer(1, 1_000_000))
                .map(|n| n as usize),
            max_in_flight_per_host: layers
                .item("max_in_flight_per_host")
                .and_then(|i| i.integer(1, 1_000_000))
                .map(|n| n as usize),
            zone_data: self.zone_data(layers),
            clock: layers
                .item("clock")
                .and_then(|i| i.word(&ClockChoice::WORDS))
                .unwrap_or_default(),
            real_time: layers
                .item("real_time")
                .and_then(|i| i.word(&RealTimeChoice::WORDS))
                .unwrap_or_default(),
        };
        layers.end();
        daemon
    }

    /// Chosen before the first zone is looked up.
    fn zone_data(&self, layers: &Layers) -> ZoneSource {
        let Some(item) = layers.item("zone_data") else {
            return ZoneSource::default();
        };
        let source = item.word(&ZoneSource::WORDS).unwrap_or_default();
        if source == ZoneSource::System {
            match self.inputs.system_zones() {
                Ok(found) => zones::choose(found),
                Err(why) => item.fault(
                    problem!("the system's zone data cannot be used: {why}"),
                    "Install the system's time zone database (tzdata), or set zone_data \
                        = \"bundled\".",
                ),
            }
        }
        source
    }

    fn components(&self, layers: &Layers) -> BTreeMap<Name, Component> {
        let mut components = BTreeMap::new();
        for section in &layers.0 {
            for (id, span, item) in section.entries() {
                let Some(table) = item.section() else {
                    continue;
                };
                let title = table
                    .item("title")
                    .and_then(|i| i.name())
                    .map_or_else(|| id.to_owned(), |n| n.to_string());
                let combine = table
                    .item("combine")
                    .and_then(|i| combination(&i))
                    .unwrap_or(Combine::Series);
                let in_service_from = table
                    .item("in_service_from")
                    .and_then(|i| calendar_instant(&i));
                table.end();
                match Name::new(id) {
                    Ok(name) if is_id(id) && components.contains_key(&name) => {
                        section.source.fault(
                            &span,
                            problem!("duplicate component `{id}`"),
                            "Keep one of its tables: they do not mix.",
                        );
                    }
                    Ok(name) if is_id(id) => {
                        components.insert(
                            name,
                            Component {
                                title,
                                combine,
                                in_service_from,
                            },
                        );
                    }
                    _ => section.source.fault(
                        &span,
                        problem!("`{}` cannot be a component's id", id.escape_debug()),
                        "Ids are made of a-z, 0-9, _ and -; the text for people is `title`.",
                    ),
                }
            }
        }
        components
    }

    fn witness(&mut self, layers: &Layers) -> Witness {
        let quorum = layers.item("quorum");
        let mut witness = Witness::default();
        for section in layers.0.iter().flat_map(|l| l.tables("endpoint")) {
            let Some(draft) = draft(section.clone(), &Layers(Vec::new())) else {
                continue;
            };
            let (own, dial) = (&draft.layers, dial(&draft.layers));
            let timeout = own
                .item("timeout")
                .and_then(|i| i.duration(10, 5000))
                .unwrap_or(DEFAULT_WITNESS_TIMEOUT);
            let rules = Rules::new(Cadence {
                timeout,
                ..cadence(&Layers(Vec::new()))
            });
            let probe = self.probe(&draft);
            section.end();
            if witness
                .endpoints
                .iter()
                .any(|e: &Arc<Endpoint>| e.name == draft.name)
            {
                draft.at.fault(
                    problem!("duplicate witness `{}`", draft.name),
                    "Give each witness a name of its own.",
                );
            }
            let Some(probe) = probe else { continue };
            let dial = in_zone(Arc::new(dial), &probe);
            let (digest, mask) = (
                digest(&probe, &dial),
                probe.mask().cloned().unwrap_or_default(),
            );
            let endpoint = Endpoint {
                component: draft.name.clone(),
                name: draft.name,
                labels: Arc::default(),
                renamed_from: None,
                rules,
                dial,
                probe,
                mask,
                digest,
            };
            witness.endpoints.push(Arc::new(endpoint));
        }
        if let Some(item) = quorum {
            witness.quorum = item.integer(1, 1000).map(|n| n as usize);
            if witness.quorum.is_some_and(|q| q > witness.endpoints.len()) {
                item.fault(
                    "the quorum is larger than the number of witnesses",
                    "Lower it, or add another [[witness.endpoint]].",
                );
            }
        }
        layers.end();
        witness
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use toml::de::DeValue;

    use super::*;
    use crate::config::document::tree::LOOKED_UP;
    use crate::config::in_memory::InMemory;
    use crate::judgement::maintenance::Window;
    use crate::kind::Kind;

    /// Digests are part of recorded histories: a change of one would be told as a change of the
    /// definition of every endpoint of that kind.
    #[test]
    fn the_digests_of_definitions_stay_as_they_are_recorded() {
        const TEXT: &str = r#"
            [[endpoint]]
            name = "a"
            probe.http.url = "https://shop.example/a?b=c"
            probe.http.headers.X-A = "b"
            probe.http.expect.body.contains = "ok"
            probe.http.redirects = 3
            [[endpoint]]
            name = "b"
            probe.http = "http://[fe80::1%lo]:8080/"
            [[endpoint]]
            name = "c"
            probe.tcp.address = "db.example:5432"
            probe.tcp.dialogue = [{ expect = "^220" }, { send = "QUIT\\r\\n" }]
            [[endpoint]]
            name = "d"
            probe.tls = "mail.example:993"
            [[endpoint]]
            name = "e"
            probe.icmp = "router.example"
            [[endpoint]]
            name = "f"
            probe.dns.server = "192.0.2.53"
            probe.dns.query = "shop.example"
            probe.dns.expect.any = "^192"
            [[endpoint]]
            name = "g"
            probe.udp.address = "ntp.example:123"
            probe.udp.send = ["hello"]
            probe.udp.expect.contains = "hello"
        "#;
        let plan = load(Path::new("t"), &crate::config::OneText(TEXT)).expect("a plan");
        for kind in Kind::ALL {
            let is_there = plan.endpoints.iter().any(|e| e.probe.kind() == *kind);
            assert!(is_there, "no digest of {} is held", kind.as_str());
        }
        let digests: Vec<String> = plan
            .endpoints
            .iter()
            .map(|e| e.digest.to_string())
            .collect();
        let recorded = [
            "b75d530249ef57b47a9d296825a2853529b5a54577695afb10bf5f10ca177103",
            "0aa1fd8b23313f7c6caa686f8c6af8d0d32c3c4c33d5de5fa1c0ac961529b926",
            "b4aa19b1b165328d2c55a7865f65d2950668c9e9757e40dd4ca97a1ab1844e9c",
            "2b19afc51f743bebcdf8b5b59eeafc46ec850fda6744c8a1355f0556ef7e6214",
            "a3712de34b44a53bf7cb752f04b8a5c3be38cbc4a75edcc22cf986531a33d033",
            "50cfc62982e155484dfb4533e63c2a8477175d213b8515b94b457bf4ec548d40",
            "9d12d7cfa87df29469c17736fbaf4c1398cb58b34daa7e005d740285a0b5f5dd",
        ];
        assert_eq!(digests, recorded);
    }

    /// A server may show what it was sent before: by another endpoint, a witness or a message.
    #[test]
    fn secrets_of_witnesses_and_of_own_calls_at_a_host_are_masked_there() {
        const TEXT: &str = r#"
            [[endpoint]]
            name = "status"
            probe.http.url = "https://Shop.example/status"
            probe.http.headers.x-key = { env = "zebra-endpoint-0" }
            [[endpoint]]
            name = "other"
            probe.http.url = "https://other.example/"
            [[witness.endpoint]]
            name = "w"
            probe.http.url = "https://shop.example/w"
            probe.http.headers.x-api-key = { env = "zebra-witness-1" }
            [[notify]]
            name = "ops"
            webhook.url = { env = "https://u:zebra-password-5@shop.example/hook/zebra-path-2" }
            webhook.headers.authorization = { env = "zebra-header-3" }
            [deadman]
            url = { env = "http://shop.example:8080/ping?token=zebra-query-4" }
        "#;
        let plan = load(Path::new("t"), &holding(TEXT, "")).expect("a plan");
        let shown = "at shop.example: 0 zebra-endpoint-0, 1 zebra-witness-1, 2 zebra-path-2, \
            3 zebra-header-3, 4 zebra-query-4, 5 zebra-password-5";
        let masked = "at shop.example: 0 <secret>, 1 <secret>, 2 <secret>, 3 <secret>, \
            4 <secret>, 5 <secret>";
        for endpoint in [&plan.endpoints[0], &plan.witness.endpoints[0]] {
            assert_eq!(endpoint.mask.apply(shown.to_owned()), masked);
        }
        assert!(plan.endpoints[1].mask.is_empty());
    }

    /// A file may be empty while it is written: nothing is sent in place of a secret.
    #[test]
    fn an_empty_secret_is_a_fault_wherever_it_stands() {
        for lines in [
            "probe.http.headers.x-key = { file = \"f\" }",
            "probe.http.query.key = { file = \"f\" }",
            "probe.http.body = { file = \"f\" }",
            "probe.http.auth.basic = { username = \"u\", password = { file = \"f\" } }",
            "probe.http.auth.bearer = { file = \"f\" }",
            "probe.tcp.dialogue = [{ send = { file = \"f\" } }]",
        ] {
            for held in ["", "\n", " \r\n", "\0\0\0"] {
                let address = if lines.contains("tcp") {
                    "probe.tcp.address = \"h:1\""
                } else {
                    "probe.http.url = \"http://h/\""
                };
                let text = format!("[[endpoint]]\nname = \"e\"\n{address}\n{lines}\n");
                let faults = load(Path::new("t"), &holding(&text, held)).err();
                let faults = faults.expect("refused");
                assert_eq!(faults.len(), 1, "{lines}: {faults:?}");
                assert!(faults[0].problem.contains("` is empty"), "{faults:?}");
            }
        }
        for lines in [
            "[[notify]]\nname = \"n\"\nwebhook.url = { file = \"f\" }",
            "[deadman]\nurl = { file = \"f\" }",
            "[listen]\ntoken = { file = \"f\" }",
            "[history]\nkey = { file = \"f\" }",
        ] {
            let faults = load(Path::new("t"), &holding(lines, "")).err();
            let faults = faults.expect("refused");
            assert!(faults[0].problem.contains("` is empty"), "{faults:?}");
        }
    }

    #[test]
    fn a_receiver_has_no_headers_that_the_daemon_sets_itself() {
        for name in [
            "Content-Length",
            "content-type",
            "host",
            "transfer-encoding",
            "connection",
        ] {
            let text = format!(
                "[[notify]]\nname = \"n\"\nwebhook.url = {{ file = \"f\" }}\n\
                    webhook.headers.{name} = {{ file = \"f\" }}\n"
            );
            let faults = load(Path::new("t"), &holding(&text, "https://h/")).err();
            let faults = faults.expect("refused");
            assert_eq!((faults.len(), faults[0].line), (1, 4), "{faults:?}");
            assert!(
                faults[0].problem.contains("is set by the prober itself"),
                "{faults:?}"
            );
        }
    }

    /// A config, what each file beside it holds, and variables that hold their own names.
    fn holding<'t>(text: &str, held: &'t str) -> InMemory<'t> {
        InMemory::new("t", text)
            .beside(move |_| Ok(held.to_owned()))
            .variables(|name| (name != "CREDENTIALS_DIRECTORY").then(|| name.to_owned()))
    }

    /// What stands in a file that the example names: each is there.
    fn beside_the_example(path: &Path) -> Result<String, String> {
        static PAIR: LazyLock<(String, String)> = LazyLock::new(|| {
            let one = rcgen::generate_simple_self_signed(vec!["a.example".into()])
                .expect("a certificate");
            (one.cert.pem(), one.signing_key.serialize_pem())
        });
        let name = path.to_string_lossy();
        Ok(match path.extension().and_then(|e| e.to_str()) {
            Some("pem" | "crt") => PAIR.0.clone(),
            Some("key") => PAIR.1.clone(),
            _ if name.ends_with("checkpoint-key") => "07".repeat(32),
            _ if name.ends_with("token") => "planted-planted-planted".into(),
            _ if name.ends_with("hook.url") || name.ends_with("deadman") => {
                "https://hooks.example/planted".into()
            }
            _ => "planted".into(),
        })
    }

    /// A config, and beside it what the example names.
    pub(super) fn with_the_examples_files(name: &str, text: &str) -> InMemory<'static> {
        let variable = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => "/run/credentials".to_owned(),
            _ => "planted".to_owned(),
        };
        InMemory::new(name, text)
            .beside(beside_the_example)
            .variables(move |name| Some(variable(name)))
    }

    pub(super) fn example() -> InMemory<'static> {
        with_the_examples_files("example.toml", include_str!("../../../config/example.toml"))
    }

    #[test]
    fn a_file_of_certificates_has_a_limit() {
        let held = "#".repeat((16 << 20) + 1);
        let text = "[[endpoint]]\nname = \"a\"\nprobe.tls.address = \"a.example:443\"\n\
                    probe.tls.tls.ca_file = \"a.pem\"\n";
        let faults = load("t".as_ref(), &holding(text, &held)).expect_err("too large");
        assert_eq!(
            faults[0].problem,
            "`a.pem` has more than 16 MiB, which is the limit"
        );
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
        let plan = load(Path::new("example.toml"), &example())
            .unwrap_or_else(|faults| panic!("{faults:#?}"));
        for kind in Kind::ALL {
            assert!(
                plan.endpoints.iter().any(|e| e.probe.kind() == *kind),
                "config/example.toml shows no {kind:?}"
            );
        }
        let mut shown = HashSet::new();
        let text = include_str!("../../../config/example.toml");
        let tree = DeTable::parse(text).expect("valid TOML");
        keys(&DeValue::Table(tree.into_inner()), &mut shown);
        let known = LOOKED_UP.with_borrow(|all| all.clone());
        let missing: Vec<_> = known
            .keys()
            .filter(|path| !path.contains(".targets."))
            .filter(|path| !shown.contains(path.rsplit('.').next().unwrap_or(path)))
            .collect();
        assert!(missing.is_empty(), "config/example.toml lacks {missing:?}");
    }

    #[test]
    fn what_check_prints_is_a_config_of_the_same_meaning() {
        let plan = load(Path::new("example.toml"), &example())
            .unwrap_or_else(|faults| panic!("{faults:#?}"));
        let printed = super::super::print::effective(&plan);
        assert!(!printed.contains("planted"), "secrets are masked");
        let again = printed
            .replace("\nkey = \"<secret>\"", "\nkey = { env = \"KEY\" }")
            .replace("\"<secret>\"", "{ env = \"ANY\" }");
        let variable = |name: &str| match name {
            "KEY" => Some("0b".repeat(32)),
            "CREDENTIALS_DIRECTORY" => None,
            _ => Some("http://127.0.0.1/planted".to_owned()),
        };
        let again = InMemory::new("printed.toml", again.as_str())
            .beside(|_| Ok(again.clone()))
            .variables(variable)
            .host_name("other");
        let again = load(Path::new("printed.toml"), &again)
            .unwrap_or_else(|faults| panic!("{faults:#?}\n{printed}"));
        let endpoints = |plan: &Plan| -> Vec<String> {
            let shown = |e: &Arc<Endpoint>| {
                format!(
                    "{} {} {:?} {:?} {:?} {} {:?}",
                    e.name,
                    e.component,
                    e.labels,
                    e.rules,
                    e.dial,
                    e.target(),
                    e.renamed_from
                )
            };
            plan.endpoints.iter().map(shown).collect()
        };
        assert_eq!(endpoints(&again), endpoints(&plan));
        let rest = |plan: &Plan| {
            let notify: Vec<_> = plan
                .notify
                .iter()
                .map(|n| (n.name.clone(), n.after, n.headers.len()))
                .collect();
            let windows: Vec<_> = plan.maintenance.iter().map(Window::to_json).collect();
            let contracts: Vec<_> = plan
                .contracts
                .list
                .iter()
                .map(|c| {
                    format!(
                        "{} {} {:?} {:?}",
                        c.name, c.objective, c.components, c.credit
                    )
                })
                .collect();
            let listen = format!("{:?}", plan.listen);
            (
                plan.metrics.state_labels.clone(),
                plan.metrics.buckets_us.clone(),
                listen,
                plan.status_page.clone(),
                notify,
                windows,
                contracts,
                plan.components.len(),
                plan.witness.quorum,
            )
        };
        assert_eq!(rest(&again), rest(&plan));
    }
}
