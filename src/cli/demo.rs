//! `probity demo`: servers of our own on loopback, and the daemon against them, on a temporary
//! state.
//!
//! One server fails for 20 s of each minute, so that a stranger sees a transition, an outage with
//! its bounds, a certificate's expiry and latency quantiles within a minute, without a network.

use std::ffi::OsStr;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::args::Demo;
use crate::config::document::source::show_faults;
use crate::config::listen::DEFAULT_LISTEN;
use crate::daemon::exit::Exit;
use crate::daemon::run::run_plan;
use crate::daemon::start::read_config;
use crate::daemon::streams::say_error;
use crate::net::files::{OwnFolder, Readers, put};

/// In each minute.
const FAILS_FROM_S: u64 = 20;
const FAILS_TO_S: u64 = 40;
/// Ports that are tried where the usual one is taken.
const PORTS: u16 = 20;

pub fn run(demo: &Demo) -> Exit {
    crate::net::sys::close_memory();
    match try_run(demo) {
        Ok(exit) => exit,
        Err(why) => {
            say_error(format_args!("probity: the demo cannot run: {why}"));
            Exit::Bad
        }
    }
}

fn try_run(demo: &Demo) -> Result<Exit, String> {
    let folder = OwnFolder::new(&std::env::temp_dir(), OsStr::new("probity-demo"))
        .map_err(|e| e.to_string())?;
    let directory = folder.path();
    let authority = Authority::new()?;
    let ca_file = directory.join("ca.pem");
    put(&ca_file, authority.pem.as_bytes(), Readers::Owner).map_err(|e| e.to_string())?;
    let ports = servers(&authority)?;
    let config = directory.join("probity.toml");
    let usual = || DEFAULT_LISTEN.parse().expect("an address");
    let listen = demo.listen.unwrap_or_else(|| free_from(usual()));
    put(
        &config,
        config_text(listen, directory, &ca_file, &ports).as_bytes(),
        Readers::Owner,
    )
    .map_err(|e| e.to_string())?;
    let plan = read_config(&config).map_err(|faults| show_faults(&faults))?;
    let shown = format!(
        "page     http://{0}/\nmetrics  http://{0}/metrics\nconfig   {1}\nThe \
            endpoint \"checkout\" fails for 20 s in each minute, first after 20 s. Ctrl-C \
            ends.\n\n",
        listen,
        config.display()
    );
    let _ = std::io::stdout().write_all(shown.as_bytes());
    let seconds = demo.seconds;
    let ending = Box::pin(async move {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    });
    let result = run_plan(plan, config, ending);
    drop(folder);
    match result {
        Ok(()) => Ok(Exit::Fine),
        Err(error) => {
            say_error(format_args!("probity: {error}"));
            Ok(error.exit())
        }
    }
}

/// This address, or the next one that is free: a daemon may run here already.
fn free_from(usual: SocketAddr) -> SocketAddr {
    let next = |n: u16| SocketAddr::new(usual.ip(), usual.port().saturating_add(n));
    let is_free = |address: &SocketAddr| std::net::TcpListener::bind(address).is_ok();
    (0..PORTS).map(next).find(is_free).unwrap_or(usual)
}

/// A certificate authority that lives as long as the demo.
struct Authority {
    pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Authority {
    fn new() -> Result<Self, String> {
        let text = |e: rcgen::Error| e.to_string();
        let mut params = CertificateParams::new(Vec::<String>::new()).map_err(text)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Probity demo authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(text)?)
            .map_err(text)?;
        let key = KeyPair::generate().map_err(text)?;
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
            .map_err(text)?;
        leaf.distinguished_name
            .push(DnType::CommonName, "localhost");
        let now = crate::net::clock::Clock::Real.read().utc_ms / 1000;
        let day = |seconds: i64| {
            let text = crate::words::format_utc(seconds * 1000);
            let part = |a: usize, b: usize| text[a..b].parse::<i32>().unwrap_or(1);
            rcgen::date_time_ymd(part(0, 4), part(5, 7) as u8, part(8, 10) as u8)
        };
        (leaf.not_before, leaf.not_after) = (day(now - 86_400), day(now + 30 * 86_400));
        let certificate = leaf.signed_by(&key, &issuer).map_err(text)?;
        Ok(Self {
            pem: issuer.pem(),
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
        })
    }

    fn acceptor(&self) -> Result<TlsAcceptor, String> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .map_err(|e| e.to_string())?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

struct Ports {
    backend: u16,
    frontend: u16,
    checkout: u16,
}

/// Starts the servers on a thread of their own.
fn servers(authority: &Authority) -> Result<Ports, String> {
    let bind = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
        listener.set_nonblocking(true).map_err(|e| e.to_string())?;
        let port = listener.local_addr().map_err(|e| e.to_string())?.port();
        Ok::<_, String>((listener, port))
    };
    let ((backend, backend_port), (frontend, frontend_port), (checkout, checkout_port)) =
        (bind()?, bind()?, bind()?);
    let acceptor = authority.acceptor()?;
    std::thread::Builder::new()
        .name("demo".into())
        .spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                let began = Instant::now();
                let listen = |l| TcpListener::from_std(l);
                let (Ok(backend), Ok(frontend), Ok(checkout)) =
                    (listen(backend), listen(frontend), listen(checkout))
                else {
                    return;
                };
                tokio::join!(
                    serve(backend, None, began, Behaviour::Steady),
                    serve(frontend, Some(acceptor), began, Behaviour::Steady),
                    serve(checkout, None, began, Behaviour::Fails)
                );
            });
        })
        .map_err(|e| e.to_string())?;
    Ok(Ports {
        backend: backend_port,
        frontend: frontend_port,
        checkout: checkout_port,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Steady,
    Fails,
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    began: Instant,
    behaviour: Behaviour,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let tls = tls.clone();
        let content = if behaviour == Behaviour::Fails
            && (FAILS_FROM_S..FAILS_TO_S).contains(&(began.elapsed().as_secs() % 60))
        {
            ("503 Service Unavailable", "the payment service is gone\n")
        } else {
            ("200 OK", "{\"status\":\"ok\"}\n")
        };
        tokio::spawn(async move {
            // Some spread, so that the quantiles have something to show.
            tokio::time::sleep(Duration::from_micros(fastrand::u64(200..4000))).await;
            match tls {
                None => answer(stream, content).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream, content).await;
                    }
                }
            }
        });
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, (status, body): (&str, &str)) {
    let mut request = [0; 2048];
    if stream.read(&mut request).await.is_err() {
        return;
    }
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: \
            close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn config_text(listen: SocketAddr, directory: &Path, ca_file: &Path, ports: &Ports) -> String {
    format!(
        r#"[daemon]
vantage = "demo"
listen = "{listen}"
state_dir = {directory:?}

[defaults]
interval = "1s"
timeout = "500ms"
retry_interval = "200ms"

[component.backend]
title = "Backend"

[[endpoint]]
name = "backend"
component = "backend"
probe.http = "http://127.0.0.1:{backend}/health"

[[endpoint]]
name = "frontend"
probe.http.url = "https://127.0.0.1:{frontend}/"
probe.http.tls.ca_file = {ca_file:?}
probe.http.expect.json = "body.status == 'ok'"

[[endpoint]]
name = "checkout"
probe.http = "http://127.0.0.1:{checkout}/"

[[endpoint]]
name = "frontend-port"
probe.tcp = "127.0.0.1:{frontend}"
"#,
        directory = directory.join("state"),
        backend = ports.backend,
        frontend = ports.frontend,
        checkout = ports.checkout,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_free_port_is_taken_where_the_usual_one_is_not_free() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let usual = taken.local_addr().expect("an address");
        let found = free_from(usual);
        assert!((1..PORTS).contains(&(found.port() - usual.port())));
        drop(taken);
        assert_eq!(free_from(usual), usual);
    }
}
