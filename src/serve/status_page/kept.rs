//! What was published last, for all who ask within a few seconds.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::published::{PublicStatus, published};
use crate::config::status_page::StatusPage;
use crate::engine::board::Board;
use crate::history::chain::hex;
use crate::net::apart;
use crate::net::clock::Clock;
use crate::serve::contracts::ContractStatuses;

/// How old an answer may be. The page says of when it is.
pub const KEPT_FOR: Duration = Duration::from_secs(2);
/// And how much longer than it took to make: a large fleet may cost a twentieth of a core.
const TIMES_AS_LONG: u32 = 20;

/// What answers are made of. Clones share what is kept.
#[derive(Clone)]
pub struct KeptStatus {
    board: Arc<Board>,
    statuses: Arc<ArcSwap<ContractStatuses>>,
    kept: Arc<Mutex<Option<KeptUntil>>>,
}

struct KeptUntil {
    status: Arc<KeptAnswers>,
    until: Instant,
    /// Of this config: a reload shows at once.
    page: StatusPage,
}

impl KeptStatus {
    pub fn new(board: Arc<Board>, statuses: Arc<ArcSwap<ContractStatuses>>) -> Self {
        Self {
            board,
            statuses,
            kept: Arc::default(),
        }
    }

    /// `None`: a reload took the page away, or this host has no thread to make it.
    pub async fn status(&self) -> Option<Arc<KeptAnswers>> {
        let page = self.board.plan.load().status_page.clone()?;
        // Who comes while it is being made waits for that.
        let mut kept = self.kept.lock().await;
        if let Some(kept) = &*kept
            && Instant::now() < kept.until
            && kept.page == page
        {
            return Some(kept.status.clone());
        }
        let began = Instant::now();
        let (board, statuses, of) = (self.board.clone(), self.statuses.load_full(), page.clone());
        let made = apart::run(move || {
            let now = Clock::Real.read().utc_ms;
            Arc::new(KeptAnswers::of(published(&board, &statuses, &of, now)))
        });
        let status = made.await.ok()?;
        let until = Instant::now() + KEPT_FOR.max(began.elapsed() * TIMES_AS_LONG);
        *kept = Some(KeptUntil {
            status: status.clone(),
            until,
            page,
        });
        Some(status)
    }
}

/// What is published, and the answers that were made of it so far.
pub struct KeptAnswers {
    pub status: PublicStatus,
    by_path: std::sync::Mutex<HashMap<String, PageAnswer>>,
}

/// The bytes of an answer, plain and as gzip, with their entity tag.
#[derive(Clone)]
pub struct PageAnswer {
    pub plain: Bytes,
    pub gzip: Bytes,
    /// Weak: both have the same one.
    pub tag: String,
}

impl KeptAnswers {
    fn of(status: PublicStatus) -> Self {
        Self {
            status,
            by_path: std::sync::Mutex::default(),
        }
    }

    /// The answer of a path, which always has the same text while this is kept; `None`: there is
    /// nothing of that name.
    pub fn answer(
        &self,
        path: &str,
        make: impl FnOnce(&PublicStatus) -> Option<String>,
    ) -> Option<PageAnswer> {
        let mut all = self.by_path.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = all.get(path) {
            return Some(answer.clone());
        }
        let answer = PageAnswer::of(make(&self.status)?);
        all.insert(path.to_owned(), answer.clone());
        Some(answer)
    }
}

impl PageAnswer {
    fn of(text: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let packed = encoder
            .write_all(text.as_bytes())
            .and_then(|()| encoder.finish());
        Self {
            tag: format!("W/\"{}\"", &hex(&Sha256::digest(&text))[..16]),
            gzip: packed.expect("memory takes it").into(),
            plain: text.into(),
        }
    }
}
