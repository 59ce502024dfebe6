//! Snapshots of what a running daemon shows: /metrics in both formats, API, page, status, and one
//! probe at a time.
//!
//! What depends on the moment (times, durations, ports, counts of probes) is taken out by name;
//! states, causes, labels, help and everything that is fixed stays. The figures of a known night
//! are asked from a daemon that goes on with it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::authority::{Authority, acceptor, https};
use super::cli::{checked, probity};
use super::daemon::{Daemon, write_config};
use super::program::program;
use super::recorded::{FROM, Recorded, TO, plain, pretty, snapshot, told};
use super::serve::{answering, client, closed_port, ok, stalling};

const QUICK: &str = "[defaults]\ninterval = \"1s\"\ntimeout = \"700ms\"\nretry_interval \
    = \"100ms\"\nlate_after = \"5s\"\n";

/// What a moment decides, in texts of a daemon and of probes.
const MOMENT: [(&str, &str); 7] = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z?", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"\b\d\d:\d\d:\d\d(\.\d{3})?\b", "CLOCK"),
    (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:PORT"),
    (r" *\b\d+(\.\d+)? ms", " DURATION"),
    (r"█+", "█"),
    (r"(?m)^(  [a-z_]+) +DURATION +█", "$1 DURATION █"),
];

/// Families whose values are the same in every run.
const FIXED: [&str; 11] = [
    "probity_endpoint_state",
    "probity_endpoint_info",
    "probity_endpoint_interval_seconds",
    "probity_endpoint_maintenance",
    "probity_endpoint_transitions_total",
    "probity_probe_http_status_code",
    "probity_tls_certificate_not_after_timestamp_seconds",
    "probity_endpoints",
    "probity_history_writable",
    "probity_config_last_reload_successful",
    "probity_vantage_info",
];

/// The page with values only where they are fixed, and without ports.
fn without_values(metrics: &str) -> String {
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((series, _)) if !line.starts_with('#') => {
            let name = series.split('{').next().unwrap_or_default();
            if FIXED.contains(&name) {
                line.to_owned()
            } else {
                format!("{series} _")
            }
        }
        _ => line.to_owned(),
    };
    plain(
        &metrics.lines().map(|l| line(l) + "\n").collect::<String>(),
        &MOMENT,
    )
}

/// Series by endpoint.
fn series(metrics: &str) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for line in metrics.lines().filter(|l| !l.starts_with('#')) {
        if let Some((_, rest)) = line.split_once("{endpoint=\"") {
            *count
                .entry(rest.split('"').next().unwrap_or_default().to_owned())
                .or_default() += 1;
        }
    }
    count
}

/// A daemon with an endpoint that is up, one with a certificate, and one that is down.
async fn three(directory: &std::path::Path, authority: &Authority, more: &str) -> Daemon {
    let plain = answering(ok("", b"hello")).await;
    let secured = https(acceptor(authority.leaf(|_| {}), &[])).await;
    let text = format!(
        "{more}{QUICK}[[endpoint]]\nname = \"web\"\ncomponent = \"shop\"\nlabels = {{ team \
            = \"shop\" }}\nprobe.http = \"http://127.0.0.1:{plain}/\"\n\
         [[endpoint]]\nname = \"web-tls\"\nprobe.http.url \
         = \"https://127.0.0.1:{secured}/\"\nprobe.http.tls.ca_file = \"{}\"\n\
         [[endpoint]]\nname = \"db\"\nprobe.tcp = \"127.0.0.1:{}\"\n\
         [component.shop]\ntitle = \"Shop\"\n",
        authority.ca_file().display(),
        closed_port()
    );
    let daemon = Daemon::start(directory, &text).await;
    daemon.until_state("web", "up").await;
    daemon.until_state("web-tls", "up").await;
    daemon.until_state("db", "down").await;
    // Until each has some settled time, and the outage is committed.
    for (name, state) in [("web", "up_ms"), ("web-tls", "up_ms"), ("db", "down_ms")] {
        daemon
            .until(|d| async move {
                d.endpoint(name).await["ledger"][state]
                    .as_u64()
                    .is_some_and(|ms| ms > 0)
            })
            .await;
    }
    daemon
}

async fn openmetrics(daemon: &Daemon) -> String {
    let request = client().get(format!("http://127.0.0.1:{}/metrics", daemon.port));
    let response = request
        .header("accept", "application/openmetrics-text; version=1.0.0")
        .send()
        .await
        .expect("answered");
    assert!(
        response.headers()["content-type"]
            .to_str()
            .is_ok_and(|t| t.starts_with("application/openmetrics-text; version=1.0.0"))
    );
    response.text().await.expect("a text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics() {
    let (directory, authority) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let contract = "[metrics]\nstate_labels = [\"team\"]\n[sla.standard]\nobjective \
        = \"99.9\"\ncomponents = [\"shop\"]\nmin_coverage = \"99\"\n";
    let daemon = three(directory.path(), &authority, contract).await;
    // Who asks for the contracts has them judged at once.
    checked(
        daemon
            .get("/api/v1/sla")
            .await
            .expect("answered")
            .as_bytes(),
    );
    let text = daemon.get("/metrics").await.expect("a page");
    snapshot("metrics", &without_values(&text));
    let open = openmetrics(&daemon).await;
    assert!(open.ends_with("# EOF\n"));
    // The same but for the names of families and bounds of buckets: what is left of the other's
    // lines is told.
    let lines = |text: &str| -> std::collections::BTreeSet<String> {
        without_values(text).lines().map(str::to_owned).collect()
    };
    let only: Vec<String> = lines(&open).difference(&lines(&text)).cloned().collect();
    snapshot("metrics_openmetrics", &only.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_has_the_number_of_series_that_was_promised() {
    let (directory, authority) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let daemon = three(directory.path(), &authority, "").await;
    let text = daemon.get("/metrics").await.expect("a page");
    let counted = series(&text);
    // On a full machine a handshake can take longer than its timeout: what failed once has series
    // of its own.
    let failed = |name: &str| {
        text.lines()
            .filter(|l| l.contains(&format!("endpoint=\"{name}\"")))
            .filter(|l| {
                [
                    "failures_total{",
                    "outcome=\"failure\"",
                    "outcome=\"timeout\"",
                ]
                .iter()
                .any(|of| l.contains(of))
            })
            .count()
    };
    assert_eq!(
        (
            counted["web"] - failed("web"),
            counted["web-tls"] - failed("web-tls")
        ),
        (47, 55),
        "at most 56, the eight of a certificate and its handshake among them"
    );
    let readme = std::fs::read_to_string("README.md").expect("there");
    let words: Vec<&str> = readme.split_whitespace().collect();
    assert!(
        words
            .join(" ")
            .contains("An http endpoint has 47 series by default, and 55 over TLS."),
        "the README says how many there are"
    );
    // What check says before is what is there: it counts an endpoint without failures.
    let others = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.contains("{endpoint=\""))
        .filter(|l| !l.starts_with("probity_component_"))
        .count();
    // Seven families of its component, over two months.
    let components = 7 * 2;
    let check = checked(
        &probity(&[
            "check",
            "--json",
            "--config",
            directory
                .path()
                .join("probity.toml")
                .to_str()
                .expect("UTF-8"),
        ])
        .stdout,
    );
    assert_eq!(
        check["implied"]["series"],
        47 + 55 + 46 + others + components
    );
    // Down: the open outage, its cause, and a histogram of failures; no latency of successes.
    assert_eq!(counted["db"], 46 - 3 + 1 + 1 + 18);
    drop(daemon);
    let fresh = tempfile::tempdir().expect("a directory");
    let daemon = three(fresh.path(), &authority, "[metrics]\nlatency = \"off\"\n").await;
    let counted = series(&daemon.get("/metrics").await.expect("a page"));
    assert_eq!(
        (counted["web"], counted["web-tls"]),
        (26, 34),
        "and so many without buckets"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_api_and_page() {
    let (directory, authority) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let contract = "[sla.standard]\nobjective = \"99.9\"\ncomponents = \
        [\"shop\", \"db\"]\nmin_coverage = \"99\"\nfee = \"1000.00\"\ncurrency = \"EUR\"\n";
    let daemon = three(directory.path(), &authority, contract).await;
    let judged = checked(
        daemon
            .get("/api/v1/sla")
            .await
            .expect("answered")
            .as_bytes(),
    );
    assert_eq!(
        judged["contracts"][0]["results"].as_array().map(Vec::len),
        Some(2)
    );
    let url = format!("http://127.0.0.1:{}", daemon.port);
    let status = || told(&probity(&["status", "--url", &url]));
    // Until some of the outage is final.
    daemon
        .until(|_| async { status().contains(" 0.00 %") })
        .await;
    snapshot("status", &plain(&status(), &MOMENT));
    // Who watches through a pipe ends it by leaving.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let watching = program()
        .args(["status", "--watch", "--url", &url])
        .stdout(writer)
        .status();
    assert_eq!(watching.expect("it ends").code(), Some(1));
    let mut value = checked(
        daemon
            .get("/api/v1/endpoints")
            .await
            .expect("answered")
            .as_bytes(),
    );
    for endpoint in value["endpoints"].as_array_mut().expect("a list") {
        numbers_out(endpoint, &["detection_bound_ms"]);
        // Which probe was the last, and what it found on its way, depends on the moment.
        endpoint["last"]["slot"] = Value::from("_");
    }
    snapshot("api_endpoints", &plain(&pretty(&value), &MOMENT));
    // The daemon judges its contracts now and then by itself, perhaps on a little less than what is
    // settled now.
    daemon
        .until(|d| async move {
            let _ = d.get("/api/v1/sla").await;
            let (page, contracts) = (d.get("/").await, d.get("/contracts").await);
            page.is_some_and(|page| !page.contains('–'))
                && contracts.is_some_and(|page| !page.contains('–'))
        })
        .await;
    let figures = [
        // What a bar and a chart show depends on the moment.
        (r"(?s)<svg class=.bar.*?</svg>", "<svg bar>"),
        (r"(?s)<svg class=.chart.*?</svg>", "<svg chart>"),
        (r"(?s)<svg class=.burn.*?</p>", "<svg burn>"),
        // Where the outage is long enough to be seen in the chart.
        (r" <i class=.outage.></i>down", ""),
        (r"(?s)<details>.*?</details>\n?", ""),
        // How long the certificate is valid yet.
        (r">\d+ d<", ">_ d<"),
        (r"(page\.(css|js))\?[0-9a-f]+", "$1?HASH"),
        (r"<dd( class=.\w*.)?>[^<]*</dd>", "<dd$1>_</dd>"),
        // Of the host.
        (
            r"<dt>(Clock|Trust store)</dt><dd class=.\w*.>",
            "<dt>$1</dt><dd>",
        ),
        (r"<dd>[^<]*<span", "<dd>_<span"),
        (r"<b>[^<]*</b>", "<b>_</b>"),
        (r"[\d.]+ ms at the top", "_ at the top"),
        (r"\d+-\d+-\d+ \d+:\d\d\b", "TIME"),
        (
            r"longest [^,<]+, mean time to recover [^,<]+, between failures [^<]+<",
            "longest _, mean time to recover _, between failures _<",
        ),
        // Of the budget of a month that may end today: even milliseconds, or more than there is.
        (r">[^<>]* left until \w+<", ">_ left<"),
        (r">exceeded by [^<>]*<", ">_ left<"),
        // The budget of what is left of the month: it is short on the last day.
        (
            r"(\d+ h )?(\d+ m )?(\d+(\.\d+)? s|\d+ m|\d+ h)<span",
            "_ s<span",
        ),
        (r"-?\d+(\.\d+)? (…|%)", "_ $2"),
        (r"points=.[\d, ]+.", "points=_"),
        (r"\d+h\d\S*", "_"),
        (r"\d+(\.\d+)? s\b", "_ s"),
        // A daemon of some seconds has measured more or less than half of them.
        (
            "<span class=\"soft\">less than half of the service time was measured</span>",
            "",
        ),
        (r"\d{4}-\d\d", "MONTH"),
    ];
    for (name, path) in [
        ("page", "/"),
        ("page_endpoint", "/endpoints/web-tls?span=day"),
        ("page_contracts", "/contracts"),
        ("page_prober", "/prober"),
    ] {
        let page = daemon.get(path).await.expect("a page");
        snapshot(name, &plain(&plain(&page, &MOMENT), &figures));
    }
    let unknown = daemon.get("/?sort=size").await;
    assert_eq!(
        unknown.as_deref(),
        Some(
            "sort: unknown value `size`; allowed: problems, name, component, since, latency, \
            certificate\n"
        )
    );
    let checkpoint: Value =
        serde_json::from_str(&daemon.get("/checkpoint").await.expect("answered")).expect("JSON");
    let keys: Vec<&String> = checkpoint.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["chain", "head", "key", "seq", "signature", "time"]);
}

/// Puts `_` for every number but those under these keys.
fn numbers_out(value: &mut Value, but: &[&str]) {
    match value {
        Value::Object(map) => map
            .iter_mut()
            .filter(|(key, _)| !but.contains(&key.as_str()))
            .for_each(|(_, v)| numbers_out(v, but)),
        Value::Array(list) => list.iter_mut().for_each(|v| numbers_out(v, but)),
        Value::Number(_) => *value = Value::from("_"),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_goes_on_with_a_night_tells_it_as_the_commands_do() {
    let recorded = Recorded::new();
    let night = ["--from", FROM, "--to", TO];
    let before = |args: &[&str]| checked(&recorded.probity(args).stdout);
    let (timeline, outages) = (
        before(&[&["export", "timeline"], &night[..]].concat()),
        before(&["history", "list", "--json"]),
    );
    let evaluated = before(&["sla", "evaluate", "--period", TO, "--json"]);
    let daemon = Daemon::start(recorded.path(), &recorded.endpoints()).await;
    let told = checked(
        daemon
            .get(&format!("/api/v1/timeline?from={FROM}&to={TO}"))
            .await
            .expect("answered")
            .as_bytes(),
    );
    assert_eq!(told, timeline);
    // What the daemon has seen itself since is newer.
    let listed = checked(
        daemon
            .get("/api/v1/outages")
            .await
            .expect("answered")
            .as_bytes(),
    );
    let old = |list: &Value| -> Vec<Value> {
        list["outages"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|o| o["from"].as_str().is_some_and(|from| from < "2025-04"))
            .cloned()
            .collect()
    };
    assert_eq!((old(&listed).len(), old(&listed)), (4, old(&outages)));
    let url = format!("http://127.0.0.1:{}", daemon.port);
    assert_eq!(
        before(&["sla", "evaluate", "--period", TO, "--json", "--url", &url]),
        evaluated
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_probe() {
    let directory = tempfile::tempdir().expect("a directory");
    let (up, hangs) = (
        answering(ok("content-type: text/plain\r\n", b"hello")).await,
        stalling(b"").await,
    );
    let text = format!(
        "[[endpoint]]\nname = \"up\"\nprobe.http.url \
            = \"http://127.0.0.1:{up}/\"\nprobe.http.expect.body.contains \
            = \"hello\"\nprobe.http.expect.headers = {{ content-type = \"text/plain\" }}\n\
         [[endpoint]]\nname = \"differs\"\nprobe.http.url \
         = \"http://127.0.0.1:{up}/\"\nprobe.http.expect.status = \
         204\nprobe.http.expect.body.contains = \"good\"\n\
         [[endpoint]]\nname = \"hangs\"\ntimeout = \"200ms\"\nprobe.http \
         = \"http://127.0.0.1:{hangs}/\"\n\
         [[endpoint]]\nname = \"refused\"\nprobe.tcp = \"127.0.0.1:{}\"\n\
         [[endpoint]]\nname = \"unmeasured\"\nsource_address = \"192.0.2.10\"\nprobe.tcp \
         = \"127.0.0.1:1\"\n",
        closed_port()
    );
    let config = write_config(directory.path(), 1, &text);
    let config = config.to_str().expect("UTF-8");
    let mut out = String::new();
    for name in ["up", "differs", "hangs", "refused", "unmeasured"] {
        out += &format!(
            "$ probity probe {name}\n{}\n",
            told(&probity(&["probe", name, "--config", config]))
        );
        checked(&probity(&["probe", name, "--config", config, "--json"]).stdout);
    }
    for target in [
        "nobody",
        "gopher://x",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:99999",
    ] {
        out += &format!(
            "$ probity probe {target}\n{}\n",
            told(&probity(&["probe", target, "--config", config]))
        );
    }
    snapshot("probe", &plain(&out, &MOMENT));
    let mut value = checked(&probity(&["probe", "differs", "--config", config, "--json"]).stdout);
    numbers_out(&mut value["phases_ms"], &[]);
    value["duration_ms"] = Value::from("_");
    value["attempts"][0]["duration_ms"] = Value::from("_");
    snapshot("probe_json", &plain(&pretty(&value), &MOMENT));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_of_a_running_daemon() {
    let (directory, authority) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let contract = "[sla.standard]\nobjective = \"99.9\"\ncomponents = \
        [\"shop\"]\n[sla.standard.maintenance]\nnotice = \"48h\"\n";
    let daemon = three(directory.path(), &authority, contract).await;
    let state = directory.path().join("state");
    let state = state.to_str().expect("UTF-8");
    // A whole second: fractions are shown as short as they are.
    let soon = probity::words::format_utc(
        (probity::net::clock::Clock::Real.read().utc_ms / 1000 + 3600) * 1000,
    );
    let mut out = String::new();
    let mut tell = |what: &str, args: &[&str]| {
        let text = told(&probity(&[args, &["--state-dir", state]].concat()));
        out += &format!(
            "$ probity {what}\n{}\n",
            plain(
                &plain(&text.replace(state, "STATE"), &MOMENT),
                &[(r"newest is \d+", "newest is _")]
            )
        );
    };
    let add = |id: &'static str, component: &'static str| {
        [
            "maintenance",
            "add",
            "--id",
            id,
            "--component",
            component,
            "--duration",
            "2h",
            "--reason",
            "PostgreSQL 18",
            "--by",
            "anna",
            "--start",
        ]
    };
    tell(
        "maintenance add (in an hour)",
        &[&add("upgrade", "shop")[..], &[&soon]].concat(),
    );
    tell(
        "maintenance add (the same id)",
        &[&add("upgrade", "shop")[..], &[&soon]].concat(),
    );
    tell(
        "maintenance add (in the past)",
        &[&add("late", "shop")[..], &["2020-01-01T00:00Z"]].concat(),
    );
    tell(
        "maintenance add (nobody's component)",
        &[&add("other", "nobody")[..], &[&soon]].concat(),
    );
    // Days from now: a window that is open at this moment would be one declared in the past.
    let days = (probity::net::clock::Clock::Real.read().utc_ms / 86_400_000) as usize;
    let day = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days + 3) % 7];
    tell(
        "maintenance add (once a week)",
        &[
            &add("weekly", "db")[..],
            &[
                "2026-01-04T02:00",
                "--every",
                day,
                "--time-zone",
                "Europe/Helsinki",
            ],
        ]
        .concat(),
    );
    tell("maintenance list", &["maintenance", "list"]);
    tell(
        "maintenance cancel upgrade",
        &["maintenance", "cancel", "upgrade"],
    );
    tell(
        "maintenance cancel upgrade (again)",
        &["maintenance", "cancel", "upgrade"],
    );
    tell(
        "history annotate",
        &[
            "history", "annotate", "--seq", "1", "--text", "seen", "--by", "anna",
        ],
    );
    tell(
        "history annotate (no such event)",
        &["history", "annotate", "--seq", "999999", "--text", "seen"],
    );
    let db = [
        "history",
        "exclude",
        "--endpoint",
        "db",
        "--reason",
        "a test",
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-02T00:00:00Z",
    ];
    tell("history exclude", &db);
    tell(
        "history exclude (a name among them that nobody has)",
        &[&db[..], &["--component", "shpo"]].concat(),
    );
    tell(
        "history exclude (in the future)",
        &[
            "history",
            "exclude",
            "--endpoint",
            "db",
            "--from",
            &soon,
            "--to",
            "2999-01-01T00:00:00Z",
            "--reason",
            "x",
        ],
    );
    assert_eq!(daemon.end().await.0, 0);
    tell(
        "maintenance add (nobody runs)",
        &[&add("upgrade", "shop")[..], &[&soon]].concat(),
    );
    snapshot(
        "control",
        &out.replace(&format!("uid {}", own_uid()), "uid UID")
            .replace(&format!("every {day} at"), "every DAY at"),
    );
}

/// This user's number, as the daemon records it.
fn own_uid() -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self")
        .map(|m| m.uid().to_string())
        .unwrap_or_default()
}
