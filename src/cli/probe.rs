//! `probity probe`: a configured endpoint or a given address, probed now, once or several times.

mod asked;
mod curl;
mod junit;
mod series;
mod shown;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::asked::Pinned;
use self::series::{ProbeOfSeries, ProbeSeries};
use super::args::probe::{MOST_PROBES, Probe};
use super::{given, print, print_colored, waterfall};
use crate::config::plan::Dial;
use crate::config::{Endpoint, plan::Addresses};
use crate::daemon::exit::Exit;
use crate::daemon::streams::{OutputReader, say};
use crate::kind::run::run as probed;
use crate::net::dial;
use crate::net::shared::{AfterFailure, Net};
use crate::net::trace::Trace;
use crate::words::{Ms, Outcome};

/// Pause between two probes.
const DEFAULT_PAUSE: Ms = 1000;
const LEAST_PAUSE: Ms = 10;
/// Addresses of one name that are probed.
const ADDRESS_LIMIT: usize = 16;

pub fn run(args: &Probe) -> Exit {
    let prepared = asked::endpoint(args).and_then(|configured| {
        let pause = match &args.series.interval {
            Some(text) => given::duration("interval", text, LEAST_PAUSE)?,
            None => DEFAULT_PAUSE,
        };
        Ok((configured, asked::pinned(&args.dialed.resolve)?, pause))
    });
    let (configured, pinned, pause) = match prepared {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    let endpoint = of_family(configured.endpoint, args);
    if args.curl {
        return curl::print(&endpoint, &pinned);
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Exit::Unknown;
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut net = Net::default();
        net.after_failure = AfterFailure::GoOn;
        net.clock.choose(configured.clock);
        net.masks.take_over(&configured.masks, 0);
        for one in &pinned {
            net.pins
                .put(&one.host, Some(one.port), one.addresses.clone());
        }
        if args.dialed.each_address || args.series.watch || args.series.count.is_some() {
            let addresses = if args.dialed.each_address {
                addresses(&net, &endpoint, &pinned).await
            } else {
                vec![None]
            };
            several(&net, &endpoint, args, (&addresses, pause)).await
        } else {
            once(&net, &endpoint, args).await
        }
    })
}

async fn once(net: &Net, endpoint: &Endpoint, args: &Probe) -> Exit {
    let report = probed(net, endpoint).await;
    let exit = exit_of(&report.outcome);
    if args.junit {
        let address = None;
        say(junit::document(endpoint, &[ProbeOfSeries { address, report }]).as_bytes());
        return exit;
    }
    print_colored(args.json, &shown::as_json(endpoint, &report), || {
        waterfall::drawn(endpoint, &report)
    });
    exit
}

/// Probes each of the addresses in each round, with a pause between two rounds.
async fn several(
    net: &Net,
    endpoint: &Endpoint,
    args: &Probe,
    (addresses, pause): (&[Option<IpAddr>], Ms),
) -> Exit {
    let rounds = match (args.series.watch, args.series.count) {
        (true, _) => u64::MAX,
        (false, count) => count.unwrap_or(1),
    };
    let mut series = ProbeSeries::keeping(MOST_PROBES as usize * addresses.len());
    // It is heard from now on, also while a probe runs.
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    'rounds: for round in 0..rounds {
        if round > 0 {
            tokio::select! {
                _ = &mut interrupted => break 'rounds,
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
        }
        for address in addresses {
            if let Some(address) = address {
                net.pins.put(endpoint.host(), None, vec![*address]);
            }
            let report = tokio::select! {
                _ = &mut interrupted => break 'rounds,
                report = probed(net, endpoint) => report,
            };
            let one = ProbeOfSeries::new(*address, report);
            let reader = if args.junit || args.json && !args.series.watch {
                OutputReader::There
            } else {
                print_colored(args.json, &shown::as_json(endpoint, &one.report), || {
                    series.row(&one)
                })
            };
            series.add(one);
            if reader == OutputReader::Gone {
                break 'rounds;
            }
        }
    }
    if args.junit {
        say(junit::document(endpoint, series.kept()).as_bytes());
    } else if !(args.json && args.series.watch) {
        print(args.json, &series.as_json(endpoint), || series.summary());
    }
    series.worst()
}

fn exit_of(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Success(_) => Exit::Fine,
        Outcome::Failure { .. } => Exit::Bad,
        Outcome::Unmeasured { .. } => Exit::Unknown,
    }
}

/// The endpoint with the family of addresses that the options ask for.
fn of_family(endpoint: Arc<Endpoint>, args: &Probe) -> Arc<Endpoint> {
    let addresses = match (args.dialed.ipv4, args.dialed.ipv6) {
        (true, _) => Addresses::Ipv4,
        (_, true) => Addresses::Ipv6,
        (false, false) => return endpoint,
    };
    let dial = Dial {
        addresses,
        ..(*endpoint.dial).clone()
    };
    Arc::new(Endpoint {
        dial: Arc::new(dial),
        ..(*endpoint).clone()
    })
}

/// Every address of the endpoint's name. Where it has none of its own, or cannot be resolved, one
/// probe says so.
async fn addresses(net: &Net, endpoint: &Endpoint, pinned: &[Pinned]) -> Vec<Option<IpAddr>> {
    let host = endpoint.host();
    let of_host = pinned
        .iter()
        .filter(|one| one.host.eq_ignore_ascii_case(host));
    let mut found: Vec<IpAddr> = of_host.flat_map(|one| one.addresses.clone()).collect();
    if found.is_empty() {
        let trace = Trace::begin();
        let timeout = Duration::from_millis(endpoint.rules.cadence.timeout);
        let until = Instant::now() + timeout;
        let resolved = dial::resolve(net, &trace, &endpoint.dial, host.into(), 0, until).await;
        if trace.is_named.get() {
            found = resolved
                .iter()
                .flatten()
                .map(std::net::SocketAddr::ip)
                .collect();
        }
    }
    found.truncate(ADDRESS_LIMIT);
    match found.is_empty() {
        true => vec![None],
        false => found.into_iter().map(Some).collect(),
    }
}
