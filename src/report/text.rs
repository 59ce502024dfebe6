//! A report as blocks of words and tables in one language, and those as Markdown. HTML renders the
//! same blocks.

use std::fmt::Write;

use serde_json::Value;

use super::outages::excluded_text;
use super::words::{Language, Word, change_in_words};
use crate::account::figures::{not_seen_text, sentence};
use crate::words::shortened;

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

/// Shows the figures of one object in one language.
pub struct Shown<'r> {
    pub report: &'r Value,
    pub language: Language,
}

fn results_of(evaluation: &Value) -> impl Iterator<Item = &Value> {
    evaluation["results"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("–")
}

impl Shown<'_> {
    fn say(&self, word: Word) -> String {
        word.say(self.language).to_owned()
    }

    fn number(&self, digits: &str) -> String {
        self.language.number(digits)
    }

    /// Milliseconds as seconds with three decimals.
    fn seconds(&self, ms: &Value) -> String {
        ms.as_u64().map_or("–".into(), |ms| {
            format!(
                "{} {}",
                self.number(&format!("{}.{:03}", ms / 1000, ms % 1000)),
                self.say(Word::Seconds)
            )
        })
    }

    /// A fraction `n/d` of milliseconds as seconds, truncated.
    fn fraction_seconds(&self, fraction: &Value) -> String {
        use crate::judgement::sla::exact::{Exact, truncated, whole};
        let parsed: Option<Exact> = fraction.as_str().and_then(|f| f.parse().ok());
        parsed.map_or("–".into(), |ms| {
            format!(
                "{} {}",
                self.number(&truncated(&(ms / whole(1000)), 3)),
                self.say(Word::Seconds)
            )
        })
    }

    fn at(&self, instant: &Value) -> String {
        instant
            .as_str()
            .map_or("–".into(), |t| self.language.instant(t))
    }

    pub fn title(&self) -> String {
        format!(
            "{}: {}",
            self.say(Word::Title),
            text(&self.report["evaluation"]["sla"])
        )
    }

    /// The first sentence: what is due, or the verdicts.
    pub fn first_line(&self) -> String {
        let many = self.results().count() > 1 && self.language == Language::En;
        let named = |r| {
            self.credit_line(r).map(|line| {
                if many {
                    format!("{}: {line}", self.who(r))
                } else {
                    line
                }
            })
        };
        let credits: Vec<String> = self.results().filter_map(named).collect();
        let little = self
            .results()
            .filter(|r| r["measured_less_than_half"] == true);
        let mut said: Vec<String> = little
            .map(|r| format!("{} ({}).", self.say(Word::LittleMeasured), self.who(r)))
            .collect();
        let later = self.report["changed"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|c| c["what"] == "terms");
        said.extend(
            later.map(|c| format!("{} ({}).", self.say(Word::TermsLater), self.at(&c["at"]))),
        );
        said.extend(self.said_of_later_terms());
        if credits.is_empty() {
            said.extend(
                self.results()
                    .map(|r| format!("{}: {}.", self.who(r), self.verdict(r))),
            );
        }
        said.extend(credits);
        said.join(" ")
    }

    /// That the terms were changed after those of the report, and the verdict by the terms of then.
    fn said_of_later_terms(&self) -> Option<String> {
        let later = self.report["later_terms"].as_object()?;
        let verdicts: Vec<String> = results_of(&later["evaluation"])
            .map(|r| format!("{}: {}", self.who(r), self.verdict(r)))
            .collect();
        let verdicts = if verdicts.is_empty() {
            text(&later["evaluation"]["why"]).to_owned()
        } else {
            verdicts.join("; ")
        };
        Some(format!(
            "{} ({}). {}: {verdicts}.",
            self.say(Word::TermsChanged),
            self.at(&later["terms_recorded_at"]),
            self.say(Word::ByLaterTerms)
        ))
    }

    /// The figures by terms that came into force later.
    fn later_terms(&self) -> Option<Block> {
        let later = self.report["later_terms"].as_object()?;
        let e = &later["evaluation"];
        let mut block = Block::new(self.say(Word::ByLaterTerms));
        block.lines.push(format!(
            "{}: {}",
            self.say(Word::TermsRecorded),
            self.at(&later["terms_recorded_at"])
        ));
        block.lines.push(format!(
            "{}: {} – {}",
            self.say(Word::Period),
            self.at(&e["period"]["start"]),
            self.at(&e["period"]["end"])
        ));
        block
            .lines
            .extend(e["objective_percent"].as_str().map(|objective| {
                format!(
                    "{}: {} %",
                    self.say(Word::Objective),
                    self.number(objective)
                )
            }));
        let words = [
            Word::Component,
            Word::Verdict,
            Word::Availability,
            Word::Between,
            Word::Down,
            Word::Unknown,
            Word::CreditDue,
        ];
        block.header = words.iter().map(|w| self.say(*w)).collect();
        for r in results_of(e) {
            let percent = |key: &str| {
                r[key]
                    .as_str()
                    .map_or("–".to_owned(), |p| format!("{} %", self.number(p)))
            };
            let bounds = format!(
                "{} … {}",
                percent("lower_bound_percent"),
                percent("upper_bound_percent")
            );
            let credit = &r["credit"];
            let due = credit["amount"].as_str().map_or("–".to_owned(), |a| {
                format!("{} {}", self.number(a), text(&credit["currency"]))
            });
            let due = if r["verdict"] == "undetermined" {
                "–".to_owned()
            } else {
                due
            };
            block.rows.push(vec![
                self.who(r),
                self.verdict(r),
                percent("availability_percent"),
                bounds,
                self.seconds(&r["down_ms"]),
                self.seconds(&r["unknown_ms"]),
                due,
            ]);
        }
        Some(self.or_none(block))
    }

    pub fn results(&self) -> impl Iterator<Item = &Value> {
        results_of(&self.report["evaluation"])
    }

    pub fn who(&self, result: &Value) -> String {
        match (result["component"].as_str(), result["tenant"].as_str()) {
            (_, Some(tenant)) => format!("{} {tenant}", self.say(Word::Tenant)),
            (Some(component), None) => component.to_owned(),
            (None, None) => self.say(Word::AllTogether),
        }
    }

    pub fn verdict(&self, result: &Value) -> String {
        self.say(Word::of_verdict(text(&result["verdict"])))
    }

    /// The credit in words; in English the sentence of the evaluation itself.
    fn credit_line(&self, result: &Value) -> Option<String> {
        let credit = result["credit"].as_object()?;
        if self.language == Language::En {
            return credit["sentence"].as_str().map(str::to_owned);
        }
        let amount = |v: &Value| {
            v["amount"].as_str().map_or_else(
                || format!("{} %", self.number(text(&v["percent"]))),
                |a| self.number(a),
            )
        };
        let currency = credit["currency"].as_str().unwrap_or_default();
        let due = amount(&Value::Object(credit.clone()));
        let (least, most) = (
            amount(&credit["at"]["upper"]),
            amount(&credit["at"]["lower"]),
        );
        if result["verdict"] == "undetermined" {
            let open = [(Word::NotOver, "future_ms"), (Word::Unknown, "unknown_ms")]
                .into_iter()
                .filter(|(_, key)| result[*key].as_u64() > Some(0));
            let mut why: Vec<String> = open
                .map(|(word, key)| format!("{} {}", self.say(word), self.seconds(&result[key])))
                .collect();
            if why.is_empty() {
                why.push(format!(
                    "{} {} … {}",
                    self.say(Word::Down),
                    self.seconds(&result["down_lower_ms"]),
                    self.seconds(&result["down_upper_ms"])
                ));
            }
            let (head, bounds, open) = (
                self.say(Word::CreditOpen),
                self.say(Word::AtBounds),
                self.say(Word::OpenBecause),
            );
            return Some(format!(
                "{head} ({}): {bounds} {least} … {most} {currency} ({open}: {}).",
                self.who(result),
                why.join(", ")
            ));
        }
        let by = format!(
            "{}: {}",
            self.say(Word::DecidedBy),
            self.say(Word::of_decision(
                credit["decided_by"].as_str().unwrap_or_default()
            ))
        );
        Some(format!(
            "{} ({}): {due} {currency}, {by} ({}: {least} … {most}).",
            self.say(Word::CreditDue),
            self.who(result),
            self.say(Word::AtBounds)
        ))
    }

    /// Everything that a report says, in order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut all = vec![self.head()];
        all.extend(self.results().map(|r| self.result(r)));
        all.extend(self.each_component());
        all.extend(self.later_terms());
        all.extend(self.latency());
        all.push(self.outages());
        all.push(self.spans(Word::UnknownTime, &self.unknown(), Word::Reason));
        all.push(self.spans(Word::Admitted, &self.admitted(), Word::Reason));
        all.push(self.spans(
            Word::Refused,
            &plain(&self.report["refused"], "why"),
            Word::Reason,
        ));
        all.push(self.spans(Word::Excluded, &self.excluded(), Word::Reason));
        all.extend(self.changed());
        all.push(self.probing());
        all.push(self.slots());
        all.push(self.proof());
        all
    }

    fn head(&self) -> Block {
        let r = self.report;
        let e = &r["evaluation"];
        let mut block = Block::new(self.title());
        block.lines.push(self.first_line());
        if r["provisional"] == true {
            block.lines.push(self.say(Word::Provisional));
        }
        if let Some(replaced) = r["replaces"].as_str() {
            block
                .lines
                .push(format!("{}: {replaced}", self.say(Word::Replaces)));
        }
        block.lines.push(format!(
            "{}: {} – {}",
            self.say(Word::Period),
            self.at(&e["period"]["start"]),
            self.at(&e["period"]["end"])
        ));
        block.lines.push(format!(
            "{}: {} %",
            self.say(Word::Objective),
            self.number(text(&e["objective_percent"]))
        ));
        block.lines.push(format!(
            "{}: {}",
            self.say(Word::SettledUntil),
            self.at(&r["settled_until"])
        ));
        block.lines.push(format!(
            "{}: {}",
            self.say(Word::Issued),
            self.at(&r["issued_at"])
        ));
        let blind = r["extents"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|e| e["not_seen_below_ms"].as_u64())
            .max();
        block.lines.push(match self.language {
            // The words of every other surface.
            Language::En => sentence(&not_seen_text(blind)),
            _ => format!(
                "{}: {}",
                self.say(Word::ShortOutages),
                self.seconds(&blind.map_or(Value::Null, Value::from))
            ),
        });
        block
    }

    fn result(&self, r: &Value) -> Block {
        let mut block = Block::new(format!("{}: {}", self.who(r), self.verdict(r)));
        let percent = |key: &str| self.number(text(&r[key]));
        block.lines.push(format!(
            "{}: {} % ({}: {} … {} %)",
            self.say(Word::Availability),
            percent("availability_percent"),
            self.say(Word::Between),
            percent("lower_bound_percent"),
            percent("upper_bound_percent")
        ));
        block.header = vec![String::new(), String::new()];
        for (word, key) in [
            (Word::Up, "up_ms"),
            (Word::Down, "down_ms"),
            (Word::Unknown, "unknown_ms"),
            (Word::NotOver, "future_ms"),
            (Word::ServiceTime, "service_ms"),
            (Word::Maintenance, "maintenance_ms"),
            (Word::Outside, "outside_ms"),
        ] {
            block.rows.push(vec![self.say(word), self.seconds(&r[key])]);
        }
        let bounds = format!("{} ({})", self.say(Word::Down), self.say(Word::Between));
        block.rows.push(vec![
            bounds,
            format!(
                "{} … {}",
                self.seconds(&r["down_lower_ms"]),
                self.seconds(&r["down_upper_ms"])
            ),
        ]);
        block.rows.push(vec![
            self.say(Word::Budget),
            self.fraction_seconds(&r["budget_ms"]),
        ]);
        let left = self.fraction_seconds(&r["budget_remaining_ms"]);
        block.rows.push(match left.strip_prefix('-') {
            Some(over) => vec![
                format!("– {}", self.say(Word::BudgetExceeded)),
                over.to_owned(),
            ],
            None => vec![format!("– {}", self.say(Word::BudgetLeft)), left],
        });
        let least = self.report["evaluation"]["min_coverage_percent"]
            .as_str()
            .map_or(String::new(), |least| {
                format!(" (≥ {} %)", self.number(least))
            });
        block.rows.push(vec![
            self.say(Word::Coverage),
            format!("{} %{least}", percent("coverage_percent")),
        ]);
        let s = &r["spells"];
        block
            .rows
            .push(vec![self.say(Word::Outages), s["count"].to_string()]);
        for (word, key) in [
            (Word::Longest, "longest_ms"),
            (Word::MeanToRecover, "mean_time_to_recover_ms"),
            (Word::MeanBetween, "mean_time_between_failures_ms"),
        ] {
            block.rows.push(vec![self.say(word), self.seconds(&s[key])]);
        }
        if let Some(line) = self.credit_line(r) {
            block.lines.push(line);
            for step in r["credit"]["steps"].as_array().into_iter().flatten() {
                let (what, unit) = (text(&step["what"]), text(&step["unit"]));
                let what = Word::of_step(what).map_or(what.to_owned(), |word| self.say(word));
                let unit = Word::of_unit(unit).map_or(unit.to_owned(), |word| self.say(word));
                let value = format!("{} {unit}", self.number(text(&step["decimal"])));
                block.rows.push(vec![
                    format!("{}: {what}", self.say(Word::Steps)),
                    format!("{} = {}", value.trim_end(), text(&step["value"])),
                ]);
            }
        }
        block
    }

    /// The components of a combination by themselves.
    fn each_component(&self) -> Option<Block> {
        let list = self.report["evaluation"]["components"]
            .as_array()
            .filter(|l| !l.is_empty())?;
        let mut block = Block::new(self.say(Word::EachComponent));
        let words = [
            Word::Component,
            Word::Availability,
            Word::Between,
            Word::Outages,
            Word::Longest,
            Word::MeanToRecover,
            Word::MeanBetween,
        ];
        block.header = words.iter().map(|w| self.say(*w)).collect();
        for c in list {
            let percent = |key: &str| {
                c[key]
                    .as_str()
                    .map_or("–".to_owned(), |p| format!("{} %", self.number(p)))
            };
            let mut row = vec![
                text(&c["component"]).to_owned(),
                percent("availability_percent"),
            ];
            row.push(format!(
                "{} … {}",
                percent("lower_bound_percent"),
                percent("upper_bound_percent")
            ));
            row.push(c["spells"]["count"].to_string());
            row.extend(
                [
                    "longest_ms",
                    "mean_time_to_recover_ms",
                    "mean_time_between_failures_ms",
                ]
                .map(|key| self.seconds(&c["spells"][key])),
            );
            block.rows.push(row);
        }
        Some(block)
    }

    fn latency(&self) -> Option<Block> {
        let list = self.report["latency"]
            .as_array()
            .filter(|l| !l.is_empty())?;
        let mut block = Block::new(self.say(Word::Latency));
        block.header = vec![
            self.say(Word::Component),
            self.say(Word::Objective),
            self.say(Word::Verdict),
            "± 1 %".to_owned(),
        ];
        for l in list {
            let verdict = match l["met"].as_bool() {
                Some(true) => Word::Met,
                Some(false) => Word::Missed,
                None => Word::Undetermined,
            };
            let share = l["share_percent"].as_str().map_or("–".into(), |s| {
                format!("{} % ({} / {})", self.number(s), l["within"], l["probes"])
            });
            let objective = format!(
                "{} % ≤ {} ms",
                self.number(text(&l["objective_percent"])),
                l["within_ms"]
            );
            block.rows.push(vec![
                text(&l["component"]).to_owned(),
                objective,
                self.say(verdict),
                share,
            ]);
        }
        Some(block)
    }

    fn outages(&self) -> Block {
        let mut block = Block::new(self.say(Word::Outages));
        let bounds = format!("{} … {}", self.say(Word::Earliest), self.say(Word::Latest));
        block.header = vec![
            self.say(Word::Endpoint),
            self.say(Word::From),
            bounds.clone(),
            self.say(Word::To),
            bounds,
            self.say(Word::Cause),
        ];
        block
            .header
            .extend([self.say(Word::FirstFailure), self.say(Word::LastFailure)]);
        for o in self.report["outages"].as_array().into_iter().flatten() {
            let pair = |a: &str, b: &str| match (o[a].as_str(), o[b].as_str()) {
                (Some(a), Some(b)) => self.language.between(a, b),
                _ => format!("{} … {}", self.at(&o[a]), self.at(&o[b])),
            };
            block.rows.push(vec![
                text(&o["endpoint"]).to_owned(),
                self.at(&o["from"]),
                pair("from_earliest", "from_latest"),
                self.at(&o["to"]),
                pair("to_earliest", "to_latest"),
                self.cause(o),
                self.at(&o["first_failure_ended"]),
                self.at(&o["last_failure_started"]),
            ]);
        }
        self.or_none(block)
    }

    /// Why an outage was one, and whether a correction takes it out of the figures.
    fn cause(&self, outage: &Value) -> String {
        let cause = text(&outage["cause"]);
        match (excluded_text(outage), self.language) {
            (None, _) => cause.to_owned(),
            (Some(mark), Language::En) => format!("{cause} ({mark})"),
            (Some(mark), _) => {
                let numbers = mark.rsplit_once("by ").map_or("", |(_, numbers)| numbers);
                format!("{cause} ({}: {numbers})", self.say(Word::Excluded))
            }
        }
    }

    fn unknown(&self) -> Vec<(String, String, String)> {
        let components = self.report["timeline"]["components"]
            .as_array()
            .into_iter()
            .flatten();
        components
            .flat_map(|c| {
                c["unknown"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(move |u| (c, u))
            })
            .map(|(c, u)| {
                (
                    text(&u["from"]).to_owned(),
                    text(&u["to"]).to_owned(),
                    format!("{} ({})", text(&u["reason"]), text(&c["name"])),
                )
            })
            .collect()
    }

    /// Admitted maintenance with the reasons of the windows that it is made of.
    fn admitted(&self) -> Vec<(String, String, String)> {
        let windows = self.report["timeline"]["maintenance"].as_array();
        let reasons = |from: &str, to: &str, component: &str| {
            let concerns = |w: &&Value| {
                w["components"]
                    .as_array()
                    .is_none_or(|list| list.iter().any(|c| c == component))
            };
            let touching = windows
                .into_iter()
                .flatten()
                .filter(|w| text(&w["from"]) < to && from < text(&w["to"]))
                .filter(concerns);
            let mut all: Vec<&str> = touching
                .filter_map(|w| w["reason"].as_str().or(w["id"].as_str()))
                .collect();
            all.dedup();
            all.join("; ")
        };
        let said = |(from, to, component): (String, String, String)| {
            let why = reasons(&from, &to, &component);
            (
                from,
                to,
                if component.is_empty() {
                    why
                } else {
                    format!("{component}: {why}")
                },
            )
        };
        plain(&self.report["admitted"], "component")
            .into_iter()
            .map(said)
            .collect()
    }

    fn excluded(&self) -> Vec<(String, String, String)> {
        let rows = self.report["excluded"].as_array().into_iter().flatten();
        rows.map(|e| {
            (
                text(&e["from"]).to_owned(),
                text(&e["to"]).to_owned(),
                format!(
                    "{}: {} ({}, # {})",
                    text(&e["endpoint"]),
                    text(&e["reason"]),
                    text(&e["by"]),
                    e["event"]
                ),
            )
        })
        .collect()
    }

    /// What changed in the period, with the figure before and after; nothing where nothing did.
    fn changed(&self) -> Option<Block> {
        let list = self.report["changed"]
            .as_array()
            .filter(|l| !l.is_empty())?;
        let mut block = Block::new(self.say(Word::DefinitionChanged));
        let availability = self.say(Word::Availability);
        block.header = vec![
            self.say(Word::From),
            self.say(Word::Component),
            self.say(Word::Endpoint),
            String::new(),
            String::new(),
        ];
        block
            .header
            .extend([format!("{availability} ←"), format!("{availability} →")]);
        block.rows = list
            .iter()
            .map(|c| {
                let value = |v: &Value| {
                    v.as_str().map_or_else(
                        || {
                            if v.is_null() {
                                "–".to_owned()
                            } else {
                                v.to_string()
                            }
                        },
                        |text| shortened(text).to_owned(),
                    )
                };
                let is_step = !c["before"].is_null() || !c["after"].is_null();
                let step = if is_step {
                    format!("{} → {}", value(&c["before"]), value(&c["after"]))
                } else {
                    String::new()
                };
                let figure = |key: &str| {
                    c[key]["availability_percent"]
                        .as_str()
                        .map_or("–".to_owned(), |p| format!("{} %", self.number(p)))
                };
                let (who, what) = (
                    text(&c["component"]).to_owned(),
                    change_in_words(text(&c["what"])),
                );
                vec![
                    self.at(&c["at"]),
                    who,
                    text(&c["endpoint"]).to_owned(),
                    what,
                    step,
                    figure("figure_before"),
                    figure("figure_after"),
                ]
            })
            .collect();
        Some(block)
    }

    fn spans(&self, heading: Word, rows: &[(String, String, String)], third: Word) -> Block {
        let mut block = Block::new(self.say(heading));
        block.header = vec![self.say(Word::From), self.say(Word::To), self.say(third)];
        block.rows = rows
            .iter()
            .map(|(a, b, c)| {
                vec![
                    self.language.instant(a),
                    self.language.instant(b),
                    c.clone(),
                ]
            })
            .collect();
        self.or_none(block)
    }

    fn or_none(&self, mut block: Block) -> Block {
        if block.rows.is_empty() {
            block.header.clear();
            block.lines.push(self.say(Word::None));
        }
        block
    }

    fn probing(&self) -> Block {
        let mut block = Block::new(self.say(Word::HowProbed));
        block.header = vec![
            self.say(Word::Endpoint),
            self.say(Word::Interval),
            self.say(Word::Timeout),
            self.say(Word::Confirmation),
            self.say(Word::From),
        ];
        let row = |e: &Value, c: &Value| {
            vec![
                text(&e["name"]).to_owned(),
                self.seconds(&c["interval_ms"]),
                self.seconds(&c["timeout_ms"]),
                c["down_after"].to_string(),
                self.at(&c["from"]),
            ]
        };
        for e in self.report["endpoints"].as_array().into_iter().flatten() {
            let each = e["cadences"].as_array().filter(|list| !list.is_empty());
            match each {
                Some(list) => block.rows.extend(list.iter().map(|c| row(e, c))),
                None => block.rows.push(row(e, e)),
            }
        }
        self.or_none(block)
    }

    fn slots(&self) -> Block {
        let mut block = Block::new(self.say(Word::Slots));
        let words = [
            Word::Endpoint,
            Word::Expected,
            Word::NotRun,
            Word::Probed,
            Word::Failed,
            Word::Unconfirmed,
            Word::Unmeasured,
            Word::SlotsMissed,
        ];
        block.header = words.iter().map(|w| self.say(*w)).collect();
        for s in self.report["slots"].as_array().into_iter().flatten() {
            let mut row = vec![text(&s["endpoint"]).to_owned()];
            // Hours without a tally are not hours without a probe.
            let is_due = |k: &str| matches!(k, "expected" | "not_run");
            let shown = |k: &str| {
                if s["hours"] == 0 && !is_due(k) || s[k].is_null() {
                    "–".to_owned()
                } else {
                    s[k].to_string()
                }
            };
            row.extend(
                [
                    "expected",
                    "not_run",
                    "probed",
                    "failure",
                    "unconfirmed",
                    "unmeasured",
                    "missed",
                ]
                .map(shown),
            );
            block.rows.push(row);
        }
        self.or_none(block)
    }

    fn proof(&self) -> Block {
        let r = self.report;
        let mut block = Block::new(self.say(Word::Proof));
        block.lines.push(format!(
            "{}: {} – {}, {}",
            self.say(Word::Events),
            r["events"]["first"],
            r["events"]["last"],
            text(&r["events"]["head"])
        ));
        block.lines.push(format!(
            "{}: {} ({})",
            self.say(Word::Signature),
            text(&r["signature"]),
            text(&r["key"])
        ));
        let zones = r["zone_data"]["release"]
            .as_str()
            .map_or(String::new(), |release| {
                format!(", tzdata {release} ({})", text(&r["zone_data"]["source"]))
            });
        block.lines.push(format!(
            "{}{zones}, {}",
            text(&r["software"]),
            text(&r["vantages"][0])
        ));
        block.lines.push(match r["terms_recorded_at"].as_str() {
            Some(at) => format!(
                "{}: {}",
                self.say(Word::TermsRecorded),
                self.language.instant(at)
            ),
            None => format!("{}.", self.say(Word::TermsNotRecorded)),
        });
        for c in r["configs"].as_array().into_iter().flatten() {
            block.lines.push(format!(
                "{}: {} ({} {})",
                self.say(Word::Config),
                text(&c["sha256"]),
                self.say(Word::From).to_lowercase(),
                self.at(&c["from"])
            ));
        }
        block
    }
}

fn plain(list: &Value, third: &str) -> Vec<(String, String, String)> {
    let rows = list.as_array().into_iter().flatten();
    rows.map(|s| {
        (
            text(&s["from"]).to_owned(),
            text(&s["to"]).to_owned(),
            s[third].as_str().unwrap_or_default().to_owned(),
        )
    })
    .collect()
}

/// Markdown; what would be markup in it is escaped.
pub fn markdown(report: &Value, language: Language) -> String {
    let mut out = String::new();
    for (k, block) in (Shown { report, language }).blocks().iter().enumerate() {
        let _ = writeln!(
            out,
            "{} {}\n",
            if k == 0 { "#" } else { "##" },
            escaped(&block.heading)
        );
        for line in &block.lines {
            let _ = writeln!(out, "{}\n", escaped(line));
        }
        if !block.header.is_empty() {
            let row = |cells: &[String]| {
                format!(
                    "| {} |",
                    cells
                        .iter()
                        .map(|c| escaped(c))
                        .collect::<Vec<_>>()
                        .join(" | ")
                )
            };
            let _ = writeln!(
                out,
                "{}\n|{}",
                row(&block.header),
                "---|".repeat(block.header.len())
            );
            for cells in &block.rows {
                let _ = writeln!(out, "{}", row(cells));
            }
            out.push('\n');
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
