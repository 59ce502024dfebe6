//! docs/glossary.md against the documents and the code: it defines what they define in passing, and
//! nothing that they do not say.

use std::fs;

use super::tree::sources;

/// Emphasis of an ordinary word.
const NO_TERMS: [&str; 1] = ["start"];
/// The section of what only the code says.
const OF_CODE: &str = "## Words of the code";

/// The words in the first cells of the tables of a text, in lower case.
fn defined(glossary: &str) -> Vec<String> {
    let rows = glossary.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells
        .filter(|cell| *cell != "word" && !cell.starts_with("---"))
        .flat_map(|cell| cell.split([',', '(', ')']))
        .map(|word| word.trim().to_lowercase())
        .filter(|word| !word.is_empty() && !word.contains('`'))
        .collect()
}

/// A text without what is between backticks: stars in code are no emphasis.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

/// Words in lower case that a text sets apart, between these marks.
fn emphasized(text: &str, mark: &str) -> Vec<String> {
    let pieces = text.split(mark).skip(1).step_by(2);
    let is_term = |word: &&str| {
        word.len() < 30
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || " -'".contains(c))
    };
    pieces.filter(is_term).map(str::to_owned).collect()
}

/// What of these is not said in any of the texts.
fn unsaid(words: &[String], texts: &[String]) -> Vec<String> {
    let is_said = |word: &&String| texts.iter().any(|text| text.contains(word.as_str()));
    let unsaid = words.iter().filter(|word| !is_said(word));
    unsaid
        .map(|word| format!("nothing says \"{word}\""))
        .collect()
}

/// What of these the glossary does not define.
fn undefined(words: &[String], glossary: &str) -> Vec<String> {
    let defined = defined(glossary);
    words
        .iter()
        .filter(|word| !defined.contains(word) && !NO_TERMS.contains(&word.as_str()))
        .map(|word| format!("the glossary does not define \"{word}\""))
        .collect()
}

/// README and the documents, but for the glossary; in lower case, each as one line.
fn said() -> Vec<String> {
    let documents = fs::read_dir("docs").expect("readable");
    let pages = documents.map(|entry| entry.expect("readable").path());
    pages
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .filter(|path| !path.ends_with("glossary.md"))
        .chain(["README.md".into()])
        .map(|path| fs::read_to_string(path).expect("UTF-8").to_lowercase())
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_glossary_defines_words_that_the_documents_or_the_code_use() {
    let glossary = fs::read_to_string("docs/glossary.md").expect("there");
    let (of_documents, of_code) = glossary.split_once(OF_CODE).expect("both parts");
    let code: Vec<String> = sources().iter().map(|s| s.text.to_lowercase()).collect();
    super::none(&unsaid(&defined(of_documents), &said()));
    super::none(&unsaid(&defined(of_code), &code));
}

#[test]
fn what_readme_and_meaning_set_apart_is_in_the_glossary() {
    let glossary = fs::read_to_string("docs/glossary.md").expect("there");
    for page in ["README.md", "docs/meaning.md", "docs/causes.md"] {
        let text = fs::read_to_string(page).expect("there");
        let text = without_code(&text);
        let plain = text.replace("**", "\u{1}");
        let words = [emphasized(&text, "**"), emphasized(&plain, "*")].concat();
        super::none(&undefined(&words, &glossary));
    }
}

#[test]
fn a_word_that_is_defined_nowhere_or_said_nowhere_is_found() {
    let glossary = "| word | meaning |\n|---|---|\n| slot, gap | a |\n| contract (SLA) | b |\n";
    assert_eq!(defined(glossary), ["slot", "gap", "contract", "sla"]);
    let text = "This is the **gap**, and not the **blind time**; `a ** b` is neither.";
    let words = emphasized(&without_code(text), "**");
    assert_eq!(words, ["gap", "blind time"]);
    assert_eq!(undefined(&words, glossary).len(), 1);
    assert_eq!(unsaid(&defined(glossary), &[text.to_owned()]).len(), 3);
}
