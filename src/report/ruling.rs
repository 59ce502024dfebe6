//! By which terms a period is judged: those that were in force when it began, else the first of the
//! contract that came on record.
//!
//! Terms count from when they are recorded. Others that came into force later judge later periods;
//! of this one, their verdict is shown beside the verdict. The earlier text is in the events,
//! encrypted for the daemon itself.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::Path;

use super::terms::{Of, adds_only_tenants, alone};
use crate::account::figures::Part;
use crate::account::timelines::called_now;
use crate::config::{Fault, OneText, load_contracts};
use crate::history::HistoryError;
use crate::history::checkpoint::TermsKey;
use crate::history::definitions::RecordedDefinitions;
use crate::history::reader::HistoryReader;
use crate::judgement::sla::calendar::day_of;
use crate::judgement::sla::contract::{Contract, Contracts, Tenant};
use crate::judgement::sla::evaluation::NotEvaluated;
use crate::judgement::timeline::Span;
use crate::words::{Name, UtcMs};

/// A start records its config and its terms within this of the first endpoint.
const AT_ONCE_MS: i64 = 1000;

/// The contracts that a text of terms says.
pub fn read(text: &str) -> Result<Contracts, Vec<Fault>> {
    load_contracts(Path::new("the report's terms"), &OneText(text))
}

/// The terms that a period is judged by.
pub enum Ruling {
    /// Those of now; with their text before tenants were added, where that was on record first.
    Present(Option<String>),
    Earlier(Box<Earlier>),
}

impl Ruling {
    /// The earlier terms, else the text of those of now before tenants were added.
    pub fn parts(self) -> (Option<Earlier>, Option<String>) {
        match self {
            Ruling::Present(before) => (None, before),
            Ruling::Earlier(earlier) => (Some(*earlier), None),
        }
    }
}

/// Terms of a contract that were in force before those of now, with the period that they mean.
pub struct Earlier {
    pub contracts: Contracts,
    pub contract: Contract,
    pub period: Span,
}

/// A period as it is asked for: of contracts, the version of one that is in force when it begins.
pub type Asked<'a> = &'a dyn Fn(&Contracts, &Name) -> Option<(Contract, Span)>;

/// All contracts of a history: each version, from when on it was in force. A version is decrypted
/// when it is asked for.
pub struct ContractVersions<'t> {
    key: &'t TermsKey,
    list: Vec<(UtcMs, &'t str, OnceCell<Contracts>)>,
}

impl<'t> ContractVersions<'t> {
    pub fn new(definitions: &'t RecordedDefinitions, key: &'t TermsKey) -> Self {
        Self {
            key,
            list: definitions
                .encrypted_terms
                .iter()
                .map(|(at, encrypted)| (*at, encrypted.as_str(), OnceCell::new()))
                .collect(),
        }
    }

    fn get(&self, k: usize) -> &Contracts {
        let (_, encrypted, opened) = &self.list[k];
        opened.get_or_init(|| {
            self.key
                .decrypt(encrypted)
                .and_then(|text| read(&text).ok())
                .unwrap_or_default()
        })
    }

    /// All that were ever in force.
    pub fn all(&self) -> impl Iterator<Item = &Contracts> {
        (0..self.list.len()).map(|k| self.get(k))
    }

    /// The contract whose period that has not ended began first, with that period: of the contracts
    /// of now, and of those that were in force at any time in it.
    pub fn first_running(&self, present: &Contracts, now: UtcMs) -> Option<(Name, Span)> {
        let of_now = present
            .running(now)
            .map(|(contract, period)| (contract.name.clone(), period));
        let ends = self
            .list
            .iter()
            .skip(1)
            .map(|(at, ..)| *at)
            .chain([UtcMs::MAX]);
        let on_record = ends.enumerate().take(self.list.len()).flat_map(|(k, end)| {
            let running = self
                .get(k)
                .running(now)
                .filter(move |(_, period)| end > period.from);
            running
                .map(|(contract, period)| (contract.name.clone(), period))
                .collect::<Vec<_>>()
        });
        of_now
            .chain(on_record)
            .min_by_key(|(_, period)| period.from)
    }

    /// The terms that a period is judged by. `present`: those of now with their period, if a
    /// version of them is in force when it begins.
    pub fn ruling(
        &self,
        who: (&Name, Option<&Name>),
        present: Option<(&Of, Span)>,
        asked: Asked,
    ) -> Ruling {
        let Some((earlier, text)) = self.on_record(who, present, asked) else {
            return Ruling::Present(None);
        };
        let Some((of, _)) = present.filter(|(_, span)| *span == earlier.period) else {
            return Ruling::Earlier(Box::new(earlier));
        };
        match of.terms() {
            Some(now) if alone(&now.text) == alone(&text) => Ruling::Present(None),
            Some(now) if adds_only_tenants(&text, &now.text) => Ruling::Present(Some(text)),
            _ => Ruling::Earlier(Box::new(earlier)),
        }
    }

    /// The terms that were in force when a period began, else the first, with their text.
    fn on_record(
        &self,
        (name, tenant): (&Name, Option<&Name>),
        present: Option<(&Of, Span)>,
        asked: Asked,
    ) -> Option<(Earlier, String)> {
        let newest = || {
            (0..self.list.len())
                .rev()
                .find_map(|k| asked(self.get(k), name))
                .map(|(_, span)| span)
        };
        let period = present.map(|(_, span)| span).or_else(newest)?;
        let (contracts, name) = self.first_of(name, period)?;
        let (contract, span) = match asked(contracts, &name) {
            Some(found) => found,
            // They know no such period, or one that did not begin under them.
            None => (in_force(contracts, &name, period)?.clone(), period),
        };
        let text = Of {
            contract: &contract,
            contracts,
            tenant,
        }
        .terms()?
        .text;
        Some((
            Earlier {
                contracts: contracts.clone(),
                contract,
                period: span,
            },
            text,
        ))
    }

    /// The first contracts that have this one, under whatever name: of those in force when a period
    /// began and of later ones.
    fn first_of(&self, name: &Name, period: Span) -> Option<(&Contracts, Name)> {
        let mut name = name.clone();
        let start = self
            .list
            .iter()
            .rposition(|(at, ..)| *at <= period.from + AT_ONCE_MS)
            .unwrap_or(0);
        let first = |until: usize, name: &Name| {
            (start..until).find(|k| in_force(self.get(*k), name, period).is_some())
        };
        let mut at = first(self.list.len(), &name)?;
        // Renamed: it came when another went.
        while at > start {
            let Some(before) = former(self.get(at - 1), self.get(at), &name) else {
                break;
            };
            let Some(k) = first(at, &before) else { break };
            (at, name) = (k, before);
        }
        Some((self.get(at), name))
    }
}

/// That terms are in force when a period begins.
pub fn is_in_force(contract: &Contract, period: Span) -> Result<(), NotEvaluated> {
    let day = day_of(period.from, &contract.zone);
    if contract.valid_from.is_some_and(|from| from > day) {
        Err(NotEvaluated::NotInForce(contract.name.to_string()))
    } else {
        Ok(())
    }
}

/// Terms whose components are called as they are now: one that was renamed since goes on with its
/// past under its name of now.
pub fn under_present_names(
    reader: &HistoryReader,
    parts: &[Part],
    (mut contract, mut tenants): (Contract, Vec<Tenant>),
) -> Result<(Contract, Vec<Tenant>), HistoryError> {
    let has_members = |name: &Name| {
        parts.iter().any(|p| {
            p.component == *name
                && p.endpoints
                    .iter()
                    .any(|(endpoint, _)| !p.former.contains(endpoint))
        })
    };
    let gone: Vec<Name> = contract
        .all_components(&tenants)
        .into_iter()
        .filter(|name| !has_members(name))
        .collect();
    if gone.is_empty() {
        return Ok((contract, tenants));
    }
    let renamed = called_now(reader, parts, &gone)?;
    for list in std::iter::once(&mut contract.components)
        .chain(tenants.iter_mut().map(|t| &mut t.components))
    {
        for (before, now) in &renamed {
            if !list.contains(now) {
                list.iter_mut()
                    .filter(|name| *name == before)
                    .for_each(|name| name.clone_from(now));
            }
        }
    }
    Ok((contract, tenants))
}

fn in_force<'c>(contracts: &'c Contracts, name: &Name, period: Span) -> Option<&'c Contract> {
    let zone = &contracts.list.iter().find(|c| c.name == *name)?.zone;
    contracts.in_force(name, day_of(period.from, zone))
}

/// What a contract was called before: of those that went when it came, the one with which it shares
/// most components; else the only one. Several that came may go on with the same.
fn former(before: &Contracts, after: &Contracts, name: &Name) -> Option<Name> {
    let (old, new) = (before.names(), after.names());
    if old.contains(name) {
        return None;
    }
    let gone: Vec<&Name> = old.iter().filter(|n| !new.contains(n)).collect();
    let components = |contracts: &Contracts, name: &Name| -> BTreeSet<Name> {
        contracts
            .list
            .iter()
            .filter(|c| c.name == *name)
            .flat_map(|c| c.all_components(&contracts.tenants))
            .collect()
    };
    let own = components(after, name);
    let shared = |n: &&&Name| components(before, n).intersection(&own).count();
    let most = gone
        .iter()
        .rev()
        .max_by_key(shared)
        .filter(|n| shared(n) > 0);
    let is_only = gone.len() == 1 && new.iter().filter(|n| !old.contains(n)).count() == 1;
    most.or_else(|| gone.first().filter(|_| is_only))
        .map(|n| (*n).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::print;
    use crate::judgement::sla::calendar::period;
    use crate::judgement::sla::exact::plain;

    const DAY: UtcMs = 86_400_000;
    const NOVEMBER: &str = "2026-11";

    fn contracts(text: &str) -> Contracts {
        read(text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"))
    }

    fn sla(name: &str, objective: &str, more: &str) -> String {
        format!("[[sla.{name}]]\nobjective = \"{objective}\"\ncomponents = [\"c\"]\n{more}")
    }

    fn november() -> Span {
        let own = contracts(&sla("s", "99", ""));
        period(own.list[0].period, &own.list[0].zone, NOVEMBER).expect("a month")
    }

    /// Contracts that came into force so many days after November began.
    fn definitions(key: &TermsKey, versions: &[(i64, &str)]) -> RecordedDefinitions {
        let encrypted = |text: &str| {
            let mut printed = String::new();
            if !text.is_empty() {
                print::contract::contracts(&mut printed, &contracts(text));
            }
            key.encrypt(&printed).unwrap_or_default()
        };
        RecordedDefinitions {
            encrypted_terms: versions
                .iter()
                .map(|(day, text)| (november().from + day * DAY, encrypted(text)))
                .collect(),
            ..RecordedDefinitions::default()
        }
    }

    /// The objective and the length of the period that November is judged by, where it is not by
    /// the terms of now.
    fn judged(
        definitions: &RecordedDefinitions,
        key: &TermsKey,
        present: &str,
        name: &str,
        tenant: Option<&str>,
    ) -> Option<(String, i64)> {
        let present = contracts(present);
        let (name, tenant) = (
            Name::new(name).expect("a name"),
            tenant.map(|t| Name::new(t).expect("a name")),
        );
        let found = present.version_of(&name, NOVEMBER).expect("a month");
        let of = found.map(|(contract, span)| {
            (
                Of {
                    contract,
                    contracts: &present,
                    tenant: tenant.as_ref(),
                },
                span,
            )
        });
        let asked = |contracts: &Contracts, name: &Name| {
            contracts
                .version_of(name, NOVEMBER)
                .ok()
                .flatten()
                .map(|(c, span)| (c.clone(), span))
        };
        let (found, _) = ContractVersions::new(definitions, key)
            .ruling(
                (&name, tenant.as_ref()),
                of.as_ref().map(|(of, span)| (of, *span)),
                &asked,
            )
            .parts();
        found.map(|e| {
            (
                plain(&e.contract.objective),
                (e.period.to - e.period.from) / 3_600_000,
            )
        })
    }

    #[test]
    fn a_period_is_judged_by_the_terms_that_were_in_force_when_it_began() {
        let key = TermsKey::nobodys();
        let [high, low, other] = ["99.99", "99", "98"].map(|objective| sla("s", objective, ""));
        let by = |versions: &[(i64, &str)], present: &str| {
            judged(&definitions(&key, versions), &key, present, "s", None)
                .map(|(objective, _)| objective)
        };
        assert_eq!(by(&[(-20, &high)], &high), None, "by those of now");
        assert_eq!(
            by(&[(-20, &high), (14, &low)], &low).as_deref(),
            Some("99.99")
        );
        assert_eq!(
            by(&[(-20, &high), (14, &low), (20, &other)], &other).as_deref(),
            Some("99.99")
        );
        assert_eq!(
            by(&[(-20, &other), (-5, &high), (14, &low)], &low).as_deref(),
            Some("99.99"),
            "the last ones before"
        );
        assert_eq!(by(&[(-20, &low), (-5, &high)], &high), None);
        assert_eq!(
            by(&[(5, &high), (14, &low)], &low).as_deref(),
            Some("99.99"),
            "the first ones, where none were in force"
        );
        assert_eq!(
            by(&[(-20, &high), (14, &low), (20, &high)], &high),
            None,
            "there and back again"
        );
        assert_eq!(
            by(&[(-20, &high)], &low).as_deref(),
            Some("99.99"),
            "of now, and on no record"
        );
        assert_eq!(
            by(&[(40, &high)], &low).as_deref(),
            Some("99.99"),
            "a period that was over when terms were recorded"
        );
        assert_eq!(
            by(&[], &low),
            None,
            "of a history of before nothing earlier is known"
        );
        assert_eq!(
            judged(
                &definitions(&key, &[(-20, &high)]),
                &other_key(),
                &low,
                "s",
                None
            ),
            None,
            "nor with another key"
        );
    }

    fn other_key() -> TermsKey {
        crate::history::checkpoint::Signer::from_hex(&"07".repeat(32))
            .expect("a key")
            .terms_key()
            .clone()
    }

    #[test]
    fn a_contract_that_goes_and_comes_again_or_gets_another_name_is_the_same() {
        let key = TermsKey::nobodys();
        let (high, low, renamed, beside) = (
            sla("s", "99.99", ""),
            sla("s", "99", ""),
            sla("t", "99", ""),
            sla("u", "95", ""),
        );
        let gone = "";
        assert_eq!(
            judged(
                &definitions(&key, &[(5, &high), (8, gone), (9, &low)]),
                &key,
                &low,
                "s",
                None
            ),
            Some(("99.99".to_owned(), 720))
        );
        assert_eq!(
            judged(
                &definitions(&key, &[(-5, &high), (8, &renamed)]),
                &key,
                &renamed,
                "t",
                None
            ),
            Some(("99.99".to_owned(), 720))
        );
        let both = [high.clone(), renamed.clone()].concat();
        assert_eq!(
            judged(
                &definitions(&key, &[(-5, &high), (8, &both)]),
                &key,
                &both,
                "t",
                None
            ),
            None,
            "another one beside it is another"
        );
        // A third one, other components and others that go hide it no better.
        let wider = renamed.replace("[\"c\"]", "[\"c\", \"d\"]")
            + &sla("dummy", "50", "").replace("[\"c\"]", "[\"e\"]");
        assert_eq!(
            judged(
                &definitions(&key, &[(-5, &high), (8, &wider)]),
                &key,
                &wider,
                "t",
                None
            ),
            Some(("99.99".to_owned(), 720))
        );
        let elsewhere = beside.replace("[\"c\"]", "[\"x\"]");
        let two = [elsewhere.clone(), high.clone()].concat();
        assert_eq!(
            judged(
                &definitions(&key, &[(-5, &two), (8, &wider)]),
                &key,
                &wider,
                "t",
                None
            ),
            Some(("99.99".to_owned(), 720))
        );
        assert_eq!(
            judged(
                &definitions(&key, &[(-5, &two), (8, &wider)]),
                &key,
                &wider,
                "dummy",
                None
            ),
            None,
            "it shares nothing with either"
        );
        let [before, after] = [&high, &renamed].map(|one| [one.clone(), beside.clone()].concat());
        assert_eq!(
            judged(
                &definitions(&key, &[(-5, &before), (8, &after)]),
                &key,
                &after,
                "t",
                None
            ),
            Some(("99.99".to_owned(), 720))
        );
    }

    #[test]
    fn a_version_for_later_changes_nothing_of_before_and_one_for_time_past_does_not_count() {
        let key = TermsKey::nobodys();
        let first = sla("s", "99.99", "");
        let with =
            |day: &str| first.clone() + &sla("s", "99", &format!("valid_from = \"{day}\"\n"));
        let (next, past) = (with("2026-12-01"), with("2026-10-01"));
        assert_eq!(
            judged(
                &definitions(&key, &[(-20, &first), (14, &next)]),
                &key,
                &next,
                "s",
                None
            ),
            None
        );
        assert_eq!(
            judged(
                &definitions(&key, &[(-20, &first), (14, &past)]),
                &key,
                &past,
                "s",
                None
            ),
            Some(("99.99".to_owned(), 720))
        );
        let only_next = sla("s", "99", "valid_from = \"2026-12-01\"\n");
        assert_eq!(
            judged(
                &definitions(&key, &[(-20, &first), (14, &only_next)]),
                &key,
                &only_next,
                "s",
                None
            ),
            Some(("99.99".to_owned(), 720))
        );
        assert_eq!(
            judged(
                &definitions(&key, &[(-20, &only_next)]),
                &key,
                &only_next,
                "s",
                None
            ),
            None,
            "nothing was in force"
        );
        // The zone moves the ends of the month.
        let elsewhere = sla("s", "99.99", "time_zone = \"America/New_York\"\n");
        assert_eq!(
            judged(
                &definitions(&key, &[(-20, &elsewhere), (14, &first)]),
                &key,
                &first,
                "s",
                None
            ),
            Some(("99.99".to_owned(), 721))
        );
    }

    #[test]
    fn the_running_period_that_began_first_is_that_of_any_contract_in_force_in_it() {
        let key = TermsKey::nobodys();
        let now = november().from + 15 * DAY;
        let (month, quarter) = (
            sla("s", "99", ""),
            sla("q", "99", "period = \"calendar_quarter\"\n"),
        );
        let rolling = sla("r", "99", "period = \"rolling 7d\"\n");
        let first = |versions: &[(i64, &str)], present: &str| {
            let present = if present.is_empty() {
                Contracts::default()
            } else {
                contracts(present)
            };
            let found = ContractVersions::new(&definitions(&key, versions), &key)
                .first_running(&present, now);
            found.map(|(name, period)| (name.to_string(), (period.from - november().from) / DAY))
        };
        assert_eq!(first(&[], ""), None);
        assert_eq!(
            first(&[], &month),
            Some(("s".into(), 0)),
            "of now, and on no record"
        );
        assert_eq!(first(&[(-20, &rolling)], &rolling), Some(("r".into(), 8)));
        assert_eq!(
            first(&[(-20, &month)], &[rolling.clone(), month.clone()].concat()),
            Some(("s".into(), 0))
        );
        assert_eq!(
            first(&[(-40, &quarter), (-20, &month)], &month),
            Some(("q".into(), -31)),
            "its quarter goes on"
        );
        assert_eq!(
            first(&[(-40, &quarter), (-32, &month)], &month),
            Some(("s".into(), 0)),
            "it went before its quarter began"
        );
        assert_eq!(
            first(&[(-20, &month), (-1, "")], ""),
            None,
            "it went before its month began"
        );
        assert_eq!(first(&[(-20, &month), (1, "")], ""), Some(("s".into(), 0)));
        let later = sla("s", "99", "valid_from = \"2026-12-01\"\n");
        assert_eq!(
            first(&[(-20, &later)], &later),
            None,
            "it is not in force yet"
        );
    }

    #[test]
    fn a_tenants_terms_are_its_own() {
        let key = TermsKey::nobodys();
        let tenant = |name: &str, fee: &str| {
            format!("[[tenant]]\nname = \"{name}\"\nsla = \"s\"\nfee = \"{fee}\"\n")
        };
        let head = sla("s", "99", "currency = \"EUR\"\n");
        let before = format!("{head}{}", tenant("A", "5.00"));
        let after = format!("{head}{}{}", tenant("A", "5.00"), tenant("B", "7.00"));
        let definitions = definitions(&key, &[(-20, &before), (14, &after)]);
        assert_eq!(
            judged(&definitions, &key, &after, "s", Some("A")),
            None,
            "nothing of A was changed"
        );
        assert_eq!(
            judged(&definitions, &key, &after, "s", Some("B")),
            None,
            "B has no other terms"
        );
        assert_eq!(
            judged(&definitions, &key, &after, "s", None),
            None,
            "of all, there is only more"
        );
        let cheaper = after.replace("5.00", "4.00");
        assert!(
            judged(&definitions, &key, &cheaper, "s", None).is_some()
                && judged(&definitions, &key, &cheaper, "s", Some("A")).is_some(),
            "A had another fee"
        );
        assert!(
            judged(&definitions, &key, &head, "s", None).is_some(),
            "A went"
        );
    }
}
