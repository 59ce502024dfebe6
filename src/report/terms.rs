//! The terms of a report as text, and since when they are on record.
//!
//! Terms count from when they are recorded. Where the first ones came after the period began, a
//! report says so first; where others came into force later, it says so and has their verdict
//! beside its own ([`super::ruling`]).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::object::{ChangeOf, ContractReport, ReportedChange, TermsBefore};
use super::sla::instant;
use crate::config::print;
use crate::history::calendar::Calendar;
use crate::history::checkpoint::{TermsKey, commitment};
use crate::history::definitions::RecordedDefinitions;
use crate::judgement::sla::contract::{Contract, Contracts, Tenant, Together};
use crate::judgement::timeline::Span;
use crate::words::{Name, UtcMs, parse_utc};

/// What a report is about: a contract, whole or for a tenant.
#[derive(Clone, Copy)]
pub struct Of<'c> {
    pub contract: &'c Contract,
    pub contracts: &'c Contracts,
    pub tenant: Option<&'c Name>,
}

/// The terms that a report shows.
pub struct Terms {
    /// As far as it concerns who reads the report: a customer sees neither other components nor
    /// another fee.
    pub contract: Contract,
    pub tenants: Vec<Tenant>,
    pub text: String,
}

impl Of<'_> {
    /// The components that a report may speak of; nothing where the contract has no such tenant.
    pub fn components(&self) -> Option<Vec<Name>> {
        let Some(tenant) = self.tenant else {
            return Some(self.contract.all_components(&self.contracts.tenants));
        };
        let found = self
            .contracts
            .tenants
            .iter()
            .find(|t| t.name == *tenant && t.sla == self.contract.name)?;
        Some(if found.components.is_empty() {
            self.contract.components.clone()
        } else {
            found.components.clone()
        })
    }

    pub fn terms(&self) -> Option<Terms> {
        let contract = self.contract.clone();
        let contract = match self.tenant {
            None => contract,
            Some(_) => Contract {
                components: self.components()?,
                together: Together::Series,
                fee: None,
                ..contract
            },
        };
        let is_of_it =
            |t: &&Tenant| t.sla == contract.name && self.tenant.is_none_or(|name| t.name == *name);
        let tenants: Vec<Tenant> = self
            .contracts
            .tenants
            .iter()
            .filter(is_of_it)
            .cloned()
            .collect();
        let mut text = String::new();
        print::contract::contracts(
            &mut text,
            &Contracts {
                list: vec![contract.clone()],
                tenants: tenants.clone(),
            },
        );
        // What is committed to says as well until when it is in force.
        let later = self
            .contracts
            .list
            .iter()
            .filter(|c| c.name == contract.name && c.valid_from > contract.valid_from)
            .filter_map(|c| c.valid_from)
            .min();
        if let Some(day) = later {
            text += &format!("{SUPERSEDED}{day}\n");
        }
        Some(Terms {
            contract,
            tenants,
            text,
        })
    }
}

/// The terms of every report that could be asked for: of each version of each contract, whole and
/// for each tenant.
pub fn terms_of_all(contracts: &Contracts) -> Vec<(&Contract, Option<&Name>, String)> {
    let mut list = Vec::new();
    for contract in &contracts.list {
        let tenants = contracts
            .tenants
            .iter()
            .filter(|t| t.sla == contract.name)
            .map(|t| Some(&t.name));
        for tenant in std::iter::once(None).chain(tenants) {
            let terms = Of {
                contract,
                contracts,
                tenant,
            }
            .terms();
            list.extend(terms.map(|terms| (contract, tenant, terms.text)));
        }
    }
    list
}

/// How the table of a tenant begins in a text of terms.
const TENANT: &str = "\n[[tenant]]\n";
/// The line of terms that have a later version.
pub const SUPERSEDED: &str = "# superseded from ";
/// The terms of a config and the config itself are recorded within this of each other.
const AT_ONCE_MS: i64 = 1000;

/// The same terms before a later version was added to them.
fn earlier(terms: &str) -> Option<String> {
    terms.contains(SUPERSEDED).then(|| alone(terms))
}

/// Why a report can have no salt of earlier terms, where it has one.
pub fn salt_of_none(shown: &ShownTerms) -> Option<&'static str> {
    let is_none = shown.salt_earlier.is_some() && earlier(&shown.terms).is_none();
    is_none.then_some("no later version was added to these terms")
}

/// Without the line that names a later version, which changes nothing of this one.
pub fn alone(terms: &str) -> String {
    terms
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(SUPERSEDED))
        .collect()
}

/// Whether later terms say of everybody what earlier ones said, and only have more tenants: nothing
/// of the past is judged otherwise by them.
pub fn adds_only_tenants(before: &str, after: &str) -> bool {
    let (before, after) = (alone(before), alone(after));
    let parts = |text: &str| text.split(TENANT).map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (parts(before.trim_end()), parts(after.trim_end()));
    let has = |part: &String| {
        after[1..]
            .iter()
            .any(|other| other.trim_end() == part.trim_end())
    };
    before.len() < after.len()
        && before[0].trim_end() == after[0].trim_end()
        && before[1..].iter().all(has)
}

/// Of a fixed length, so that nothing of the terms can move into it.
pub fn is_salt(salt: &str) -> bool {
    salt.len() == 64 && salt.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What a report shows of its terms, as far as it is held against the events.
#[derive(Debug, Clone, Default)]
pub struct ShownTerms {
    pub terms: String,
    pub salt: String,
    /// Of the terms as they were before a later version was added to them.
    pub salt_earlier: Option<String>,
    pub recorded_at: Option<String>,
    /// Before tenants were added to them.
    pub before: Option<TermsBefore>,
    /// When those came on record that were in force later.
    pub later_recorded_at: Option<String>,
}

impl ShownTerms {
    pub fn of(report: &ContractReport) -> Self {
        let later = report.later_terms.as_ref();
        Self {
            terms: report.terms.clone(),
            salt: report.terms_salt.clone(),
            salt_earlier: report.terms_salt_earlier.clone(),
            recorded_at: report.terms_recorded_at.clone(),
            before: report.terms_before.clone(),
            later_recorded_at: later.and_then(|l| l.terms_recorded_at.clone()),
        }
    }
}

/// What a report shows of its terms. `before`: their text before tenants were added to them.
pub fn shown(
    definitions: &RecordedDefinitions,
    key: &TermsKey,
    (terms, before): (String, Option<&str>),
    later_recorded_at: Option<String>,
) -> ShownTerms {
    ShownTerms {
        salt: key.salt(&terms),
        salt_earlier: earlier(&terms).map(|terms| key.salt(&terms)),
        recorded_at: recorded_at(definitions, key, &terms),
        before: before.map(|terms| TermsBefore {
            terms: terms.to_owned(),
            terms_salt: key.salt(terms),
        }),
        later_recorded_at,
        terms,
    }
}

/// When terms came on record.
pub fn recorded_at(
    definitions: &RecordedDefinitions,
    key: &TermsKey,
    terms: &str,
) -> Option<String> {
    definitions.on_record(&key.commitment(terms)).cloned()
}

/// The commitments to a report's terms that are on record: to the terms as they are, and as they
/// were before a later version or a tenant was added.
fn commitments(definitions: &RecordedDefinitions, shown: &ShownTerms) -> Vec<String> {
    let of = |salt: &str, terms: &str| {
        Some(commitment(salt, terms)).filter(|c| is_salt(salt) && definitions.ever.contains_key(c))
    };
    let before = earlier(&shown.terms)
        .and_then(|terms| of(shown.salt_earlier.as_deref().unwrap_or_default(), &terms));
    let fewer = shown
        .before
        .as_ref()
        .filter(|fewer| adds_only_tenants(&fewer.terms, &shown.terms));
    of(&shown.salt, &shown.terms)
        .into_iter()
        .chain(before)
        .chain(fewer.and_then(|fewer| of(&fewer.terms_salt, &fewer.terms)))
        .collect()
}

/// When the terms of a report first came on record.
fn since(definitions: &RecordedDefinitions, shown: &ShownTerms) -> Option<UtcMs> {
    commitments(definitions, shown)
        .iter()
        .filter_map(|c| parse_utc(definitions.ever.get(c)?))
        .min()
}

/// What "Changed in this period" has of a report's terms: that they came late, and each change of
/// them.
pub fn rows(
    definitions: &RecordedDefinitions,
    period: Span,
    shown: &ShownTerms,
) -> Vec<ReportedChange> {
    // Beside terms that are in force still, others that are as well are those of another version.
    let own_is_present = commitments(definitions, shown)
        .iter()
        .any(|c| definitions.terms.contains_key(c));
    let others = others(definitions, shown)
        .into_iter()
        .filter(|c| !own_is_present || !definitions.terms.contains_key(*c));
    let others = others.flat_map(|c| {
        definitions
            .stays
            .get(c)
            .into_iter()
            .flatten()
            .map(|(from, _)| *from)
    });
    let known = shown.later_recorded_at.as_deref().and_then(parse_utc);
    let first = since(definitions, shown)
        .unwrap_or(i64::MAX)
        .max(period.from);
    let at: BTreeSet<UtcMs> = others
        .filter(|at| *at > first)
        .chain(known)
        .filter(|at| (period.from..period.to).contains(at))
        .collect();
    let changes = at.into_iter().map(|at| row(ChangeOf::TermsChanged, at));
    came_later(definitions, period, shown)
        .into_iter()
        .chain(changes)
        .collect()
}

/// What it has of the host's clock: each time that it was set within a period, or to a time within
/// it.
pub fn clock_rows(calendar: &Calendar, period: Span) -> impl Iterator<Item = ReportedChange> + '_ {
    let is_in = move |at: &UtcMs| (period.from..period.to).contains(at);
    calendar
        .sets()
        .filter(move |(before, after)| is_in(before) || is_in(after))
        .map(|(before, after)| {
            let (from, to) = (json!(instant(before)), json!(instant(after)));
            ReportedChange {
                before: from,
                after: to,
                ..row(ChangeOf::ClockSet, before)
            }
        })
}

/// Commitments to other terms of the same report.
fn others<'t>(definitions: &'t RecordedDefinitions, shown: &ShownTerms) -> Vec<&'t String> {
    let own = commitments(definitions, shown);
    let Some(identity) = own.iter().find_map(|c| definitions.identities.get(c)) else {
        return Vec::new();
    };
    // That a later version was added is no other terms, but only who has the key knows of which.
    definitions
        .identities
        .iter()
        .filter(|(c, i)| *i == identity && !own.contains(c))
        .map(|(c, _)| c)
        .collect()
}

/// Why a period is not judged by the terms of a report: others of the same contract were on record
/// when it began, or before these.
pub fn wrong(
    definitions: &RecordedDefinitions,
    period: Span,
    shown: &ShownTerms,
) -> Option<String> {
    let stays = |c: &str| definitions.stays.get(c).map_or(&[][..], Vec::as_slice);
    let was_in_force = |c: &str| {
        stays(c).iter().any(|(from, until)| {
            *from <= period.from && until.is_none_or(|until| until > period.from)
        })
    };
    let own = commitments(definitions, shown);
    if own.iter().any(|c| was_in_force(c)) {
        return None;
    }
    let others = others(definitions, shown);
    if let Some(at) = others
        .iter()
        .find(|c| was_in_force(c))
        .and_then(|c| definitions.ever.get(*c))
    {
        return Some(format!(
            "other terms of this contract, recorded at {at}, were in force when the period began"
        ));
    }
    let first = since(definitions, shown)?;
    let from = |c: &str| {
        stays(c)
            .iter()
            .map(|(from, _)| *from)
            .filter(|from| *from > period.from)
            .min()
    };
    let before = others
        .iter()
        .filter_map(|c| from(c))
        .min()
        .filter(|at| *at < first)?;
    Some(format!(
        "other terms of this contract were on record before these, since {}",
        instant(before)
    ))
}

/// Whether other terms of the same report are in force at the end of the events, and a report has
/// to show what they make of its period.
pub fn has_later(definitions: &RecordedDefinitions, shown: &ShownTerms) -> bool {
    let is_present = |c: &String| definitions.terms.contains_key(c);
    !commitments(definitions, shown).iter().any(is_present)
        && others(definitions, shown).into_iter().any(is_present)
}

/// A row that is of no component.
pub(super) fn row(what: ChangeOf, at: UtcMs) -> ReportedChange {
    ReportedChange {
        at: instant(at),
        event: None,
        component: None,
        endpoint: None,
        what,
        before: Value::Null,
        after: Value::Null,
        figure_before: None,
        figure_after: None,
    }
}

/// What a report tells of terms that came on record only after its period began, although something
/// was recorded before them.
pub fn came_later(
    definitions: &RecordedDefinitions,
    period: Span,
    shown: &ShownTerms,
) -> Option<ReportedChange> {
    let began = definitions.configs.first().map(|(at, _)| *at)?;
    let since = since(definitions, shown)
        .filter(|since| *since > period.from && *since > began + AT_ONCE_MS)?;
    Some(row(ChangeOf::Terms, since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::format_utc;

    const DAY: UtcMs = 86_400_000;

    /// Told of a config on day 10, and of the given terms on the given days.
    fn definitions(terms: &[(&str, UtcMs)], key: &TermsKey) -> RecordedDefinitions {
        let configs = vec![(10 * DAY, String::new())];
        let ever = terms
            .iter()
            .map(|(text, day)| (key.commitment(text), format_utc(day * DAY)))
            .collect();
        RecordedDefinitions {
            configs,
            ever,
            ..RecordedDefinitions::default()
        }
    }

    fn day(
        definitions: &RecordedDefinitions,
        period: (UtcMs, UtcMs),
        terms: &str,
        key: &TermsKey,
    ) -> Option<UtcMs> {
        let shown = shown(definitions, key, (terms.to_owned(), None), None);
        let row = came_later(
            definitions,
            Span::new(period.0 * DAY, period.1 * DAY),
            &shown,
        )?;
        parse_utc(&row.at).map(|at| at / DAY)
    }

    #[test]
    fn terms_that_only_have_more_tenants_say_the_same_of_the_others() {
        let (head, a, b, c) = (
            "\n[[sla.s]]\nfee = \"1\"\n",
            "\n[[tenant]]\nname = \"A\"\n",
            "\n[[tenant]]\nname = \"B\"\n",
            "\n[[tenant]]\nname = \"C\"\n",
        );
        let text = |parts: &[&str]| parts.concat();
        assert!(adds_only_tenants(&text(&[head]), &text(&[head, a])));
        assert!(adds_only_tenants(
            &text(&[head, b]),
            &text(&[head, a, b, c])
        ));
        assert!(adds_only_tenants(
            &text(&[head, b]),
            &text(&[head, a, b, SUPERSEDED, "2027-01-01\n"])
        ));
        for (before, after) in [
            (text(&[head, a]), text(&[head, a])),
            (text(&[head, a]), text(&[head, b])),
            (text(&[head, a]), text(&[head, b, c])),
            (text(&[head, a, b]), text(&[head, a])),
            (text(&[head, a]), text(&[&head.replace('1', "2"), a, b])),
            (text(&[head, a]), text(&[head, &a.replace('A', "AA"), b])),
        ] {
            assert!(!adds_only_tenants(&before, &after), "{before} {after}");
        }
    }

    #[test]
    fn terms_that_came_after_the_period_began_are_told() {
        let key = TermsKey::nobodys();
        let definitions = definitions(
            &[
                ("a\n", 10),
                ("b\n", 40),
                ("c\n", 50),
                ("c\n# superseded from 2027-01-01\n", 70),
                ("d\n# superseded from 2027-01-01\n", 70),
            ],
            &key,
        );
        assert_eq!(
            day(&definitions, (0, 30), "a\n", &key),
            None,
            "with the first config"
        );
        assert_eq!(day(&definitions, (30, 60), "b\n", &key), Some(40));
        assert_eq!(
            day(&definitions, (0, 30), "b\n", &key),
            Some(40),
            "of a period that was over"
        );
        assert_eq!(day(&definitions, (60, 90), "b\n", &key), None);
        assert_eq!(
            day(
                &definitions,
                (60, 90),
                "c\n# superseded from 2027-01-01\n",
                &key
            ),
            None,
            "a later version changes nothing of this one"
        );
        assert_eq!(
            day(
                &definitions,
                (60, 90),
                "d\n# superseded from 2027-01-01\n",
                &key
            ),
            Some(70)
        );
        assert_eq!(
            day(&definitions, (30, 60), "nobody recorded these\n", &key),
            None
        );
    }
}
