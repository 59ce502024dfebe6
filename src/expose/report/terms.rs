//! Since when a report's terms are on record. Terms that came after the period began judge the time before as well: a report says so first.

use serde_json::{Value, json};

use super::super::sla::instant;
use crate::judgement::timeline::Span;
use crate::outward::history::checkpoint::{TermsKey, commitment};
use crate::outward::history::definitions::Told;
use crate::outward::history::read::Calendar;
use crate::words::{UtcMs, parse_utc};

/// The line of terms that have a later version.
pub const SUPERSEDED: &str = "# superseded from ";
/// The terms of a config and the config itself are recorded within this of each other.
const AT_ONCE_MS: i64 = 1000;

/// The same terms before a later version was added to them.
fn earlier(terms: &str) -> Option<String> {
    terms.contains(SUPERSEDED).then(|| terms.split_inclusive('\n').filter(|line| !line.starts_with(SUPERSEDED)).collect())
}

/// What goes before the terms as they were before a later version was added.
pub fn earlier_salt(key: &TermsKey, terms: &str) -> Option<String> {
    earlier(terms).map(|terms| key.salt(&terms))
}

/// Of a fixed length, so that nothing of the terms can move into it.
pub fn is_salt(salt: &str) -> bool {
    salt.len() == 64 && salt.bytes().all(|b| b.is_ascii_hexdigit())
}

/// When the terms of a report first came on record.
fn since(told: &Told, report: &Value) -> Option<UtcMs> {
    let text = |key: &str| report[key].as_str().unwrap_or_default();
    let of = |salt: &str, terms: &str| told.ever.get(&commitment(salt, terms)).filter(|_| is_salt(salt));
    let own = of(text("terms_salt"), text("terms"));
    let before = earlier(text("terms")).and_then(|terms| of(text("terms_salt_earlier"), &terms));
    own.into_iter().chain(before).filter_map(|at| parse_utc(at)).min()
}

/// What a report tells of terms that came on record only after its period began, although something was recorded before them.
pub fn came_later(told: &Told, calendar: &Calendar, period: Span, report: &Value) -> Option<Value> {
    let began = told.configs.first().map(|(at, _)| calendar.utc(*at))?;
    let since = since(told, report).filter(|since| *since > period.from && *since > began + AT_ONCE_MS)?;
    Some(json!({
        "at": instant(since), "event": null, "component": null, "endpoint": null, "what": "terms", "before": null, "after": null,
        "figure_before": null, "figure_after": null,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::format_utc;

    const DAY: UtcMs = 86_400_000;

    /// Told of a config on day 10, and of the given terms on the given days.
    fn told(terms: &[(&str, UtcMs)], key: &TermsKey) -> Told {
        let configs = vec![((10 * DAY) as u64, String::new())];
        let ever = terms.iter().map(|(text, day)| (key.commitment(text), format_utc(day * DAY))).collect();
        Told { configs, ever, ..Told::default() }
    }

    fn day(told: &Told, period: (UtcMs, UtcMs), terms: &str, key: &TermsKey) -> Option<UtcMs> {
        let report = json!({"terms": terms, "terms_salt": key.salt(terms), "terms_salt_earlier": earlier_salt(key, terms)});
        let row = came_later(told, &Calendar::default(), Span::new(period.0 * DAY, period.1 * DAY), &report)?;
        parse_utc(row["at"].as_str()?).map(|at| at / DAY)
    }

    #[test]
    fn terms_that_came_after_the_period_began_are_told() {
        let key = TermsKey::nobodys();
        let told = told(&[("a\n", 10), ("b\n", 40), ("c\n", 50), ("c\n# superseded from 2027-01-01\n", 70), ("d\n# superseded from 2027-01-01\n", 70)], &key);
        assert_eq!(day(&told, (0, 30), "a\n", &key), None, "with the first config");
        assert_eq!(day(&told, (30, 60), "b\n", &key), Some(40));
        assert_eq!(day(&told, (0, 30), "b\n", &key), Some(40), "of a period that was over");
        assert_eq!(day(&told, (60, 90), "b\n", &key), None);
        assert_eq!(day(&told, (60, 90), "c\n# superseded from 2027-01-01\n", &key), None, "a later version changes nothing of this one");
        assert_eq!(day(&told, (60, 90), "d\n# superseded from 2027-01-01\n", &key), Some(70));
        assert_eq!(day(&told, (30, 60), "nobody recorded these\n", &key), None);
    }
}
