//! What the targets share: a world in memory, and a connection that plays bytes.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use probity::config::{Endpoint, Plan, ConfigInputs, load};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[path = "../tests/support/config_inputs.rs"]
pub mod config_inputs;

use config_inputs::InMemory;

/// What stands between the main file and the file that it includes.
pub const NEXT_FILE: &str = "\n#=== conf.d/next.toml\n";

/// Config in memory: the text, a file beside it, and secrets that are always there.
pub fn in_memory(text: &str) -> InMemory<'_> {
    let (main, next) = text.split_once(NEXT_FILE).unwrap_or((text, ""));
    let beside = move |path: &Path| match path.to_str() {
        Some(p) if p.ends_with("next.toml") => Ok(next.to_owned()),
        Some(p) if p.ends_with(".pem") => Ok(include_str!("../tests/fixtures/weak.pem").into()),
        Some(p) if p.ends_with("none") => Err("there is no such file".into()),
        Some(p) if p.ends_with("odd") => Ok("two\nlines \u{7}".into()),
        Some(p) if p.ends_with("url") => Ok("https://hook.example/x\n".into()),
        _ => Ok(format!("{}\n", "07".repeat(32))),
    };
    let matching = |pattern: &Path| match pattern.to_str() {
        Some(p) if p.contains('*') => Ok(vec![PathBuf::from("conf.d/next.toml")]),
        Some(p) if p.ends_with("none") => Err("there is no such place".into()),
        _ => Ok(vec![pattern.to_owned()]),
    };
    let variable = |name: &str| match name {
        "CREDENTIALS_DIRECTORY" => Some("/run/credentials".to_owned()),
        _ if name.starts_with(|c: char| c.is_ascii_uppercase()) => Some("of-the-environment".into()),
        _ => None,
    };
    let mut inputs = InMemory::new("main.toml", main).beside(beside).variables(variable);
    inputs.matching = Box::new(matching);
    inputs
}

/// A plan that must be right.
pub fn plan(text: &str) -> Plan {
    match load(Path::new("main.toml"), &in_memory(text)) {
        Ok(plan) => plan,
        Err(faults) => panic!("{faults:#?}\n{text}"),
    }
}

/// One endpoint; `lines` are its keys.
pub fn endpoint(lines: &str) -> Arc<Endpoint> {
    plan(&format!("[[endpoint]]\nname = \"e\"\n{lines}\n")).endpoints[0].clone()
}

/// A connection whose peer sends these bytes, at most `step` at a time, and then ends; what is
/// written is taken.
pub struct Played<'b> {
    bytes: &'b [u8],
    step: usize,
}

impl<'b> Played<'b> {
    pub fn new(bytes: &'b [u8], step: usize) -> Self {
        Self { bytes, step: step.max(1) }
    }
}

impl AsyncRead for Played<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = self.bytes.len().min(self.step).min(buffer.remaining());
        let (now, later) = self.bytes.split_at(count);
        buffer.put_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Played<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// Runs a future to its end.
pub fn run<F: Future>(future: F) -> F::Output {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// The first byte, and the rest.
pub fn choice(data: &[u8]) -> (usize, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (usize::from(*first), rest))
}
