//! An endpoint's name, its kind of probe, and the three states that its time is in.

use std::fmt;
use std::sync::Arc;

/// The longest name of an endpoint or component, in bytes.
pub const NAME_MAX_BYTES: usize = 200;

/// The identity of an endpoint: what every metric, event and page calls it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name must not be empty")]
    Empty,
    #[error("a name is at most {NAME_MAX_BYTES} bytes long, this one has {0}")]
    TooLong(usize),
    #[error("a name must not hold the control or direction character U+{0:04X}")]
    Forbidden(u32),
}

impl Name {
    /// Accepts printable text; refuses control, bidirectional and zero-width characters, which
    /// would make two names look alike on a page or break a log line.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.trim().is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_MAX_BYTES {
            return Err(NameError::TooLong(text.len()));
        }
        match text.chars().find(|c| is_invisible(*c)) {
            Some(c) => Err(NameError::Forbidden(u32::from(c))),
            None => Ok(Self(Arc::from(text))),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

pub fn is_invisible(c: char) -> bool {
    match u32::from(c) {
        0x00AD | 0x061C | 0x115F | 0x1160 | 0x180E | 0x3164 | 0xFEFF | 0xFFA0 => true,
        0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xE0000..=0xE0FFF => true,
        _ => c.is_control(),
    }
}

/// The state of an endpoint, now or over a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateName {
    Up,
    Down,
    Unknown,
}

impl StateName {
    pub const ALL: [StateName; 3] = [StateName::Up, StateName::Down, StateName::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            StateName::Up => "up",
            StateName::Down => "down",
            StateName::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_mislead_a_reader_are_refused() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("a\nb"), Err(NameError::Forbidden(10)));
        assert_eq!(Name::new("a\u{202e}b"), Err(NameError::Forbidden(0x202e)));
        assert_eq!(Name::new("a\u{1b}[31m"), Err(NameError::Forbidden(0x1b)));
        assert!(matches!(
            Name::new(&"x".repeat(10_240)),
            Err(NameError::TooLong(10_240))
        ));
        assert_eq!(
            Name::new("shop \"ä\" \\ <b>").map(|n| n.to_string()),
            Ok("shop \"ä\" \\ <b>".into())
        );
    }
}
