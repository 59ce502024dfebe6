//! Texts that docs/troubleshooting.md quotes in its headings are those that the program says: a
//! reader searches the page for what is on the screen.

use std::fs;

use super::tree::{Source, sources};

/// Quotes of less say too little to be looked for.
const LEAST_WORDS: usize = 3;
/// Made of several pieces, none of which is half of it; the last is what MariaDB says.
const NOT_IN_ONE_PIECE: [&str; 3] = [
    "expected at least 1 record, found no A record",
    "lets its group change it",
    "is blocked because of many connection errors",
];

/// Between two of these marks, within a line and close to each other, is what differs from case to
/// case.
fn without_between(text: &str, open: char, close: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(open) {
        let inside = &rest[at + open.len_utf8()..];
        let end = inside.find([close, '\n']).filter(|end| *end <= 60);
        match end.filter(|end| inside[*end..].starts_with(close)) {
            Some(end) => {
                out.push_str(&rest[..at]);
                out.push('_');
                rest = &inside[end + close.len_utf8()..];
            }
            None => {
                out.push_str(&rest[..at]);
                rest = inside;
            }
        }
    }
    out + rest
}

/// Words, with `_` for those that differ from case to case.
fn words(text: &str) -> Vec<String> {
    let text = without_between(&without_between(text, '{', '}'), '`', '`');
    text.split_whitespace()
        .map(|word| {
            let varies = word.contains(|c: char| c.is_ascii_digit() || c == '_');
            if varies || word.contains("...") {
                "_".to_owned()
            } else {
                word.to_owned()
            }
        })
        .collect()
}

/// A text of sources as one line of words, with the lines of its literals joined.
fn spoken(source: &Source) -> String {
    let mut joined = String::new();
    let mut lines = source.before_tests().lines();
    let mut continued = false;
    for line in &mut lines {
        let line = if continued { line.trim_start() } else { line };
        continued = line.ends_with('\\');
        joined.push_str(line.trim_end_matches('\\'));
        if !continued {
            joined.push('\n');
        }
    }
    let words = words(&joined.replace("\\\"", "'"));
    format!(" {} ", words.join(" ").replace('"', " "))
}

/// Quotes of headings that the sources do not have at least half of in one piece.
fn not_said(page: &str, sources: &[Source]) -> Vec<String> {
    let said: Vec<String> = sources.iter().map(spoken).collect();
    let is_said = |run: &[String]| {
        let run = run.join(" ");
        said.iter().any(|text| text.contains(&run))
    };
    let mut missing = Vec::new();
    for heading in page.lines().filter(|line| line.starts_with("### ")) {
        for quote in heading.split('"').skip(1).step_by(2) {
            let words = words(quote);
            let telling = words.iter().filter(|word| *word != "_").count();
            if telling < LEAST_WORDS || NOT_IN_ONE_PIECE.contains(&quote) {
                continue;
            }
            if !words.windows(words.len().div_ceil(2)).any(is_said) {
                missing.push(format!("no text of the sources has half of \"{quote}\""));
            }
        }
    }
    missing
}

#[test]
fn what_troubleshooting_quotes_is_said_by_the_program() {
    let page = fs::read_to_string("docs/troubleshooting.md").expect("the page");
    super::none(&not_said(&page, &sources()));
}

#[test]
fn a_quote_that_no_surface_says_any_more_is_found() {
    let text = "//! Says.\nconst A: &str = \"outages shorter than {} can fall \\\n    between two \
        probes and `{x}` go unseen\";\n#[cfg(test)]\nmod tests { const B: &str = \"the words of \
        a test\"; }\n";
    let source = [Source::new("src/serve/a.rs", text)];
    let missing = |heading: &str| not_said(&format!("### {heading}\n"), &source).len();
    for said in [
        "\"outages shorter than 43.05 s can fall between two probes and `x` go unseen\"",
        "Log: \"can fall between two probes and `other` go\"",
        "`sent` beside \"chain\"",
        "no quote",
    ] {
        assert_eq!(missing(said), 0, "{said}");
    }
    for unsaid in [
        "\"outages shorter than 43s50ms between probes are not seen\"",
        "\"outages shorter\" or \"the words of a test\"",
    ] {
        assert_eq!(missing(unsaid), 1, "{unsaid}");
    }
}
