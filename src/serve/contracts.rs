//! Contracts on a running daemon: judged now and then on its own history, and shown by API, metrics
//! and page alike.

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::listener::making::{Unmade, write_list};
use crate::account::figures::parts_of;
use crate::account::figures::{NotSeen, Part, components, say_not_seen};
use crate::account::recorded::timeline;
use crate::account::timelines::maintenance;
use crate::engine::board::Board;
use crate::history::HistoryError;
use crate::history::checkpoint::TermsKey;
use crate::history::definitions::RecordedDefinitions;
use crate::history::read_tallies::WhichTallies;
use crate::history::reader::HistoryReader;
use crate::judgement::sla::contract::{Contract, Contracts};
use crate::judgement::sla::evaluate::{evaluate, evaluate_components};
use crate::judgement::sla::evaluation::Evaluation;
use crate::judgement::sla::record::Timeline;
use crate::judgement::timeline::Span;
use crate::report::answer::{SCHEMA as ANSWER_SCHEMA, in_one};
use crate::report::build::of_prober;
use crate::report::changed::changed;
use crate::report::latency::{Latency, latency, latency_shown};
use crate::report::object::{LaterEvaluation, ReportedChange, ReportedLatency};
use crate::report::ruling::{ContractVersions, is_in_force, under_present_names};
use crate::report::sla::{answer, period_shown};
use crate::report::terms::{self, Of};
use crate::serve::by_component::{self, ComponentFigures, ComponentStates};
use crate::words::{Ms, Name, UtcMs};

/// Endpoints of a contract whose changes are listed beside those of its terms: it costs a look at
/// each.
const LISTED: usize = 1000;

/// One contract over one period.
pub struct ContractStatus {
    pub contract: Contract,
    /// `current` or `previous`.
    pub which: &'static str,
    pub name: String,
    pub period: Span,
    /// The answer, or why there is none.
    pub judged: Result<Vec<Evaluation>, String>,
    /// The components by themselves, where the answer is about several together.
    pub each: Vec<Evaluation>,
    /// By component, where the contract has an objective for latency.
    pub latency: Vec<Latency>,
    /// Outages shorter than this, between two probes, are not seen.
    pub not_seen_below: Option<Ms>,
    /// What reports say of the terms: that they came late, and each change of them.
    pub of_terms: Vec<ReportedChange>,
    /// Since when the terms are on record.
    pub recorded_at: Option<String>,
    /// By terms that came into force later.
    pub later: Option<Later>,
    /// What reports have under "Changed in this period"; only where it is asked for.
    pub changed: Option<Vec<ReportedChange>>,
}

/// What terms that came into force later make of the same period.
pub struct Later {
    pub contract: Contract,
    pub period: Span,
    pub recorded_at: Option<String>,
    pub judged: Result<Vec<Evaluation>, String>,
}

/// All contracts of the plan, over the present period and the one before.
#[derive(Default)]
pub struct ContractStatuses {
    pub list: Vec<ContractStatus>,
    /// Every component that the config names, contract or not.
    pub components: Vec<ComponentFigures>,
    /// The states of those that the config declares, by name, for the page.
    pub states: Arc<ComponentStates>,
}

/// Judges every contract in force, by the terms that count for each period. `states`: those of
/// components.
pub fn contract_statuses(
    reader: &HistoryReader,
    board: &Board,
    key: &TermsKey,
    (now, not_seen): (UtcMs, NotSeen),
    states: Arc<ComponentStates>,
) -> Result<ContractStatuses, HistoryError> {
    let plan = board.plan.load_full();
    let nothing = RecordedDefinitions::default();
    let definitions = if plan.contracts.list.is_empty() {
        &nothing
    } else {
        reader.definitions()?
    };
    let input = JudgingInput {
        reader,
        parts: &parts_of(reader, board)?,
        definitions,
        key,
        versions: ContractVersions::new(definitions, key),
        now,
        not_seen,
    };
    let mut list = Vec::new();
    for name in plan.contracts.names() {
        for which in ["current", "previous"] {
            list.extend(input.status(&plan.contracts, &name, which)?);
        }
    }
    let components = by_component::figures(
        reader,
        board,
        &by_component::named(&plan),
        now,
        NotSeen::LeftOut,
    )?;
    Ok(ContractStatuses {
        list,
        components,
        states,
    })
}

/// What judging a contract reads.
struct JudgingInput<'s> {
    reader: &'s HistoryReader,
    parts: &'s [Part],
    definitions: &'s RecordedDefinitions,
    key: &'s TermsKey,
    versions: ContractVersions<'s>,
    now: UtcMs,
    not_seen: NotSeen,
}

impl JudgingInput<'_> {
    /// Nothing where no terms of the contract are in force when the period begins.
    fn status(
        &self,
        contracts: &Contracts,
        name: &Name,
        which: &'static str,
    ) -> Result<Option<ContractStatus>, HistoryError> {
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
        let ruling = self.versions.ruling(
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
    ) -> Result<ContractStatus, HistoryError> {
        let recorded_at = |of: &Of| {
            let text = of.terms()?.text;
            terms::recorded_at(self.definitions, self.key, &text)
        };
        let later = later
            .map(|(of, span)| self.later(&of, span, recorded_at(&of)))
            .transpose()?;
        let later_at = later.as_ref().and_then(|l| l.recorded_at.clone());
        let text = of.terms().map(|terms| terms.text).unwrap_or_default();
        let shown = terms::shown(self.definitions, self.key, (text, before), later_at);
        let own = (
            of.contract.clone(),
            of.contracts
                .tenants
                .iter()
                .filter(|t| t.sla == of.contract.name)
                .cloned()
                .collect(),
        );
        let (contract, tenants) = under_present_names(self.reader, self.parts, own)?;
        let named = contract.all_components(&tenants);
        let (reached, record) = self.record(&named, period)?;
        let of_terms = terms::rows(self.definitions, period, &shown);
        let changed = match self.not_seen {
            NotSeen::LeftOut => None,
            NotSeen::Included => Some(self.changed(&of_terms, &named, (period, reached))?),
        };
        Ok(ContractStatus {
            which,
            name,
            period,
            judged: evaluate(&contract, &tenants, &record, period).map_err(|e| e.to_string()),
            each: evaluate_components(&contract, &tenants, &record, period).unwrap_or_default(),
            latency: latency(
                self.reader,
                &contract,
                self.parts,
                period,
                WhichTallies::All,
            )?,
            contract,
            not_seen_below: record.not_seen_below(&named),
            of_terms,
            recorded_at: shown.recorded_at,
            later,
            changed,
        })
    }

    /// What a report has under "Changed in this period"; of a fleet, only what is of its terms.
    fn changed(
        &self,
        of_terms: &[ReportedChange],
        named: &[Name],
        (period, reached): (Span, Span),
    ) -> Result<Vec<ReportedChange>, HistoryError> {
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
            changed(self.reader, &meant, period, reached.to, None)?
        };
        Ok(of_terms
            .iter()
            .cloned()
            .chain(of_prober(self.definitions, self.reader.calendar()?, period))
            .chain(changed)
            .collect())
    }

    /// What is recorded of all components in a period.
    fn record(&self, named: &[Name], period: Span) -> Result<(Span, Timeline), HistoryError> {
        let until = Span::new(period.from, period.to.min(self.now).max(period.from));
        let windows = maintenance(self.reader, self.parts, period)?;
        let (reached, mut recorded) =
            components(self.reader, self.parts, until, WhichTallies::All)?;
        if self.not_seen == NotSeen::Included {
            say_not_seen(self.reader, self.parts, &mut recorded, reached, Some(named))?;
        }
        Ok((reached, timeline(reached, recorded, windows)))
    }
}

/// What is said of a contract beside its answer.
#[derive(Serialize)]
struct BesideAnswer<'s> {
    which: &'s str,
    name: &'s str,
    /// Why there is no answer.
    why: Option<&'s str>,
    terms_recorded_at: Option<&'s str>,
    later_terms: Option<ShownLater<'s>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<&'s [ReportedChange]>,
}

#[derive(Serialize)]
struct ShownLater<'s> {
    terms_recorded_at: Option<&'s str>,
    evaluation: LaterEvaluation,
}

/// Beside an answer that there is.
#[derive(Serialize)]
struct MeasuredBeside {
    not_seen_below_ms: Option<Ms>,
    latency: Option<Vec<ReportedLatency>>,
}

impl Later {
    fn shown(&self) -> ShownLater<'_> {
        let evaluation = match &self.judged {
            Ok(list) => {
                LaterEvaluation::Answer(Box::new(answer(&self.contract, self.period, list, &[])))
            }
            Err(why) => LaterEvaluation::unjudged(period_shown(self.period), why.clone()),
        };
        ShownLater {
            terms_recorded_at: self.recorded_at.as_deref(),
            evaluation,
        }
    }
}

impl ContractStatus {
    fn json(&self) -> Value {
        let beside = json!(BesideAnswer {
            which: self.which,
            name: &self.name,
            why: self.judged.as_ref().err().map(String::as_str),
            terms_recorded_at: self.recorded_at.as_deref(),
            later_terms: self.later.as_ref().map(Later::shown),
            changed: self.changed.as_deref(),
        });
        let own = match &self.judged {
            Ok(list) => in_one(
                answer(&self.contract, self.period, list, &self.each).to_json(),
                json!(MeasuredBeside {
                    not_seen_below_ms: self.not_seen_below,
                    latency: latency_shown(&self.contract, &self.latency),
                }),
            ),
            Err(_) => json!({
                "schema": ANSWER_SCHEMA, "sla": self.contract.name.as_str(),
                "results": [], "components": [],
            }),
        };
        in_one(own, beside)
    }
}

impl ContractStatuses {
    /// `/api/v1/sla`.
    pub fn json(&self, out: &mut dyn Write) -> Result<(), Unmade> {
        let frame = json!({
            "schema": "probity-sla-list/2",
            "zone_data": crate::judgement::zones::in_use().to_json(),
            "contracts": [],
        });
        write_list(
            out,
            &frame,
            "contracts",
            self.list.iter().map(ContractStatus::json),
        )
    }
}
