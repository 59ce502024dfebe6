//! What is to be probed: an endpoint of the config, or an address with options.
//!
//! The options are written as the config that they stand for and read by the config's own parser,
//! so that they have its limits and its errors.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::args::probe::Probe;
use super::super::given;
use crate::config::document::secret::by_host::HostMasks;
use crate::config::document::secret::is_secret_name;
use crate::config::document::source::show_faults;
use crate::config::document::tree::nearest;
use crate::config::plan::ClockChoice;
use crate::config::plan::probe::HostPort;
use crate::config::usual_ports::{self, First};
use crate::config::{ConfigInputs, Endpoint, Fault, Plan, load};
use crate::daemon::exit::Exit;
use crate::daemon::start::read_config;
use crate::daemon::streams::say_error;
use crate::kind::Kind;
use crate::kind::target::toml;
use crate::net::config_files::Files;
use crate::words::people::listed;

/// The file that the options stand for.
const COMMAND_LINE: &str = "command line";

/// Addresses that an option gives for a host and port.
pub struct Pinned {
    pub host: String,
    pub port: u16,
    pub addresses: Vec<IpAddr>,
}

/// Reads `HOST:PORT:ADDRESS[,ADDRESS...]`.
pub fn pinned(options: &[String]) -> Result<Vec<Pinned>, Exit> {
    let read = |text: &str| {
        let (host, rest) = text.split_once(':')?;
        let (port, list) = rest.split_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let address = |text: &str| {
            let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
            bare.unwrap_or(text).parse().ok()
        };
        let addresses = list.split(',').map(address).collect::<Option<Vec<_>>>()?;
        let host = Some(host.to_owned()).filter(|host| !host.is_empty())?;
        Some(Pinned {
            host,
            port,
            addresses,
        })
    };
    let all = options.iter().map(|text| {
        let allowed = "HOST:PORT:ADDRESS with an IP address, such as shop.example:443:192.0.2.7";
        read(text).ok_or_else(|| given::out_of_range("resolve", text, allowed))
    });
    all.collect()
}

/// What is probed, and what of its config the probe rests on.
pub struct ConfiguredProbe {
    pub endpoint: Arc<Endpoint>,
    pub clock: ClockChoice,
    pub masks: Arc<HostMasks>,
}

/// The endpoint of that name in the config, or one made of an address.
pub fn endpoint(args: &Probe) -> Result<ConfiguredProbe, Exit> {
    match args.target.split_once("://") {
        Some((scheme, rest)) => of_address(args, scheme, rest),
        None => of_config(args),
    }
}

fn usage(text: std::fmt::Arguments<'_>) -> Exit {
    say_error(format_args!("probity: {text}"));
    Exit::Usage
}

fn of_config(args: &Probe) -> Result<ConfiguredProbe, Exit> {
    let target = &args.target;
    let path = args.config.path();
    let has_no_config = args.config.is_missing();
    if let Some(meant) = meant(target).filter(|_| has_no_config) {
        return Err(usage(format_args!(
            "`{target}` has no scheme. {meant}\n    To probe an endpoint of a config, name the \
                config with --config: there is none at {}.",
            path.display()
        )));
    }
    let plan = read_config(&path).map_err(|faults| {
        say_error(show_faults(&faults));
        Exit::Config
    })?;
    let found = plan.endpoints.iter().find(|e| e.name.as_str() == target);
    let Some(endpoint) = found.cloned() else {
        return Err(unknown(target, &plan));
    };
    let for_addresses = options_of_addresses(args);
    if !for_addresses.is_empty() {
        return Err(usage(format_args!(
            "{} for addresses only: the endpoint {target} is probed as the config says. Change \
                its keys, or probe {} instead",
            if for_addresses.len() == 1 {
                format!("{} is", for_addresses[0])
            } else {
                format!("{} are", listed(&for_addresses, "and"))
            },
            Kind::listed(Kind::usage, "or")
        )));
    }
    Ok(ConfiguredProbe {
        endpoint,
        clock: plan.daemon.clock,
        masks: plan.masks.clone(),
    })
}

fn unknown(target: &str, plan: &Plan) -> Exit {
    let names: Vec<&str> = plan.endpoints.iter().map(|e| e.name.as_str()).collect();
    let advice = match nearest(target, &names) {
        Some(near) => Some(format!("Did you mean {near}?")),
        None => meant(target),
    };
    let advice = advice.map_or_else(String::new, |advice| format!("\n    {advice}"));
    usage(format_args!(
        "the config has no endpoint named {target}; an address starts with {}{advice}",
        Kind::listed(Kind::usage, "or")
    ))
}

/// What an address without a scheme may stand for.
fn meant(target: &str) -> Option<String> {
    let authority = target.split(['/', '?']).next().unwrap_or_default();
    if let Some(HostPort { host, port }) = HostPort::parse(authority) {
        let is_bare = authority.len() == target.len();
        let scheme = match usual_ports::usual(port) {
            Some(("HTTP", _)) => "http",
            Some(("HTTPS", _)) => "https",
            Some((_, First::Tls)) if is_bare => "tls",
            _ if is_bare => "tcp",
            _ => "https",
        };
        let is_host = host.contains(['.', ':']) || &*host == "localhost" || is_bare;
        return is_host.then(|| format!("Did you mean {scheme}://{target}?"));
    }
    let is_host = authority == "localhost"
        || authority.contains('.')
            && authority
                .chars()
                .all(|c| c.is_alphanumeric() || ".-_".contains(c));
    is_host.then(|| {
        format!(
            "Did you mean https://{target}? A port that does not speak HTTP is probed as \
                tcp://{authority}:PORT."
        )
    })
}

/// The given options that only addresses have.
fn options_of_addresses(args: &Probe) -> Vec<&'static str> {
    let sent = &args.sent;
    [
        ("--header", !sent.header.is_empty()),
        ("--request", sent.request.is_some()),
        ("--data", sent.data.is_some()),
        ("--ca-file", sent.ca_file.is_some()),
        ("--insecure", sent.insecure),
        ("--resolver", sent.resolver.is_some()),
        ("--expect", !args.expect.is_empty()),
    ]
    .into_iter()
    .filter_map(|(option, is_given)| is_given.then_some(option))
    .collect()
}

/// Refuses options that this kind does not have.
fn refuse_foreign(args: &Probe, kind: Kind) -> Result<(), Exit> {
    for option in options_of_addresses(args) {
        let has_it = |kind: &&Kind| kind.options().contains(&option);
        let words: Vec<&str> = Kind::ALL
            .iter()
            .filter(has_it)
            .map(|k| k.as_str())
            .collect();
        // An option that no kind names is one of all.
        if !words.is_empty() && !has_it(&&kind) {
            return Err(usage(format_args!(
                "{option} is an option of {} probes; {} is a probe of the kind {}",
                listed(&words, "and"),
                args.target,
                kind.as_str()
            )));
        }
    }
    Ok(())
}

fn of_address(args: &Probe, scheme: &str, rest: &str) -> Result<ConfiguredProbe, Exit> {
    given::duration("timeout", &args.timeout, 1)?;
    let kind = Kind::ALL.iter().find(|k| k.schemes().contains(&scheme));
    let Some(kind) = kind.copied() else {
        let advice = usual_ports::of_protocol(scheme, rest)
            .map_or_else(String::new, |advice| format!("\n    {advice}"));
        return Err(usage(format_args!(
            "unknown probe kind {scheme}://. Use {}{advice}",
            Kind::listed(Kind::usage, "or")
        )));
    };
    refuse_foreign(args, kind)?;
    let mut written = Written::default();
    written.line(&args.target, "[[endpoint]]\nname = \"probe\"");
    written.line("--timeout", format_args!("timeout = {:?}", args.timeout));
    written.line(&args.target, kind.lines(scheme, rest));
    written.sent(args, kind)?;
    written.expect(args, kind)?;
    let plan = written.plan().map_err(|faults| {
        for fault in &faults {
            let origin = written.origin(fault.line).unwrap_or(&args.target);
            say_error(format_args!("probity: {origin}: {}", fault.problem));
            if !fault.advice.is_empty() {
                say_error(format_args!("    {}", fault.advice));
            }
        }
        Exit::Usage
    })?;
    plan.endpoints
        .first()
        .cloned()
        .map(|endpoint| ConfiguredProbe {
            endpoint,
            clock: ClockChoice::Verified,
            masks: plan.masks.clone(),
        })
        .ok_or(Exit::Usage)
}

/// The options as config.
#[derive(Default)]
struct Written {
    text: String,
    /// The option that each line stands for.
    origins: Vec<String>,
    /// What goes into the text by way of the environment, as secrets do.
    secrets: Vec<String>,
    expected: Vec<Expected>,
}

/// The values of one key of `expect`.
struct Expected {
    key: String,
    values: Vec<String>,
    /// A number, or true or false: tried where a text is refused.
    is_literal: bool,
}

impl Written {
    fn line(&mut self, origin: &str, lines: impl std::fmt::Display) {
        let lines = lines.to_string();
        for line in lines.lines() {
            self.text += line;
            self.text.push('\n');
            self.origins.push(origin.to_owned());
        }
    }

    fn origin(&self, line: usize) -> Option<&String> {
        self.origins.get(line.checked_sub(1)?)
    }

    fn sent(&mut self, args: &Probe, kind: Kind) -> Result<(), Exit> {
        let (sent, kind) = (&args.sent, kind.as_str());
        for header in &sent.header {
            let Some((name, value)) = header.split_once(':') else {
                // Without the text: it may hold a secret.
                return Err(usage(format_args!(
                    "a --header has no colon. Write 'Name: value', such as 'Accept: text/html'"
                )));
            };
            let (name, value) = (name.trim(), value.trim());
            let key = format!("probe.{kind}.headers.{}", toml(name));
            let origin = format!("--header {name}");
            if self.origins.contains(&origin) {
                return Err(usage(format_args!(
                    "--header {name} is given twice; give it once"
                )));
            }
            if is_secret_name(name) {
                let place = self.secrets.len().to_string();
                self.secrets.push(value.to_owned());
                self.line(&origin, format_args!("{key} = {{ env = \"{place}\" }}"));
            } else {
                self.line(&origin, format_args!("{key} = {}", toml(value)));
            }
        }
        let method = sent
            .request
            .as_deref()
            .or_else(|| sent.data.is_some().then_some("POST"));
        if let Some(method) = method {
            let line = format!("probe.{kind}.method = {}", toml(method));
            self.line("--request", line);
        }
        if let Some(data) = &sent.data {
            let body = match data.strip_prefix('@') {
                Some(file) => given::text(Path::new(file))
                    .map_err(|why| usage(format_args!("--data: {why}")))?,
                None => data.clone(),
            };
            self.line(
                "--data",
                format_args!("probe.{kind}.body = {}", toml(&body)),
            );
        }
        if let Some(file) = &sent.ca_file {
            let path = toml(&file.to_string_lossy());
            let line = format!("probe.{kind}.tls.ca_file = {path}");
            self.line("--ca-file", line);
        }
        if sent.insecure {
            self.line(
                "--insecure",
                format_args!("probe.{kind}.tls.verify = false"),
            );
        }
        if let Some(resolver) = &sent.resolver {
            self.line("--resolver", format_args!("resolver = {}", toml(resolver)));
        }
        Ok(())
    }

    /// Reads the expectations; [`Written::plan`] writes them.
    fn expect(&mut self, args: &Probe, kind: Kind) -> Result<(), Exit> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        for text in &args.expect {
            let pair = text.split_once('=').map(|(k, v)| (k.trim(), v.trim()));
            let Some((key, value)) = pair.filter(|(key, _)| key.split('.').all(is_part)) else {
                return Err(given::out_of_range(
                    "expect",
                    text,
                    "KEY=VALUE, such as status=2xx or body.contains=ok",
                ));
            };
            let key = format!("probe.{}.expect.{key}", kind.as_str());
            let value = value.to_owned();
            match self.expected.iter_mut().find(|known| known.key == key) {
                Some(known) => known.values.push(value),
                None => self.expected.push(Expected {
                    is_literal: key.contains(".expect.headers."),
                    values: vec![value],
                    key,
                }),
            }
        }
        Ok(())
    }

    /// The plan of these lines. A value that looks like a number is a text at first: `200` may be
    /// looked for in a body.
    fn plan(&mut self) -> Result<Plan, Vec<Fault>> {
        let (text, origins) = (self.text.clone(), self.origins.clone());
        let first = origins.len();
        let expectations = |written: &mut Self| {
            (written.text, written.origins) = (text.clone(), origins.clone());
            for one in std::mem::take(&mut written.expected) {
                let shown = one.key.split_once(".expect.").map_or("", |(_, key)| key);
                written.line(&format!("--expect {shown}"), one.as_toml());
                written.expected.push(one);
            }
        };
        expectations(self);
        self.loaded().or_else(|faults| {
            let mut is_changed = false;
            for (n, one) in self.expected.iter_mut().enumerate() {
                let is_refused = faults.iter().any(|fault| fault.line == first + n + 1);
                if is_refused && !one.is_literal && one.values.iter().any(|v| is_literal(v)) {
                    (one.is_literal, is_changed) = (true, true);
                }
            }
            if !is_changed {
                return Err(faults);
            }
            expectations(self);
            self.loaded()
        })
    }

    fn loaded(&self) -> Result<Plan, Vec<Fault>> {
        load(Path::new(COMMAND_LINE), self)
    }
}

impl Expected {
    /// One line, whatever is in the values.
    fn as_toml(&self) -> String {
        let value = |text: &String| {
            let is_toml = text.starts_with(['[', '{', '"', '\'']) && !text.contains('\n');
            let is_plain = is_toml || self.is_literal && is_literal(text);
            if is_plain { text.clone() } else { toml(text) }
        };
        let values: Vec<String> = self.values.iter().map(value).collect();
        match values.as_slice() {
            [one] => format!("{} = {one}", self.key),
            several => format!("{} = [{}]", self.key, several.join(", ")),
        }
    }
}

fn is_literal(text: &str) -> bool {
    matches!(text, "true" | "false") || text.parse::<i64>().is_ok()
}

/// The options as the main file, beside the files that they name.
impl ConfigInputs for Written {
    fn read(&self, path: &Path) -> Result<String, String> {
        if path == Path::new(COMMAND_LINE) {
            return Ok(self.text.clone());
        }
        Files.read(path)
    }

    fn matching(&self, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.secrets.get(name.parse::<usize>().ok()?).cloned()
    }

    fn credentials(&self) -> Option<PathBuf> {
        None
    }

    fn host_name(&self) -> String {
        "host".to_owned()
    }
}
