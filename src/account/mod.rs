//! Figures over periods, of components and endpoints, from the history.
//!
//! No HTTP and no text for people: [`crate::report`] and [`crate::serve`] show what is computed
//! here.

pub mod figures;
pub mod recorded;
pub mod shown;
pub mod timelines;
