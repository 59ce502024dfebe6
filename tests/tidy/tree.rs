//! Source files as a syntax tree without its tests, and what each of them refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item};

pub struct Source {
    pub path: PathBuf,
    pub text: String,
    /// Without what is built for tests only.
    pub code: syn::File,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let mut code = syn::parse_file(text).unwrap_or_else(|e| panic!("{path}: {e}"));
        without_tests(&mut code.items);
        Self {
            path: path.into(),
            text: text.to_owned(),
            code,
        }
    }

    /// The text before the tests of the file.
    pub fn before_tests(&self) -> &str {
        self.text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or(&self.text)
    }

    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The path of its module, from the crate's root.
    pub fn module(&self) -> Vec<String> {
        let mut parts: Vec<String> = self
            .path
            .iter()
            .skip(1)
            .map(|p| p.to_string_lossy().trim_end_matches(".rs").to_owned())
            .collect();
        if parts
            .last()
            .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
        {
            parts.pop();
        }
        parts
    }

    /// Every path of this crate that the file refers to, from the crate's root, with its line.
    pub fn references(&self) -> Vec<(Vec<String>, usize)> {
        let mut found = References {
            module: self.module(),
            list: Vec::new(),
        };
        found.visit_file(&self.code);
        found.list
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("cfg")
            && quote::ToTokens::to_token_stream(&a.meta)
                .to_string()
                .contains("(test)")
    })
}

fn without_tests(items: &mut Vec<Item>) {
    items.retain(|item| match item {
        Item::Mod(m) => !is_for_tests(&m.attrs),
        Item::Fn(f) => !is_for_tests(&f.attrs),
        Item::Use(u) => !is_for_tests(&u.attrs),
        Item::Impl(i) => !is_for_tests(&i.attrs),
        Item::Const(c) => !is_for_tests(&c.attrs),
        _ => true,
    });
    for item in items {
        if let Item::Mod(m) = item
            && let Some((_, inner)) = &mut m.content
        {
            without_tests(inner);
        }
    }
}

struct References {
    module: Vec<String>,
    list: Vec<(Vec<String>, usize)>,
}

impl References {
    fn note(&mut self, segments: &[String], line: usize) {
        let mut base = match segments.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self") => self.module.clone(),
            Some("super") => self.module[..self.module.len().saturating_sub(1)].to_vec(),
            _ => return,
        };
        for segment in &segments[1..] {
            if segment == "super" {
                base.pop();
            } else {
                base.push(segment.clone());
            }
        }
        self.list.push((base, line));
    }

    fn walk(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(p) => self.walk(&p.tree, &with(&p.ident)),
            syn::UseTree::Name(n) => self.note(&with(&n.ident), n.ident.span().start().line),
            syn::UseTree::Rename(r) => self.note(&with(&r.ident), r.ident.span().start().line),
            syn::UseTree::Glob(g) => self.note(before, g.star_token.span.start().line),
            syn::UseTree::Group(g) => g.items.iter().for_each(|tree| self.walk(tree, before)),
        }
    }
}

impl<'ast> Visit<'ast> for References {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.walk(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if let Some(first) = path.segments.first() {
            self.note(&segments, first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    /// `pub(super)` says who may look in; it uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

/// The library, as it is.
pub fn sources() -> Vec<Source> {
    let list = read("src");
    assert!(list.len() > 50);
    list
}

pub fn read(directory: &str) -> Vec<Source> {
    fn walk(directory: &Path, into: &mut Vec<Source>) {
        for entry in fs::read_dir(directory).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                into.push(Source::new(
                    &path.to_string_lossy(),
                    &fs::read_to_string(&path).expect("UTF-8"),
                ));
            }
        }
    }
    let mut list = Vec::new();
    walk(Path::new(directory), &mut list);
    list.sort_by(|a, b| a.path.cmp(&b.path));
    list
}

/// Which file each file refers to.
pub fn edges(sources: &[Source]) -> BTreeMap<usize, BTreeSet<usize>> {
    let modules: BTreeMap<Vec<String>, usize> = sources
        .iter()
        .enumerate()
        .map(|(k, s)| (s.module(), k))
        .collect();
    // The longest beginning of a path that is a file.
    let file_of = |path: &[String]| {
        (0..=path.len())
            .rev()
            .find_map(|n| modules.get(&path[..n]))
            .copied()
    };
    let of = |k: usize| {
        sources[k]
            .references()
            .iter()
            .filter_map(|(path, _)| file_of(path))
            .filter(|to| *to != k)
            .collect()
    };
    (0..sources.len()).map(|k| (k, of(k))).collect()
}
