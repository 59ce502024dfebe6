//! The first page: whether anything is wrong, what, and every endpoint in a row.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use askama::Template;
use serde::Deserialize;

use super::bar::BarSpan;
use super::changes::{OutageRow, outage_rows};
use super::endpoints::{EndpointRow, row};
use super::listed_endpoint::ListedEndpoint;
use super::problems::{ListedProblem, of_endpoints};
use super::{PageContext, PageFrame, headline, written};
use crate::engine::board::Entry;
use crate::serve::listener::making::Unmade;
use crate::words::{Ms, StateName, UtcMs};

/// Endpoints on one page.
const ROWS: usize = 100;
/// A record that is shorter is shown by the hour.
const SHORT_RECORD_MS: Ms = 3 * 3_600_000;
/// Problems that are listed; more are one click away.
const PROBLEMS: usize = 20;

/// What the address of the page asks for, as it is written there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OverviewQuery {
    pub q: String,
    pub state: String,
    pub label: String,
    pub sort: String,
    pub span: String,
    pub page: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Sort {
    /// Down, unknown, up, and then as in the config.
    #[default]
    Problems,
    Name,
    /// By component, and then as in the config.
    Component,
    /// The last change first.
    Since,
    /// The slowest last probe first.
    Latency,
    /// The certificate that ends first.
    Certificate,
}

impl Sort {
    const WORDS: [(&'static str, Sort); 6] = [
        ("problems", Sort::Problems),
        ("name", Sort::Name),
        ("component", Sort::Component),
        ("since", Sort::Since),
        ("latency", Sort::Latency),
        ("certificate", Sort::Certificate),
    ];
}

/// Which endpoints are to be shown, and how.
#[derive(Debug, Default)]
pub struct ChosenEndpoints {
    /// In lower case; part of a name, a component, a target or a label.
    text: String,
    state: Option<StateName>,
    /// A label's name and its value; without one, the label alone.
    label: Option<(String, Option<String>)>,
    sort: Sort,
    /// None: as the record is long.
    pub span: Option<BarSpan>,
    page: usize,
}

impl ChosenEndpoints {
    /// Fails with what is wrong and what is allowed.
    pub fn of(query: &OverviewQuery) -> Result<Self, String> {
        let states = StateName::ALL.map(|s| (s.as_str(), Some(s)));
        let label = query.label.trim();
        Ok(Self {
            text: query.q.trim().to_lowercase(),
            state: chosen("state", &query.state, &states)?,
            label: (!label.is_empty()).then(|| match label.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (label.to_owned(), None),
            }),
            sort: chosen("sort", &query.sort, &Sort::WORDS)?,
            span: chosen(
                "span",
                &query.span,
                &BarSpan::WORDS.map(|(word, span)| (word, Some(span))),
            )?,
            page: query.page.unwrap_or(0).min(1_000_000),
        })
    }

    fn takes(&self, seen: &ListedEndpoint) -> bool {
        if self.state.is_some_and(|state| state != seen.state) {
            return false;
        }
        if self.text.is_empty() && self.label.is_none() {
            return true;
        }
        let endpoint = seen.entry.endpoint.load();
        let labels = &endpoint.labels;
        let has_label = self.label.as_ref().is_none_or(|(name, value)| {
            labels
                .get(name)
                .is_some_and(|own| value.as_ref().is_none_or(|value| value == own))
        });
        let has = |text: &str| text.to_lowercase().contains(&self.text);
        has_label
            && (self.text.is_empty()
                || has(endpoint.name.as_str())
                || has(endpoint.component.as_str())
                || has(&endpoint.target())
                || labels
                    .iter()
                    .any(|(name, value)| has(&format!("{name}={value}"))))
    }
}

fn chosen<T: Copy + Default>(
    key: &str,
    word: &str,
    words: &[(&'static str, T)],
) -> Result<T, String> {
    if word.is_empty() {
        return Ok(T::default());
    }
    let found = words.iter().find(|(known, _)| *known == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!(
            "{key}: unknown value `{}`; allowed: {}",
            word.escape_debug(),
            known.join(", ")
        )
    })
}

fn sorted<'e>(mut list: Vec<&ListedEndpoint<'e>>, sort: Sort) -> Vec<&'e Arc<Entry>> {
    match sort {
        Sort::Problems => list.sort_by_key(|s| match s.state {
            StateName::Down => 0,
            StateName::Unknown => 1,
            StateName::Up => 2,
        }),
        Sort::Name => list.sort_by_cached_key(|s| s.entry.endpoint.load().name.clone()),
        Sort::Component => {
            list.sort_by_cached_key(|s| s.entry.endpoint.load().component.clone());
        }
        Sort::Since => list.sort_by_key(|s| std::cmp::Reverse(s.since)),
        Sort::Latency => list.sort_by_key(|s| std::cmp::Reverse(s.last_us)),
        Sort::Certificate => list.sort_by_key(|s| s.certificate_ends.unwrap_or(UtcMs::MAX)),
    }
    list.iter().map(|s| s.entry).collect()
}

#[derive(Template)]
#[template(path = "page/overview.html")]
struct Overview {
    frame: PageFrame,
    headline: String,
    worst: &'static str,
    problems: Vec<ListedProblem>,
    more_problems: usize,
    query: FormState,
    rows: Vec<EndpointRow>,
    /// Which of how many endpoints are shown; empty where all are.
    counted: String,
    /// Addresses of the pages before and after; empty without one.
    before: String,
    after: String,
    outages: Vec<OutageRow>,
}

/// The form as it was sent.
struct FormState {
    q: String,
    label: String,
    states: Vec<Choice>,
    sorts: Vec<Choice>,
    spans: Vec<Choice>,
    span_text: &'static str,
}

pub struct Choice {
    pub word: &'static str,
    pub text: &'static str,
    pub is_chosen: bool,
}

impl FormState {
    fn of(query: &OverviewQuery, wanted: &ChosenEndpoints, span: BarSpan) -> Self {
        let choice = |word: &'static str, text: &'static str, is_chosen: bool| Choice {
            word,
            text,
            is_chosen,
        };
        let states =
            StateName::ALL.map(|s| choice(s.as_str(), s.as_str(), wanted.state == Some(s)));
        Self {
            q: query.q.trim().to_owned(),
            label: query.label.trim().to_owned(),
            states: states.into(),
            sorts: Sort::WORDS
                .map(|(word, sort)| choice(word, word, sort == wanted.sort))
                .into(),
            spans: span_choices(span),
            span_text: span.text(),
        }
    }
}

/// An hour while the record is shorter than three, else a day.
pub fn fitting(entries: &[Arc<Entry>]) -> BarSpan {
    let recorded = |e: &Arc<Entry>| {
        let settled = e.view().shown.settled;
        Some(settled.watermark.saturating_sub(settled.first_start?))
    };
    match entries.iter().filter_map(recorded).max() {
        Some(longest) if longest >= SHORT_RECORD_MS => BarSpan::Day,
        _ => BarSpan::Hour,
    }
}

pub fn span_choices(chosen: BarSpan) -> Vec<Choice> {
    let of = |(word, span): (&'static str, BarSpan)| Choice {
        word,
        text: span.text(),
        is_chosen: span == chosen,
    };
    BarSpan::WORDS.map(of).into()
}

/// The address of a page with the same choices.
fn address(query: &OverviewQuery, page: usize) -> String {
    let mut out = String::from("/?");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in [
        ("q", &query.q),
        ("state", &query.state),
        ("label", &query.label),
        ("sort", &query.sort),
        ("span", &query.span),
    ] {
        if !value.is_empty() {
            form.append_pair(key, value);
        }
    }
    if page > 0 {
        form.append_pair("page", &page.to_string());
    }
    let _ = write!(out, "{}", form.finish());
    out
}

/// The page as HTML.
pub fn html(
    context: &PageContext,
    (query, wanted): &(OverviewQuery, ChosenEndpoints),
) -> Result<impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + use<>, Unmade> {
    let entries = context.board.entries();
    let seen: Vec<ListedEndpoint> = entries
        .iter()
        .map(|e| ListedEndpoint::of(e, context.now))
        .collect();
    let states: Vec<StateName> = seen.iter().map(|s| s.state).collect();
    let (mut worst, mut headline) = headline(&states);
    let frame = PageFrame::of(context, "overview")?;
    if let (Some(own), "up") = (frame.problems.first(), worst) {
        // Nobody knows it for certain then.
        worst = own.class;
        headline.push_str(", but this prober has a problem");
    }
    let span = wanted.span.unwrap_or_else(|| fitting(&entries));
    let mut problems = of_endpoints(&seen, context.now);
    let more_problems = problems.len().saturating_sub(PROBLEMS);
    problems.truncate(PROBLEMS);

    let taken: Vec<&ListedEndpoint> = seen.iter().filter(|s| wanted.takes(s)).collect();
    let found = taken.len();
    // A page that was the last one may be beyond the end by now.
    let at = wanted.page.min(found.saturating_sub(1) / ROWS);
    let first = at * ROWS;
    let rows: Vec<EndpointRow> = sorted(taken, wanted.sort)
        .into_iter()
        .skip(first)
        .take(ROWS)
        .map(|entry| row(context, entry, span))
        .collect::<Result<_, _>>()?;
    let last = first + rows.len();
    let counted = match (rows.len(), found) {
        (_, 0) => format!("None of {} endpoints matches.", seen.len()),
        (shown, _) if shown == seen.len() => String::new(),
        _ => format!("{} to {last} of {found}", first + 1),
    };
    let page = Overview {
        frame,
        headline,
        worst,
        problems,
        more_problems,
        query: FormState::of(query, wanted, span),
        rows,
        counted,
        before: if at > 0 {
            address(query, at - 1)
        } else {
            String::new()
        },
        after: if last < found {
            address(query, at + 1)
        } else {
            String::new()
        },
        outages: outage_rows(context.reader, None, context.now)?,
    };
    Ok(written(page))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{OneText, load};

    fn query(state: &str, sort: &str, span: &str) -> Result<ChosenEndpoints, String> {
        ChosenEndpoints::of(&OverviewQuery {
            state: state.to_owned(),
            sort: sort.to_owned(),
            span: span.to_owned(),
            label: "team=shop".to_owned(),
            ..OverviewQuery::default()
        })
    }

    #[test]
    fn choices_are_words_and_others_are_named() {
        let wanted = query("down", "name", "quarter").expect("known");
        assert_eq!(wanted.state, Some(StateName::Down));
        assert_eq!(
            (wanted.sort, wanted.span),
            (Sort::Name, Some(BarSpan::Quarter))
        );
        let label = wanted.label.expect("a label");
        assert_eq!(label, ("team".to_owned(), Some("shop".to_owned())));
        assert_eq!(
            query("", "size", "").expect_err("unknown"),
            "sort: unknown value `size`; allowed: problems, name, component, since, latency, \
                certificate"
        );
    }

    #[test]
    fn addresses_keep_the_choices() {
        let query = OverviewQuery {
            q: "a&b".to_owned(),
            span: "hour".to_owned(),
            ..OverviewQuery::default()
        };
        assert_eq!(address(&query, 2), "/?q=a%26b&span=hour&page=2");
    }

    #[test]
    fn each_order_is_another_one() {
        let text = "[component.y]\n[component.z]\n[[endpoint]]\nname = \"c\"\ncomponent = \"y\"\n\
            probe.tcp = \"h:1\"\n[[endpoint]]\nname = \"b\"\ncomponent = \"z\"\nprobe.tcp = \
            \"h:1\"\n[[endpoint]]\nname = \"a\"\ncomponent = \"z\"\nprobe.tcp = \"h:1\"\n";
        let plan = load(Path::new("one"), &OneText(text)).expect("valid");
        let entries: Vec<Arc<Entry>> = plan
            .endpoints
            .iter()
            .enumerate()
            .map(|(index, e)| Arc::new(Entry::new(index, e.clone(), 0)))
            .collect();
        let facts = [
            (StateName::Up, 20, Some(5), 9),
            (StateName::Down, 30, None, 3),
            (StateName::Unknown, 10, Some(4), 6),
        ];
        let seen: Vec<ListedEndpoint> = entries
            .iter()
            .zip(facts)
            .map(
                |(entry, (state, since, certificate_ends, us))| ListedEndpoint {
                    entry,
                    state,
                    since,
                    certificate_ends,
                    ends_soon: false,
                    last_us: Some(us),
                },
            )
            .collect();
        for (sort, expected) in [
            (Sort::Problems, "bac"),
            (Sort::Name, "abc"),
            (Sort::Component, "cba"),
            (Sort::Since, "bca"),
            (Sort::Latency, "cab"),
            (Sort::Certificate, "acb"),
        ] {
            let order = sorted(seen.iter().collect(), sort);
            let names: String = order
                .iter()
                .map(|e| e.endpoint.load().name.to_string())
                .collect();
            assert_eq!(names, expected, "{sort:?}");
        }
    }
}
