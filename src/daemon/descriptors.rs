//! Who gets how many of the process's descriptors: the daemon itself, then probing, then the
//! listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::Plan;
use crate::config::document::zone;
use crate::config::plan::Endpoint;
use crate::engine::scheduler::InFlightLimits;
use crate::net::sys;

/// What the daemon itself needs: database, timers, notifications, the listener and its first
/// clients.
const OWN: usize = 40;
/// Connections that are among them: somebody can look at any time.
const FIRST_CONNECTIONS: usize = 8;
/// Of one probe: two addresses may be tried at once, or two families be asked for.
const OF_A_PROBE: usize = 2;
/// And of one by name that hangs: six addresses are tried at once; two silent name servers have a
/// socket for each family and one for control questions.
const MORE_OF_A_NAME: usize = 4;
/// So many are counted to hang at once.
const HANGING: usize = 256;
const MOST_IN_FLIGHT: usize = 200_000;

/// Bounds that together stay within the limit of open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    pub limits: InFlightLimits,
    /// Of the listener at once.
    pub connections: usize,
    /// And of the status page, where there is one: what the listener leaves.
    pub page_connections: usize,
}

/// How many connections each listener may have at once; a reload may change it.
#[derive(Debug, Clone)]
pub struct ListenerPlaces {
    pub listener: Arc<AtomicUsize>,
    pub status_page: Arc<AtomicUsize>,
}

impl ListenerPlaces {
    pub fn of(shares: &Shares) -> Self {
        Self {
            listener: Arc::new(AtomicUsize::new(shares.connections)),
            status_page: Arc::new(AtomicUsize::new(shares.page_connections)),
        }
    }

    pub fn set(&self, shares: &Shares) {
        self.listener.store(shares.connections, Ordering::Relaxed);
        self.status_page
            .store(shares.page_connections, Ordering::Relaxed);
    }
}

/// By the limit of open files, which is raised as far as this process may.
pub fn shares(plan: &Plan) -> Shares {
    let files = usize::try_from(sys::raise_open_files()).unwrap_or(usize::MAX);
    let shares = shared(files, plan);
    let page_lacks =
        plan.status_page.is_some() && shares.page_connections < plan.listen.max_connections;
    if page_lacks && shares.connections == plan.listen.max_connections {
        tracing::warn!(
            open_files = files,
            connections = shares.page_connections,
            "the status page accepts fewer connections than configured, because probes need the \
                file descriptors; raise the limit of open files (LimitNOFILE)"
        );
    }
    if shares.connections < plan.listen.max_connections {
        tracing::warn!(
            open_files = files,
            max_connections = plan.listen.max_connections,
            connections = shares.connections,
            "the listener accepts fewer connections than configured, because probes need the file \
                descriptors; raise the limit of open files (LimitNOFILE)"
        );
    }
    shares
}

fn shared(files: usize, plan: &Plan) -> Shares {
    let left = files.saturating_sub(OWN).max(8);
    let at_once = |list: &[std::sync::Arc<Endpoint>]| {
        list.iter().map(|e| e.rules.overlap as usize).sum::<usize>()
    };
    let most = at_once(&plan.endpoints) + at_once(&plan.witness.endpoints);
    let bounded = |probes: usize| {
        plan.daemon
            .max_in_flight
            .map_or(probes, |bound| bound.min(probes))
    };
    let by_name: usize = plan
        .endpoints
        .iter()
        .chain(&plan.witness.endpoints)
        .filter(|e| may_resolve(e))
        .map(|e| e.rules.overlap as usize)
        .sum();
    let needed = OF_A_PROBE * bounded(most) + MORE_OF_A_NAME * bounded(by_name).min(HANGING);
    let wanted = plan.listen.max_connections;
    let connections = wanted
        .min(left.saturating_sub(needed))
        .max(FIRST_CONNECTIONS.min(wanted));
    let page_connections = if plan.status_page.is_some() {
        let left = left.saturating_sub(needed + connections);
        wanted.min(left).max(FIRST_CONNECTIONS.min(wanted))
    } else {
        0
    };
    let beyond_the_first = connections.saturating_sub(FIRST_CONNECTIONS) + page_connections;
    // The config's bound on probes, else what is left of the descriptors.
    let total = plan
        .daemon
        .max_in_flight
        .unwrap_or((left - beyond_the_first.min(left - 8)).min(MOST_IN_FLIGHT));
    Shares {
        limits: InFlightLimits {
            total,
            per_host: plan
                .daemon
                .max_in_flight_per_host
                .unwrap_or((total * 3 / 4).max(1)),
        },
        connections,
        page_connections,
    }
}

/// A redirect can lead from an address to a name.
fn may_resolve(endpoint: &Endpoint) -> bool {
    endpoint.probe.kind().leads_elsewhere() || zone::address(endpoint.host()).is_none()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{OneText, load};

    /// Probes at most, and connections at most.
    fn of(files: usize, endpoints: usize, more: &str) -> (usize, usize) {
        of_host("192.0.2.1", files, endpoints, more)
    }

    fn of_host(host: &str, files: usize, endpoints: usize, more: &str) -> (usize, usize) {
        let targets: String = (0..endpoints)
            .map(|n| format!("e{n} = \"{host}:1\"\n"))
            .collect();
        let text = format!(
            "{more}\n[group.all]\nprobe.tcp.expect.within = \"2s\"\n[group.all.targets]\n{targets}"
        );
        let shares = shared(
            files,
            &load(Path::new("probity.toml"), &OneText(&text)).expect("a plan"),
        );
        (shares.limits.total, shares.connections)
    }

    #[test]
    fn probing_gets_its_descriptors_before_the_listener_gets_any() {
        // Plenty: both get what they want.
        assert_eq!(of(1 << 20, 500, ""), (MOST_IN_FLIGHT, 512));
        // 984 beside the daemon's own; 500 endpoints with one probe at a time may need 1000.
        assert_eq!(of(1024, 500, ""), (984, 8));
        // 100 endpoints need 200: 512 connections fit beside them.
        assert_eq!(of(1024, 100, ""), (984 - 504, 512));
        assert_eq!(of(1024, 400, ""), (984 - 176, 184));
        assert_eq!(of(64, 500, ""), (24, 8));
        assert_eq!(of(16, 1, ""), (8, 8));
    }

    #[test]
    fn names_that_hang_get_what_they_may_hold() {
        // Eight endpoints with eight probes each at once: 384 descriptors beside the first
        // connections.
        assert_eq!(
            of_host(
                "shop.example",
                512,
                8,
                "[defaults]\ninterval = \"1s\"\ntimeout = \"7s\""
            ),
            (472 - 80, 88)
        );
        assert_eq!(of_host("shop.example", 1024, 100, ""), (984 - 376, 384));
        // A large fleet does not hang all at once.
        assert_eq!(
            of_host("shop.example", 1 << 14, 5000, ""),
            ((1 << 14) - 40 - 504, 512)
        );
    }

    #[test]
    fn the_status_page_gets_what_the_listener_leaves() {
        let of = |files, text: &str| {
            let plan = load(Path::new("probity.toml"), &OneText(text)).expect("a plan");
            let shares = shared(files, &plan);
            (shares.connections, shares.page_connections)
        };
        assert_eq!(of(1 << 20, ""), (512, 0));
        assert_eq!(of(1 << 20, "[status_page]"), (512, 512));
        assert_eq!(of(1024, "[status_page]"), (512, 472));
        assert_eq!(of(256, "[status_page]"), (216, 8));
    }

    #[test]
    fn what_the_config_bounds_is_bounded() {
        assert_eq!(of(1024, 500, "[daemon]\nmax_in_flight = 100"), (100, 512));
        assert_eq!(of(1024, 500, "[listen]\nmax_connections = 4"), (984, 4));
        // The timeout is three intervals long: four probes of an endpoint may run at once.
        assert_eq!(
            of(1024, 100, "[defaults]\ninterval = \"1s\"\ntimeout = \"3s\""),
            (984 - 176, 184)
        );
    }
}
