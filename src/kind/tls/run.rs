//! The tls kind: a full handshake, its certificate, and nothing more.

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::TlsTarget;
use crate::config::document::zone;
use crate::config::plan::Dial;
use crate::net::origin::HopOrigin;
use crate::net::probe_error::{ProbeError, stream_error};
use crate::net::shared::Net;
use crate::net::trace::Trace;
use crate::net::{dial, peer, tls};
use crate::words::{Cause, Reason};

pub async fn probe(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    target: &TlsTarget,
    deadline: Instant,
) -> Result<(), ProbeError> {
    // Few probes are of this kind: the future of all others stays small.
    Box::pin(shaken(net, trace, dial, target, deadline)).await
}

async fn shaken(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    TlsTarget { address, spec }: &TlsTarget,
    deadline: Instant,
) -> Result<(), ProbeError> {
    let stream = dial::connect(net, trace, dial, &address.host, address.port, deadline).await?;
    let prepared = net
        .tls_of(spec, HopOrigin::Own, &spec.tls, &[])
        .map_err(|why| ProbeError::unmeasured(Reason::Internal, why))?;
    let mut stream = tls::handshake(
        net,
        trace,
        &spec.tls,
        &prepared,
        zone::without(&address.host),
        stream,
    )
    .await
    .map_err(|err| peer::in_place_of_tls(trace, address.port, err))?;
    if trace.client_certificate_asked.get() {
        // In TLS 1.3 the server judges the client's certificate after the handshake: it ends the
        // connection or talks.
        let mut first = [0];
        let patience = (deadline - Instant::now()) / 2;
        let ended = match tokio::time::timeout(patience, stream.read(&mut first)).await {
            Ok(Ok(0)) => Some(ProbeError::down(
                Cause::ConnectReset,
                "connection: closed by the peer",
            )),
            Ok(Err(error)) => Some(stream_error(&error, Cause::ConnectReset)),
            Ok(Ok(_)) | Err(_) => None,
        };
        if let Some(err @ ProbeError::Down(Cause::TlsClientAuth, _)) =
            ended.map(|err| peer::without_certificate(trace, err))
        {
            return Err(err);
        }
    }
    crate::kind::run::expect::within(trace, spec.within)?;
    tls::expiring(net, trace, &spec.tls)
}
