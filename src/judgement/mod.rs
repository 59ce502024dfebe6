//! Floor 1: judgement. Pure code: time is an argument, numbers are integers, there is no IO.
//!
//! [`schedule`] says when a probe is due, [`fault`] whether a failure counts against its endpoint,
//! [`state`] turns results into states, outages and settled time ([`unsettled`] has what is open,
//! [`counts`] what is counted), [`leaving`] takes endpoints out of service, [`ledger`] adds time
//! up, [`latency`] keeps distributions small, [`timeline`] cuts a history to a period with its
//! bounds, and combines endpoints to components.

pub mod counts;
pub mod fault;
pub mod latency;
pub mod leaving;
pub mod ledger;
pub mod loss;
pub mod maintenance;
pub mod reading;
pub mod recording;
pub mod rules;
pub mod schedule;
pub mod sla;
pub mod state;
pub mod state_codec;
pub mod timeline;
mod unknown;
pub mod unsettled;
pub mod zones;
