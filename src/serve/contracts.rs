//! Contracts on a running daemon: judged now and then on its own history, and shown by API, metrics
//! and page alike.

use std::io::{self, Write};

use num_traits::ToPrimitive;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::exposition::{Format, header};
use super::listener::making::{Unmade, write_list};
use crate::account::figures::parts_of;
use crate::account::figures::{NotSeen, Part, components, maintenance, say_not_seen};
use crate::account::recorded::told;
use crate::engine::board::{Board, escaped};
use crate::history::HistoryError;
use crate::history::checkpoint::TermsKey;
use crate::history::definitions::{Told, told as told_definitions};
use crate::history::past::Which;
use crate::history::read::Calendar;
use crate::judgement::sla::contract::{Contract, Contracts};
use crate::judgement::sla::evaluate::{Judged, Verdict, evaluate, evaluate_components};
use crate::judgement::sla::exact::{Exact, whole};
use crate::judgement::sla::record::Timeline;
use crate::judgement::timeline::Span;
use crate::report::changed::changed;
use crate::report::latency::{Latency, latency, latency_json};
use crate::report::ruling::{Books, is_in_force, under_present_names};
use crate::report::sla::{answer, instant};
use crate::report::terms::{self, Of};
use crate::serve::by_component::{self, Figures};
use crate::words::{Ms, Name, UtcMs};

/// Endpoints of a contract whose changes are listed beside those of its terms: it costs a look at
/// each.
const LISTED: usize = 1000;

/// One contract over one period.
pub struct Standing {
    pub contract: Contract,
    /// `current` or `previous`.
    pub which: &'static str,
    pub name: String,
    pub period: Span,
    /// The answer, or why there is none.
    pub judged: Result<Vec<Judged>, String>,
    /// The components by themselves, where the answer is about several together.
    pub each: Vec<Judged>,
    /// By component, where the contract has an objective for latency.
    pub latency: Vec<Latency>,
    /// Outages shorter than this, between two probes, are not seen.
    pub not_seen_below: Option<Ms>,
    /// What reports say of the terms: that they came late, and each change of them.
    pub of_terms: Vec<Value>,
    /// Since when the terms are on record.
    pub recorded_at: Option<String>,
    /// By terms that came into force later.
    pub later: Option<Later>,
    /// What reports have under "Changed in this period"; only where it is asked for.
    pub changed: Option<Vec<Value>>,
}

/// What terms that came into force later make of the same period.
pub struct Later {
    pub contract: Contract,
    pub period: Span,
    pub recorded_at: Option<String>,
    pub judged: Result<Vec<Judged>, String>,
}

/// All contracts of the plan, over the present period and the one before.
#[derive(Default)]
pub struct Standings {
    pub list: Vec<Standing>,
    /// Every component that the config names, contract or not.
    pub components: Vec<Figures>,
}

/// Judges every contract in force, by the terms that count for each period.
pub fn standings(
    connection: &Connection,
    board: &Board,
    key: &TermsKey,
    now: UtcMs,
    not_seen: NotSeen,
) -> Result<Standings, HistoryError> {
    let plan = board.plan.load_full();
    let told = if plan.contracts.list.is_empty() {
        Told::default()
    } else {
        told_definitions(connection)?
    };
    let sight = Sight {
        connection,
        parts: &parts_of(connection, board)?,
        calendar: &Calendar::read(connection)?,
        told: &told,
        key,
        books: Books::new(&told, key),
        now,
        not_seen,
    };
    let mut list = Vec::new();
    for name in plan.contracts.names() {
        for which in ["current", "previous"] {
            list.extend(sight.standing(&plan.contracts, &name, which)?);
        }
    }
    let components = by_component::figures(
        connection,
        board,
        &by_component::named(&plan),
        now,
        NotSeen::Untold,
    )?;
    Ok(Standings { list, components })
}

/// What judging a contract reads.
struct Sight<'s> {
    connection: &'s Connection,
    parts: &'s [Part],
    calendar: &'s Calendar,
    told: &'s Told,
    key: &'s TermsKey,
    books: Books<'s>,
    now: UtcMs,
    not_seen: NotSeen,
}

impl Sight<'_> {
    /// Nothing where no terms of the contract are in force when the period begins.
    fn standing(
        &self,
        contracts: &Contracts,
        name: &Name,
        which: &'static str,
    ) -> Result<Option<Standing>, HistoryError> {
        let now = self.now;
        let of_now = |contracts: &Contracts, name: &Name| {
            let found = contracts
                .present(name, now)
                .into_iter()
                .find(|(.., w)| *w == which);
            found.map(|(contract, text, span, _)| (contract.clone(), text, span))
        };
        let asked = |contracts: &Contracts, name: &Name| {
            of_now(contracts, name).map(|(contract, _, span)| (contract, span))
        };
        let own = of_now(contracts, name);
        let present = own.as_ref().map(|(contract, _, span)| {
            (
                Of {
                    contract,
                    contracts,
                    tenant: None,
                },
                *span,
            )
        });
        let ruling = self.books.ruling(
            (name, None),
            present.as_ref().map(|(of, span)| (of, *span)),
            &asked,
        );
        let (before, fewer_tenants) = ruling.parts();
        let Some(before) = before else {
            let Some((of, period)) = present else {
                return Ok(None);
            };
            let text = own
                .as_ref()
                .map_or(String::new(), |(_, text, _)| text.clone());
            return self
                .by_terms((&of, fewer_tenants.as_deref()), (text, period, which), None)
                .map(Some);
        };
        let of = Of {
            contract: &before.contract,
            contracts: &before.contracts,
            tenant: None,
        };
        let text = of_now(&before.contracts, &before.contract.name)
            .map_or(String::new(), |(_, text, _)| text);
        // One that is not in force yet makes nothing of the period.
        let first = contracts.list.iter().find(|c| c.name == *name);
        let later = present.or(first.map(|contract| {
            (
                Of {
                    contract,
                    contracts,
                    tenant: None,
                },
                before.period,
            )
        }));
        self.by_terms((&of, None), (text, before.period, which), later)
            .map(Some)
    }

    fn later(
        &self,
        of: &Of,
        period: Span,
        recorded_at: Option<String>,
    ) -> Result<Later, HistoryError> {
        let record = self
            .record(&of.contract.all_components(&of.contracts.tenants), period)?
            .1;
        let judged = is_in_force(of.contract, period)
            .and_then(|()| evaluate(of.contract, &of.contracts.tenants, &record, period));
        Ok(Later {
            contract: of.contract.clone(),
            period,
            recorded_at,
            judged: judged.map_err(|e| e.to_string()),
        })
    }

    fn by_terms(
        &self,
        (of, before): (&Of, Option<&str>),
        (name, period, which): (String, Span, &'static str),
        later: Option<(Of, Span)>,
    ) -> Result<Standing, HistoryError> {
        let shown = terms::shown(
            self.told,
            self.key,
            (of, before),
            later.as_ref().map(|(of, _)| of),
        );
        let recorded_at = |shown: &Value| shown["terms_recorded_at"].as_str().map(str::to_owned);
        let later = later
            .map(|(of, span)| self.later(&of, span, recorded_at(&shown["later_terms"])))
            .transpose()?;
        let own = (
            of.contract.clone(),
            of.contracts
                .tenants
                .iter()
                .filter(|t| t.sla == of.contract.name)
                .cloned()
                .collect(),
        );
        let (contract, tenants) = under_present_names(self.connection, self.parts, own)?;
        let named = contract.all_components(&tenants);
        let (reached, record) = self.record(&named, period)?;
        let of_terms = terms::rows(self.told, period, &shown);
        let changed = match self.not_seen {
            NotSeen::Untold => None,
            NotSeen::Told => {
                let meant: Vec<Part> = self
                    .parts
                    .iter()
                    .filter(|p| named.contains(&p.component))
                    .cloned()
                    .collect();
                let is_fleet = meant.iter().map(|p| p.endpoints.len()).sum::<usize>() > LISTED;
                let changed = if is_fleet {
                    Vec::new()
                } else {
                    changed(self.connection, &meant, period, reached.to, None)?
                };
                Some(
                    of_terms
                        .iter()
                        .cloned()
                        .chain(terms::clock_rows(self.calendar, period))
                        .chain(changed)
                        .collect(),
                )
            }
        };
        Ok(Standing {
            which,
            name,
            period,
            judged: evaluate(&contract, &tenants, &record, period).map_err(|e| e.to_string()),
            each: evaluate_components(&contract, &tenants, &record, period).unwrap_or_default(),
            latency: latency(self.connection, &contract, self.parts, period, Which::All)?,
            contract,
            not_seen_below: record.not_seen_below(&named),
            of_terms,
            recorded_at: recorded_at(&shown),
            later,
            changed,
        })
    }

    /// What is recorded of all components in a period.
    fn record(&self, named: &[Name], period: Span) -> Result<(Span, Timeline), HistoryError> {
        let until = Span::new(period.from, period.to.min(self.now).max(period.from));
        let windows = maintenance(self.connection, self.parts, period)?;
        let (reached, mut recorded) = components(self.connection, self.parts, until, Which::All)?;
        if self.not_seen == NotSeen::Told {
            say_not_seen(
                self.connection,
                self.parts,
                &mut recorded,
                reached,
                Some(named),
            )?;
        }
        Ok((reached, told(reached, recorded, windows)))
    }
}

impl Later {
    fn json(&self) -> Value {
        let evaluation = match &self.judged {
            Ok(list) => answer(&self.contract, self.period, list, &[]),
            Err(why) => {
                json!({"period": {"start": instant(self.period.from), "end": instant(self.period.to)}, "why": why, "results": []})
            }
        };
        json!({"terms_recorded_at": self.recorded_at, "evaluation": evaluation})
    }
}

impl Standing {
    fn json(&self) -> Value {
        match &self.judged {
            Ok(list) => {
                let mut value = answer(&self.contract, self.period, list, &self.each);
                (value["which"], value["name"], value["why"]) =
                    (json!(self.which), json!(self.name), Value::Null);
                value["not_seen_below_ms"] = json!(self.not_seen_below);
                value["latency"] = latency_json(&self.contract, &self.latency);
                self.say_terms(&mut value);
                value
            }
            Err(why) => {
                let sla = self.contract.name.as_str();
                let mut value = json!({"schema": "probity-sla/1", "sla": sla, "which": self.which, "name": self.name, "why": why, "results": [], "components": []});
                self.say_terms(&mut value);
                value
            }
        }
    }

    /// What a report says of its terms, and under "Changed in this period".
    fn say_terms(&self, value: &mut Value) {
        value["terms_recorded_at"] = json!(self.recorded_at);
        value["later_terms"] = json!(self.later.as_ref().map(Later::json));
        if let Some(changed) = &self.changed {
            value["changed"] = json!(changed);
        }
    }
}

impl Standings {
    /// `/api/v1/sla`.
    pub fn json(&self, out: &mut dyn Write) -> Result<(), Unmade> {
        let frame = json!({"schema": "probity-sla-list/1", "zone_data": crate::judgement::zones::in_use().to_json(), "contracts": []});
        write_list(
            out,
            &frame,
            "contracts",
            self.list.iter().map(Standing::json),
        )
    }

    /// Each answer that is about a component or all of them together; tenants stay out of metrics.
    fn shown(&self) -> impl Iterator<Item = (&Standing, &Judged)> {
        self.list.iter().flat_map(|s| {
            s.judged
                .iter()
                .flatten()
                .filter(|j| j.tenant.is_none() && j.was_in_service())
                .map(move |j| (s, j))
        })
    }

    /// `probity_sla_*`.
    pub fn write(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        let number = |e: &Exact| e.to_f64().unwrap_or(f64::NAN);
        type Pick<'p> = &'p dyn Fn(&Standing, &Judged) -> Option<f64>;
        let seconds = |ms: Option<u64>| ms.map(|ms| ms as f64 / 1000.0);
        let families: [(&str, &str, Pick); 11] = [
            (
                "probity_sla_objective_ratio",
                "Objective (SLO) of the contract: the availability that it promises.",
                &|s, _| Some(number(&(&s.contract.objective / whole(100)))),
            ),
            (
                "probity_sla_availability_ratio",
                "Availability of the period by the point estimate, as the contract counts it. \
                    Absent without measured time.",
                &|_, j| j.availability.as_ref().map(number),
            ),
            (
                "probity_sla_availability_lower_ratio",
                "Lower bound of the availability: unknown and future time count as down.",
                &|_, j| j.lower.as_ref().map(number),
            ),
            (
                "probity_sla_availability_upper_ratio",
                "Upper bound of the availability: unknown time counts as up.",
                &|_, j| j.upper.as_ref().map(number),
            ),
            (
                "probity_sla_budget_seconds",
                "Error budget: the downtime that the objective allows in the whole period.",
                &|_, j| Some(number(&(&j.budget / whole(1000)))),
            ),
            (
                "probity_sla_budget_remaining_seconds",
                "Remaining error budget, by the point estimate. Negative when it is exhausted.",
                &|_, j| Some(number(&((&j.budget - &j.spent) / whole(1000)))),
            ),
            (
                "probity_sla_period_start_timestamp_seconds",
                "Start of the contract's period, in its time zone.",
                &|s, _| Some(s.period.from as f64 / 1000.0),
            ),
            (
                "probity_sla_outages",
                "Outages in the period, as the contract counts them.",
                &|_, j| Some(j.spells.count as f64),
            ),
            (
                "probity_sla_longest_outage_seconds",
                "Longest outage of the period, by the point estimate. 0 if there was none.",
                &|_, j| seconds(Some(j.spells.longest)),
            ),
            (
                "probity_sla_mean_time_to_recover_seconds",
                "Downtime of the period divided by its outages. Absent if there was none.",
                &|_, j| seconds(j.spells.mean_to_recover),
            ),
            (
                "probity_sla_mean_time_between_failures_seconds",
                "Uptime of the period divided by its outages. Absent if there was none.",
                &|_, j| seconds(j.spells.mean_between_failures),
            ),
        ];
        for (name, help, pick) in families {
            header(out, format, name, "gauge", help)?;
            for (s, j) in self.shown() {
                if let Some(value) = pick(s, j) {
                    writeln!(out, "{name}{{{}}} {value}", labels(s, j))?;
                }
            }
        }
        let help = "Share of the period's probes that succeeded within the contract's latency \
            bound. From hourly histograms, exact to one percent.";
        header(out, format, "probity_sla_latency_ratio", "gauge", help)?;
        for s in &self.list {
            for l in s.latency.iter().filter(|l| l.probes > 0) {
                let labels = format!(
                    "sla=\"{}\",component=\"{}\",period=\"{}\"",
                    escaped(s.contract.name.as_str()),
                    escaped(&l.component),
                    s.which
                );
                writeln!(
                    out,
                    "probity_sla_latency_ratio{{{labels}}} {}",
                    l.within as f64 / l.probes as f64
                )?;
            }
        }
        header(
            out,
            format,
            "probity_sla_seconds",
            "gauge",
            "Service time of the period by state: up, down, unknown and future (not over yet). \
                Excluded maintenance is shown beside it.",
        )?;
        for (s, j) in self.shown() {
            let t = &j.times;
            for (state, ms) in [
                ("up", t.up),
                ("down", t.down),
                ("unknown", t.unknown),
                ("future", t.future),
                ("maintenance", t.maintenance),
            ] {
                writeln!(
                    out,
                    "probity_sla_seconds{{{},state=\"{state}\"}} {}.{:03}",
                    labels(s, j),
                    ms / 1000,
                    ms % 1000
                )?;
            }
        }
        header(
            out,
            format,
            "probity_sla_verdict",
            "gauge",
            "1 for the present verdict on the period (met, missed or undetermined), 0 for the \
                others.",
        )?;
        for (s, j) in self.shown() {
            for verdict in [Verdict::Met, Verdict::Missed, Verdict::Undetermined] {
                writeln!(
                    out,
                    "probity_sla_verdict{{{},verdict=\"{}\"}} {}",
                    labels(s, j),
                    verdict.as_str(),
                    u8::from(j.verdict == verdict)
                )?;
            }
        }
        Ok(())
    }
}

fn labels(s: &Standing, j: &Judged) -> String {
    let component = j
        .component
        .as_ref()
        .map_or(String::new(), |c| escaped(c.as_str()));
    format!(
        "sla=\"{}\",component=\"{component}\",period=\"{}\"",
        escaped(s.contract.name.as_str()),
        s.which
    )
}
