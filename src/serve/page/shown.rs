//! How the page writes times and shares.

use crate::judgement::sla::evaluation::Evaluation;
use crate::judgement::sla::exact::{Exact, truncated, whole};
use crate::words::{Ms, UtcMs, format_utc, people};

/// An availability and its bounds.
pub struct Cell {
    pub point: String,
    pub bounds: String,
}

/// `2026-11-01 12:00:00`.
pub fn clock(at: UtcMs) -> String {
    format_utc(at)[..19].replace('T', " ")
}

/// A share with as many decimals as the measured time supports.
pub fn shown_share(share: &Option<Exact>, measured: Ms) -> String {
    share.as_ref().map_or("–".to_owned(), |s| {
        truncated(&(s * whole(100)), people::decimals(measured))
    })
}

pub fn shown_percent(share: &Option<Exact>, measured: Ms) -> String {
    let text = shown_share(share, measured);
    if share.is_some() {
        format!("{text} %")
    } else {
        text
    }
}

/// What of the service time was measured.
pub fn measured(j: &Evaluation) -> Ms {
    j.times.up + j.times.down
}
