//! Floor 0: the words of the field, one type per thing.
//!
//! Everything above speaks in these types. They hold no clock, do no IO and know no file format, so
//! that what is judged and what is printed cannot drift apart.

pub mod digest;
pub mod endpoint;
pub mod escape;
pub mod observation;
pub mod outcome;
pub mod people;
pub mod time;

pub use digest::{Digest, is_same_digest, shortened};
pub use endpoint::{Name, NameError, StateName, is_invisible};
pub use escape::{escaped, escaped_but_colors, escaped_json, escaped_lines};
pub use observation::{Phase, PhaseTimes, ProbeTrigger};
pub use outcome::{
    Attempt, Cause, CertificateFacts, Facts, Finding, Handshake, Outcome, Reason, SentCertificate,
};
pub use time::{Ms, UtcMs, format_utc, http_date, parse_utc};
