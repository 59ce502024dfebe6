//! What is wrong with a config, in two texts: one for who can read the config, and one for anybody.
//!
//! The text for anybody is made from what stands in this program alone, so that no value can be in
//! it, however it is quoted or cut.

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// With the values that are meant.
    pub text: String,
    /// Its kind: the words of the program, without what is put into them.
    pub kind: String,
}

/// A text of this program alone.
impl From<&'static str> for Problem {
    fn from(text: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            kind: kind_of(text),
        }
    }
}

impl Problem {
    /// `said` is the text before values were put into it: see `problem!`.
    pub fn of(text: String, said: &'static str) -> Self {
        let kind = kind_of(said);
        Self { text, kind }
    }
}

/// A problem, written as with `format!`.
macro_rules! problem {
    ($said:literal $($values:tt)*) => {
        $crate::config::document::problem::Problem::of(format!($said $($values)*), $said)
    };
}
pub(crate) use problem;

/// Each value, with its quotes, is a `…`, and several in a row are one. What explains the problem
/// after a colon is left out.
fn kind_of(said: &str) -> String {
    const VALUE: char = '\u{2026}';
    let mut kind = String::with_capacity(said.len());
    let mut end = None;
    for c in said.chars() {
        if end.is_some() {
            end = end.filter(|end| *end != c);
            continue;
        }
        end = match c {
            '{' => Some('}'),
            '`' | '"' => Some(c),
            _ => None,
        };
        if end.is_none() {
            kind.push(c);
        } else if !kind.trim_end().ends_with(VALUE) {
            kind.push(VALUE);
        }
    }
    let before_colon = kind.split(": ").next().unwrap_or_default();
    before_colon.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_kind_holds_no_value() {
        let value = "hunter2";
        for (problem, kind) in [
            (
                problem!("unknown key `{value}` in `{}`", value),
                "unknown key \u{2026} in \u{2026}",
            ),
            (
                problem!("`{}` = {value} is no share", value),
                "\u{2026} = \u{2026} is no share",
            ),
            (
                problem!("unknown key `{value}` {}", value),
                "unknown key \u{2026}",
            ),
            (
                problem!("invalid URL `{value}`: {}", value),
                "invalid URL \u{2026}",
            ),
            (
                problem!("the weights sum to {value:?}"),
                "the weights sum to \u{2026}",
            ),
            (problem!("it cannot be read: {value}"), "it cannot be read"),
            (
                "the buckets do not ascend".into(),
                "the buckets do not ascend",
            ),
        ] {
            assert_eq!(problem.kind, kind);
        }
    }
}
