//! How far a history may be pruned: never into a period that has not ended, as its verdict would be
//! gone.
//!
//! The control socket asks before anything is cut. A contract counts if it was in force at any time
//! in its running period, as a report of that period may still be asked for. Without a contract,
//! the running calendar month (UTC) is kept.

use jiff::tz::TimeZone;

use crate::history::checkpoint::TermsKey;
use crate::history::definitions::RecordedDefinitions;
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous};
use crate::judgement::sla::contract::Contracts;
use crate::report::ruling::ContractVersions;
use crate::words::{UtcMs, format_utc};

/// Refuses an instant inside a period that has not ended, with the latest one that is allowed.
pub fn may_prune(
    before: UtcMs,
    contracts: &Contracts,
    definitions: &RecordedDefinitions,
    key: &TermsKey,
    now: UtcMs,
) -> Result<(), String> {
    if before > now {
        return Err("--before is in the future".into());
    }
    let (whose, start) = match ContractVersions::new(definitions, key).first_running(contracts, now)
    {
        Some((name, period)) => (
            format!("the running period of the contract `{name}`"),
            period.from,
        ),
        None => (
            "the running calendar month".to_owned(),
            current_and_previous(PeriodKind::CalendarMonth, &TimeZone::UTC, now)[0]
                .1
                .from,
        ),
    };
    if before <= start {
        return Ok(());
    }
    let start = format_utc(start);
    Err(format!(
        "--before is inside {whose}, which started at {start}; its figures need these events. The \
            latest instant that is allowed is {start}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ruling::read;
    use crate::words::parse_utc;

    fn at(text: &str) -> UtcMs {
        parse_utc(text).expect("an instant")
    }

    fn refused(before: &str, contracts: &str) -> Option<String> {
        let contracts = if contracts.is_empty() {
            Contracts::default()
        } else {
            read(contracts).expect("contracts")
        };
        may_prune(
            at(before),
            &contracts,
            &RecordedDefinitions::default(),
            &TermsKey::nobodys(),
            at("2026-11-15T12:00:00Z"),
        )
        .err()
    }

    #[test]
    fn a_cut_inside_a_running_period_is_refused_with_the_latest_that_is_allowed() {
        let contracts = "[sla.silver]\nobjective = \"99\"\ncomponents = [\"c\"]\ntime_zone \
            = \"Europe/Helsinki\"\n\
                         [sla.gold]\nobjective = \"99\"\ncomponents = [\"c\"]\nperiod = \"rolling \
                         20d\"\n";
        assert_eq!(refused("2026-10-26T12:00:00Z", contracts), None);
        let why = refused("2026-10-26T12:00:00.001Z", contracts).expect("refused");
        assert_eq!(
            why,
            "--before is inside the running period of the contract `gold`, which started at \
                2026-10-26T12:00:00.000Z; its figures need these events. \
             The latest instant that is allowed is 2026-10-26T12:00:00.000Z"
        );
        let silver = contracts.split("[sla.gold]").next().expect("a text");
        assert_eq!(
            refused("2026-10-31T22:00:00Z", silver),
            None,
            "its month began in Helsinki"
        );
        let why = refused("2026-10-31T22:00:00.001Z", silver).expect("refused");
        assert!(
            why.contains("`silver`") && why.ends_with("2026-10-31T22:00:00.000Z"),
            "{why}"
        );
    }

    #[test]
    fn without_a_contract_the_running_month_is_kept_and_the_future_is_refused() {
        assert_eq!(refused("2026-11-01T00:00:00Z", ""), None);
        let why = refused("2026-11-01T00:00:01Z", "").expect("refused");
        assert!(
            why.contains("running calendar month") && why.ends_with("2026-11-01T00:00:00.000Z"),
            "{why}"
        );
        assert_eq!(
            refused("2026-11-15T12:00:00.001Z", "").as_deref(),
            Some("--before is in the future")
        );
    }
}
