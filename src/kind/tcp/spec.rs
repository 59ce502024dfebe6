//! What a tcp probe says and waits for, as checked types.

use crate::config::document::secret::mask::Mask;
use crate::config::plan::probe::{Pattern, Sent};
use crate::words::Ms;

#[derive(Clone, Default)]
pub struct Tcp {
    /// Hides what is secret in the dialogue in texts that come back.
    pub mask: Mask,
    pub dialogue: Vec<DialogueStep>,
    pub within: Option<Ms>,
}

impl std::fmt::Debug for Tcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Part of an endpoint's digest: the mask follows from the dialogue.
        f.debug_struct("Tcp")
            .field("dialogue", &self.dialogue)
            .field("within", &self.within)
            .finish()
    }
}

#[derive(Debug, Clone)]
pub enum DialogueStep {
    Send(Sent),
    /// Read lines until one matches.
    Expect(Pattern),
}
