//! Where a config comes from and what is wrong with it: files with line and column, and the faults
//! found in them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::judgement::zones::Zones;
use crate::words::is_invisible;

/// What config needs of the world. The daemon gives the real one, tests one in memory.
pub trait Surroundings {
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

impl Surroundings for OneText<'_> {
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

/// All faults, a paragraph each, with their number.
pub fn show_faults(faults: &[Fault]) -> String {
    let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
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
}

impl Fault {
    /// Where it is and what kind of fault, without anything that the config says: for those who may
    /// not be able to read it.
    pub fn without_quotes(&self) -> String {
        let place = match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}:{}", self.file, self.column),
        };
        let kind = |text: &str| text.split(": ").next().unwrap_or_default().to_owned();
        let is_quote = ['`', '"'];
        // What is quoted may hold quotes itself: from the first to the last of them nothing is
        // shown, and nothing after one that is not closed.
        let Some((before, rest)) = self.problem.split_once(is_quote) else {
            return format!("{place}: {}", kind(&self.problem));
        };
        let is_closed = self.problem.matches(is_quote).count().is_multiple_of(2);
        let after = rest.rsplit_once(is_quote).filter(|_| is_closed);
        match (before.contains(": "), after) {
            (true, _) => format!("{place}: {}", kind(before)),
            (false, Some((_, after))) => format!("{place}: {before}\u{2026}{}", kind(after)),
            (false, None) => format!("{place}: {before}\u{2026}"),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.problem)?,
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.problem)?,
        }
        if !self.advice.is_empty() {
            write!(f, "\n    {}", self.advice)?;
        }
        Ok(())
    }
}

/// One file's text, and the faults found in it so far.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    line_starts: Vec<usize>,
    faults: RefCell<Vec<Fault>>,
    /// What has been told, so that it is told once.
    told: RefCell<HashSet<(usize, usize, String)>>,
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
            told: RefCell::default(),
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
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let (line, column) = self.position(span.start);
        let (problem, advice) = (printable(&problem.into()), printable(&advice.into()));
        if self
            .told
            .borrow_mut()
            .insert((line, column, problem.clone()))
        {
            self.faults.borrow_mut().push(Fault {
                file: self.path.display().to_string(),
                line,
                column,
                problem,
                advice,
            });
        }
    }

    pub fn take_faults(&self) -> Vec<Fault> {
        self.faults.take()
    }
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

    #[test]
    fn a_fault_is_told_without_what_the_config_says() {
        let fault = |line, problem: &str| Fault {
            file: "a.toml".into(),
            line,
            column: 3,
            problem: problem.into(),
            advice: "Write `hunter2`.".into(),
        };
        let told = |line, problem: &str| fault(line, problem).without_quotes();
        assert_eq!(
            told(4, "unknown key `hunter2` in `listen`"),
            "a.toml:4:3: unknown key \u{2026}"
        );
        assert_eq!(
            told(0, "the config cannot be read: /home/hunter2"),
            "a.toml: the config cannot be read"
        );
        assert_eq!(told(4, "an open `hunter2"), "a.toml:4:3: an open \u{2026}");
        for value in [
            "a\"hunter2\"b",
            "a`hunter2`b",
            "a: hunter2",
            "`hunter2",
            "x\"hunter2",
        ] {
            let said = told(4, &format!("invalid URL `{value}` of `e`"));
            assert!(!said.contains("hunter2"), "{value}: {said}");
        }
        assert_eq!(
            told(
                4,
                "the secret `listen.token` cannot be read: /home/hunter2: denied"
            ),
            "a.toml:4:3: the secret \u{2026} cannot be read"
        );
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
