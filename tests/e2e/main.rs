//! End to end over loopback: real sockets, real TLS, the real binary. Every cause and reason that can be provoked
//! without privileges has a test here; the others are provoked by tests/system.

mod asking;
mod authority;
mod cli;
mod config;
mod contracts;
mod daemon;
mod deeds;
mod dns;
mod figures;
mod foreign;
mod hold;
mod http;
mod http2;
mod http_answers;
mod http_requests;
mod icmp;
mod listener;
mod makeup;
mod notify;
mod permissions;
mod recorded;
mod refusals;
mod resolver;
mod secrets;
mod serve;
mod sla;
mod stamps;
mod surfaces;
mod surfaces_daemon;
mod tcp;
mod tls;
mod told;
mod trust;
mod truth;
mod zone_data;
