//! The tls kind: a full handshake, its certificate, and nothing more.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::super::halt::{Halt, stream_error};
use super::super::net::Net;
use super::super::trace::Trace;
use super::super::{dial, tls};
use crate::config::plan::Dial;
use crate::config::plan_probe::{HostPort, TlsProbe};
use crate::words::{Cause, Reason};

pub async fn probe(net: &Net, trace: &Trace, dial: &Dial, address: &HostPort, spec: &Arc<TlsProbe>, deadline: Instant) -> Result<(), Halt> {
    let stream = dial::connect(net, trace, dial, &address.host, address.port, deadline).await?;
    let prepared = net.tls(spec).map_err(|why| Halt::unmeasured(Reason::Internal, why))?;
    let mut stream = tls::handshake(net, trace, &spec.tls, &prepared, &address.host, stream).await?;
    if trace.client_certificate_asked.get() {
        // In TLS 1.3 the server judges the client's certificate after the handshake: it ends the connection or talks.
        let mut first = [0];
        let patience = (deadline - Instant::now()) / 2;
        if let Ok(Err(error)) = tokio::time::timeout(patience, stream.read(&mut first)).await
            && let Halt::Down(Cause::TlsClientAuth, detail) = stream_error(&error, Cause::TlsClientAuth)
        {
            return Err(Halt::Down(Cause::TlsClientAuth, detail));
        }
    }
    super::within(trace, spec.within)?;
    tls::expiring(net, trace, &spec.tls)
}
