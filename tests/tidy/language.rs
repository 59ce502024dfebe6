//! The language of what people read: words and patterns that are not used any more, in string
//! literals of the sources and in the documents.
//!
//! CONTRIBUTING.md says what to write in their place.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;

use super::none;
use super::tree::{Source, sources};

// The name of a field of an event never changes: so often it is in the documents.
const IN_DOCUMENTS: usize = 2;

/// What is not written any more, and what is.
const REPLACED: &[(&str, &str)] = &[
    ("is no ", "is not a valid "),
    ("stands twice", "appears twice, or duplicate"),
    ("must not stand", "must not be written"),
    ("takes one of", "Allowed values:"),
    ("it takes a ", "Allowed range:, or Expected:"),
    ("it takes from", "Allowed range:"),
    ("it takes one", "Allowed values:"),
    ("stand in quotes", "Quote strings"),
    ("whoever", "the operator, the user"),
    ("nobody", "no user, nothing"),
    ("somebody", "another user"),
    (" told", "recorded, reported, sent"),
    (" tells ", "records, reports"),
    (" hears ", "receives"),
    (" heard ", "received"),
    ("vouch", "confirm, verify, sign"),
    (" stands ", "is"),
    (" stand ", "are"),
    ("goes on with", "continues"),
    ("go on under", "continue"),
    ("at its begin", "at its start"),
    ("since the begin", "since the start"),
    ("it begins", "it starts"),
    ("the stub", "the prune record"),
    ("no way out", "no route"),
    ("our own", "the prober's own"),
    ("take it out", "remove it"),
    ("take them out", "remove them"),
    ("known again", "measured again"),
    ("stood still", "stalled"),
    ("surely", "always"),
    ("put a backup in its place", "restore a backup"),
    ("spells", "outages, or outage_summary"),
];

/// Of a pattern that is fine in these.
const FINE: &[&str] = &[
    "there is no ",
    "is no longer",
    "is no more",
    "that is no ",
    "told_unknown",
];

fn found(text: &str) -> Option<&'static str> {
    let mut text = format!(" {}", text.to_lowercase());
    for fine in FINE {
        text = text.replace(fine, "");
    }
    REPLACED
        .iter()
        .find(|(old, _)| text.contains(&old.to_lowercase()))
        .map(|(old, _)| *old)
}

/// The string literals among these tokens, with their lines; comments of documentation are none.
fn literals(tokens: TokenStream, into: &mut Vec<(usize, String)>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let is_doc =
                    group.stream().into_iter().next().is_some_and(
                        |first| matches!(&first, TokenTree::Ident(name) if name == "doc"),
                    );
                if !is_doc {
                    literals(group.stream(), into);
                }
            }
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    into.push((literal.span().start().line, text.value()));
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

fn in_sources(list: &[Source]) -> Vec<String> {
    list.iter()
        .flat_map(|source| {
            let mut texts = Vec::new();
            literals(source.code.to_token_stream(), &mut texts);
            texts.into_iter().filter_map(|(line, text)| {
                // A word alone is a name, a key or a part of SQL.
                let old = found(&text).filter(|_| text.contains(' '))?;
                Some(format!("{}:{line}: {old:?} in {text:?}", source.name()))
            })
        })
        .collect()
}

/// README and documents; decisions and the changelog say what was.
fn documents() -> Vec<(PathBuf, String)> {
    fs::read_dir("docs")
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .chain(["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(PathBuf::from))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("UTF-8");
            (path, text)
        })
        .collect()
}

fn in_documents() -> Vec<String> {
    let mut list = Vec::new();
    for (path, text) in documents() {
        for (n, line) in text.lines().enumerate() {
            if let Some(old) = found(line) {
                list.push(format!("{}:{}: {old:?} in {line}", path.display(), n + 1));
            }
        }
    }
    list.sort();
    list
}

#[test]
fn texts_of_the_program_use_no_replaced_word() {
    none(&in_sources(&sources()));
}

#[test]
fn documents_use_no_replaced_word() {
    let found = in_documents();
    assert!(found.len() == IN_DOCUMENTS, "{}", found.join("\n"));
}

#[test]
fn a_replaced_word_is_found_in_a_text_and_not_in_code_or_comments() {
    let text = "//! A `x` is no y.\nfn f() -> &'static str {\n    // \"is no comment\"\n    \
        let _ = '\"';\n    let _ = \"`x` is no \\\n        duration\";\n    \
        \"there is no \\\"x\\\"\"\n}\n\
        fn g() { let _ = \"told\"; }\n#[cfg(test)]\nmod tests { const A: &str = \"is no x\"; }\n";
    let list = in_sources(&[Source::new("src/a.rs", text)]);
    assert_eq!(list.len(), 1, "{list:?}");
    assert!(list[0].starts_with("src/a.rs:5: \"is no \""), "{list:?}");
}

/// Written for those who change the code.
fn of_developers() -> Vec<(PathBuf, String)> {
    let decisions = fs::read_dir("docs/decisions").expect("a folder");
    decisions
        .map(|entry| entry.expect("an entry").path())
        .chain(["ARCHITECTURE.md", "CHANGELOG.md"].map(PathBuf::from))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("UTF-8");
            (path, text)
        })
        .collect()
}

#[test]
fn lines_of_documents_fit_a_page() {
    let mut list = Vec::new();
    for (path, text) in documents().into_iter().chain(of_developers()) {
        let mut is_code = false;
        for (n, line) in text.lines().enumerate() {
            is_code ^= line.trim_start().starts_with("```");
            // Rows of tables, headings and examples are as long as their data.
            let is_data = is_code || line.starts_with(['|', '#']);
            if !is_data && line.chars().count() > 100 {
                list.push(format!("{}:{}", path.display(), n + 1));
            }
        }
    }
    none(&list);
}

#[test]
fn no_document_has_what_a_merge_left_open() {
    for (path, text) in documents().into_iter().chain(of_developers()) {
        let is_marker = |line: &str| ["<<<<<<< ", ">>>>>>> "].iter().any(|m| line.starts_with(m));
        let found = text.lines().position(is_marker);
        assert_eq!(found, None, "{}", path.display());
    }
}

#[test]
fn every_document_is_in_the_index_and_every_link_leads_to_a_file() {
    let index = fs::read_to_string("docs/README.md").expect("there");
    for (path, text) in documents() {
        let name = path.file_name().expect("a name").to_string_lossy();
        let is_above = path.parent().is_some_and(|p| p.as_os_str().is_empty());
        assert!(
            is_above || name == "README.md" || index.contains(&format!("| [{name}]({name}) |")),
            "docs/README.md has no row of {name}"
        );
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap_or_default();
            if link.is_empty() || link.contains("://") || link.contains('{') {
                continue;
            }
            let target = path.parent().expect("a folder").join(link);
            assert!(target.exists(), "{}: no {link}", path.display());
        }
    }
}

/// Files of the project and modules of its rooms that a text names, and that are not there. `NAME`
/// stands for any.
fn names_nothing(text: &str) -> Vec<String> {
    const FOLDERS: [&str; 6] = ["src/", "tests/", "docs/", "benches/", "fuzz/", "deploy/"];
    let is_there = |named: &str| -> bool {
        if FOLDERS.iter().any(|folder| named.starts_with(folder)) {
            return named.contains([' ', '*', '{']) || Path::new(named).exists();
        }
        let Some((room, rest)) = named.split_once("::").filter(|(room, _)| !room.is_empty()) else {
            return true;
        };
        let folder = Path::new("src").join(room);
        let part = rest.split("::").next().unwrap_or_default();
        !folder.is_dir()
            || part.starts_with(|c: char| c.is_ascii_uppercase())
            || folder.join(part).is_dir()
            || folder.join(format!("{part}.rs")).is_file()
    };
    let named = text.split('`').skip(1).step_by(2);
    named
        .filter(|named| !named.contains("NAME") && !is_there(named))
        .map(str::to_owned)
        .collect()
}

#[test]
fn files_and_modules_that_documents_name_are_there() {
    let mut list = Vec::new();
    for (path, text) in documents().into_iter().chain(of_developers()) {
        // The changelog says what was.
        if !path.ends_with("CHANGELOG.md") {
            let missing = names_nothing(&text).into_iter();
            list.extend(missing.map(|named| format!("{}: no {named}", path.display())));
        }
    }
    none(&list);
}

#[test]
fn a_file_or_a_module_that_is_gone_is_found() {
    let text = "`src/lib.rs`, `src/gone.rs` and `src/kind/NAME/read.rs`; `net::clock::Clock`, \
        `net::gone` and `serde::gone`.\n```\n$ ls src/\n```\n`tests/gone`";
    assert_eq!(
        names_nothing(text),
        ["src/gone.rs", "net::gone", "tests/gone"]
    );
}
