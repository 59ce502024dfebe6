//! Figures over periods, of components and endpoints, from the history.
//!
//! No HTTP: [`crate::report`] and [`crate::serve`] show what is computed here. The sentence about
//! outages that go unseen, and why single results are missing, are worded here for all of them.

pub mod figures;
pub mod recorded;
pub mod shown;
pub mod timelines;
