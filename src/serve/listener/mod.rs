//! The daemon's own HTTP listener: one thread that accepts, reads heads, and hands requests to the
//! routes of `server`.
//!
//! What strangers can cost is bounded here: connections in all and by peer, the time and size of a
//! head, idle time, the time that a client takes for an answer, and the memory of each connection.
//! docs/decisions/035-listener.md says why. This thread has a lower priority than the one that
//! probes, and no other work: signals, notifications and the control socket do not wait for a
//! flood.

mod connection;
pub mod gate;
pub mod head;
pub mod making;
mod open_connections;
mod peer;
pub mod refusal;
mod table;
mod thread;
mod wire;

pub use peer::{Asker, Peer, PeerStanding};
pub use thread::{ListenerSetup, ListenerThread, bind, run};
