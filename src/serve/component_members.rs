//! What a component is now, by the states of its endpoints.

use crate::engine::board::Shown;
use crate::judgement::timeline::Combine;
use crate::words::{StateName, UtcMs, people};

/// How many endpoints a component has, and how they are.
#[derive(Debug, Clone, Default)]
pub struct Members {
    pub all: usize,
    pub down: usize,
    pub unknown: usize,
    /// When the outages began that are open.
    pub open: Vec<UtcMs>,
}

impl Members {
    /// An endpoint as it is now.
    pub fn add(&mut self, shown: &Shown) {
        self.count(shown.state);
        self.open.extend(shown.outage.map(|(from, _)| from));
    }

    /// Since when the component is down: unknown time interrupts an outage and does not end it.
    pub fn down_since(&self, combine: Combine) -> Option<UtcMs> {
        let mut begins = self.open.clone();
        begins.sort_unstable();
        let needed = combine.down_when(self.all).checked_sub(1)?;
        begins.get(needed).copied()
    }

    pub fn count(&mut self, state: StateName) {
        self.all += 1;
        match state {
            StateName::Down => self.down += 1,
            StateName::Unknown => self.unknown += 1,
            StateName::Up => {}
        }
    }

    /// Down or up where that is certain, whatever those are that are unknown.
    pub fn state(&self, combine: Combine) -> StateName {
        let needed = combine.down_when(self.all);
        if self.down >= needed {
            StateName::Down
        } else if self.down + self.unknown >= needed {
            StateName::Unknown
        } else {
            StateName::Up
        }
    }

    pub fn in_words(&self) -> String {
        let mut text = people::count(self.all as u64, "endpoint");
        for (count, what) in [(self.down, "down"), (self.unknown, "unknown")] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: usize, down: usize, unknown: usize) -> Members {
        Members {
            all,
            down,
            unknown,
            open: Vec::new(),
        }
    }

    #[test]
    fn a_component_is_what_is_certain_of_its_endpoints() {
        use StateName::{Down, Unknown, Up};
        for (members, series, parallel, two) in [
            (of(3, 0, 0), Up, Up, Up),
            (of(3, 1, 0), Down, Up, Up),
            (of(3, 1, 2), Down, Unknown, Unknown),
            (of(3, 0, 1), Unknown, Up, Up),
            (of(3, 2, 0), Down, Up, Down),
            (of(3, 3, 0), Down, Down, Down),
            (of(1, 0, 1), Unknown, Unknown, Unknown),
        ] {
            for (combine, expected) in [
                (Combine::Series, series),
                (Combine::Parallel, parallel),
                (Combine::AtLeast(2), two),
            ] {
                assert_eq!(members.state(combine), expected, "{members:?} {combine:?}");
            }
        }
        let open = Members {
            open: vec![30, 10],
            ..of(3, 2, 0)
        };
        for (combine, since) in [
            (Combine::Series, Some(10)),
            (Combine::AtLeast(2), Some(30)),
            (Combine::Parallel, None),
        ] {
            assert_eq!(open.down_since(combine), since, "{combine:?}");
        }
        assert_eq!(of(1, 0, 0).in_words(), "1 endpoint");
        assert_eq!(of(4, 1, 2).in_words(), "4 endpoints, 1 down, 2 unknown");
    }
}
