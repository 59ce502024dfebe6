//! Manipulations that need neither key nor file: after an outage the config is changed, and no
//! figure of the time before gets better in silence.

use super::cli::probity;
use super::component_history::{
    after_an_outage, figures, month, proven, proven_of, reload, settled, settled_for,
};
use super::daemon::{Daemon, Switch, http};
use super::serve::{answering, ok};

/// Where the two endpoints are: one that fails when it is told to, and one that answers.
#[derive(Clone, Copy)]
struct Ports {
    web: u16,
    steady: u16,
}

/// A probe may take its time: nothing but what a test does is an outage.
const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"3s\"\nretry_interval = \"100ms\"\n";
const SHOP: &str = "[component.shop]\ntitle = \"Shop\"\n[component.spare]\n";
const CONTRACT: &str = "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"shop\"]\n";

fn endpoint(name: &str, component: &str, port: u16, more: &str) -> String {
    http(name, port).replace(
        "probe.http",
        &format!("component = \"{component}\"\n{more}probe.http"),
    )
}

fn both(ports: Ports) -> String {
    format!(
        "{QUICK}{SHOP}{}{}",
        endpoint("web", "shop", ports.web, ""),
        endpoint("spare", "spare", ports.steady, "")
    )
}

/// What the later terms leave of the outage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Whole,
    Nothing,
}

struct Manipulation {
    name: &'static str,
    before: fn(Ports) -> String,
    /// Configs that are loaded one after the other.
    after: &'static [fn(Ports) -> String],
    /// What is left of it by the terms that came later.
    after_terms: Option<Left>,
    /// What "Changed in this period" has of it.
    told: &'static [&'static str],
}

fn usual(ports: Ports) -> String {
    both(ports) + CONTRACT
}

/// Another component with an endpoint of its own.
fn store(ports: Ports) -> String {
    format!(
        "[component.store]\n{}",
        endpoint("fresh", "store", ports.steady, "")
    )
}

fn of_two(ports: Ports) -> String {
    both(ports) + &CONTRACT.replace("[\"shop\"]", "[\"shop\", \"spare\"]\ncombine = \"series\"")
}

fn weighted(web: &str, spare: &str, ports: Ports) -> String {
    let weights = format!(
        "[\"shop\", \"spare\"]\ncombine = \"weighted\"\nweights = {{ shop = \"{web}\", spare \
            = \"{spare}\" }}"
    );
    both(ports) + &CONTRACT.replace("[\"shop\"]", &weights)
}

fn swapped(more: [&str; 2], ports: Ports) -> String {
    let endpoints = endpoint("web", "shop", ports.steady, more[0])
        + &endpoint("spare", "spare", ports.web, more[1]);
    format!("{QUICK}{SHOP}{endpoints}{CONTRACT}")
}

/// The endpoint that fails and the one that answers under other names; each belongs to the
/// component that the other had, but for the first.
fn named(web: &str, renamed_from: &str, spare: &str, ports: Ports) -> String {
    let of_web = if web == "away" { "shop" } else { "spare" };
    let of_spare = if spare == "spare" { "spare" } else { "shop" };
    let before = if renamed_from.is_empty() {
        String::new()
    } else {
        format!("renamed_from = \"{renamed_from}\"\n")
    };
    format!(
        "{QUICK}{SHOP}{}{}{CONTRACT}",
        endpoint(web, of_web, ports.web, &before),
        endpoint(spare, of_spare, ports.steady, "")
    )
}

/// A zone in which it is the same month as in UTC: hours before its end, a zone to the west.
fn of_the_same_month() -> &'static str {
    let now = jiff::Timestamp::now();
    let month = |at| jiff::tz::TimeZone::UTC.to_datetime(at).month();
    let soon = now + jiff::SignedDuration::from_hours(3);
    if month(now) == month(soon) {
        "Europe/Helsinki"
    } else {
        "Atlantic/Azores"
    }
}

const MANIPULATIONS: [Manipulation; 22] = [
    Manipulation {
        name: "two endpoints swap what they probe",
        before: usual,
        after: &[|p| swapped(["", ""], p)],
        after_terms: None,
        told: &["definition"],
    },
    Manipulation {
        name: "two endpoints swap names",
        before: usual,
        after: &[
            |p| named("away", "web", "spare", p),
            |p| named("away", "", "web\"\nrenamed_from = \"spare", p),
            |p| named("spare", "away", "web", p),
        ],
        after_terms: None,
        told: &["joined", "left"],
    },
    Manipulation {
        name: "the endpoint moves and another takes its place",
        before: usual,
        after: &[|p| {
            format!(
                "{QUICK}{SHOP}{}{}{CONTRACT}",
                endpoint("web", "spare", p.web, ""),
                endpoint("spare", "shop", p.steady, "")
            )
        }],
        after_terms: None,
        told: &["joined", "left"],
    },
    Manipulation {
        name: "the endpoint goes and comes again",
        before: usual,
        after: &[
            |p| {
                format!(
                    "{QUICK}{SHOP}{}{CONTRACT}",
                    endpoint("spare", "shop", p.steady, "")
                )
            },
            usual,
        ],
        after_terms: None,
        told: &["back_in_service", "joined", "left", "out_of_service"],
    },
    Manipulation {
        name: "the endpoint is renamed",
        before: usual,
        after: &[|p| {
            usual(p).replace(
                "name = \"web\"",
                "name = \"shop-web\"\nrenamed_from = \"web\"",
            )
        }],
        after_terms: None,
        told: &[],
    },
    Manipulation {
        name: "the endpoint goes, and one of another name is there",
        before: usual,
        after: &[|p| usual(p).replace("name = \"web\"", "name = \"web-2\"")],
        after_terms: None,
        told: &["out_of_service"],
    },
    Manipulation {
        name: "it takes longer to confirm",
        before: usual,
        after: &[|p| {
            usual(p)
                .replace("[defaults]", "[defaults]\ndown_after = 5")
                .replace("500ms", "900ms")
        }],
        after_terms: None,
        told: &["cadence"],
    },
    Manipulation {
        name: "a window that began before the outage",
        before: usual,
        after: &[|p| {
            let every = "every = [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\", \"Sat\", \"Sun\"]";
            usual(p)
                + "[[maintenance]]\nid = \"w\"\ncomponents = [\"shop\"]\nstart \
                    = \"2020-01-01T00:00\"\nduration = \"1d\"\nreason = \"x\"\n"
                + every
                + "\n"
        }],
        after_terms: None,
        told: &[],
    },
    Manipulation {
        name: "a group of its own with another cadence",
        before: usual,
        after: &[|p| {
            let group = format!(
                "[group.api]\ncomponent = \"shop\"\ninterval = \"900ms\"\nprobe.http.redirects = \
                    3\n[group.api.targets]\nweb = \"http://127.0.0.1:{}/\"\n",
                p.web
            );
            format!(
                "{QUICK}{SHOP}{}{group}{CONTRACT}",
                endpoint("spare", "spare", p.steady, "")
            )
        }],
        after_terms: None,
        told: &["cadence"],
    },
    Manipulation {
        name: "the contract is renamed",
        before: usual,
        after: &[|p| usual(p).replace("[sla.s]", "[sla.t]")],
        after_terms: Some(Left::Whole),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "another fee",
        before: usual,
        after: &[|p| usual(p) + "fee = \"1.00\"\ncurrency = \"EUR\"\n"],
        after_terms: Some(Left::Whole),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "another time zone",
        before: usual,
        after: &[|p| usual(p) + &format!("time_zone = \"{}\"\n", of_the_same_month())],
        after_terms: Some(Left::Whole),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "one component is dropped",
        before: of_two,
        after: &[|p| both(p) + &CONTRACT.replace("shop", "spare")],
        after_terms: Some(Left::Nothing),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "short outages do not count",
        before: usual,
        after: &[|p| usual(p) + "min_outage = \"1h\"\n"],
        after_terms: Some(Left::Nothing),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "other weights",
        before: |p| weighted("0.9", "0.1", p),
        after: &[|p| weighted("0.1", "0.9", p)],
        after_terms: Some(Left::Whole),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "the contract goes and comes again otherwise",
        before: usual,
        after: &[both, |p| usual(p) + "min_outage = \"1h\"\n"],
        after_terms: Some(Left::Nothing),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "a lower objective",
        before: usual,
        after: &[|p| usual(p).replace("99.9", "50")],
        after_terms: Some(Left::Whole),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "the contract gets another name, and short outages do not count",
        before: usual,
        after: &[|p| usual(p).replace("[sla.s]", "[sla.t]") + "min_outage = \"1h\"\n"],
        after_terms: Some(Left::Nothing),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "a version that is said to be in force since long ago",
        before: usual,
        after: &[|p| {
            let both = CONTRACT.replace("[sla.s]", "[[sla.s]]");
            format!(
                "{}{both}{both}valid_from = \"2020-01-01\"\nmin_outage = \"1h\"\n",
                self::both(p)
            )
        }],
        after_terms: Some(Left::Nothing),
        told: &["terms_changed"],
    },
    Manipulation {
        name: "slices of which no results are recorded",
        before: usual,
        after: &[|p| usual(p) + "measure = { slices = \"1m\", down_if = \"all_fail\" }\n"],
        after_terms: None,
        told: &["terms_changed"],
    },
    Manipulation {
        name: "service hours that leave it out",
        before: usual,
        after: &[|p| {
            usual(p) + "service_hours = { days = [\"Mon\"], from = \"03:00\", to = \"03:01\" }\n"
        }],
        after_terms: None,
        told: &["terms_changed"],
    },
    Manipulation {
        name: "the contract names the spare component",
        before: usual,
        after: &[|p| usual(p).replace("[\"shop\"]", "[\"spare\"]")],
        after_terms: Some(Left::Nothing),
        told: &["terms_changed"],
    },
];

/// In two steps, so that the component is another's for a while.
const TWO_STEPS: Manipulation = Manipulation {
    name: "the contract names a component that a fresh endpoint filled before the old one came",
    before: usual,
    after: &[
        |p| usual(p) + &store(p),
        |p| {
            (usual(p) + &store(p))
                .replace("component = \"shop\"", "component = \"store\"")
                .replace("[\"shop\"]", "[\"store\"]")
        },
    ],
    after_terms: Some(Left::Nothing),
    told: &["joined", "left", "terms_changed"],
};

/// `apart_ms`: how much time is settled before each step.
async fn done(manipulation: &Manipulation, apart_ms: Option<i64>) {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let ports = Ports {
        web: switch.port,
        steady: answering(ok("", b"")).await,
    };
    let daemon = Daemon::start(directory.path(), &(manipulation.before)(ports)).await;
    daemon.until_state("spare", "up").await;
    let outage = after_an_outage(&daemon, &switch, "web").await;
    daemon
        .until(|d| async move { figures(d, "shop").await["down_ms"].as_u64() >= Some(outage) })
        .await;
    let down = figures(&daemon, "shop").await["down_ms"]
        .as_u64()
        .expect("a number");
    for text in manipulation.after {
        if let Some(ms) = apart_ms {
            settled_for(&daemon, ms).await;
        }
        reload(&daemon, &text(ports)).await;
        // What settles after it is not before it.
        settled(&daemon).await;
    }
    let (report, shown) = proven(directory.path());
    let result = &report["evaluation"]["results"][0];
    let told: std::collections::BTreeSet<&str> = report["changed"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| c["what"].as_str())
        .collect();
    let missing: Vec<_> = manipulation
        .told
        .iter()
        .filter(|what| !told.contains(*what))
        .collect();
    assert!(
        missing.is_empty(),
        "{}: no {missing:?} in {}",
        manipulation.name,
        report["changed"]
    );
    assert_eq!(result["down_ms"], down, "{}: {result}", manipulation.name);
    let (later, is_changed) = (
        &report["later_terms"],
        manipulation.told.contains(&"terms_changed"),
    );
    assert_eq!(
        (later.is_null(), told.contains("terms")),
        (!is_changed, false),
        "{}: {later}",
        manipulation.name
    );
    let comes_later = "Judged by the terms that were in force before they were changed";
    let head = shown
        .lines()
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .expect("a first line");
    assert_eq!(
        head.starts_with(comes_later),
        is_changed,
        "{}: {head}",
        manipulation.name
    );
    let after = later["evaluation"]["results"][0]["down_ms"].as_u64();
    assert!(
        manipulation
            .after_terms
            .is_none_or(|expected| after == Some(if expected == Left::Whole { down } else { 0 })),
        "{}: {later}",
        manipulation.name
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_of_config_makes_the_past_better_in_silence() {
    // A few at a time: each has a daemon of its own.
    let mut failed = Vec::new();
    for some in MANIPULATIONS.chunks(4) {
        let all: Vec<_> = some
            .iter()
            .map(|manipulation| (manipulation.name, tokio::spawn(done(manipulation, None))))
            .collect();
        for (name, one) in all {
            failed.extend(one.await.err().map(|_| name));
        }
    }
    assert_eq!(failed, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_others_filled_before_gives_the_contract_no_clean_past() {
    // What comes within five seconds comes at once.
    done(&TWO_STEPS, Some(5500)).await;
}

/// Manipulations while it is down: what is done ends the outage at most, and begins time of which
/// nothing is measured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_while_it_is_down_hides_nothing_that_was() {
    for moves in [true, false] {
        let (directory, switch) = (
            tempfile::tempdir().expect("a directory"),
            Switch::new().await,
        );
        let ports = Ports {
            web: switch.port,
            steady: answering(ok("", b"")).await,
        };
        let daemon = Daemon::start(directory.path(), &usual(ports)).await;
        daemon.until_state("web", "up").await;
        switch.set(500);
        daemon.until_state("web", "down").await;
        daemon
            .until(|d| async move { figures(d, "shop").await["down_ms"].as_u64() > Some(1000) })
            .await;
        let before = figures(&daemon, "shop").await["down_ms"].as_u64();
        let changed = if moves {
            usual(ports).replace("component = \"shop\"", "component = \"spare\"")
        } else {
            swapped(["", ""], ports)
        };
        reload(
            &daemon,
            &changed.replace("[sla.s]", "[sla.s]\nmin_coverage = \"1\""),
        )
        .await;
        settled(&daemon).await;
        let (report, _) = proven(directory.path());
        let result = &report["evaluation"]["results"][0];
        assert!(
            result["down_ms"].as_u64() >= before,
            "moves: {moves}: {result}"
        );
        assert_eq!(
            result["left_while_down_ms"].as_u64() > Some(0),
            moves,
            "{result}"
        );
        let what = if moves { "left" } else { "definition" };
        assert!(
            report["changed"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|c| c["what"] == what),
            "{}",
            report["changed"]
        );
    }
}

/// A version that is in force from tomorrow on judges no period that began before: the terms of
/// then do, whether they stay beside it or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_begins_after_the_outage_judges_no_period_of_before() {
    for stays in [false, true] {
        let (directory, switch) = (
            tempfile::tempdir().expect("a directory"),
            Switch::new().await,
        );
        let ports = Ports {
            web: switch.port,
            steady: answering(ok("", b"")).await,
        };
        let daemon = Daemon::start(directory.path(), &usual(ports)).await;
        let down = after_an_outage(&daemon, &switch, "web").await;
        let tomorrow = &probity::words::format_utc(
            probity::net::clock::Clock::Real.read().utc_ms + 86_400_000,
        )[..10];
        let version = |more: &str| CONTRACT.replace("[sla.s]", "[[sla.s]]") + more;
        let later = version(&format!(
            "valid_from = \"{tomorrow}\"\nmin_outage = \"1h\"\n"
        ));
        let before = if stays { version("") } else { String::new() };
        reload(&daemon, &format!("{}{before}{later}", both(ports))).await;
        daemon
            .until(|d| async move { figures(d, "shop").await["down_ms"] == down })
            .await;
        let (report, _) = proven(directory.path());
        assert_eq!(
            report["evaluation"]["results"][0]["down_ms"], down,
            "{report}"
        );
        let what: Vec<&str> = report["changed"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|c| c["what"].as_str())
            .collect();
        let shown = daemon.json("/api/v1/sla").await["contracts"][0].clone();
        assert_eq!(
            (&shown["which"], &shown["results"][0]["down_ms"]),
            (&"current".into(), &down.into()),
            "{shown}"
        );
        if stays {
            assert_eq!(
                (&report["later_terms"], &what[..]),
                (&serde_json::Value::Null, &[][..]),
                "{report}"
            );
        } else {
            let why = report["later_terms"]["evaluation"]["why"]
                .as_str()
                .expect("why there is no verdict");
            assert!(
                why.starts_with("no version of the contract `s` is in force")
                    && what == ["terms_changed"],
                "{why} {what:?}"
            );
            assert_eq!(shown["later_terms"]["evaluation"]["why"], why, "{shown}");
        }
    }
}

/// A version for next month that was recorded before the one for this month is no other terms of
/// this month's report.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_for_later_that_was_recorded_first_judges_nothing_of_now() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let ports = Ports {
        web: switch.port,
        steady: answering(ok("", b"")).await,
    };
    let tomorrow =
        &probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms + 86_400_000)
            [..10];
    let version = |more: &str| CONTRACT.replace("[sla.s]", "[[sla.s]]") + more;
    let later = version(&format!(
        "valid_from = \"{tomorrow}\"\nmin_outage = \"1h\"\n"
    ));
    let daemon = Daemon::start(directory.path(), &format!("{}{later}", both(ports))).await;
    let down = after_an_outage(&daemon, &switch, "web").await;
    reload(&daemon, &format!("{}{}{later}", both(ports), version(""))).await;
    daemon
        .until(|d| async move { figures(d, "shop").await["down_ms"] == down })
        .await;
    let (report, _) = proven(directory.path());
    assert_eq!(
        (
            &report["evaluation"]["results"][0]["down_ms"],
            &report["later_terms"]
        ),
        (&down.into(), &serde_json::Value::Null),
        "{report}"
    );
}

/// A tenant that is added changes nothing of what the terms say of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_is_added_is_in_the_report_of_all() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let ports = Ports {
        web: switch.port,
        steady: answering(ok("", b"")).await,
    };
    let tenant =
        |name: &str| format!("[[tenant]]\nname = \"{name}\"\nsla = \"s\"\nfee = \"1.00\"\n");
    let text = |tenants: &[&str]| {
        format!(
            "{}currency = \"EUR\"\n{}",
            usual(ports),
            tenants.iter().map(|name| tenant(name)).collect::<String>()
        )
    };
    let daemon = Daemon::start(directory.path(), &text(&["B"])).await;
    let down = after_an_outage(&daemon, &switch, "web").await;
    reload(&daemon, &text(&["A", "B", "C"])).await;
    daemon
        .until(|d| async move { figures(d, "shop").await["down_ms"] == down })
        .await;
    let (report, _) = proven(directory.path());
    let whose: Vec<&str> = report["evaluation"]["results"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|r| r["tenant"].as_str())
        .collect();
    assert_eq!(whose, ["A", "B", "C"], "{report}");
    assert_eq!(
        (&report["later_terms"], &report["changed"]),
        (&serde_json::Value::Null, &serde_json::json!([])),
        "{report}"
    );
    assert_eq!(
        daemon.json("/api/v1/sla").await["contracts"][0]["changed"],
        serde_json::json!([])
    );
    // One that leaves is still owed what this period is.
    reload(&daemon, &text(&["A", "C"])).await;
    settled(&daemon).await;
    let (report, _) = proven(directory.path());
    let whose = |e: &serde_json::Value| -> Vec<String> {
        e["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|r| Some(r["tenant"].as_str()?.to_owned()))
            .collect()
    };
    assert_eq!(
        (
            whose(&report["evaluation"]),
            whose(&report["later_terms"]["evaluation"])
        ),
        (vec!["B".to_owned()], vec!["A".to_owned(), "C".to_owned()]),
        "{report}"
    );
    // It has its own report as well, by the terms that it had.
    reload(&daemon, &text(&["A", "C"]).replace("99.9", "50")).await;
    settled(&daemon).await;
    let (report, _) = proven_of(directory.path(), &["--tenant", "B"]);
    let own = &report["evaluation"];
    assert_eq!(
        (
            whose(own),
            &own["results"][0]["down_ms"],
            &own["objective_percent"]
        ),
        (vec!["B".to_owned()], &down.into(), &"99.9".into()),
        "{report}"
    );
}

/// What a report of the present month says of terms, page and API say as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_and_api_say_of_terms_what_the_report_says() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let ports = Ports {
        web: switch.port,
        steady: answering(ok("", b"")).await,
    };
    // Terms that come later than the first config.
    let daemon = Daemon::start(directory.path(), &both(ports)).await;
    daemon.until_state("spare", "up").await;
    let down = after_an_outage(&daemon, &switch, "web").await;
    reload(&daemon, &usual(ports)).await;
    daemon
        .until(|d| async move { figures(d, "shop").await["down_ms"] == down })
        .await;
    let said = |report: &serde_json::Value| -> Vec<(String, String)> {
        let text =
            |c: &serde_json::Value, key: &str| c[key].as_str().unwrap_or_default().to_owned();
        report["changed"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| (text(c, "what"), text(c, "at")))
            .collect()
    };
    let answer = || async {
        let all = daemon.json("/api/v1/sla").await;
        super::cli::checked(all.to_string().as_bytes());
        all["contracts"][0].clone()
    };
    let (shown, page) = (
        answer().await,
        daemon.get("/contracts").await.expect("a page"),
    );
    let (report, _) = proven(directory.path());
    assert_eq!(said(&shown), said(&report), "{shown}");
    assert_eq!(said(&shown)[0].0, "terms");
    assert_eq!(shown["terms_recorded_at"], report["terms_recorded_at"]);
    assert!(
        page.contains("terms recorded after the period started")
            && page.contains("by terms recorded"),
        "{page}"
    );
    assert!(!page.contains("terms changed"), "{page}");
    // Others after those, and another change beside them.
    let other = usual(ports).replace(
        "title = \"Shop\"",
        "title = \"Shop\"\ncombine = \"parallel\"",
    ) + "min_outage = \"1h\"\n";
    reload(&daemon, &other).await;
    settled(&daemon).await;
    let (shown, page) = (
        answer().await,
        daemon.get("/contracts").await.expect("a page"),
    );
    let (report, _) = proven(directory.path());
    assert_eq!(said(&shown), said(&report), "{shown}");
    assert_eq!(
        said(&shown)
            .into_iter()
            .map(|(what, _)| what)
            .collect::<Vec<_>>(),
        ["terms", "terms_changed", "combine"]
    );
    let by = |value: &serde_json::Value| value["results"][0]["down_ms"].as_u64();
    assert_eq!(
        (by(&shown), by(&shown["later_terms"]["evaluation"])),
        (Some(down), Some(0)),
        "{shown}"
    );
    assert_eq!(
        shown["later_terms"]["terms_recorded_at"],
        report["later_terms"]["terms_recorded_at"]
    );
    for words in [
        "terms changed",
        "by the terms before a change; by the later terms (of ",
        "undetermined → undetermined",
        "series → parallel",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let config = directory
        .path()
        .join("probity.toml")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let evaluated = |more: &[&str]| {
        probity(
            &[
                &["sla", "evaluate", "--config", &config, "--period", &month()],
                more,
            ]
            .concat(),
        )
    };
    let judged = super::cli::checked(&evaluated(&["--json"]).stdout);
    assert_eq!(
        (by(&judged), by(&judged["later_terms"]["evaluation"])),
        (Some(down), Some(0)),
        "{judged}"
    );
    let text = String::from_utf8_lossy(&evaluated(&[]).stdout).into_owned();
    assert!(
        text.starts_with(
            "judged by the terms that were in force before they were changed; by \
        the later terms: shop UNDETERMINED"
        ),
        "{text}"
    );
    // A file of contracts is judged as it is.
    let file = directory.path().join("contract.toml");
    std::fs::write(&file, CONTRACT.to_owned() + "min_outage = \"1h\"\n").expect("written");
    let of_file = super::cli::checked(
        &evaluated(&["--json", "--contract", file.to_str().expect("UTF-8")]).stdout,
    );
    assert_eq!(
        (by(&of_file), &of_file["later_terms"]),
        (Some(0), &serde_json::Value::Null),
        "{of_file}"
    );
    let metric = daemon
        .metric("probity_sla_outages{sla=\"s\",component=\"shop\",period=\"current\"}")
        .await;
    assert!((metric - 1.0).abs() < 1e-9, "{metric}");
    // Terms that name another component have no verdict on this one.
    reload(&daemon, &other.replace("[\"shop\"]", "[\"spare\"]")).await;
    answer().await;
    let page = daemon.get("/contracts").await.expect("a page");
    for words in [
        "no verdict on it",
        "undetermined → –",
        "– → undetermined",
        "s: spare",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

/// A report by the later terms, or without what they make of the period, does not follow from the
/// events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_by_other_terms_than_those_that_count_does_not_verify() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        Switch::new().await,
    );
    let ports = Ports {
        web: switch.port,
        steady: answering(ok("", b"")).await,
    };
    let daemon = Daemon::start(directory.path(), &usual(ports)).await;
    after_an_outage(&daemon, &switch, "web").await;
    reload(&daemon, &(usual(ports) + "min_outage = \"1h\"\n")).await;
    settled(&daemon).await;
    let (report, _) = proven(directory.path());
    let path = |name: &str| directory.path().join(name);
    let signer =
        probity::history::checkpoint::Signer::kept(&path("state")).expect("the daemon's key");
    let verified = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut forged = report.clone();
        change(&mut forged);
        let serde_json::Value::Object(mut object) = forged else {
            panic!("no object")
        };
        object.remove("key");
        std::fs::write(path("forged.json"), signer.signed(object).to_string()).expect("written");
        let [forged, journal] = ["forged.json", "journal.jsonl"]
            .map(|name| path(name).to_str().expect("UTF-8").to_owned());
        let output = probity(&["sla", "verify", &forged, "--events", &journal]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    assert_eq!(verified(&|_| {}).0, Some(0));
    let (code, said) = verified(&|r| {
        let later = r["later_terms"].take();
        for key in ["terms", "terms_salt", "terms_recorded_at", "evaluation"] {
            r[key] = later[key].clone();
        }
    });
    assert!(
        code == Some(1)
            && said.starts_with("terms: other terms of this contract were on record before these"),
        "{said}"
    );
    let (code, said) = verified(&|r| r["later_terms"] = serde_json::Value::Null);
    assert!(
        code == Some(1) && said.starts_with("later_terms: "),
        "{said}"
    );
    let (code, said) =
        verified(&|r| r["later_terms"]["evaluation"]["results"][0]["down_ms"] = 5.into());
    assert!(
        code == Some(1) && said.starts_with("later_terms.evaluation.results[0].down_ms: "),
        "{said}"
    );
    let (code, said) = verified(&|r| {
        r["changed"]
            .as_array_mut()
            .expect("a list")
            .retain(|c| c["what"] != "terms_changed")
    });
    assert!(code == Some(1) && said.starts_with("changed"), "{said}");
    let (code, said) = verified(&|r| {
        r["later_terms"]["terms"] = (r["later_terms"]["terms"]
            .as_str()
            .unwrap_or_default()
            .replace("1h", "2h"))
        .into()
    });
    assert!(
        code == Some(1) && said.starts_with("later_terms.terms_recorded_at: "),
        "{said}"
    );
}
