//! The listener of the public status page. Its port may be taken: then it is tried again, and
//! probing goes on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::engine::board::Board;
use crate::serve::listener::refusal::Refusals;
use crate::serve::listener::{ListenerSetup, ListenerThread, bind, run};
use crate::serve::status_page::{KeptStatus, router};

const AGAIN_AFTER: Duration = Duration::from_secs(10);
const LOOK_AFTER_THREAD: Duration = Duration::from_secs(1);

/// What the listener needs beside its socket.
pub struct StatusPageSetup {
    pub address: SocketAddr,
    pub kept: KeptStatus,
    pub board: Arc<Board>,
    pub refusals: Arc<Refusals>,
    pub places: Arc<AtomicUsize>,
}

/// Serves the page until it is dropped.
pub async fn serve(setup: StatusPageSetup) {
    let address = setup.address;
    let mut was_told = false;
    loop {
        match setup.begin() {
            Ok(thread) => {
                tracing::info!(%address, "the status page is served");
                was_told = false;
                while !thread.has_died() {
                    tokio::time::sleep(LOOK_AFTER_THREAD).await;
                }
                tracing::error!(
                    "the thread of the status page ended by itself; please report this"
                );
            }
            Err(error) if !was_told => {
                was_told = true;
                tracing::warn!(
                    %address,
                    %error,
                    "the status page cannot listen; it is tried again every 10 s. Free the port \
                        or set another `listen` in [status_page]"
                );
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

impl StatusPageSetup {
    fn begin(&self) -> io::Result<ListenerThread> {
        run(ListenerSetup {
            listener: bind(self.address)?,
            router: router(self.kept.clone()),
            board: self.board.clone(),
            refusals: self.refusals.clone(),
            places: self.places.clone(),
        })
    }
}
