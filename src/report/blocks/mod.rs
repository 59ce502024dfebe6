//! A report as blocks of words and tables in one language: what Markdown and HTML render.

mod lists;
mod proof;
mod result;

use super::answer::AnswerResult;
use super::object::{ChangeOf, ContractReport, LaterEvaluation, LaterTerms, ReportedChange};
use super::words::{Language, Word};
use crate::account::figures::{not_seen_text, sentence};
use crate::judgement::sla::evaluation::ContractVerdict;
use crate::judgement::sla::exact::{Exact, truncated, whole};
use crate::words::Ms;

/// What stands where there is nothing to show.
const NOTHING: &str = "–";

/// A part of a report.
pub struct Block {
    pub heading: String,
    pub lines: Vec<String>,
    /// Header and rows; empty without a table.
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Block {
    fn new(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            lines: Vec::new(),
            header: Vec::new(),
            rows: Vec::new(),
        }
    }
}

/// Shows the figures of one report in one language.
pub struct LocalizedReport<'r> {
    pub report: &'r ContractReport,
    pub language: Language,
}

/// Of an optional text, itself or a dash.
fn or_nothing(text: Option<&str>) -> String {
    text.unwrap_or(NOTHING).to_owned()
}

impl LocalizedReport<'_> {
    fn say(&self, word: Word) -> String {
        word.say(self.language).to_owned()
    }

    fn said(&self, words: &[Word]) -> Vec<String> {
        words.iter().map(|w| self.say(*w)).collect()
    }

    fn number(&self, digits: &str) -> String {
        self.language.number(digits)
    }

    /// A percentage, or a dash.
    fn percent(&self, digits: Option<&str>) -> String {
        digits.map_or(NOTHING.into(), |p| format!("{} %", self.number(p)))
    }

    /// Milliseconds as seconds with three decimals.
    fn seconds(&self, ms: impl Into<Option<Ms>>) -> String {
        ms.into().map_or(NOTHING.into(), |ms| {
            format!(
                "{} {}",
                self.number(&format!("{}.{:03}", ms / 1000, ms % 1000)),
                self.say(Word::Seconds)
            )
        })
    }

    /// A fraction `n/d` of milliseconds as seconds, truncated.
    fn fraction_seconds(&self, fraction: &str) -> String {
        let parsed: Option<Exact> = fraction.parse().ok();
        parsed.map_or(NOTHING.into(), |ms| {
            format!(
                "{} {}",
                self.number(&truncated(&(ms / whole(1000)), 3)),
                self.say(Word::Seconds)
            )
        })
    }

    fn at(&self, instant: &str) -> String {
        self.language.instant(instant)
    }

    fn at_or_nothing(&self, instant: Option<&str>) -> String {
        instant.map_or(NOTHING.into(), |t| self.at(t))
    }

    pub fn title(&self) -> String {
        format!("{}: {}", self.say(Word::Title), self.report.evaluation.sla)
    }

    /// The first sentence: what is due, or the verdicts.
    pub fn first_line(&self) -> String {
        let many = self.results().len() > 1 && self.language == Language::En;
        let named = |r| {
            self.credit_line(r).map(|line| {
                if many {
                    format!("{}: {line}", self.who(r))
                } else {
                    line
                }
            })
        };
        let credits: Vec<String> = self.results().iter().filter_map(named).collect();
        let little = self.results().iter().filter(|r| r.measured_less_than_half);
        let mut said: Vec<String> = little
            .map(|r| format!("{} ({}).", self.say(Word::LittleMeasured), self.who(r)))
            .collect();
        let later = self
            .report
            .changed
            .iter()
            .find(|c| c.what == ChangeOf::Terms);
        let of_late =
            |c: &ReportedChange| format!("{} ({}).", self.say(Word::TermsLater), self.at(&c.at));
        said.extend(later.map(of_late));
        said.extend(self.report.later_terms.as_ref().map(|l| self.said_of(l)));
        if credits.is_empty() {
            let verdict = |r| format!("{}: {}.", self.who(r), self.verdict(r));
            said.extend(self.results().iter().map(verdict));
        }
        said.extend(credits);
        said.join(" ")
    }

    /// That the terms were changed after those of the report, and the verdict by the terms of then.
    fn said_of(&self, later: &LaterTerms) -> String {
        let verdicts: Vec<String> = later
            .evaluation
            .results()
            .iter()
            .map(|r| format!("{}: {}", self.who(r), self.verdict(r)))
            .collect();
        let verdicts = match &later.evaluation {
            LaterEvaluation::Unjudged(unjudged) => unjudged.why.clone(),
            LaterEvaluation::Answer(_) if verdicts.is_empty() => NOTHING.to_owned(),
            LaterEvaluation::Answer(_) => verdicts.join("; "),
        };
        format!(
            "{} ({}). {}: {verdicts}.",
            self.say(Word::TermsChanged),
            self.at_or_nothing(later.terms_recorded_at.as_deref()),
            self.say(Word::ByLaterTerms)
        )
    }

    pub fn results(&self) -> &[AnswerResult] {
        &self.report.evaluation.results
    }

    /// Of all results: missed where one is, else undetermined where one is.
    pub fn worst(&self) -> ContractVerdict {
        let any = |verdict| self.results().iter().any(|r| r.verdict == verdict);
        [ContractVerdict::Missed, ContractVerdict::Undetermined]
            .into_iter()
            .find(|verdict| any(*verdict))
            .unwrap_or(ContractVerdict::Met)
    }

    fn who(&self, result: &AnswerResult) -> String {
        match (&result.component, &result.tenant) {
            (_, Some(tenant)) => format!("{} {tenant}", self.say(Word::Tenant)),
            (Some(component), None) => component.clone(),
            (None, None) => self.say(Word::AllTogether),
        }
    }

    fn verdict(&self, result: &AnswerResult) -> String {
        self.say(Word::of_verdict(result.verdict))
    }

    /// Everything that a report says, in order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut all = vec![self.head()];
        all.extend(self.results().iter().map(|r| self.result(r)));
        all.extend(self.each_component());
        all.extend(self.later_terms());
        all.extend(self.latency());
        all.push(self.outages());
        all.push(self.unknown());
        all.push(self.admitted());
        all.push(self.refused());
        all.push(self.excluded());
        all.extend(self.changed());
        all.push(self.probing());
        all.push(self.slots());
        all.push(self.proof());
        all
    }

    fn head(&self) -> Block {
        let r = self.report;
        let e = &r.evaluation;
        let mut block = Block::new(self.title());
        block.lines.push(self.first_line());
        if r.provisional {
            block.lines.push(self.say(Word::Provisional));
        }
        let line = |word, text: &str| format!("{}: {text}", self.say(word));
        let replaced = r.replaces.as_deref();
        block
            .lines
            .extend(replaced.map(|replaced| line(Word::Replaces, replaced)));
        let period = format!("{} – {}", self.at(&e.period.start), self.at(&e.period.end));
        let objective = format!("{} %", self.number(&e.objective_percent));
        block.lines.extend([
            line(Word::Period, &period),
            line(Word::Objective, &objective),
            line(Word::SettledUntil, &self.at(&r.settled_until)),
            line(Word::Issued, &self.at(&r.issued_at)),
        ]);
        let blind = r.extents.iter().map(|e| e.not_seen_below_ms).max();
        block.lines.push(match self.language {
            // The words of every other surface.
            Language::En => sentence(&not_seen_text(blind)),
            _ => line(Word::ShortOutages, &self.seconds(blind)),
        });
        block
    }

    fn or_none(&self, mut block: Block) -> Block {
        if block.rows.is_empty() {
            block.header.clear();
            block.lines.push(self.say(Word::None));
        }
        block
    }
}
