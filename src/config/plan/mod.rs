//! The checked plan: what the daemon runs by. Built once from a config, not wrong afterwards.

pub mod probe;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::secret::Secret;
use super::document::secret::by_host::HostMasks;
use super::document::secret::mask::Mask;
use super::listen::Listen;
use super::status_page::StatusPage;
use crate::judgement::maintenance::Window;
use crate::judgement::rules::Rules;
use crate::judgement::sla::contract::Contracts;
use crate::judgement::timeline::Combine;
use crate::judgement::zones::ZoneSource;
use crate::kind::Probe;
use crate::words::{Digest, Ms, Name, StateName, UtcMs};

/// Default of `interval`.
pub const DEFAULT_INTERVAL: Ms = 30_000;
/// Default of `timeout`.
pub const DEFAULT_TIMEOUT: Ms = 10_000;
/// Default of `retry_interval`.
pub const DEFAULT_RETRY_INTERVAL: Ms = 1000;
/// Default of `late_after`.
pub const DEFAULT_LATE_AFTER: Ms = 500;
/// Default of `down_after`.
pub const DEFAULT_DOWN_AFTER: u32 = 2;
/// Default of `up_after`.
pub const DEFAULT_UP_AFTER: u32 = 1;
/// Default of `[metrics] buckets`, in microseconds: 1, 2.5 and 5 of each decade from 0.5 ms on, and
/// 30 s.
pub const DEFAULT_BUCKETS_US: [u64; 15] = [
    500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];
/// Default of `[history.backup] every`.
pub const DEFAULT_BACKUP_EVERY: Ms = 3_600_000;
/// Default of `[history.backup] keep`.
pub const DEFAULT_BACKUP_KEEP: usize = 24;
/// The folder of backups in the state directory, where `[history.backup] dir` names no other.
pub const OWN_BACKUPS: &str = "backups";
/// Default of `timeout` of a witness.
pub const DEFAULT_WITNESS_TIMEOUT: Ms = 2000;
/// Default of `[deadman] every`.
pub const DEFAULT_DEADMAN_EVERY: Ms = 60_000;

/// Everything that a config says.
#[derive(Debug, Clone)]
pub struct Plan {
    pub daemon: Daemon,
    pub listen: Listen,
    /// `None`: there is no public page.
    pub status_page: Option<StatusPage>,
    pub metrics: Metrics,
    pub components: BTreeMap<Name, Component>,
    /// In the order of the files; groups after single endpoints.
    pub endpoints: Vec<Arc<Endpoint>>,
    pub history: HistoryPlan,
    pub witness: Witness,
    pub contracts: Contracts,
    pub maintenance: Vec<Window>,
    pub notify: Vec<Notify>,
    pub deadman: Option<Deadman>,
    pub proxies: Proxies,
    /// The secrets of endpoints, witnesses and the daemon's own calls, by host.
    pub masks: Arc<HostMasks>,
    pub read_from: ConfigFiles,
}

/// The files that a config was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigFiles {
    /// The main file first, each with the SHA-256 of its text.
    pub files: Vec<(PathBuf, [u8; 32])>,
    /// What `include` names, as paths.
    pub patterns: Vec<PathBuf>,
}

/// Between these lies the time between two commits that the config leaves out: a third of the
/// shortest interval.
const COMMIT_WITHIN: [Ms; 2] = [1000, 10_000];
/// A large fleet commits more often, by so many endpoints times milliseconds: each commit stores
/// the judges of its share of five minutes, and the probing thread makes them ready.
const ENDPOINTS_MS: u64 = 20_000_000;

impl Plan {
    /// The longest time between two commits. A kill takes up to so much of what was measured.
    pub fn commit_within(&self) -> Ms {
        let of_fleet = || {
            let intervals = self.endpoints.iter().map(|e| e.rules.cadence.interval);
            let [least, most] = COMMIT_WITHIN;
            let of_interval = intervals.min().map_or(most, |i| i / 3);
            let of_count = ENDPOINTS_MS / (self.endpoints.len() as u64).max(1);
            of_interval.min(of_count).clamp(least, most)
        };
        self.history.commit_within.unwrap_or_else(of_fleet)
    }

    /// A plan without endpoints, for reading a history that has no config at hand.
    pub fn empty() -> Self {
        Self {
            daemon: Daemon {
                vantage: String::new(),
                state_dir: None,
                max_in_flight: None,
                max_in_flight_per_host: None,
                clock: ClockChoice::Verified,
                zone_data: ZoneSource::Bundled,
                real_time: RealTimeChoice::Auto,
            },
            listen: Listen::default(),
            status_page: None,
            metrics: Metrics {
                latency: LatencyMetrics::Classic,
                buckets_us: DEFAULT_BUCKETS_US.to_vec(),
                phases: false,
                state_labels: Vec::new(),
            },
            components: BTreeMap::new(),
            endpoints: Vec::new(),
            history: HistoryPlan::default(),
            witness: Witness::default(),
            contracts: Contracts::default(),
            maintenance: Vec::new(),
            notify: Vec::new(),
            deadman: None,
            proxies: Proxies::None,
            masks: Arc::default(),
            read_from: ConfigFiles::default(),
        }
    }
}

/// Whether the daemon's own calls go through a proxy. Probes never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxies {
    None,
    /// Those that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, but for NO_PROXY.
    Environment,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Which copy of the time zone database counts.
    pub zone_data: ZoneSource,
    pub vantage: String,
    pub state_dir: Option<PathBuf>,
    /// Probes in flight at once; `None`: as many as descriptors allow.
    pub max_in_flight: Option<usize>,
    /// Probes in flight to one host at once; `None`: three quarters of the above.
    pub max_in_flight_per_host: Option<usize>,
    pub clock: ClockChoice,
    /// Whether the probing thread takes real-time priority.
    pub real_time: RealTimeChoice,
}

/// `[daemon] real_time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RealTimeChoice {
    /// Where RLIMIT_RTPRIO permits it.
    #[default]
    Auto,
    /// Whatever permits it: root may without a limit.
    On,
    Off,
}

impl RealTimeChoice {
    pub const WORDS: [(&'static str, RealTimeChoice); 3] = [
        ("auto", RealTimeChoice::Auto),
        ("on", RealTimeChoice::On),
        ("off", RealTimeChoice::Off),
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RealTimeChoice::Auto => "auto",
            RealTimeChoice::On => "on",
            RealTimeChoice::Off => "off",
        }
    }
}

/// Who says that this host's calendar may be held against a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockChoice {
    /// The kernel's synchronisation state, or other certificates.
    #[default]
    Verified,
    /// The operator: something that the kernel does not know of keeps it right.
    Trusted,
}

impl ClockChoice {
    pub const WORDS: [(&'static str, ClockChoice); 2] = [
        ("verified", ClockChoice::Verified),
        ("trusted", ClockChoice::Trusted),
    ];
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    pub latency: LatencyMetrics,
    /// Upper bounds of the classic buckets in microseconds, ascending.
    pub buckets_us: Vec<u64>,
    /// Histograms of the phases too.
    pub phases: bool,
    /// User labels that are copied onto the state and outage metrics.
    pub state_labels: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencyMetrics {
    Classic,
    Off,
}

#[derive(Debug, Clone)]
pub struct Component {
    pub title: String,
    pub combine: Combine,
    /// Time before it belongs to no contract.
    pub in_service_from: Option<UtcMs>,
}

/// One watched thing.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub name: Name,
    pub component: Name,
    pub labels: Arc<BTreeMap<String, String>>,
    pub renamed_from: Option<Name>,
    pub rules: Rules,
    pub dial: Arc<Dial>,
    pub probe: Probe,
    /// Hides its secrets and those of the other endpoints at the same host: what a server was sent
    /// for one, it may give back to another.
    pub mask: Mask,
    /// Of everything that decides what is probed and expected; the history records when it changes.
    pub digest: Digest,
}

impl Endpoint {
    /// Whether another plan's endpoint of this name is the same: nothing of it has to be taken
    /// over.
    pub fn is_as(&self, other: &Endpoint) -> bool {
        self.digest == other.digest
            && self.rules == other.rules
            && self.labels == other.labels
            && self.component == other.component
    }
}

/// How an endpoint's addresses are found and chosen.
#[derive(Clone, PartialEq, Eq)]
pub struct Dial {
    pub addresses: Addresses,
    pub source: Option<IpAddr>,
    pub resolver: ResolverChoice,
    /// The zone of a URL's link-local address; other kinds have it in their host.
    pub zone: Option<Arc<str>>,
}

impl Dial {
    /// From a source address only addresses of its own family can be reached: no other is asked
    /// for. Nothing where that changes nothing.
    pub fn of_its_source(&self) -> Option<Self> {
        let is_open = matches!(self.addresses, Addresses::Any | Addresses::First);
        let source = self.source.filter(|_| is_open)?;
        let addresses = if source.is_ipv4() {
            Addresses::Ipv4
        } else {
            Addresses::Ipv6
        };
        Some(Self {
            addresses,
            ..self.clone()
        })
    }
}

/// Endpoints without a zone show as they always did: the form is part of their definition's digest.
impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Dial");
        shown
            .field("addresses", &self.addresses)
            .field("source", &self.source)
            .field("resolver", &self.resolver);
        if let Some(zone) = &self.zone {
            shown.field("zone", zone);
        }
        shown.finish()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    Any,
    First,
    Ipv4,
    Ipv6,
}

impl Addresses {
    pub const WORDS: [(&'static str, Addresses); 4] = [
        ("any", Addresses::Any),
        ("first", Addresses::First),
        ("ipv4", Addresses::Ipv4),
        ("ipv6", Addresses::Ipv6),
    ];
}

/// Who resolves names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolverChoice {
    /// resolv.conf and hosts, read by our own resolver.
    System,
    Server(SocketAddr),
}

/// How the history is signed and copied.
#[derive(Debug, Clone, Default)]
pub struct HistoryPlan {
    /// Signs checkpoints; left out: the state directory's own key.
    pub key: Option<Secret>,
    /// The longest time between two commits; left out: by the shortest interval.
    pub commit_within: Option<Ms>,
    pub backup: Option<BackupPlan>,
}

/// Copies of the history while the daemon runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPlan {
    pub every: Ms,
    /// Left out: a folder in the state directory.
    pub dir: Option<PathBuf>,
    pub keep: usize,
}

impl BackupPlan {
    pub fn directory(&self, state_dir: &Path) -> PathBuf {
        let own = || state_dir.join(OWN_BACKUPS);
        self.dir.clone().unwrap_or_else(own)
    }
}

/// Unrelated endpoints that tell whether our own network works.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    pub endpoints: Vec<Arc<Endpoint>>,
    /// How many must answer; left out: a majority of those that can be measured.
    pub quorum: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Notify {
    pub name: Name,
    pub url: Secret,
    /// Confirmed downtime, or unknown time, before people are told.
    pub after: Ms,
    pub on: NotifyOn,
    pub headers: Vec<(String, Secret)>,
}

/// What a receiver wants to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotifyOn {
    pub down: bool,
    pub up: bool,
    pub unknown: bool,
}

impl NotifyOn {
    pub const WORDS: [(&'static str, StateName); 3] = [
        ("down", StateName::Down),
        ("up", StateName::Up),
        ("unknown", StateName::Unknown),
    ];

    pub fn of(list: &[StateName]) -> Self {
        let has = |state| list.contains(&state);
        Self {
            down: has(StateName::Down),
            up: has(StateName::Up),
            unknown: has(StateName::Unknown),
        }
    }

    /// The words, as a config has them.
    pub fn words(self) -> Vec<&'static str> {
        let is_on = [self.down, self.up, self.unknown];
        Self::WORDS
            .iter()
            .zip(is_on)
            .filter(|(_, is_on)| *is_on)
            .map(|((word, _), _)| *word)
            .collect()
    }
}

#[derive(Debug, Clone)]
pub struct Deadman {
    pub url: Secret,
    pub every: Ms,
}

impl Endpoint {
    /// The host whose probes are bounded together.
    pub fn host(&self) -> &str {
        self.probe.host()
    }

    pub fn target(&self) -> String {
        self.probe.target()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::config::{OneText, load};

    #[test]
    fn a_mark_is_due_by_the_shortest_interval_the_size_of_the_fleet_or_as_the_config_says() {
        let endpoint = |n: usize, interval: &str| {
            format!(
                "[[endpoint]]\nname = \"e{n}\"\ninterval = \"{interval}\"\nprobe.tcp = \
                    \"127.0.0.1:1\"\n"
            )
        };
        let within = |text: &str| {
            let plan = load(Path::new("one"), &OneText(text)).expect("valid");
            plan.commit_within()
        };
        assert_eq!(Plan::empty().commit_within(), 10_000);
        for (interval, expected) in [("1s", 1000), ("10s", 3333), ("30s", 10_000), ("1h", 10_000)] {
            assert_eq!(within(&endpoint(0, interval)), expected, "{interval}");
        }
        let two = endpoint(0, "1h") + &endpoint(1, "6s");
        assert_eq!(within(&two), 2000);
        assert_eq!(
            within(&format!("[history]\ncommit_within = \"30s\"\n{two}")),
            30_000
        );
        let many: String = (0..4000).map(|n| endpoint(n, "1h")).collect();
        assert_eq!(within(&many), 5000);
    }
}
