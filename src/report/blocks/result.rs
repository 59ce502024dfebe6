//! What is found of each component, tenant, and all together, with the credit in words.

use super::{Block, LocalizedReport, NOTHING, or_nothing};
use crate::judgement::sla::evaluation::ContractVerdict;
use crate::report::answer::{
    AnswerCredit, AnswerOutageSummary, AnswerResult, CreditShare, CreditStep,
};
use crate::report::object::LaterEvaluation;
use crate::report::words::{Language, Word};

impl LocalizedReport<'_> {
    /// The credit in words; in English the sentence of the evaluation itself.
    pub(crate) fn credit_line(&self, result: &AnswerResult) -> Option<String> {
        let credit = result.credit.as_ref()?;
        if self.language == Language::En {
            return Some(credit.sentence.clone());
        }
        let amount = |percent: &str, amount: Option<&String>| {
            amount.map_or_else(|| format!("{} %", self.number(percent)), |a| self.number(a))
        };
        let share = |share: &Option<CreditShare>| {
            share.as_ref().map_or_else(
                || format!("{NOTHING} %"),
                |s| amount(&s.percent, s.amount.as_ref()),
            )
        };
        let currency = credit.currency.as_deref().unwrap_or_default();
        let (least, most) = (share(&credit.at.upper), share(&credit.at.lower));
        if result.verdict == ContractVerdict::Undetermined {
            let (head, bounds, open) = (
                self.say(Word::CreditOpen),
                self.say(Word::AtBounds),
                self.say(Word::OpenBecause),
            );
            return Some(format!(
                "{head} ({}): {bounds} {least} … {most} {currency} ({open}: {}).",
                self.who(result),
                self.why_open(result)
            ));
        }
        let due = amount(&credit.percent, credit.amount.as_ref());
        let by = format!(
            "{}: {}",
            self.say(Word::DecidedBy),
            self.say(Word::of_decision(credit.decided_by))
        );
        Some(format!(
            "{} ({}): {due} {currency}, {by} ({}: {least} … {most}).",
            self.say(Word::CreditDue),
            self.who(result),
            self.say(Word::AtBounds)
        ))
    }

    fn why_open(&self, result: &AnswerResult) -> String {
        let open = [
            (Word::NotOver, result.future_ms),
            (Word::Unknown, result.unknown_ms),
        ];
        let why: Vec<String> = open
            .into_iter()
            .filter(|(_, ms)| *ms > 0)
            .map(|(word, ms)| format!("{} {}", self.say(word), self.seconds(ms)))
            .collect();
        if !why.is_empty() {
            return why.join(", ");
        }
        format!(
            "{} {}",
            self.say(Word::Down),
            self.between_downtimes(result)
        )
    }

    fn between_downtimes(&self, result: &AnswerResult) -> String {
        let (least, most) = (result.down_lower_ms, result.down_upper_ms);
        format!("{} … {}", self.seconds(least), self.seconds(most))
    }

    fn between_bounds(&self, result: &AnswerResult) -> String {
        let (low, high) = (&result.lower_bound_percent, &result.upper_bound_percent);
        format!(
            "{} … {}",
            self.percent(low.as_deref()),
            self.percent(high.as_deref())
        )
    }

    pub(crate) fn result(&self, r: &AnswerResult) -> Block {
        let mut block = Block::new(format!("{}: {}", self.who(r), self.verdict(r)));
        let percent = |digits: &Option<String>| self.number(&or_nothing(digits.as_deref()));
        block.lines.push(format!(
            "{}: {} % ({}: {} … {} %)",
            self.say(Word::Availability),
            percent(&r.availability_percent),
            self.say(Word::Between),
            percent(&r.lower_bound_percent),
            percent(&r.upper_bound_percent)
        ));
        block.header = vec![String::new(), String::new()];
        for (word, ms) in [
            (Word::Up, r.up_ms),
            (Word::Down, r.down_ms),
            (Word::Unknown, r.unknown_ms),
            (Word::NotOver, r.future_ms),
            (Word::ServiceTime, r.service_ms),
            (Word::Maintenance, r.maintenance_ms),
            (Word::Outside, r.outside_ms),
        ] {
            block.rows.push(vec![self.say(word), self.seconds(ms)]);
        }
        let bounds = format!("{} ({})", self.say(Word::Down), self.say(Word::Between));
        block.rows.push(vec![bounds, self.between_downtimes(r)]);
        block.rows.extend(self.budget(r));
        let least = self.report.evaluation.min_coverage_percent.as_deref();
        let least = least.map_or(String::new(), |least| {
            format!(" (≥ {} %)", self.number(least))
        });
        block.rows.push(vec![
            self.say(Word::Coverage),
            format!("{} %{least}", percent(&r.coverage_percent)),
        ]);
        block.rows.push(vec![
            self.say(Word::Outages),
            r.outage_summary.count.to_string(),
        ]);
        let means = [Word::Longest, Word::MeanToRecover, Word::MeanBetween];
        let rows = means.into_iter().zip(self.lengths(&r.outage_summary));
        block
            .rows
            .extend(rows.map(|(word, length)| vec![self.say(word), length]));
        block.lines.extend(self.credit_line(r));
        let steps = r.credit.iter().flat_map(|credit| &credit.steps);
        block.rows.extend(steps.map(|step| self.step(step)));
        block
    }

    fn budget(&self, r: &AnswerResult) -> [Vec<String>; 2] {
        let left = self.fraction_seconds(&r.budget_remaining_ms);
        let whole = vec![self.say(Word::Budget), self.fraction_seconds(&r.budget_ms)];
        let (word, rest) = match left.strip_prefix('-') {
            Some(over) => (Word::BudgetExceeded, over),
            None => (Word::BudgetLeft, &left[..]),
        };
        [
            whole,
            vec![format!("– {}", self.say(word)), rest.to_owned()],
        ]
    }

    /// The longest outage and the means of them.
    fn lengths(&self, summary: &AnswerOutageSummary) -> [String; 3] {
        [
            Some(summary.longest_ms),
            summary.mean_time_to_recover_ms,
            summary.mean_time_between_failures_ms,
        ]
        .map(|ms| self.seconds(ms))
    }

    fn step(&self, step: &CreditStep) -> Vec<String> {
        let what = Word::of_step(&step.what).map_or(step.what.clone(), |word| self.say(word));
        let unit = Word::of_unit(&step.unit).map_or(step.unit.clone(), |word| self.say(word));
        let value = format!("{} {unit}", self.number(&step.decimal));
        vec![
            format!("{}: {what}", self.say(Word::Steps)),
            format!("{} = {}", value.trim_end(), step.value),
        ]
    }

    /// The components of a combination by themselves.
    pub(crate) fn each_component(&self) -> Option<Block> {
        let list = &self.report.evaluation.components;
        if list.is_empty() {
            return None;
        }
        let mut block = Block::new(self.say(Word::EachComponent));
        block.header = self.said(&[
            Word::Component,
            Word::Availability,
            Word::Between,
            Word::Outages,
            Word::Longest,
            Word::MeanToRecover,
            Word::MeanBetween,
        ]);
        for c in list {
            let mut row = vec![
                or_nothing(c.component.as_deref()),
                self.percent(c.availability_percent.as_deref()),
                self.between_bounds(c),
                c.outage_summary.count.to_string(),
            ];
            row.extend(self.lengths(&c.outage_summary));
            block.rows.push(row);
        }
        Some(block)
    }

    /// The figures by terms that came into force later.
    pub(crate) fn later_terms(&self) -> Option<Block> {
        let later = self.report.later_terms.as_ref()?;
        let e = &later.evaluation;
        let mut block = Block::new(self.say(Word::ByLaterTerms));
        let recorded = self.at_or_nothing(later.terms_recorded_at.as_deref());
        let (start, end) = (self.at(&e.period().start), self.at(&e.period().end));
        block.lines.extend([
            format!("{}: {recorded}", self.say(Word::TermsRecorded)),
            format!("{}: {start} – {end}", self.say(Word::Period)),
        ]);
        if let LaterEvaluation::Answer(answer) = e {
            let objective = self.number(&answer.objective_percent);
            block
                .lines
                .push(format!("{}: {objective} %", self.say(Word::Objective)));
        }
        block.header = self.said(&[
            Word::Component,
            Word::Verdict,
            Word::Availability,
            Word::Between,
            Word::Down,
            Word::Unknown,
            Word::CreditDue,
        ]);
        for r in e.results() {
            block.rows.push(vec![
                self.who(r),
                self.verdict(r),
                self.percent(r.availability_percent.as_deref()),
                self.between_bounds(r),
                self.seconds(r.down_ms),
                self.seconds(r.unknown_ms),
                self.due(r),
            ]);
        }
        Some(self.or_none(block))
    }

    /// The amount that is due; none while the verdict is open.
    fn due(&self, r: &AnswerResult) -> String {
        let decided = r
            .credit
            .as_ref()
            .filter(|_| r.verdict != ContractVerdict::Undetermined);
        let amount = |credit: &AnswerCredit| {
            let amount = self.number(credit.amount.as_deref()?);
            Some(format!(
                "{amount} {}",
                or_nothing(credit.currency.as_deref())
            ))
        };
        decided.and_then(amount).unwrap_or(NOTHING.to_owned())
    }
}
