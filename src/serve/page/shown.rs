//! How the page writes times and shares.

use crate::judgement::sla::contract::Contract;
use crate::judgement::sla::evaluation::Evaluation;
use crate::judgement::sla::exact::{Exact, truncated, whole};
use crate::judgement::timeline::{Sums, percent};
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

/// The address of an endpoint's page. Two names cannot be the last part of an address: for these,
/// the search.
pub fn endpoint_address(name: &str) -> String {
    if [".", ".."].contains(&name) {
        return format!("/?q={name}");
    }
    let mut address = url::Url::parse("http://localhost/endpoints").expect("a URL");
    if let Ok(mut path) = address.path_segments_mut() {
        path.push(name);
    }
    address.path().to_owned()
}

/// `4.59 ms`, `120 ms`.
pub fn millis(us: u64) -> String {
    if us < 10_000 {
        format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
    } else {
        format!("{} ms", us / 1000)
    }
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

/// The availability of a component, or of a contract, over a period, with its bounds.
pub fn evaluated_cell(contract: &Contract, j: &Evaluation) -> Cell {
    Cell {
        point: shown_percent(&j.availability, measured(j)),
        bounds: bounds(contract, j),
    }
}

/// The same of a component by itself, whatever contracts say of it; `None`: not judged yet.
pub fn component_cell(judged: Option<&Evaluation>) -> Cell {
    let each = Contract::of_each(Vec::new(), jiff::tz::TimeZone::UTC);
    let known = each.zip(judged);
    known.map_or_else(
        || Cell {
            point: "–".into(),
            bounds: "not judged yet".into(),
        },
        |(each, j)| evaluated_cell(&each, j),
    )
}

/// The bounds of a period; while it is not over, those of the time so far.
fn bounds(contract: &Contract, j: &Evaluation) -> String {
    let share = |share: Exact| shown_share(&Some(share), measured(j));
    match j.so_far(contract) {
        Some([lower, upper]) => format!("so far {} … {} %", share(lower), share(upper)),
        None => format!(
            "{} … {} %",
            shown_share(&j.lower, measured(j)),
            shown_share(&j.upper, measured(j))
        ),
    }
}

pub fn cell(sums: &Sums) -> Cell {
    let a = sums.availability();
    let percent = |share: u64| people::percent(&percent(share), sums.up + sums.down);
    match (a.point, a.lower, a.upper) {
        (Some(point), Some(lower), Some(upper)) => Cell {
            point: percent(point),
            bounds: format!(
                "{} … {}",
                percent(lower).trim_end_matches(" %"),
                percent(upper)
            ),
        },
        (None, Some(lower), Some(upper)) => Cell {
            point: "unknown".into(),
            bounds: format!(
                "{} … {}",
                percent(lower).trim_end_matches(" %"),
                percent(upper)
            ),
        },
        _ => Cell {
            point: "–".into(),
            bounds: "nothing settled yet".into(),
        },
    }
}

/// What of the service time was measured.
pub fn measured(j: &Evaluation) -> Ms {
    j.times.up + j.times.down
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_an_address() {
        for (name, address) in [
            ("shop", "/endpoints/shop"),
            ("a/b?c#d e", "/endpoints/a%2Fb%3Fc%23d%20e"),
            ("\u{e4}", "/endpoints/%C3%A4"),
            ("..", "/?q=.."),
        ] {
            assert_eq!(endpoint_address(name), address);
        }
    }
}
