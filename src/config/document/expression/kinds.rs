//! The kinds of values in CEL, as far as they are known before there is any JSON.

/// What is wrong with an expression, and what to do.
pub(in crate::config) type Refusal = (String, String);

/// What is known of a value before there is any JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum CelKind {
    /// It depends on the answer.
    Any,
    Bool,
    Number,
    Text,
    Bytes,
    List,
    Object,
    Null,
    Type,
    Optional,
}

impl CelKind {
    pub(in crate::config) fn noun(self) -> &'static str {
        match self {
            CelKind::Any => "any value",
            CelKind::Bool => "true or false",
            CelKind::Number => "a number",
            CelKind::Text => "a string",
            CelKind::Bytes => "bytes",
            CelKind::List => "a list",
            CelKind::Object => "an object",
            CelKind::Null => "null",
            CelKind::Type => "a type",
            CelKind::Optional => "an optional value",
        }
    }

    pub(super) fn may_be(self, other: CelKind) -> bool {
        self == CelKind::Any || other == CelKind::Any || self == other
    }
}
