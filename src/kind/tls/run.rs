//! The tls kind: a full handshake, its certificate, and nothing more.

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::TlsTarget;
use crate::config::document::zone;
use crate::config::plan::Dial;
use crate::net::halt::{Halt, stream_error};
use crate::net::origin::HopOrigin;
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
) -> Result<(), Halt> {
    // Few probes are of this kind: the future of all others stays small.
    Box::pin(shaken(net, trace, dial, target, deadline)).await
}

async fn shaken(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    TlsTarget { address, spec }: &TlsTarget,
    deadline: Instant,
) -> Result<(), Halt> {
    let stream = dial::connect(net, trace, dial, &address.host, address.port, deadline).await?;
    let prepared = net
        .tls_of(spec, HopOrigin::Own, &spec.tls, &[])
        .map_err(|why| Halt::unmeasured(Reason::Internal, why))?;
    let mut stream = tls::handshake(
        net,
        trace,
        &spec.tls,
        &prepared,
        zone::without(&address.host),
        stream,
    )
    .await
    .map_err(|halt| peer::in_place_of_tls(trace, address.port, halt))?;
    if trace.client_certificate_asked.get() {
        // In TLS 1.3 the server judges the client's certificate after the handshake: it ends the
        // connection or talks.
        let mut first = [0];
        let patience = (deadline - Instant::now()) / 2;
        let ended = match tokio::time::timeout(patience, stream.read(&mut first)).await {
            Ok(Ok(0)) => Some(Halt::down(
                Cause::ConnectReset,
                "connection: closed by the peer",
            )),
            Ok(Err(error)) => Some(stream_error(&error, Cause::ConnectReset)),
            Ok(Ok(_)) | Err(_) => None,
        };
        if let Some(halt @ Halt::Down(Cause::TlsClientAuth, _)) =
            ended.map(|halt| peer::without_certificate(trace, halt))
        {
            return Err(halt);
        }
    }
    crate::kind::run::expect::within(trace, spec.within)?;
    tls::expiring(net, trace, &spec.tls)
}
