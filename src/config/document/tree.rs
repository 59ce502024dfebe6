//! Walking a spanned TOML tree: every look-up knows where it stands, and what nobody looked up is
//! an unknown key.
//!
//! A [`Layers`] is the same table in several places (endpoint over group over defaults); the first
//! that has a key wins.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::Source;
use crate::config::document::problem::{Problem, problem};
use crate::config::usual_ports;
use crate::words::people::listed;

/// Tables of tables, each under an id.
const NAMED: [&str; 3] = ["component", "group", "sla"];

/// Where a key of that name belongs, for keys that landed in the wrong table.
const HOMES: &[(&str, &str)] = &[
    ("vantage", "[daemon]"),
    ("state_dir", "[daemon]"),
    ("listen", "[daemon], or `address` to [listen]"),
    ("trusted", "[listen]"),
    ("allowed_hosts", "[listen]"),
    ("max_connections", "[listen]"),
    ("max_connections_per_peer", "[listen]"),
    ("max_in_flight", "[daemon]"),
    ("max_in_flight_per_host", "[daemon]"),
    ("interval", "[defaults] or an [[endpoint]]"),
    ("timeout", "[defaults] or an [[endpoint]]"),
    ("retry_interval", "[defaults] or an [[endpoint]]"),
    ("late_after", "[defaults] or an [[endpoint]]"),
    ("down_after", "[defaults] or an [[endpoint]]"),
    ("up_after", "[defaults] or an [[endpoint]]"),
    ("jitter", "[defaults] or an [[endpoint]]"),
    ("addresses", "[defaults] or an [[endpoint]]"),
    ("component", "an [[endpoint]]"),
    ("labels", "an [[endpoint]], a [group.NAME] or [defaults]"),
    ("probe", "an [[endpoint]], a [group.NAME] or [defaults]"),
    ("targets", "a [group.NAME]"),
    ("combine", "a [component.ID]"),
    ("title", "a [component.ID]"),
    ("buckets", "[metrics]"),
    ("state_labels", "[metrics]"),
    ("expect", "the probe's kind, as in probe.http.expect"),
    ("url", "probe.http, a [[notify]] webhook or [deadman]"),
];

#[cfg(test)]
thread_local! {
    /// Every key that any look-up of this thread has named, with its path and the kind of value
    /// that was asked for there: what docs/configuration.md is held against.
    pub static LOOKED_UP: RefCell<std::collections::BTreeMap<String, String>> = RefCell::default();
}

/// One table of one file.
#[derive(Clone)]
pub struct Section<'a> {
    pub source: &'a Source,
    pub path: String,
    pub table: &'a DeTable<'a>,
    pub span: Range<usize>,
    known: Rc<RefCell<Vec<&'static str>>>,
}

/// One value, with its key's path for messages.
#[derive(Clone)]
pub struct Item<'a> {
    pub source: &'a Source,
    pub path: String,
    pub span: Range<usize>,
    pub value: &'a DeValue<'a>,
}

impl<'a> Item<'a> {
    pub fn fault(&self, problem: impl Into<Problem>, advice: impl Into<String>) {
        self.source.fault(&self.span, problem, advice);
    }

    /// Notes which values this key accepts. The first note that says more than "text" stays.
    #[cfg(test)]
    pub(super) fn note(&self, accepts: impl Into<String>) {
        LOOKED_UP.with_borrow_mut(|all| {
            let noted = all.entry(self.path.clone()).or_default();
            if matches!(noted.as_str(), "" | "text") {
                *noted = accepts.into();
            }
        });
    }

    /// A fault about the type of this value.
    pub fn wrong_type(&self, wanted: &str) {
        let text = format!("`{}` is {}", self.path, with_article(self.value.type_str()));
        self.fault(
            Problem::of(text, "`{}` has a value of the wrong type"),
            format!("Expected: {wanted}."),
        );
    }

    pub fn section(&self) -> Option<Section<'a>> {
        match self.value {
            DeValue::Table(table) => Some(Section::new(
                self.source,
                self.path.clone(),
                table,
                self.span.clone(),
            )),
            DeValue::Array(list)
                if list
                    .iter()
                    .any(|one| matches!(one.get_ref(), DeValue::Table(_))) =>
            {
                let header = if NAMED.contains(&self.path.as_str()) {
                    format!("[{}.ID]", self.path)
                } else {
                    format!("[{}]", self.path)
                };
                self.fault(
                    problem!(
                        "`[[{}]]` is a list of tables where one table is meant",
                        self.path
                    ),
                    format!("Write {header} with one bracket."),
                );
                None
            }
            _ => {
                self.wrong_type("a table");
                None
            }
        }
    }

    /// The items of an array; a single value counts as an array of one.
    pub fn list(&self) -> Vec<Item<'a>> {
        match self.value {
            DeValue::Array(array) => array.iter().map(|v| self.at(v)).collect(),
            _ => vec![self.clone()],
        }
    }

    fn at(&self, value: &'a Spanned<DeValue<'a>>) -> Item<'a> {
        Item {
            source: self.source,
            path: self.path.clone(),
            span: value.span(),
            value: value.get_ref(),
        }
    }
}

impl<'a> Section<'a> {
    pub fn new(
        source: &'a Source,
        path: String,
        table: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Self {
        Self {
            source,
            path,
            table,
            span,
            known: Rc::default(),
        }
    }

    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn know(&self, key: &'static str) {
        #[cfg(test)]
        LOOKED_UP.with_borrow_mut(|all| {
            all.entry(self.path_of(key)).or_default();
        });
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
    }

    pub fn item(&self, key: &'static str) -> Option<Item<'a>> {
        self.know(key);
        let value = self.table.get(key)?;
        Some(Item {
            source: self.source,
            path: self.path_of(key),
            span: value.span(),
            value: value.get_ref(),
        })
    }

    pub fn section(&self, key: &'static str) -> Option<Section<'a>> {
        self.item(key)?.section()
    }

    /// Every entry, for tables whose keys are names.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Range<usize>, Item<'a>)> + '_ {
        self.table.iter().map(|(key, value)| {
            let name: &'a str = key.get_ref();
            let path = self.path_of(name);
            (
                name,
                key.span(),
                Item {
                    source: self.source,
                    path,
                    span: value.span(),
                    value: value.get_ref(),
                },
            )
        })
    }

    /// Tables of an array of tables; a plain table is the slip of one bracket too few.
    pub fn tables(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(item) = self.item(key) else {
            return Vec::new();
        };
        match item.value {
            DeValue::Array(_) => item.list().iter().filter_map(Item::section).collect(),
            DeValue::Table(_) => {
                let path = self.path_of(key);
                item.fault(
                    problem!("`[{path}]` is one table where a list of tables is meant"),
                    format!("Write [[{path}]] with two brackets for each."),
                );
                Vec::new()
            }
            _ => {
                item.wrong_type(&format!("tables, each started by [[{key}]]"));
                Vec::new()
            }
        }
    }

    /// Reports every key that nobody looked up.
    pub fn end(&self) {
        let known = self.known.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let place = if self.path.is_empty() {
                "at the top level".to_owned()
            } else {
                format!("in `{}`", self.path)
            };
            let is_kind = self.path.ends_with("probe");
            let protocol = usual_ports::of_protocol(name, "").filter(|_| is_kind);
            let near = nearest(name, &known).map(|near| format!("Did you mean `{near}`?"));
            let advice = match protocol.or(near) {
                Some(advice) => advice,
                None => match HOMES.iter().find(|(k, _)| *k == name) {
                    Some((_, home)) => format!(
                        "`{name}` belongs to {home}; a key belongs to the [table] header above it."
                    ),
                    None if is_kind => {
                        format!("The kinds of probe are {}.", listed(&known, "and"))
                    }
                    None if name == "include" => "Only the main file includes others.".to_owned(),
                    None if known.is_empty() => String::new(),
                    None => format!("Known here: {}.", known.join(", ")),
                },
            };
            self.source.fault(
                &key.span(),
                problem!("unknown key `{name}` {place}"),
                advice,
            );
        }
    }
}

/// The same table in several layers, the most specific first.
#[derive(Clone, Default)]
pub struct Layers<'a>(pub Vec<Section<'a>>);

impl<'a> Layers<'a> {
    /// The value of the first layer that has the key; the key is known to all.
    pub fn item(&self, key: &'static str) -> Option<Item<'a>> {
        let mut found = None;
        for layer in &self.0 {
            let item = layer.item(key);
            found = found.or(item);
        }
        found
    }

    /// The values of all layers that have the key, the most specific first.
    pub fn items(&self, key: &'static str) -> Vec<Item<'a>> {
        self.0.iter().filter_map(|layer| layer.item(key)).collect()
    }

    pub fn layers(&self, key: &'static str) -> Layers<'a> {
        Layers(self.items(key).iter().filter_map(Item::section).collect())
    }

    pub fn end(&self) {
        self.0.iter().for_each(Section::end);
    }
}

/// The known word nearest to what was written, if it is near enough to be meant.
pub fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let best = known.iter().map(|k| (distance(written, k), *k)).min()?;
    (best.0 <= 2.min(written.chars().count() / 2)).then_some(best.1)
}

/// Edit distance with transpositions of neighbours (optimal string alignment).
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(40).collect(), b.chars().take(40).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_two_letters_finds_its_word() {
        let known = ["interval", "timeout", "labels"];
        assert_eq!(nearest("intervall", &known), Some("interval"));
        assert_eq!(nearest("tiemout", &known), Some("timeout"));
        assert_eq!(nearest("zebra", &known), None);
        assert_eq!(nearest("x", &known), None);
    }
}
