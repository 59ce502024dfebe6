//! The icmp kind: an echo request and its reply. Where this process may send none, endpoints are
//! unknown with `permission`.

use tokio::time::Instant;

use super::IcmpTarget;
use crate::config::plan::Dial;
use crate::net::dial;
use crate::net::echo::Reply;
use crate::net::probe_error::ProbeError;
use crate::net::shared::Net;
use crate::net::trace::{Stage, Trace};
use crate::words::Cause;

pub async fn probe(
    net: &Net,
    trace: &Trace,
    dial: &Dial,
    IcmpTarget { host, spec }: &IcmpTarget,
    deadline: Instant,
) -> Result<(), ProbeError> {
    let addresses = dial::resolve(net, trace, dial, (&**host).into(), 0, deadline).await?;
    let reply = if let [address] = addresses.as_slice() {
        // What its socket costs before the request is our own.
        trace.facts.borrow_mut().address = Some(address.ip());
        net.echoes
            .ask(trace, *address, usize::from(spec.size))
            .await
            .map_err(|err| dial::of_name(trace, address.ip(), err))?
    } else {
        trace.enter(Stage::Reply(Cause::IcmpTimeout));
        let answered = |tried: dial::Tried<Reply>| {
            trace.facts.borrow_mut().address = Some(tried.address);
            tried.result
        };
        Box::pin(dial::race(
            trace,
            &addresses,
            |to| dial::timed(to, net.echoes.ask(trace, to, usize::from(spec.size))),
            answered,
        ))
        .await?
    };
    trace.arrived(reply.arrived_ns);
    trace.enter(Stage::Idle);
    trace.facts.borrow_mut().icmp_hop_limit = reply.hop_limit;
    crate::kind::run::expect::within(trace, spec.within)
}
