//! Which endpoints the address of the first page asks for, and in which order.

use std::cmp::Reverse;
use std::sync::Arc;

use serde::Deserialize;

use super::bar::BarSpan;
use super::listed_endpoint::ListedEndpoint;
use crate::engine::board::Entry;
use crate::words::{StateName, UtcMs};

/// What the address of the page asks for, as it is written there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OverviewQuery {
    pub q: String,
    pub state: String,
    pub label: String,
    pub component: String,
    pub sort: String,
    pub span: String,
    pub page: Option<usize>,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
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
    pub const WORDS: [(&'static str, Sort); 6] = [
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
    pub state: Option<StateName>,
    /// A label's name and its value; without one, the label alone.
    label: Option<(String, Option<String>)>,
    /// The whole name of one; empty: of all.
    pub component: String,
    pub sort: Sort,
    /// None: as the record is long.
    pub span: Option<BarSpan>,
    pub page: usize,
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
            component: query.component.trim().to_owned(),
            sort: chosen("sort", &query.sort, &Sort::WORDS)?,
            span: chosen(
                "span",
                &query.span,
                &BarSpan::WORDS.map(|(word, span)| (word, Some(span))),
            )?,
            page: query.page.unwrap_or(0).min(1_000_000),
        })
    }

    /// Whether an endpoint is shown by this choice.
    pub fn takes(&self, seen: &ListedEndpoint) -> bool {
        if self.state.is_some_and(|state| state != seen.state) {
            return false;
        }
        if self.text.is_empty() && self.label.is_none() && self.component.is_empty() {
            return true;
        }
        let endpoint = seen.entry.endpoint.load();
        let labels = &endpoint.labels;
        let has_label = self.label.as_ref().is_none_or(|(name, value)| {
            labels
                .get(name)
                .is_some_and(|own| value.as_ref().is_none_or(|value| value == own))
        });
        let has = |text: &str| contains_in_any_case(text, &self.text);
        let label_has = |(name, value): (&String, &String)| {
            has(name) || has(value) || self.text.contains('=') && has(&format!("{name}={value}"))
        };
        has_label
            && (self.component.is_empty() || self.component == endpoint.component.as_str())
            && (self.text.is_empty()
                || has(endpoint.name.as_str())
                || has(endpoint.component.as_str())
                || labels.iter().any(label_has)
                || has(&endpoint.target()))
    }

    /// Whether a component is shown by this choice, as endpoints are.
    pub fn takes_component(&self, name: &str, title: &str, state: StateName) -> bool {
        self.page == 0
            && self.label.is_none()
            && self.component.is_empty()
            && self.state.is_none_or(|wanted| wanted == state)
            && [name, title]
                .iter()
                .any(|text| contains_in_any_case(text, &self.text))
    }
}

/// `part`: in lower case. A search looks at several texts of every endpoint: where both are ASCII,
/// as nearly all are, nothing is written for it.
fn contains_in_any_case(text: &str, part: &str) -> bool {
    if part.is_empty() {
        return true;
    }
    if !text.is_ascii() || !part.is_ascii() {
        return text.to_lowercase().contains(part);
    }
    let mut windows = text.as_bytes().windows(part.len());
    windows.any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
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

/// Some of the endpoints in an order, by their places in it. Only these are put in order: a page
/// shows a hundred of perhaps a hundred thousand.
pub fn sorted<'e>(
    list: &[&ListedEndpoint<'e>],
    sort: Sort,
    shown: std::ops::Range<usize>,
) -> Vec<&'e Arc<Entry>> {
    let at = match sort {
        Sort::Problems => places(list, shown, |s| match s.state {
            StateName::Down => 0,
            StateName::Unknown => 1,
            StateName::Up => 2,
        }),
        Sort::Name => places(list, shown, |s| s.entry.endpoint.load().name.clone()),
        Sort::Component => places(list, shown, |s| s.entry.endpoint.load().component.clone()),
        Sort::Since => places(list, shown, |s| Reverse(s.since)),
        Sort::Latency => places(list, shown, |s| Reverse(s.last_us)),
        Sort::Certificate => places(list, shown, |s| s.certificate_ends.unwrap_or(UtcMs::MAX)),
    };
    at.into_iter().map(|at| list[at].entry).collect()
}

/// What stands in these places of the list once it is in order; what has the same key stays as it
/// is.
fn places<'e, K: Ord>(
    list: &[&ListedEndpoint<'e>],
    shown: std::ops::Range<usize>,
    key: impl Fn(&ListedEndpoint<'e>) -> K,
) -> Vec<usize> {
    let keyed = list.iter().enumerate().map(|(at, s)| (key(s), at));
    let mut keyed: Vec<(K, usize)> = keyed.collect();
    if shown.end < keyed.len() {
        keyed.select_nth_unstable(shown.end);
        keyed.truncate(shown.end);
    }
    if (1..keyed.len()).contains(&shown.start) {
        keyed.select_nth_unstable(shown.start);
        keyed.drain(..shown.start);
    }
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, at)| at).collect()
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
    fn a_text_is_found_in_any_case() {
        for (text, part, is_found) in [
            ("Checkout", "checkout", true),
            ("Checkout", "kou", true),
            ("Checkout", "", true),
            ("shop", "shops", false),
            ("\u{c4}pfel", "\u{e4}pfel", true),
            ("\u{c4}pfel", "pfe", true),
            ("shop", "\u{e4}", false),
        ] {
            assert_eq!(contains_in_any_case(text, part), is_found, "{text} {part}");
        }
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
                    recorded: None,
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
            let all: Vec<&ListedEndpoint> = seen.iter().collect();
            let order = sorted(&all, sort, 0..3);
            let names: String = order
                .iter()
                .map(|e| e.endpoint.load().name.to_string())
                .collect();
            assert_eq!(names, expected, "{sort:?}");
            let second = sorted(&all, sort, 1..2);
            assert_eq!(second[0].endpoint.load().name.as_str(), &expected[1..2]);
            assert_eq!(second.len(), 1, "{sort:?}");
        }
    }
}
