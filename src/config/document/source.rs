//! Where a config comes from and what is wrong with it: files with line and column, and the faults
//! found in them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::problem::Problem;
use crate::judgement::zones::Zones;
use crate::words::is_invisible;

/// What reading a config needs beside its text: files, secrets, variables, the host name. The
/// daemon gives those of the host, tests give them in memory.
pub trait ConfigInputs {
    /// The text of a file; the error says why not, for a person.
    fn read(&self, path: &Path) -> Result<String, String>;
    /// The same for a file that holds a secret.
    fn read_secret(&self, path: &Path) -> Result<String, String> {
        self.read(path)
    }
    /// Whether a secret stays unread, as the plan is used without it. `key`: its place in the
    /// config; `from`: the kind of its source, and what that names.
    fn leaves_unread(&self, _key: &str, _from: (&str, &str)) -> bool {
        false
    }
    /// The files that a pattern such as `conf.d/*.toml` names, sorted.
    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String>;
    fn environment(&self, name: &str) -> Option<String>;
    /// Where `$CREDENTIALS_DIRECTORY` points, if the service manager gave one.
    fn credentials(&self) -> Option<PathBuf>;
    /// What to call this place when `vantage` is not given.
    fn host_name(&self) -> String;
    /// This host's copy of the time zone database.
    fn system_zones(&self) -> Result<Zones, String> {
        Err("there is none here".into())
    }
}

/// A config that is one text and has nothing beside it.
pub struct OneText<'t>(pub &'t str);

impl ConfigInputs for OneText<'_> {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.to_owned())
    }

    fn matching(&self, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn environment(&self, _: &str) -> Option<String> {
        None
    }

    fn credentials(&self) -> Option<PathBuf> {
        None
    }

    fn host_name(&self) -> String {
        "host".into()
    }
}

/// All faults, a paragraph each, with the key that is meant and their number: for a person.
pub fn show_faults(faults: &[Fault]) -> String {
    summed(faults, |fault| fault.shown(&fault.excerpt))
}

/// The same without lines of the config: for a log, which others read.
pub fn show_faults_only(faults: &[Fault]) -> String {
    summed(faults, ToString::to_string)
}

fn summed(faults: &[Fault], one: impl Fn(&Fault) -> String) -> String {
    let list: Vec<String> = faults.iter().map(one).collect();
    let noun = if faults.len() == 1 { "fault" } else { "faults" };
    format!("{}\n{} {noun} in the config", list.join("\n"), faults.len())
}

/// One thing that is wrong, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Fault {
    pub file: String,
    /// From 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub problem: String,
    pub advice: String,
    /// What the problem is in the program's own words, for anybody: no value is in it.
    #[serde(skip)]
    pub kind: String,
    /// The line with a caret under the column, for a person. Its value is left out unless the
    /// problem quotes it. Empty where there is none.
    #[serde(skip)]
    pub excerpt: String,
}

impl Fault {
    /// `between` stands between the problem and the advice.
    fn shown(&self, between: &str) -> String {
        let Self {
            file,
            line,
            column,
            problem,
            advice,
            ..
        } = self;
        let mut out = match line {
            0 => format!("{file}: {problem}"),
            line => format!("{file}:{line}:{column}: {problem}"),
        };
        out.push_str(between);
        if !advice.is_empty() {
            out.push_str("\n    ");
            out.push_str(advice);
        }
        out
    }
}

impl Fault {
    /// One of a file as a whole.
    pub fn of_file(path: &Path, problem: Problem, advice: String) -> Self {
        Self {
            file: path.display().to_string(),
            line: 0,
            column: 0,
            problem: problem.text,
            advice,
            kind: problem.kind,
            excerpt: String::new(),
        }
    }

    /// Where it is and what kind of fault, without anything that the config says: for those who may
    /// not be able to read it.
    pub fn without_quotes(&self) -> String {
        let (file, kind) = (&self.file, &self.kind);
        match self.line {
            0 => format!("{file}: {kind}"),
            line => format!("{file}:{line}:{}: {kind}", self.column),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown(""))
    }
}

/// One file's text, and the faults found in it so far.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    line_starts: Vec<usize>,
    faults: RefCell<Vec<Fault>>,
    /// Lines, from 1, that are not shown: a secret is written in them.
    hidden: RefCell<HashSet<usize>>,
    /// What has been reported, so that it is reported once.
    reported: RefCell<HashSet<(usize, usize, String)>>,
}

impl Source {
    pub fn new(path: &Path, text: String) -> Self {
        let starts = std::iter::once(0).chain(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(at, _)| at + 1),
        );
        Self {
            path: path.to_owned(),
            line_starts: starts.collect(),
            text,
            faults: RefCell::default(),
            hidden: RefCell::default(),
            reported: RefCell::default(),
        }
    }

    /// The path that this file means by a name in it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(name)
    }

    /// Line and column of a byte, from 1.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let line = self
            .line_starts
            .partition_point(|start| *start <= offset)
            .max(1);
        let start = self.line_starts[line - 1];
        let column = self
            .text
            .get(start..offset.min(self.text.len()))
            .map_or(1, |t| t.chars().count() + 1);
        (line, column)
    }

    pub fn fault(
        &self,
        span: &Range<usize>,
        problem: impl Into<Problem>,
        advice: impl Into<String>,
    ) {
        let (line, column) = self.position(span.start);
        let Problem { text, kind } = problem.into();
        let (problem, advice) = (printable(&text), printable(&advice.into()));
        if self
            .reported
            .borrow_mut()
            .insert((line, column, problem.clone()))
        {
            self.faults.borrow_mut().push(Fault {
                file: self.path.display().to_string(),
                line,
                column,
                problem,
                advice,
                kind,
                excerpt: String::new(),
            });
        }
    }

    /// The lines of this value are not shown in any fault.
    pub fn hide(&self, span: &Range<usize>) {
        let lines = self.position(span.start).0..=self.position(span.end).0;
        self.hidden.borrow_mut().extend(lines);
    }

    pub fn take_faults(&self) -> Vec<Fault> {
        let mut faults = self.faults.take();
        let hidden = self.hidden.borrow();
        for fault in &mut faults {
            let start = fault
                .line
                .checked_sub(1)
                .and_then(|n| self.line_starts.get(n));
            let line = start.and_then(|start| self.text.get(*start..)?.lines().next());
            let line = line.filter(|_| !hidden.contains(&fault.line));
            let before = start.map_or("", |start| &self.text[..*start]);
            if let Some(line) = line.filter(|_| !is_inside_a_text(before)) {
                fault.excerpt = excerpt(line, (fault.line, fault.column), &fault.problem);
            }
        }
        faults
    }
}

/// Whether a text of several lines, which may be a secret, is open at the end of this.
fn is_inside_a_text(before: &str) -> bool {
    let count = |quotes| before.matches(quotes).count();
    count("\"\"\"") % 2 == 1 || count("'''") % 2 == 1
}

/// What is shown of a line, and its caret: the head of a table, or a key. Its value may be a
/// secret, whatever the key is, and is shown only where the problem quotes all of it.
fn without_secrets(line: &str, column: usize, problem: &str) -> Option<(String, usize)> {
    let is_name = |c: char| c.is_alphanumeric() || "_-.".contains(c) || c.is_whitespace();
    let is_head = |c: char| is_name(c) || "[]".contains(c);
    if line.trim_start().starts_with('[') {
        return Some((line.to_owned(), column)).filter(|_| line.chars().all(is_head));
    }
    let (key, value) = line.split_once('=')?;
    // Without the blank it may be the end of a secret in base64.
    let is_key = key.ends_with(char::is_whitespace) && !key.trim().is_empty();
    if !is_key || !key.chars().all(is_name) {
        return None;
    }
    let value = value.trim().trim_matches(['"', '\'']);
    let is_quoted = ["`", "\""]
        .iter()
        .any(|mark| problem.contains(&format!("{mark}{value}{mark}")));
    if is_quoted {
        return Some((line.to_owned(), column));
    }
    let most = key.chars().count() + 3;
    Some((format!("{key}= \u{2026}"), column.min(most)))
}

/// A line with its number, and a caret under the column. Of a long one, what is around the caret.
fn excerpt(line: &str, (number, column): (usize, usize), problem: &str) -> String {
    const WIDTH: usize = 80;
    const BEFORE: usize = 50;
    let visible = |c: char| if is_invisible(c) { ' ' } else { c };
    if column > line.chars().count() + 1 {
        return String::new();
    }
    let Some((line, column)) = without_secrets(line, column, problem) else {
        return String::new();
    };
    let length = line.chars().count();
    let skipped = if length > WIDTH {
        column.saturating_sub(BEFORE)
    } else {
        0
    };
    let head = if skipped > 0 { "…" } else { "" };
    let tail = if length > skipped + WIDTH { "…" } else { "" };
    let shown: String = line
        .chars()
        .skip(skipped)
        .take(WIDTH)
        .map(visible)
        .collect();
    let margin = number.to_string().len();
    let indent = column - 1 - skipped + head.chars().count();
    format!(
        "\n  {number} | {head}{}{tail}\n  {:margin$} | {:indent$}^",
        shown.trim_end(),
        "",
        ""
    )
}

/// What stands in a file goes to terminals and logs: without what they would obey, and cut to a
/// readable length.
fn printable(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (n, c) in text.chars().enumerate() {
        if n == LONGEST {
            out.push_str("...");
            break;
        }
        if is_invisible(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::problem::problem;

    fn shown(text: &str, at: usize, problem: &str) -> String {
        let source = Source::new(Path::new("a.toml"), text.into());
        let problem = Problem::of(problem.to_owned(), "wrong");
        source.fault(&(at..at + 1), problem, "Mend it.");
        show_faults(&source.take_faults())
    }

    #[test]
    fn a_fault_shows_its_line_with_a_caret_under_the_column() {
        assert_eq!(
            shown("a = 1\n\tö = \"x\"  \n", 12, "wrong: \"x\""),
            "a.toml:2:6: wrong: \"x\"\n  2 |  ö = \"x\"\n    |      ^\n    Mend it.\n1 fault in \
                the config"
        );
        let long = format!("{}!{}", "x".repeat(100), "y".repeat(100));
        let text = shown(&format!("a = \"{long}\""), 105, &format!("wrong: `{long}`"));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].chars().count() < 90, "{text}");
        let at = |line: &str, c| line.chars().position(|found| found == c);
        assert_eq!(at(lines[1], '!'), at(lines[2], '^'), "{text}");
        assert!(
            lines[1].contains("| …x") && lines[1].ends_with("y…"),
            "{text}"
        );
        // The end of the text, and a file as a whole.
        assert!(!shown("a = \"\n\n", 6, "wrong").contains('|'));
        // A head, a key, and a value that is not quoted.
        for (text, at, lines) in [
            (" [sla.s]", 1, "  1 |  [sla.s]\n    |  ^\n"),
            ("kye = \"hunter2\"", 0, "  1 | kye = …\n    | ^\n"),
            (
                "kye = { a = \"hunter2\" }",
                14,
                "  1 | kye = …\n    |       ^\n",
            ),
        ] {
            let text = shown(text, at, "wrong: `hunter`");
            assert!(text.contains(lines), "{text}");
        }
    }

    #[test]
    fn a_line_with_a_secret_is_not_shown_and_no_line_is_in_a_log() {
        for line in [
            "auth = { basic = { password = \"hunter2\" } }",
            "headers = { X-Api-Key = \"hunter2\" }",
            "url = \"https://u:hunter2@shop.example/\"",
            "url = \"https://shop.example/?x=hunter2\"",
            "probe.tcp = \"u:hunter2@h\"",
            "probe.http = \"https://shop.example/#hunter2\"",
            "tokn = \"hunter2\"",
            "[listen] # hunter2",
            "tokn \"hunter2\"",
            "\"hunter2\"",
            "hunter2=",
            "a = 1 # hunter2",
        ] {
            let text = shown(line, 3, "wrong: `u:***@h`");
            assert!(!text.contains("hunter2"), "{line}");
        }
        for text in ["k = \"\"\"\nhunter2 = b\n", "k = '''\nhunter2 = b\n"] {
            assert!(!shown(text, 9, "wrong").contains("hunter2"), "{text}");
        }
        let source = Source::new(
            Path::new("a.toml"),
            "a = 1\nurl = \"\"\"\nhunter2\"\"\"\n".into(),
        );
        source.fault(&(0..1), "wrong", "");
        source.fault(&(18..19), "wrong", "");
        source.hide(&(12..26));
        let faults = source.take_faults();
        assert_eq!(
            show_faults(&faults),
            "a.toml:1:1: wrong\n  1 | a = …\n    | ^\na.toml:3:3: wrong\n2 faults in the config"
        );
        assert_eq!(
            show_faults_only(&faults),
            "a.toml:1:1: wrong\na.toml:3:3: wrong\n2 faults in the config"
        );
        let json = serde_json::to_value(&faults[0]).expect("JSON");
        assert_eq!(json.as_object().map(|o| o.len()), Some(5));
    }

    #[test]
    fn a_fault_is_told_without_what_the_config_says() {
        let secret = "hunter2";
        let told = |problem: Problem| {
            let source = Source::new(Path::new("a.toml"), "\n\n\ntoken = \"hunter2\"\n".into());
            source.fault(&(5..6), problem, "Write `hunter2`.");
            source.take_faults()[0].without_quotes()
        };
        assert_eq!(
            told(problem!("unknown key `{secret}` {}", "in `listen`")),
            "a.toml:4:3: unknown key \u{2026}"
        );
        let of_file = problem!("the config cannot be read: /home/{secret}");
        assert_eq!(
            Fault::of_file(Path::new("a.toml"), of_file, String::new()).without_quotes(),
            "a.toml: the config cannot be read"
        );
        assert_eq!(
            told(problem!(
                "the secret `{}` cannot be read: /home/{secret}: denied",
                "listen.token"
            )),
            "a.toml:4:3: the secret \u{2026} cannot be read"
        );
        // Whatever quotes the value has, and however long it is.
        for value in [
            "a\"hunter2\"b".to_owned(),
            "a`hunter2`b".to_owned(),
            "a: hunter2".to_owned(),
            "`hunter2".to_owned(),
            "x\"hunter2".to_owned(),
            format!("hunter2{}\"", "hunter2".repeat(100)),
        ] {
            let said = told(problem!("invalid URL `{value}`: of `{}`", "e"));
            assert_eq!(said, "a.toml:4:3: invalid URL \u{2026}", "{value}");
        }
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new(Path::new("a.toml"), "ä = 1\nb = 2\n".into());
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3), (1, 3));
        assert_eq!(source.position(7), (2, 1));
        assert_eq!(source.position(9999), (3, 1));
    }
}
