//! SIGHUP from the first instruction on: it asks for a reload, and never ends a daemon that is only
//! starting.
//!
//! `main` calls [`watch`] before it does anything else; the running daemon asks
//! [`reload_was_asked`] once it can reload.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on SIGHUP is remembered. Commands other than the daemon keep its usual meaning: their
/// terminal is gone.
pub fn watch() {
    let runs_a_daemon = std::env::args_os()
        .skip(1)
        .any(|word| word == "run" || word == "demo");
    if runs_a_daemon {
        let asked = ASKED.get_or_init(Arc::default);
        let _ = signal_hook::flag::register(signal_hook::consts::SIGHUP, asked.clone());
    }
}

/// Whether a reload was asked for since the last time this was called.
pub fn reload_was_asked() -> bool {
    ASKED
        .get()
        .is_some_and(|asked| asked.swap(false, Ordering::Relaxed))
}
