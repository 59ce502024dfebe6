//! The daemon's own calls over HTTP, beside its probes: notifications, the dead man's switch, a
//! timeline from another daemon. Each has a thread of its own, and its caller waits for a bounded
//! time: no server can hold anything but its own calls.
//!
//! A proxy that the environment names is used only where the config says so, and never for this
//! host itself.

use std::env::var_os;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use super::apart;
use super::authorities::Authorities;
use super::networks::{Network, network_of};
use super::own_names::is_named_so;
use super::own_thread::{self, CallPlace, CallPlaces};
use super::probe_error::ProbeError;
use super::resolve::{Paths, Resolver, Sought};
use crate::config::Plan;
use crate::config::document::secret::Secret;
use crate::config::document::secret::mask::Mask;
use crate::config::plan::{Addresses, Proxies, ResolverChoice};
use crate::words::people::size;

/// For the whole of a call, with its name, its handshake and all that is read of its answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A caller waits so much longer for the thread of its call.
const GRACE: Duration = Duration::from_secs(1);
/// The most that an answer may hold: a list of 100,000 endpoints has 40 MiB.
const ANSWER_LIMIT: usize = 64 << 20;
/// Of these, for the name.
const NAME_TIMEOUT: Duration = Duration::from_secs(5);
/// What names a proxy, in capitals or in small letters.
const VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The way from a name to addresses that probes have, too: the hosts file, then DNS. The system
/// library has more ways (NSS), but a binary that is linked statically can only use them on hosts
/// with the same release of that library.
struct HostsAndDns;

impl Resolve for HostsAndDns {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = apart::run(move || addresses(name.as_str(), Paths::default())).await??;
            let found = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(found) as Addrs)
        })
    }
}

/// On a thread of its own: the resolver belongs to one thread, and the client may use several.
fn addresses(host: &str, paths: Paths) -> Result<Vec<IpAddr>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let system = ResolverChoice::System;
    let found = runtime.block_on(async {
        let (resolver, deadline) = (Resolver::new(paths), Instant::now() + NAME_TIMEOUT);
        resolver.refresh(&system, deadline).await?;
        let sought = Sought {
            host,
            led_from: None,
        };
        resolver
            .addresses(sought, &system, Addresses::Any, deadline)
            .await
    });
    found.map_err(|err| match err {
        ProbeError::Down(_, detail) | ProbeError::Unmeasured(_, detail) => detail,
    })
}

/// Without connections that are kept alive: they would belong to the thread of the call that made
/// them, and one call a minute gains little by them.
fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .dns_resolver(Arc::new(HostsAndDns))
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("Probity/", env!("CARGO_PKG_VERSION")))
}

/// A host without any trusted authority can still call plain http; https then fails where it is
/// tried.
fn built(builder: impl Fn() -> reqwest::ClientBuilder) -> Result<reqwest::Client, String> {
    builder()
        .build()
        .or_else(|_| builder().tls_certs_only(std::iter::empty()).build())
        .map_err(|e| e.to_string())
}

/// A call to a server of others.
#[derive(Debug)]
pub struct OwnCall {
    pub url: String,
    pub headers: Vec<(String, Secret)>,
    /// Posted as JSON; without one the call is a GET.
    pub body: Option<String>,
    pub proxies: Proxies,
    pub wanted: WantedAnswer,
    /// What no error may show.
    pub secrets: Vec<Secret>,
}

/// What is read of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedAnswer {
    /// Its status line and headers.
    Status,
    /// Its text as well, up to 64 MiB.
    Text,
}

#[derive(Debug, PartialEq, Eq)]
pub struct OwnAnswer {
    pub status: reqwest::StatusCode,
    /// Empty where only the status was wanted.
    pub text: String,
}

/// The clients of one caller. Each reads the system's trust store when it is made, which is when it
/// is first needed.
#[derive(Default)]
struct OwnClients {
    /// Of the authorities that the clients were made with.
    generation: u64,
    direct: Option<reqwest::Client>,
    proxied: Option<reqwest::Client>,
}

/// Calls of one caller.
#[derive(Clone)]
pub struct OwnCalls {
    authorities: Arc<Authorities>,
    clients: Arc<Mutex<OwnClients>>,
}

impl OwnCalls {
    pub fn new(authorities: Arc<Authorities>) -> Self {
        Self {
            authorities,
            clients: Arc::default(),
        }
    }

    /// Calls on a thread of its own, and waits a little longer than a call may take. The place is
    /// taken until the thread has ended.
    pub async fn call(&self, place: CallPlace, call: OwnCall) -> Result<OwnAnswer, String> {
        let calls = self.clone();
        own_thread::run_within(CALL_TIMEOUT + GRACE, place, move || calls.answer(call))
            .await
            .unwrap_or_else(|why| Err(why.to_string()))
    }

    /// The whole of one call, on this thread. A server can answer so that one look at its bytes
    /// finds no end for long: the runtime therefore looks at the time after each.
    fn answer(&self, call: OwnCall) -> Result<OwnAnswer, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .event_interval(1)
            .build()
            .map_err(|e| e.to_string())?;
        let client = self.client_for(&call.url, call.proxies)?;
        runtime
            .block_on(async { timeout(CALL_TIMEOUT, exchanged(client, call)).await })
            .unwrap_or_else(|_| {
                let seconds = CALL_TIMEOUT.as_secs();
                Err(format!("no complete answer within {seconds} s"))
            })
    }

    /// The client for a call to this URL. It is made anew if an authority was added or removed
    /// since. Where that fails, the call fails, and the next one tries it again.
    fn client_for(&self, url: &str, proxies: Proxies) -> Result<reqwest::Client, String> {
        let is_direct = proxies == Proxies::None || is_this_host(url);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the store is read: a change meanwhile is then seen as one.
        let generation = self.authorities.generation();
        if clients.generation != generation {
            *clients = OwnClients {
                generation,
                ..OwnClients::default()
            };
        }
        let kept = match is_direct {
            true => &mut clients.direct,
            false => &mut clients.proxied,
        };
        if let Some(client) = kept {
            return Ok(client.clone());
        }
        let made = match is_direct {
            true => built(|| builder().no_proxy()),
            false => built(builder),
        }?;
        Ok(kept.insert(made).clone())
    }
}

/// The text that a GET of a command is answered with.
pub fn fetch(url: String, proxies: Proxies) -> Result<String, String> {
    let answer = answer_to(url, proxies)?;
    if answer.status.is_success() {
        Ok(answer.text)
    } else {
        Err(format!("it answered {}", answer.status))
    }
}

/// The same, whatever its status.
pub fn answer_to(url: String, proxies: Proxies) -> Result<OwnAnswer, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let place = CallPlaces::new(1)
        .take()
        .expect("one place, and no other call");
    let call = OwnCall {
        url,
        headers: Vec::new(),
        body: None,
        proxies,
        wanted: WantedAnswer::Text,
        secrets: Vec::new(),
    };
    let calls = OwnCalls::new(Authorities::of_the_system());
    runtime.block_on(calls.call(place, call))
}

async fn exchanged(client: reqwest::Client, call: OwnCall) -> Result<OwnAnswer, String> {
    let mut request = match call.body {
        None => client.get(&call.url),
        Some(body) => client
            .post(&call.url)
            .header("content-type", "application/json")
            .body(body),
    };
    for (name, value) in &call.headers {
        request = request.header(name, value.reveal());
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Err(failure(error, call.secrets)),
    };
    let status = response.status();
    let text = match call.wanted {
        WantedAnswer::Text if status.is_success() => {
            text_within(response, ANSWER_LIMIT, call.secrets).await?
        }
        WantedAnswer::Text | WantedAnswer::Status => String::new(),
    };
    Ok(OwnAnswer { status, text })
}

/// The text of an answer, of bounded length.
async fn text_within(
    mut response: reqwest::Response,
    limit: usize,
    secrets: Vec<Secret>,
) -> Result<String, String> {
    let mut bytes = Vec::new();
    loop {
        let piece = match response.chunk().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => return Err(failure(error, secrets)),
        };
        if bytes.len() + piece.len() > limit {
            let limit = size(limit as u64);
            return Err(format!("its answer is longer than {limit}"));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| "its answer is not UTF-8".into())
}

/// Why a call failed, to the bottom of it, for a person. The text of a peer's certificate can be in
/// it, and the host of a secret URL.
fn failure(error: reqwest::Error, secrets: Vec<Secret>) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    Mask::of(secrets).apply(text)
}

/// Loopback by address, by name (RFC 6761, section 6.3), or by what the files of this host say.
fn is_this_host(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        // The kernel takes an unspecified address for loopback.
        Some(Host::Ipv4(v4)) => v4.is_unspecified() || network_of(v4.into()) == Network::Loopback,
        Some(Host::Ipv6(v6)) => {
            v6.to_canonical().is_unspecified() || network_of(v6.into()) == Network::Loopback
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost") || is_named_so(name)
        }
        None => false,
    }
}

/// What a person should know of proxies: the names of the variables, never their values, which can
/// hold passwords.
pub fn note(plan: &Plan) -> Option<String> {
    if plan.notify.is_empty() && plan.deadman.is_none() {
        return None;
    }
    let set: Vec<&str> = VARIABLES
        .into_iter()
        .filter(|name| var_os(name).is_some_and(|value| !value.is_empty()))
        .collect();
    noted(plan.proxies, &set)
}

fn noted(proxies: Proxies, set: &[&str]) -> Option<String> {
    let names = set.join(", ");
    match (proxies, set.is_empty()) {
        (Proxies::None, true) => None,
        (Proxies::None, false) => Some(format!(
            "the environment sets {names}: notifications and the dead man's switch do not use it; \
                set [proxy] from_environment = true if they should"
        )),
        (Proxies::Environment, true) => Some(
            "[proxy] from_environment = true, but this environment names no proxy: \
                notifications and the dead man's switch call directly"
                .into(),
        ),
        (Proxies::Environment, false) => Some(format!(
            "notifications and the dead man's switch use the proxy of {names} ([proxy] \
                from_environment = true); probes and calls to loopback never do"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_up_to_a_limit() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().expect("a client");
                let _ = stream.read(&mut [0; 1000]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(&[b'x'; 1000]);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let read = |limit| {
            runtime.block_on(async {
                let client = built(|| builder().no_proxy())?;
                let response = client.get(&url).send().await;
                text_within(response.map_err(|e| e.to_string())?, limit, Vec::new()).await
            })
        };
        assert_eq!(read(1000).map(|text| text.len()), Ok(1000));
        assert_eq!(read(999), Err("its answer is longer than 999 B".into()));
        server.join().expect("served");
    }

    #[test]
    fn a_name_that_no_thread_can_resolve_fails_its_call_and_ends_nothing() {
        let failed = apart::without_threads(|| {
            OwnCalls::new(Authorities::of_the_system()).answer(OwnCall {
                url: "http://localhost:1/".into(),
                headers: Vec::new(),
                body: None,
                proxies: Proxies::None,
                wanted: WantedAnswer::Status,
                secrets: Vec::new(),
            })
        });
        assert!(
            failed.as_ref().is_err_and(|why| why.contains("no thread")),
            "{failed:?}"
        );
    }

    #[test]
    fn names_are_those_of_the_hosts_file_and_of_dns() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = |hosts: &str| {
            let at = |name: &str| folder.path().join(name);
            std::fs::write(at("hosts"), hosts).expect("a file");
            std::fs::write(at("resolv.conf"), "nameserver 127.0.0.1\n").expect("a file");
            Paths {
                resolv_conf: at("resolv.conf"),
                hosts: at("hosts"),
                // Nobody listens: who asks is refused.
                port: 1,
            }
        };
        let known = || paths("192.0.2.7 hook.internal\n2001:db8::7 hook.internal\n");
        let found = addresses("hook.internal", known()).expect("by the file");
        let text = |ip: &IpAddr| ip.to_string();
        let mut found: Vec<_> = found.iter().map(text).collect();
        found.sort();
        assert_eq!(found, ["192.0.2.7", "2001:db8::7"]);
        let unknown = addresses("other.internal", known()).expect_err("no name server");
        assert!(unknown.contains("127.0.0.1:1"), "{unknown}");
    }

    #[test]
    fn this_host_is_known_by_each_of_its_names() {
        for (url, is_ours) in [
            ("http://127.0.0.1:9847/", true),
            ("http://127.9.8.7/", true),
            ("http://2130706433/", true),
            ("http://[::1]/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://LOCALHOST:1/", true),
            ("http://hook.localhost./", true),
            ("http://notlocalhost/", false),
            ("http://localhost.example/", false),
            ("http://10.0.0.1/", false),
            ("https://hooks.example/127.0.0.1", false),
            ("no URL", false),
        ] {
            assert_eq!(is_this_host(url), is_ours, "{url}");
        }
    }

    #[test]
    fn a_proxy_is_said_where_it_is_used_and_where_it_is_not() {
        assert_eq!(noted(Proxies::None, &[]), None);
        assert!(
            noted(Proxies::None, &["HTTPS_PROXY"])
                .is_some_and(|note| note.contains("HTTPS_PROXY") && note.contains("do not use it"))
        );
        assert!(
            noted(Proxies::Environment, &[]).is_some_and(|note| note.contains("call directly"))
        );
        assert!(
            noted(Proxies::Environment, &["http_proxy"])
                .is_some_and(|note| note.contains("use the proxy of http_proxy"))
        );
    }
}
