//! The public status page: what anybody may see of the components, on a listener of its own.
//!
//! Nothing here names an endpoint, a target, a label, a cause or an error: those are the
//! operator's. What is shown is made at most every few seconds and kept, so readers cost no probe
//! its time.

mod atlassian;
mod badge;
mod kept;
mod pages;
mod published;
mod routes;

pub use kept::KeptStatus;
pub use routes::router;
