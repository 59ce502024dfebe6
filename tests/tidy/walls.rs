//! The walls: each says what breaks it, file and line first.

use std::collections::{BTreeMap, BTreeSet};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::tree::{Source, edges};

/// From the lowest to the highest.
pub const FLOORS: [&str; 13] = [
    "words",
    "judgement",
    "config",
    "net",
    "kind",
    "history",
    "notify",
    "engine",
    "account",
    "report",
    "serve",
    "daemon",
    "cli",
];

/// The floor of a module, or of a path into one.
pub fn floor(path: &[String]) -> Option<usize> {
    let room = path.first()?;
    // What a kind is, and how it is read and printed, belongs to the config; `run` probes.
    let is_config = room == "kind" && is_of_the_config(&path[1..]);
    let room = if is_config { "config" } else { room };
    FLOORS.iter().position(|f| *f == room)
}

fn is_of_the_config(path: &[String]) -> bool {
    let is_module = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase());
    match path {
        [] => true,
        [first, ..] if first == "run" => false,
        [first, ..] if first == "target" => true,
        [_, part, ..] => {
            !is_module(part) || ["spec", "read", "print", "notes"].contains(&part.as_str())
        }
        [_] => true,
    }
}

/// File and line of what is found in each.
fn places<'s>(
    sources: impl IntoIterator<Item = &'s Source>,
    lines: impl Fn(&Source) -> Vec<usize>,
) -> Vec<String> {
    sources
        .into_iter()
        .flat_map(|source| {
            lines(source)
                .into_iter()
                .map(|line| format!("{}:{line}", source.name()))
        })
        .collect()
}

/// A file uses its own floor and those below.
pub fn upward(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let Some(own) = floor(&source.module()) else {
            continue;
        };
        let above = |path: &[String]| floor(path).filter(|other| *other > own);
        found.extend(source.references().iter().filter_map(|(path, line)| {
            above(path).map(|other| {
                format!(
                    "{}:{line}: uses {}, which is above {}",
                    source.name(),
                    FLOORS[other],
                    FLOORS[own]
                )
            })
        }));
    }
    found
}

/// Files that refer to one another in a circle, each circle as the names of its files.
pub fn circles(sources: &[Source]) -> Vec<Vec<String>> {
    let edges = edges(sources);
    let reach = |from: usize| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(k) = next.pop() {
            next.extend(edges[&k].iter().filter(|to| seen.insert(**to)));
        }
        seen
    };
    let all: Vec<BTreeSet<usize>> = (0..sources.len()).map(reach).collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    let mut known = BTreeSet::new();
    for k in 0..sources.len() {
        let circle: Vec<usize> = (0..sources.len())
            .filter(|other| all[k].contains(other) && all[*other].contains(&k))
            .collect();
        if circle.len() > 1 && circle.iter().all(|k| known.insert(*k)) {
            circles.push(circle.iter().map(|k| sources[*k].name()).collect());
        }
    }
    circles
}

/// Files outside a folder that name a crate which belongs there.
pub fn outside(sources: &[Source], folder: &str, krate: &str) -> Vec<String> {
    struct Names<'a>(&'a str, bool);
    impl<'ast> Visit<'ast> for Names<'_> {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            self.1 |= path.segments.first().is_some_and(|s| s.ident == self.0);
            visit::visit_path(self, path);
        }
        fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
            self.1 |= path.ident == self.0;
            visit::visit_use_path(self, path);
        }
    }
    let names = |s: &&Source| {
        let mut names = Names(krate, false);
        names.visit_file(&s.code);
        names.1
    };
    sources
        .iter()
        .filter(|s| !s.path.starts_with(folder))
        .filter(names)
        .map(Source::name)
        .collect()
}

/// Functions and macros that the sources call by a path which ends so.
pub fn calls(sources: &[Source], end: &[&str]) -> Vec<String> {
    struct Calls<'a>(&'a [&'a str], Vec<usize>);
    impl<'ast> Visit<'ast> for Calls<'_> {
        fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
            if let syn::Expr::Path(p) = &*call.func {
                let segments: Vec<String> = p
                    .path
                    .segments
                    .iter()
                    .map(|s| s.ident.to_string())
                    .collect();
                if segments
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .ends_with(self.0)
                {
                    self.1.push(call.span().start().line);
                }
            }
            visit::visit_expr_call(self, call);
        }
    }
    places(sources, |source| {
        let mut calls = Calls(end, Vec::new());
        calls.visit_file(&source.code);
        calls.1
    })
}

/// Values that are indexed by a text: a misspelt key is a null at run time.
pub fn indexed_by_text(sources: &[Source]) -> Vec<String> {
    struct Indexed(Vec<usize>);
    impl<'ast> Visit<'ast> for Indexed {
        fn visit_expr_index(&mut self, index: &'ast syn::ExprIndex) {
            if matches!(&*index.index, syn::Expr::Lit(l) if matches!(l.lit, syn::Lit::Str(_))) {
                self.0.push(index.span().start().line);
            }
            visit::visit_expr_index(self, index);
        }
    }
    places(sources, |source| {
        let mut indexed = Indexed(Vec::new());
        indexed.visit_file(&source.code);
        indexed.0
    })
}

/// Names of types that are defined more than once.
pub fn types_named_twice(sources: &[Source]) -> Vec<String> {
    struct Types(Vec<String>);
    impl<'ast> Visit<'ast> for Types {
        fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
            self.0.push(item.ident.to_string());
        }
        fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
            self.0.push(item.ident.to_string());
        }
        fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
            self.0.push(item.ident.to_string());
        }
        // What a function defines for itself is nobody else's.
        fn visit_block(&mut self, _: &'ast syn::Block) {}
    }
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let mut types = Types(Vec::new());
        types.visit_file(&source.code);
        for name in types.0 {
            places.entry(name).or_default().insert(source.name());
        }
    }
    places
        .into_iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, _)| name)
        .collect()
}

struct Functions<F: FnMut(&syn::Signature, usize, usize)>(F);

impl<'ast, F: FnMut(&syn::Signature, usize, usize)> Visit<'ast> for Functions<F> {
    fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
        (self.0)(&f.sig, f.sig.span().start().line, f.block.span().end().line);
        visit::visit_item_fn(self, f);
    }
    fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
        (self.0)(&f.sig, f.sig.span().start().line, f.block.span().end().line);
        visit::visit_impl_item_fn(self, f);
    }
    fn visit_trait_item_fn(&mut self, f: &'ast syn::TraitItemFn) {
        (self.0)(&f.sig, f.sig.span().start().line, f.sig.span().end().line);
        visit::visit_trait_item_fn(self, f);
    }
}

/// Functions of more lines than these.
pub fn long_functions(sources: &[Source], most: usize) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let note = |sig: &syn::Signature, from: usize, to: usize| {
            if to + 1 - from > most {
                found.push(format!(
                    "{}:{from}: {} has {} lines",
                    source.name(),
                    sig.ident,
                    to + 1 - from
                ));
            }
        };
        Functions(note).visit_file(&source.code);
    }
    found
}

/// Files with more lines than these before their tests.
pub fn long_files(sources: &[Source], most: usize) -> Vec<String> {
    let long = |source: &Source| {
        let lines = source.before_tests().lines().count();
        (lines > most).then(|| format!("{}: {lines} lines", source.name()))
    };
    sources.iter().filter_map(long).collect()
}

/// Lines with more characters than these.
pub fn long_lines(sources: &[Source], most: usize) -> Vec<String> {
    places(sources, |source| {
        let lines = source.text.lines().enumerate();
        let long = lines.filter(|(_, line)| line.chars().count() > most);
        long.map(|(k, _)| k + 1).collect()
    })
}

/// Parameters that are a bool, where two functions or an enum would say more. `data`: names of
/// functions and of parameters for which it is data.
pub fn bool_parameters(sources: &[Source], data: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let note = |sig: &syn::Signature, line: usize, _| {
            let is_bool =
                |ty: &syn::Type| matches!(ty, syn::Type::Path(p) if p.path.is_ident("bool"));
            for input in &sig.inputs {
                let syn::FnArg::Typed(typed) = input else {
                    continue;
                };
                let name = if let syn::Pat::Ident(p) = &*typed.pat {
                    p.ident.to_string()
                } else {
                    String::new()
                };
                let is_data =
                    data.contains(&name.as_str()) || data.contains(&sig.ident.to_string().as_str());
                if is_bool(&typed.ty) && !is_data {
                    found.push(format!(
                        "{}:{line}: {} takes `{name}: bool`",
                        source.name(),
                        sig.ident
                    ));
                }
            }
        };
        Functions(note).visit_file(&source.code);
    }
    found
}

/// Unsafe code outside the one file that may have it.
pub fn unsafe_code(sources: &[Source], place: &str) -> Vec<String> {
    struct Unsafe(Vec<usize>);
    impl<'ast> Visit<'ast> for Unsafe {
        fn visit_expr_unsafe(&mut self, e: &'ast syn::ExprUnsafe) {
            self.0.push(e.span().start().line);
            visit::visit_expr_unsafe(self, e);
        }
        fn visit_signature(&mut self, s: &'ast syn::Signature) {
            if matches!(s.safety, syn::Safety::Unsafe(_)) {
                self.0.push(s.span().start().line);
            }
        }
        fn visit_item_impl(&mut self, i: &'ast syn::ItemImpl) {
            if i.unsafety.is_some() {
                self.0.push(i.span().start().line);
            }
            visit::visit_item_impl(self, i);
        }
    }
    places(
        sources.iter().filter(|s| !s.path.ends_with(place)),
        |source| {
            let mut found = Unsafe(Vec::new());
            found.visit_file(&source.code);
            found.0
        },
    )
}

/// What is public and named nowhere else: the compiler cannot see that it is dead. `users`: texts
/// that may name it.
pub fn dead_public(sources: &[Source], users: &[Source]) -> Vec<String> {
    struct Public(Vec<(String, usize)>);
    impl Public {
        fn note(&mut self, visibility: &syn::Visibility, ident: &syn::Ident) {
            if matches!(visibility, syn::Visibility::Public(_)) {
                self.0.push((ident.to_string(), ident.span().start().line));
            }
        }
    }
    impl<'ast> Visit<'ast> for Public {
        fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
            self.note(&f.vis, &f.sig.ident);
        }
        fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
            self.note(&f.vis, &f.sig.ident);
        }
        fn visit_item_const(&mut self, c: &'ast syn::ItemConst) {
            self.note(&c.vis, &c.ident);
        }
        fn visit_item_struct(&mut self, s: &'ast syn::ItemStruct) {
            self.note(&s.vis, &s.ident);
        }
        fn visit_item_enum(&mut self, e: &'ast syn::ItemEnum) {
            self.note(&e.vis, &e.ident);
        }
        fn visit_item_type(&mut self, t: &'ast syn::ItemType) {
            self.note(&t.vis, &t.ident);
        }
    }
    // A name that stands once in all texts is that of its definition.
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let is_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    for source in sources.iter().chain(users) {
        source
            .text
            .split(|c| !is_of_a_name(c))
            .for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let of = |source: &Source| {
        let mut public = Public(Vec::new());
        public.visit_file(&source.code);
        public
            .0
            .into_iter()
            .filter(|(name, _)| counts[name.as_str()] == 1)
            .map(|(name, line)| format!("{}:{line}: {name}", source.name()))
            .collect::<Vec<_>>()
    };
    sources.iter().flat_map(of).collect()
}
