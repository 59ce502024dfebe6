//! What is at hand while a plan is built.

use std::collections::HashMap;

use crate::config::document::source::ConfigInputs;
use crate::kind::{Kind, Spec};

pub(in crate::config) struct Builder<'s> {
    pub(in crate::config) inputs: &'s dyn ConfigInputs,
    /// Specs that endpoints share, by the tables that they were built from.
    pub(in crate::config) specs: HashMap<(usize, usize, Kind), Spec>,
}
