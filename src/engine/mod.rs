//! Floor 7: the engine. The scheduler says when, probers find out, the recorder judges, the board
//! shows.
//!
//! Everything here but [`drive`] is synchronous: time is an argument. One thread owns all of it;
//! readers look at the [`board`] only, and the history's writer gets batches and gives back what it
//! has committed.

pub mod board;
pub mod drive;
pub mod events;
pub mod inputs;
pub mod recorder;
pub mod registration;
pub mod replay;
pub mod scheduler;
pub mod simulation;
pub mod stored_judges;
pub mod witness;
