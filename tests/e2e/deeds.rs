//! Deeds that need neither key nor file: after an outage the config is changed, and no figure of the time before gets better in silence.

use super::cli::probity;
use super::daemon::{Daemon, Switch, http};
use super::makeup::{after_an_outage, figures, month, proven, reload};
use super::serve::{answering, ok};

/// Where the two endpoints are: one that fails when it is told to, and one that answers.
#[derive(Clone, Copy)]
struct Ports {
    web: u16,
    steady: u16,
}

/// A probe may take its time: nothing but what a test does is an outage.
const QUICK: &str = "[defaults]\ninterval = \"500ms\"\ntimeout = \"3s\"\nretry_interval = \"100ms\"\n";
const SHOP: &str = "[component.shop]\ntitle = \"Shop\"\n[component.spare]\n";
const CONTRACT: &str = "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"shop\"]\n";

fn endpoint(name: &str, component: &str, port: u16, more: &str) -> String {
    http(name, port).replace("probe.http", &format!("component = \"{component}\"\n{more}probe.http"))
}

fn both(ports: Ports) -> String {
    format!("{QUICK}{SHOP}{}{}", endpoint("web", "shop", ports.web, ""), endpoint("spare", "spare", ports.steady, ""))
}

/// What a deed leaves of the outage in the contract's figure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// All of it.
    Whole,
    /// Other terms count otherwise: a report says first that they came later.
    ByTheTerms,
}

struct Deed {
    name: &'static str,
    before: fn(Ports) -> String,
    /// Configs that are loaded one after the other.
    after: &'static [fn(Ports) -> String],
    left: Left,
    /// What "Changed in this period" has of it.
    told: &'static [&'static str],
}

fn usual(ports: Ports) -> String {
    both(ports) + CONTRACT
}

fn of_two(ports: Ports) -> String {
    both(ports) + &CONTRACT.replace("[\"shop\"]", "[\"shop\", \"spare\"]\ncombine = \"series\"")
}

fn weighted(web: &str, spare: &str, ports: Ports) -> String {
    let weights = format!("[\"shop\", \"spare\"]\ncombine = \"weighted\"\nweights = {{ shop = \"{web}\", spare = \"{spare}\" }}");
    both(ports) + &CONTRACT.replace("[\"shop\"]", &weights)
}

fn swapped(more: [&str; 2], ports: Ports) -> String {
    let endpoints = endpoint("web", "shop", ports.steady, more[0]) + &endpoint("spare", "spare", ports.web, more[1]);
    format!("{QUICK}{SHOP}{endpoints}{CONTRACT}")
}

/// The endpoint that fails and the one that answers under other names; each belongs to the component that the other had, but for the first.
fn named(web: &str, renamed_from: &str, spare: &str, ports: Ports) -> String {
    let of_web = if web == "away" { "shop" } else { "spare" };
    let of_spare = if spare == "spare" { "spare" } else { "shop" };
    let before = if renamed_from.is_empty() { String::new() } else { format!("renamed_from = \"{renamed_from}\"\n") };
    format!("{QUICK}{SHOP}{}{}{CONTRACT}", endpoint(web, of_web, ports.web, &before), endpoint(spare, of_spare, ports.steady, ""))
}

const DEEDS: [Deed; 16] = [
    Deed { name: "two endpoints swap what they probe", before: usual, after: &[|p| swapped(["", ""], p)], left: Left::Whole, told: &["definition"] },
    Deed {
        name: "two endpoints swap names",
        before: usual,
        after: &[|p| named("away", "web", "spare", p), |p| named("away", "", "web\"\nrenamed_from = \"spare", p), |p| named("spare", "away", "web", p)],
        left: Left::Whole,
        told: &["joined", "left"],
    },
    Deed {
        name: "the endpoint moves and another takes its place",
        before: usual,
        after: &[|p| format!("{QUICK}{SHOP}{}{}{CONTRACT}", endpoint("web", "spare", p.web, ""), endpoint("spare", "shop", p.steady, ""))],
        left: Left::Whole,
        told: &["joined", "left"],
    },
    Deed {
        name: "the endpoint goes and comes again",
        before: usual,
        after: &[|p| format!("{QUICK}{SHOP}{}{CONTRACT}", endpoint("spare", "shop", p.steady, "")), usual],
        left: Left::Whole,
        told: &["back_in_service", "joined", "left", "out_of_service"],
    },
    Deed {
        name: "the endpoint is renamed",
        before: usual,
        after: &[|p| usual(p).replace("name = \"web\"", "name = \"shop-web\"\nrenamed_from = \"web\"")],
        left: Left::Whole,
        told: &[],
    },
    Deed {
        name: "the endpoint goes, and one of another name is there",
        before: usual,
        after: &[|p| usual(p).replace("name = \"web\"", "name = \"web-2\"")],
        left: Left::Whole,
        told: &["out_of_service"],
    },
    Deed {
        name: "it takes longer to confirm",
        before: usual,
        after: &[|p| usual(p).replace("[defaults]", "[defaults]\ndown_after = 5").replace("500ms", "900ms")],
        left: Left::Whole,
        told: &["cadence"],
    },
    Deed {
        name: "a window that began before the outage",
        before: usual,
        after: &[|p| {
            let every = "every = [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\", \"Sat\", \"Sun\"]";
            usual(p) + "[[maintenance]]\nid = \"w\"\ncomponents = [\"shop\"]\nstart = \"2020-01-01T00:00\"\nduration = \"1d\"\nreason = \"x\"\n" + every + "\n"
        }],
        left: Left::Whole,
        told: &[],
    },
    Deed {
        name: "a group of its own with another cadence",
        before: usual,
        after: &[|p| {
            let group = format!(
                "[group.api]\ncomponent = \"shop\"\ninterval = \"900ms\"\nprobe.http.redirects = 3\n[group.api.targets]\nweb = \"http://127.0.0.1:{}/\"\n",
                p.web
            );
            format!("{QUICK}{SHOP}{}{group}{CONTRACT}", endpoint("spare", "spare", p.steady, ""))
        }],
        left: Left::Whole,
        told: &["cadence"],
    },
    Deed { name: "the contract is renamed", before: usual, after: &[|p| usual(p).replace("[sla.s]", "[sla.t]")], left: Left::Whole, told: &["terms"] },
    Deed { name: "another fee", before: usual, after: &[|p| usual(p) + "fee = \"1.00\"\ncurrency = \"EUR\"\n"], left: Left::Whole, told: &["terms"] },
    Deed { name: "another time zone", before: usual, after: &[|p| usual(p) + "time_zone = \"Europe/Helsinki\"\n"], left: Left::Whole, told: &["terms"] },
    Deed {
        name: "one component is dropped",
        before: of_two,
        after: &[|p| both(p) + &CONTRACT.replace("shop", "spare")],
        left: Left::ByTheTerms,
        told: &["terms"],
    },
    Deed { name: "short outages do not count", before: usual, after: &[|p| usual(p) + "min_outage = \"1h\"\n"], left: Left::ByTheTerms, told: &["terms"] },
    Deed { name: "other weights", before: |p| weighted("0.9", "0.1", p), after: &[|p| weighted("0.1", "0.9", p)], left: Left::Whole, told: &["terms"] },
    Deed {
        name: "the contract goes and comes again otherwise",
        before: usual,
        after: &[both, |p| usual(p) + "min_outage = \"1h\"\n"],
        left: Left::ByTheTerms,
        told: &["terms"],
    },
];

async fn done(deed: &Deed) {
    let (directory, switch) = (tempfile::tempdir().expect("a directory"), Switch::new().await);
    let ports = Ports { web: switch.port, steady: answering(ok("", b"")).await };
    let daemon = Daemon::start(directory.path(), &(deed.before)(ports)).await;
    daemon.until_state("spare", "up").await;
    let outage = after_an_outage(&daemon, &switch, "web").await;
    daemon.until(|d| async move { figures(d, "shop").await["down_ms"].as_u64() >= Some(outage) }).await;
    let down = figures(&daemon, "shop").await["down_ms"].as_u64().expect("a number");
    for text in deed.after {
        reload(&daemon, &text(ports)).await;
        // What settles after it is not before it.
        let now = probity::outward::clock::Clock::Real.read().utc_ms;
        daemon.until(|d| async move { settled(d).await > now }).await;
    }
    let (report, shown) = proven(directory.path());
    let result = &report["evaluation"]["results"][0];
    let told: std::collections::BTreeSet<&str> = report["changed"].as_array().into_iter().flatten().filter_map(|c| c["what"].as_str()).collect();
    let missing: Vec<_> = deed.told.iter().filter(|what| !told.contains(*what)).collect();
    assert!(missing.is_empty(), "{}: no {missing:?} in {}", deed.name, report["changed"]);
    let left = if deed.left == Left::Whole { down } else { 0 };
    assert_eq!(result["down_ms"], left, "{}: {result}", deed.name);
    let comes_later = "Judged by terms that were recorded after the period began";
    let head = shown.lines().find(|line| !line.is_empty() && !line.starts_with('#')).expect("a first line");
    assert_eq!(head.starts_with(comes_later), deed.told.contains(&"terms"), "{}: {head}", deed.name);
}

/// Up to when all that is in service is settled.
async fn settled(daemon: &Daemon) -> i64 {
    let timeline = daemon.json("/api/v1/timeline").await;
    timeline["to"].as_str().and_then(probity::words::parse_utc).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_of_config_makes_the_past_better_in_silence() {
    // A few at a time: each has a daemon of its own.
    let mut failed = Vec::new();
    for some in DEEDS.chunks(4) {
        let all: Vec<_> = some.iter().map(|deed| (deed.name, tokio::spawn(done(deed)))).collect();
        for (name, one) in all {
            failed.extend(one.await.err().map(|_| name));
        }
    }
    assert_eq!(failed, [""; 0]);
}

/// Deeds while it is down: what is done ends the outage at most, and begins time of which nothing is measured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_while_it_is_down_hides_nothing_that_was() {
    for moves in [true, false] {
        let (directory, switch) = (tempfile::tempdir().expect("a directory"), Switch::new().await);
        let ports = Ports { web: switch.port, steady: answering(ok("", b"")).await };
        let daemon = Daemon::start(directory.path(), &usual(ports)).await;
        daemon.until_state("web", "up").await;
        switch.set(500);
        daemon.until_state("web", "down").await;
        daemon.until(|d| async move { figures(d, "shop").await["down_ms"].as_u64() > Some(1000) }).await;
        let before = figures(&daemon, "shop").await["down_ms"].as_u64();
        let changed = if moves { usual(ports).replace("component = \"shop\"", "component = \"spare\"") } else { swapped(["", ""], ports) };
        reload(&daemon, &changed.replace("[sla.s]", "[sla.s]\nmin_coverage = \"1\"")).await;
        let now = probity::outward::clock::Clock::Real.read().utc_ms;
        daemon.until(|d| async move { settled(d).await > now }).await;
        let (report, _) = proven(directory.path());
        let result = &report["evaluation"]["results"][0];
        assert!(result["down_ms"].as_u64() >= before, "moves: {moves}: {result}");
        assert_eq!(result["left_while_down_ms"].as_u64() > Some(0), moves, "{result}");
        let what = if moves { "left" } else { "definition" };
        assert!(report["changed"].as_array().into_iter().flatten().any(|c| c["what"] == what), "{}", report["changed"]);
    }
}

/// A version that is in force from today on judges no period that began before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_begins_after_the_outage_judges_no_period_of_before() {
    let (directory, switch) = (tempfile::tempdir().expect("a directory"), Switch::new().await);
    let ports = Ports { web: switch.port, steady: answering(ok("", b"")).await };
    let daemon = Daemon::start(directory.path(), &usual(ports)).await;
    after_an_outage(&daemon, &switch, "web").await;
    let tomorrow = &probity::words::format_utc(probity::outward::clock::Clock::Real.read().utc_ms + 86_400_000)[..10];
    reload(&daemon, &(usual(ports) + &format!("valid_from = \"{tomorrow}\"\n"))).await;
    let config = directory.path().join("probity.toml");
    let output = probity(&["sla", "report", "--provisional", "--period", &month(), "--config", config.to_str().expect("UTF-8")]);
    assert_eq!((output.status.success(), output.stdout.len()), (false, 0), "{}", String::from_utf8_lossy(&output.stdout));
}
