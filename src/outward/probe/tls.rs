//! The tls kind: a full handshake, its certificate, and nothing more.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::halt::Halt;
use super::super::net::Net;
use super::super::trace::Trace;
use super::super::{dial, tls};
use crate::config::plan::Dial;
use crate::config::plan_probe::{HostPort, TlsProbe};
use crate::words::Reason;

pub async fn probe(net: &Net, trace: &Trace, dial: &Dial, address: &HostPort, spec: &Arc<TlsProbe>, deadline: Instant) -> Result<(), Halt> {
    let stream = dial::connect(net, trace, dial, &address.host, address.port, deadline).await?;
    let prepared = net.tls(spec).map_err(|why| Halt::unmeasured(Reason::Internal, why))?;
    tls::handshake(net, trace, &spec.tls, &prepared, &address.host, stream).await?;
    super::within(trace, spec.within)?;
    tls::expiring(trace, &spec.tls)
}
