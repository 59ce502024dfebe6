//! What the readers of several kinds of probe have in common: patterns, times, texts that are sent.

use std::ops::Range;

use crate::config::document::problem::problem;
use crate::config::document::source::Source;
use crate::config::document::tree::{Item, Layers};
use crate::config::plan::probe::Pattern;
use crate::words::Ms;

const WITHIN_LEAST: Ms = 1;

const WITHIN_MOST: Ms = 300_000;

pub fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether a header is one of those that nobody else may set, which is a fault.
pub fn is_set_by_prober(name: &str, own: &[&str], source: &Source, span: &Range<usize>) -> bool {
    let is_own = own.iter().any(|own| name.eq_ignore_ascii_case(own));
    if is_own {
        source.fault(
            span,
            problem!("the header `{name}` is set by the prober itself"),
            "Leave it out.",
        );
    }
    is_own
}

/// Values of a header must not end it.
pub fn is_sendable(item: Option<&Item>, value: &str) -> bool {
    let is_fine = !value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f);
    if let (Some(item), false) = (item, is_fine) {
        item.fault(
            problem!("the secret `{}` has control characters", item.path),
            "Its source must hold one line of printable characters.",
        );
    }
    is_fine
}

pub fn within(layers: &Layers) -> Option<Ms> {
    layers
        .item("within")
        .and_then(|i| i.duration(WITHIN_LEAST, WITHIN_MOST))
}

pub fn expect_within(layers: &Layers) -> Option<Ms> {
    let expect = layers.layers("expect");
    let found = within(&expect);
    expect.end();
    found
}

pub fn pattern(item: &Item) -> Option<Pattern> {
    let text = item.text()?;
    match compiled(&text) {
        Ok((regex, size_kib)) => Some(Pattern {
            text,
            regex,
            size_kib,
        }),
        Err(error) => {
            let last = error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .to_owned();
            item.fault(
                problem!("invalid regular expression in `{}`: {last}", item.path),
                "Use the syntax of the Rust regex crate; it has no look-around and no \
                    back-references.",
            );
            None
        }
    }
}

/// The smallest of the sizes that a pattern fits into, in KiB. A compiler that runs into its limit
/// ends there, so the tries before the last cost a third of it.
fn compiled(text: &str) -> Result<(regex::bytes::Regex, u32), regex::Error> {
    const SIZES_KIB: [u32; 5] = [4, 16, 64, 256, 1024];
    let within = |kib: u32| {
        regex::bytes::RegexBuilder::new(text)
            .size_limit((kib as usize) << 10)
            .build()
    };
    let mut last = within(SIZES_KIB[0]).map(|regex| (regex, SIZES_KIB[0]));
    for kib in &SIZES_KIB[1..] {
        if !matches!(last, Err(regex::Error::CompiledTooBig(_))) {
            break;
        }
        last = within(*kib).map(|regex| (regex, *kib));
    }
    last
}
