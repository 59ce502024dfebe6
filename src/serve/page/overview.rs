//! The first page: whether anything is wrong, what, and every endpoint in a row.

use std::fmt::Write as _;
use std::io::Write;

use askama::Template;

use super::bar::BarSpan;
use super::changes::{OutageRow, outage_rows};
use super::chosen::{ChosenEndpoints, OverviewQuery, Sort, sorted};
use super::component_rows::{ComponentLine, component_rows};
use super::endpoints::{EndpointRow, row};
use super::listed_endpoint::ListedEndpoint;
use super::problems::{ListedProblem, of_endpoints};
use super::{PageContext, PageFrame, headline, written};
use crate::serve::listener::making::Unmade;
use crate::words::{Ms, StateName};

/// Endpoints on one page.
const ROWS: usize = 100;
/// A record that is shorter is shown by the hour.
const SHORT_RECORD_MS: Ms = 3 * 3_600_000;
/// Problems that are listed; more are one click away.
const PROBLEMS: usize = 20;

#[derive(Template)]
#[template(path = "page/overview.html")]
struct Overview {
    frame: PageFrame,
    headline: String,
    worst: &'static str,
    problems: Vec<ListedProblem>,
    more_problems: usize,
    query: FormState,
    components: Vec<ComponentLine>,
    more_components: usize,
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
    component: String,
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
            component: wanted.component.clone(),
            states: states.into(),
            sorts: Sort::WORDS
                .map(|(word, sort)| choice(word, word, sort == wanted.sort))
                .into(),
            spans: span_choices(span),
            span_text: span.text(),
        }
    }
}

/// An hour while the longest record is shorter than three, else a day.
pub fn fitting<'s, 'e: 's>(seen: impl IntoIterator<Item = &'s ListedEndpoint<'e>>) -> BarSpan {
    match seen.into_iter().filter_map(|s| s.recorded).max() {
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
        ("component", &query.component),
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
    let (mut worst, mut headline) = headline(seen.iter().map(|s| s.state));
    let frame = PageFrame::of(context, "overview")?;
    if let (Some(own), "up") = (frame.problems.first(), worst) {
        // Nobody knows it for certain then.
        worst = own.class;
        headline.push_str(", but this prober has a problem");
    }
    let span = wanted.span.unwrap_or_else(|| fitting(&seen));
    let (problems, more_problems) = of_endpoints(&seen, context.now, PROBLEMS);
    let (components, more_components) = component_rows(context, &seen, wanted, span);
    let found: Vec<&ListedEndpoint> = seen.iter().filter(|s| wanted.takes(s)).collect();
    // A page that was the last one may be beyond the end by now.
    let at = wanted.page.min(found.len().saturating_sub(1) / ROWS);
    let shown = at * ROWS..(at * ROWS + ROWS).min(found.len());
    let rows: Vec<EndpointRow> = sorted(&found, wanted.sort, shown.clone())
        .into_iter()
        .map(|entry| row(context, entry, span))
        .collect::<Result<_, _>>()?;
    let counted = match (rows.len(), found.len()) {
        (_, 0) => format!("None of {} endpoints matches.", seen.len()),
        (all, _) if all == seen.len() => String::new(),
        (_, of) => format!("{} to {} of {of}", shown.start + 1, shown.end),
    };
    let page_at = |is_there: bool, page: usize| {
        let there = is_there.then(|| address(query, page));
        there.unwrap_or_default()
    };
    let page = Overview {
        frame,
        headline,
        worst,
        problems,
        more_problems,
        query: FormState::of(query, wanted, span),
        components,
        more_components,
        rows,
        counted,
        before: page_at(at > 0, at.saturating_sub(1)),
        after: page_at(shown.end < found.len(), at + 1),
        outages: outage_rows(context.reader, (None, &[]), context.now)?,
    };
    Ok(written(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_choices() {
        let query = OverviewQuery {
            q: "a&b".to_owned(),
            span: "hour".to_owned(),
            ..OverviewQuery::default()
        };
        assert_eq!(address(&query, 2), "/?q=a%26b&span=hour&page=2");
    }
}
