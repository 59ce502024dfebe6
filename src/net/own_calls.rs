//! The daemon's own calls over HTTP, beside its probes: notifications, the dead man's switch, a
//! timeline from another daemon.
//!
//! A proxy that the environment names is used only where the config says so, and never for this
//! host itself.

use std::env::var_os;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;
use url::{Host, Url};

use super::apart;
use super::authorities::Authorities;
use super::halt::Halt;
use super::networks::{Network, network_of};
use super::own_names::is_named_so;
use super::resolve::{Paths, Resolver, Sought};
use crate::config::Plan;
use crate::config::document::secret::Secret;
use crate::config::document::secret::mask::Mask;
use crate::config::plan::{Addresses, Proxies, ResolverChoice};

const CALL_TIMEOUT: Duration = Duration::from_secs(10);
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
    found.map_err(|halt| match halt {
        Halt::Down(_, detail) | Halt::Unmeasured(_, detail) => detail,
    })
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .dns_resolver(Arc::new(HostsAndDns))
        .timeout(CALL_TIMEOUT)
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

/// A client that uses no proxy.
pub fn client() -> Result<reqwest::Client, String> {
    built(|| builder().no_proxy())
}

/// The most that an answer to one of them may hold: a fleet of 100,000 endpoints has 40 MiB.
const ANSWER_LIMIT: usize = 256 << 20;

/// The text of an answer, of bounded length.
pub async fn text_of(response: reqwest::Response) -> Result<String, String> {
    text_within(response, ANSWER_LIMIT).await
}

async fn text_within(mut response: reqwest::Response, limit: usize) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|e| failure(e, Vec::new()))? {
        if bytes.len() + piece.len() > limit {
            return Err(format!("its answer is longer than {limit} bytes"));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| "its answer is not UTF-8".into())
}

/// The clients of one caller. Each reads the system's trust store when it is made, and keeps
/// connections that were verified by it.
#[derive(Clone)]
pub struct OwnCalls {
    authorities: Arc<Authorities>,
    /// Of the authorities that the clients were made with.
    generation: u64,
    direct: reqwest::Client,
    /// Made when it is first needed.
    proxied: OnceLock<reqwest::Client>,
}

impl OwnCalls {
    pub fn new(authorities: Arc<Authorities>) -> Result<Self, String> {
        // Before the store is read: a change meanwhile is then seen as one.
        let generation = authorities.generation();
        Ok(Self {
            authorities,
            generation,
            direct: client()?,
            proxied: OnceLock::new(),
        })
    }

    /// Makes the clients anew if an authority was added or removed since: calls from then on use
    /// new connections. Where that fails, it is tried again with the next call.
    pub fn follow_authorities(&mut self) {
        if self.authorities.generation() == self.generation {
            return;
        }
        match Self::new(self.authorities.clone()) {
            Ok(anew) => *self = anew,
            Err(why) => tracing::error!(
                %why,
                "the trust store has changed, and calls to receivers still use the one before"
            ),
        }
    }

    /// The client for a call to this URL.
    pub fn client_for(&self, url: &str, proxies: Proxies) -> Result<reqwest::Client, String> {
        if proxies == Proxies::None || is_this_host(url) {
            return Ok(self.direct.clone());
        }
        if let Some(client) = self.proxied.get() {
            return Ok(client.clone());
        }
        let made = built(builder)?;
        Ok(self.proxied.get_or_init(|| made).clone())
    }
}

/// Why a call failed, to the bottom of it, for a person. The text of a peer's certificate can be in
/// it, and the host of a secret URL.
pub fn failure(error: reqwest::Error, secrets: Vec<Secret>) -> String {
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
                text_within(
                    client()?
                        .get(&url)
                        .send()
                        .await
                        .map_err(|e| e.to_string())?,
                    limit,
                )
                .await
            })
        };
        assert_eq!(read(1000).map(|text| text.len()), Ok(1000));
        assert_eq!(read(999), Err("its answer is longer than 999 bytes".into()));
        server.join().expect("served");
    }

    #[test]
    fn a_name_that_no_thread_can_resolve_fails_its_call_and_ends_nothing() {
        let failed = apart::without_threads(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                client()
                    .expect("a client")
                    .get("http://localhost:1/")
                    .send()
                    .await
                    .map(drop)
                    .map_err(|e| failure(e, Vec::new()))
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
