//! Contracts on the command line: exit codes, refusals with line and column, and raw results judged
//! by our rules.

use serde_json::{Value, json};

use super::cli::{checked, probity};
use super::daemon::Daemon;
use super::serve::{answering, closed_port, ok};

fn written(directory: &std::path::Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

const CONTRACT: &str = "[sla.s]\nobjective = \"99.999\"\ncomponents = [\"c\"]\n";

#[test]
fn the_exit_code_is_the_verdict() {
    let directory = tempfile::tempdir().expect("a directory");
    let contract = written(directory.path(), "c.toml", CONTRACT);
    let evaluate = |timeline: Value| {
        let file = written(directory.path(), "t.json", &timeline.to_string());
        probity(&[
            "sla",
            "evaluate",
            "--contract",
            &contract,
            "--timeline",
            &file,
            "--period",
            "2026-11",
            "--json",
        ])
    };
    let component = |down: Value, unknown: Value| {
        let one = json!({"name": "c", "down": down, "unknown": unknown});
        json!({"components": [one]})
    };
    let met = evaluate(component(json!([]), json!([])));
    assert_eq!(met.status.code(), Some(0));
    assert_eq!(checked(&met.stdout)["results"][0]["availability"], "1/1");
    let missed = evaluate(component(
        json!([{"from": "2026-11-10T12:00:00Z", "to": "2026-11-10T12:01:00Z"}]),
        json!([]),
    ));
    assert_eq!(missed.status.code(), Some(1));
    assert_eq!(checked(&missed.stdout)["results"][0]["verdict"], "missed");
    let unknown = evaluate(component(
        json!([]),
        json!([{"from": "2026-11-10T12:00:00Z", "to": "2026-11-10T12:10:00Z"}]),
    ));
    assert_eq!(unknown.status.code(), Some(3));
    // Half of the month lies before the record, the other half after it.
    let short = evaluate(
        json!({"from": "2026-11-10T00:00:00Z", "to": "2026-11-10T00:00:00Z",
            "components": [{"name": "c"}]}),
    );
    let result = &checked(&short.stdout)["results"][0];
    assert_eq!(
        (result["complete"].clone(), result["availability"].clone()),
        (json!(false), Value::Null)
    );
    assert_eq!(
        result["unknown_ms"]
            .as_u64()
            .zip(result["future_ms"].as_u64()),
        Some((9 * 86_400_000, 21 * 86_400_000))
    );
    let other = evaluate(json!({"components": [{"name": "other"}]}));
    assert_eq!(
        other.status.code(),
        Some(3),
        "what the contract names was not recorded"
    );
    let broken = evaluate(json!({"components": [{"name": "c", "down": [{"from": "x"}]}]}));
    assert_eq!(broken.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&broken.stderr).contains("components[0].down[0].from"));
}

#[test]
fn unknown_time_that_counts_as_down_is_credited_as_down() {
    let directory = tempfile::tempdir().expect("a directory");
    let contract = format!(
        "{CONTRACT}unknown = \"down\"\nfee = \"1000.00\"\ncurrency = \"EUR\"\ncredit = {{ model \
            = \"multiple\", of = \"fee_of_downtime\", factor = \"10\" }}\n"
    );
    let contract = written(directory.path(), "c.toml", &contract);
    let unknown = json!({"from": "2026-11-03T00:00:00Z", "to": "2026-11-04T00:00:00Z"});
    let day = json!({"components": [{"name": "c", "unknown": [unknown]}]});
    let timeline = written(directory.path(), "t.json", &day.to_string());
    let output = probity(&[
        "sla",
        "evaluate",
        "--contract",
        &contract,
        "--timeline",
        &timeline,
        "--period",
        "2026-11",
        "--json",
    ]);
    assert_eq!(
        checked(&output.stdout)["results"][0]["credit"]["amount"],
        "333.33"
    );
}

#[test]
fn slices_without_probes_are_not_judged_and_say_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let contract = written(
        directory.path(),
        "c.toml",
        &format!("{CONTRACT}measure = {{ slices = \"1m\", down_if = \"all_fail\" }}\n"),
    );
    let timeline = written(
        directory.path(),
        "t.json",
        "{\"components\": [{\"name\": \"c\"}]}",
    );
    let output = probity(&[
        "sla",
        "evaluate",
        "--contract",
        &contract,
        "--timeline",
        &timeline,
        "--period",
        "2026-11",
    ]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("recorded from when such a contract is loaded")
    );
}

#[test]
fn what_a_contract_must_not_say_is_refused_with_line_and_column() {
    let directory = tempfile::tempdir().expect("a directory");
    for (line, text, part) in [
        (
            2,
            "[sla.s]\nobjective = \"100.001\"\ncomponents = [\"c\"]\n",
            "over 100",
        ),
        (
            2,
            "[sla.s]\nobjective = 99.999\ncomponents = [\"c\"]\n",
            "without quotes",
        ),
        (
            4,
            "[sla.s]\nobjective = \"99\"\ncomponents = [\"c\"]\ntime_zone = \"Europe/Helsinky\"\n",
            "unknown time zone",
        ),
        (
            1,
            "[sla.s]\nobjective = \"99\"\ncomponents = [\"c\"]\nfee = \"10\"\n",
            "without a currency",
        ),
        (
            4,
            "[sla.s]\nobjective = \"99\"\ncomponents = [\"c\"]\n[sla.s.credit]\nmodel \
                = \"linear\"\nstep = \"1\"\nper_step = \"10\"\n",
            "no `rounding`",
        ),
        (
            6,
            "[sla.s]\nobjective = \"99\"\ncomponents = [\"c\"]\n[sla.s.credit]\nmodel \
                = \"tiers\"\nbelow = [[\"99.0\", \"10\"], [\"99.9\", \"30\"]]\n",
            "do not descend",
        ),
        (
            5,
            "[sla.s]\nobjective = \"99\"\ncomponents = [\"a\", \"b\"]\ncombine \
                = \"weighted\"\nweights = { a = \"0.5\", b = \"0.4\" }\n",
            "sum to 0.9",
        ),
        (
            4,
            "[sla.s]\nobjective = \"99\"\ncomponents = [\"c\"]\nperiod = \"monthly\"\n",
            "not a valid period",
        ),
        (1, "[sla.s]\ncomponents = [\"c\"]\n", "no `objective`"),
        (
            4,
            "[sla.s]\nobjective = \"99\"\ncomponents = [\"c\"]\nobjectiv = \"98\"\n",
            "unknown key",
        ),
        (
            6,
            "[sla.s]\nobjective = \"99\"\ncomponents = [\"c\"]\n[[tenant]]\nname = \"B\"\nsla \
                = \"t\"\nfee = \"1\"\n",
            "unknown contract `t`",
        ),
        (1, "[slaa.s]\nobjective = \"99\"\n", "unknown key"),
    ] {
        let contract = written(directory.path(), "c.toml", text);
        let output = probity(&[
            "sla",
            "evaluate",
            "--contract",
            &contract,
            "--period",
            "2026-11",
        ]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{text}\n{error}");
        assert!(
            error.contains(part) && error.contains(&format!("c.toml:{line}:")),
            "{text}\n{error}"
        );
    }
    let wrong = probity(&[
        "sla",
        "evaluate",
        "--contract",
        &written(directory.path(), "c.toml", CONTRACT),
        "--period",
        "2026",
    ]);
    assert_eq!(wrong.status.code(), Some(64));
}

#[test]
fn explain_says_what_an_interval_can_prove() {
    let output = probity(&[
        "sla",
        "explain",
        "--objective",
        "99.999",
        "--interval",
        "1s",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let value = checked(&output.stdout);
    assert_eq!(
        (
            value["probes_needed_with_zero_failures"].as_u64(),
            value["max_failures_that_still_prove_target"].as_i64()
        ),
        (Some(299_572), Some(17))
    );
    assert_eq!(value["month_can_prove"], true);
    let minute = &value["linear_readings"]["of"][0]["credit"];
    assert_eq!(
        (
            &minute["pro_rata"]["amount"],
            &minute["started"]["amount"],
            &minute["full"]["amount"]
        ),
        (&json!("0.13"), &json!("100.00"), &json!("0.00"))
    );
    assert_eq!(probity(&["sla", "explain"]).status.code(), Some(64));
    assert_eq!(
        probity(&["sla", "explain", "--objective", "101"])
            .status
            .code(),
        Some(64)
    );
}

/// The 92 worked sequences again, as raw results of somebody else's prober.
#[test]
fn raw_results_give_the_sums_of_every_worked_sequence() {
    let directory = tempfile::tempdir().expect("a directory");
    let file: Value = serde_json::from_str(include_str!("../judge-vectors.json")).expect("JSON");
    for vector in file["vectors"].as_array().expect("a list") {
        let items: Vec<Value> = ["events", "observations"]
            .iter()
            .flat_map(|k| vector[*k].as_array().expect("a list").clone())
            .collect();
        if items.is_empty() {
            continue;
        }
        let probes = written(directory.path(), "p.json", &Value::Array(items).to_string());
        let p = &vector["parameters"];
        let mut args: Vec<String> = ["export", "timeline", "--probes", &probes]
            .map(str::to_owned)
            .to_vec();
        for key in ["interval", "late_after", "timeout", "retry_interval"] {
            args.extend([
                format!("--{}", key.replace('_', "-")),
                format!("{}ms", p[key]),
            ]);
        }
        args.extend([
            "--jitter".into(),
            p["jitter"].to_string(),
            "--down-after".into(),
            p["down_after"].to_string(),
            "--up-after".into(),
            p["up_after"].to_string(),
        ]);
        let output = probity(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}: {}",
            vector["name"],
            String::from_utf8_lossy(&output.stderr)
        );
        let component = checked(&output.stdout)["components"][0].clone();
        for key in [
            "up_ms",
            "down_ms",
            "unknown_ms",
            "down_lower_ms",
            "down_upper_ms",
        ] {
            assert_eq!(
                component[key], vector["expected"][key],
                "{}: {key}",
                vector["name"]
            );
        }
    }
}

#[test]
fn vantages_are_merged_by_quorum() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut items = Vec::new();
    for (vantage, failing) in [("a", 30..=90), ("b", 60..=120), ("c", 0..=0)] {
        for at in (0..=180).step_by(30) {
            let ok = at == 0 || !failing.contains(&at);
            items.push(json!({"component": "c", "vantage": vantage, "at": at * 1000, "ok": ok}));
        }
    }
    let probes = written(directory.path(), "p.json", &Value::Array(items).to_string());
    let down = |quorum: &str| {
        let output = probity(&[
            "export",
            "timeline",
            "--probes",
            &probes,
            "--interval",
            "30s",
            "--quorum",
            quorum,
        ]);
        checked(&output.stdout)["components"][0]["down_ms"].as_u64()
    };
    // Two runs of failures in one stretch prove their own time only.
    let proven = probity(&[
        "export",
        "timeline",
        "--probes",
        &probes,
        "--interval",
        "30s",
        "--quorum",
        "1",
    ]);
    let merged = written(
        directory.path(),
        "m.json",
        &String::from_utf8_lossy(&proven.stdout),
    );
    let contract = written(
        directory.path(),
        "c.toml",
        "[sla.s]\nobjective = \"99\"\nperiod = \"rolling 1h\"\ncomponents = [\"c\"]\n",
    );
    let judged = probity(&[
        "sla",
        "evaluate",
        "--contract",
        &contract,
        "--timeline",
        &merged,
        "--period",
        "1970-01-01T00:03:00Z",
        "--json",
    ]);
    let told = checked(&proven.stdout)["components"][0]["down_lower_ms"].clone();
    assert_eq!(checked(&judged.stdout)["results"][0]["down_lower_ms"], told);
    // a: 15 to 105 s, b: 45 to 135 s.
    assert_eq!(
        (down("1"), down("2"), down("3")),
        (Some(120_000), Some(60_000), Some(0))
    );
}

/// A daemon that has seen an outage, with a contract and two customers.
async fn seen_an_outage(directory: &std::path::Path) -> String {
    let text = format!(
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval \
            = \"100ms\"\n[[endpoint]]\nname = \"shop\"\nprobe.tcp \
            = \"127.0.0.1:{}\"\n[[endpoint]]\nname = \"web\"\nprobe.http \
            = \"http://127.0.0.1:{}/\"\n[sla.s]\nobjective = \"99.999\"\ncomponents = \
            [\"shop\", \"web\"]\nfee = \"1000.00\"\ncurrency = \"EUR\"\n[sla.s.credit]\nmodel \
            = \"linear\"\nstep = \"1\"\nper_step = \"10\"\nrounding \
            = \"pro_rata\"\n[[tenant]]\nname = \"A\"\nsla = \"s\"\ncomponents = [\"web\"]\nfee \
            = \"50.00\"\n[[tenant]]\nname = \"B\"\nsla = \"s\"\ncomponents = [\"shop\"]\nfee \
            = \"70.00\"\n",
        closed_port(),
        answering(ok("", b"")).await
    );
    let daemon = Daemon::start(directory, &text).await;
    daemon.until_state("shop", "down").await;
    daemon.until_state("web", "up").await;
    daemon
        .until(|d| async move {
            !d.json("/api/v1/sla").await["contracts"]
                .as_array()
                .is_none_or(Vec::is_empty)
        })
        .await;
    let live = checked(
        daemon
            .get("/api/v1/sla")
            .await
            .expect("answered")
            .as_bytes(),
    );
    assert_eq!(live["contracts"][0]["results"][0]["component"], "shop");
    let down = "probity_endpoint_state_seconds_total{endpoint=\"shop\",state=\"down\"}";
    daemon
        .until(|d| async move { d.metric(down).await >= 5.0 })
        .await;
    let metric = daemon
        .metric("probity_sla_availability_ratio{sla=\"s\",component=\"shop\",period=\"current\"}")
        .await;
    assert!(metric.abs() < 1e-9, "{metric}");
    assert_eq!(daemon.end().await.0, 0);
    directory
        .join("probity.toml")
        .to_str()
        .expect("UTF-8")
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_shows_one_object_in_every_format_and_its_figures_follow_from_the_events() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = seen_an_outage(directory.path()).await;
    let report = |extra: &[&str]| {
        let mut args = vec![
            "sla", "report", "--config", &config, "--sla", "s", "--period",
        ];
        let month = probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms)[..7]
            .to_owned();
        args.push(&month);
        args.extend(extra);
        probity(&args)
    };
    assert_eq!(report(&[]).status.code(), Some(3), "the month is not over");
    let output = report(&["--provisional"]);
    let object = checked(&output.stdout);
    let result = &object["evaluation"]["results"][0];
    // Every format shows the same figures.
    let percent = result["lower_bound_percent"]
        .as_str()
        .expect("a text")
        .to_owned();
    let amount = result["credit"]["amount"]
        .as_str()
        .expect("an amount")
        .to_owned();
    for (format, lang, comma) in [
        ("md", "en", "."),
        ("html", "en", "."),
        ("md", "fi", ","),
        ("html", "zh", "."),
        ("html", "el", ","),
        ("md", "nl", ","),
        ("html", "uz", ","),
    ] {
        let shown = report(&["--provisional", "--format", format, "--lang", lang]);
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            text.contains(&amount.replace('.', comma)),
            "{format} {lang}: {amount}\n{text}"
        );
        assert!(
            text.contains("connect\\_refused") || text.contains("connect_refused"),
            "{format} {lang}"
        );
        assert!(
            text.contains(percent.split('.').next().expect("digits")),
            "{format} {lang}"
        );
    }
    let csv =
        String::from_utf8_lossy(&report(&["--provisional", "--format", "csv"]).stdout).into_owned();
    assert_eq!(csv.lines().count(), 2);
    assert!(
        csv.contains("shop,shop,")
            && csv.contains(object["outages"][0]["from"].as_str().expect("an instant"))
    );
    // Everything follows from the events; nothing else does.
    let journal = directory.path().join("journal.jsonl");
    let state = directory.path().join("state");
    let events = probity(&[
        "export",
        "journal",
        "--state-dir",
        state.to_str().expect("UTF-8"),
    ])
    .stdout;
    std::fs::write(&journal, &events).expect("written");
    let verify = |report: &[u8], journal: &std::path::Path| {
        let path = directory.path().join("report.json");
        std::fs::write(&path, report).expect("written");
        probity(&[
            "sla",
            "verify",
            path.to_str().expect("UTF-8"),
            "--events",
            journal.to_str().expect("UTF-8"),
        ])
    };
    let whole = verify(&output.stdout, &journal);
    assert_eq!(
        whole.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&whole.stdout)
    );
    // A figure that somebody with the key has changed.
    let signer = probity::history::checkpoint::Signer::of_directory(&state).expect("a key");
    let mut forged = object.clone();
    forged["evaluation"]["results"][0]["down_ms"] = json!(1);
    let forged = signer.signed(forged.as_object().expect("an object").clone());
    let found = verify(forged.to_string().as_bytes(), &journal);
    assert_eq!(found.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&found.stdout).starts_with("evaluation.results[0].down_ms: "),
        "{}",
        String::from_utf8_lossy(&found.stdout)
    );
    let mut forged = object.clone();
    forged["complete"] = json!(true);
    let forged = signer.signed(forged.as_object().expect("an object").clone());
    assert!(
        String::from_utf8_lossy(&verify(forged.to_string().as_bytes(), &journal).stdout)
            .starts_with("complete: ")
    );
    let unsigned = String::from_utf8_lossy(&output.stdout)
        .replace("\"provisional\":true", "\"provisional\":false");
    assert!(
        String::from_utf8_lossy(&verify(unsigned.as_bytes(), &journal).stdout)
            .starts_with("signature: ")
    );
    let altered = directory.path().join("altered.jsonl");
    std::fs::write(
        &altered,
        String::from_utf8_lossy(&events).replace("connect_refused", "connect_timeout"),
    )
    .expect("written");
    let found = verify(&output.stdout, &altered);
    assert!(
        String::from_utf8_lossy(&found.stdout).starts_with("event "),
        "{}",
        String::from_utf8_lossy(&found.stdout)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_report_has_nothing_of_another_customer() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = seen_an_outage(directory.path()).await;
    let out = directory.path().join("out");
    let month =
        probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms)[..7].to_owned();
    let args = [
        "sla",
        "report",
        "--config",
        &config,
        "--sla",
        "s",
        "--period",
        &month,
        "--provisional",
        "--tenant",
        "A",
        "--output",
        out.to_str().expect("UTF-8"),
    ];
    let output = probity(&args);
    assert!(
        output.status.code().is_some_and(|c| c == 0 || c == 3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut files = 0;
    for file in std::fs::read_dir(&out).expect("a directory") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("UTF-8");
        assert!(
            !text.contains("70") || !text.contains("70.00"),
            "the other's fee"
        );
        assert!(
            !text.contains("1000.00") && !text.contains("connect_refused"),
            "the other's outage: {text}"
        );
        files += 1;
    }
    assert_eq!(files, 4);
    let nobody = probity(&[
        "sla",
        "report",
        "--config",
        &config,
        "--sla",
        "s",
        "--period",
        &month,
        "--provisional",
        "--tenant",
        "C",
    ]);
    assert_eq!(nobody.status.code(), Some(64));
}

#[test]
fn the_walk_through_contracts_shows_what_the_commands_print() {
    let walk = std::fs::read_to_string("docs/contracts.md").expect("the walk");
    let contract = std::fs::read_to_string("docs/examples/contract.toml").expect("the contract");
    assert!(
        walk.contains(&contract),
        "the contract in the walk is the one in docs/examples"
    );
    let evaluated = probity(&[
        "sla",
        "evaluate",
        "--contract",
        "docs/examples/contract.toml",
        "--timeline",
        "docs/examples/timeline.json",
        "--period",
        "2026-11",
    ]);
    assert!(
        walk.contains(&*String::from_utf8_lossy(&evaluated.stdout)),
        "{}",
        String::from_utf8_lossy(&evaluated.stdout)
    );
    let explained = probity(&[
        "sla",
        "explain",
        "--objective",
        "99.999",
        "--interval",
        "30s",
    ]);
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    let after_months = text.split_once("Probed every").expect("its second part").1;
    assert!(walk.contains(after_months), "{after_months}");
}

#[test]
fn simulate_says_what_a_config_would_have_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = written(
        directory.path(),
        "c.toml",
        "[[endpoint]]\nname = \"e\"\ninterval = \"30s\"\nprobe.tcp = \"127.0.0.1:1\"\n",
    );
    let outages = written(
        directory.path(),
        "o.json",
        "[{\"endpoint\": \"e\", \"from\": \"2026-11-01T10:00:00Z\", \
            \"to\": \"2026-11-01T10:10:00Z\"}]",
    );
    let run = |seed: &str| {
        let output = probity(&[
            "simulate",
            "--config",
            &config,
            "--days",
            "1",
            "--outages",
            &outages,
            "--seed",
            seed,
            "--json",
        ]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        checked(&output.stdout)
    };
    let value = run("1");
    let e = &value["endpoints"][0];
    assert_eq!(
        (&e["true_down_ms"], &e["true_outages_seen"], &e["outages"]),
        (&json!(600_000), &json!(1), &json!(1))
    );
    let sum = |key: &str| e["sums"][key].as_u64().expect("a number");
    assert!(
        sum("down_lower_ms") <= 600_000 && 600_000 <= sum("down_upper_ms"),
        "{e}"
    );
    assert_eq!(value, run("1"), "the same seed gives the same answer");
    assert_ne!(value["digest"], run("2")["digest"]);
    let unknown = written(
        directory.path(),
        "u.json",
        "[{\"endpoint\": \"x\", \"from\": \"2026-11-01T10:00:00Z\", \
            \"to\": \"2026-11-01T10:10:00Z\"}]",
    );
    assert_eq!(
        probity(&["simulate", "--config", &config, "--outages", &unknown])
            .status
            .code(),
        Some(64)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_are_judged_on_the_own_history_from_when_their_contract_was_loaded() {
    let directory = tempfile::tempdir().expect("a directory");
    let endpoints = format!(
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval \
            = \"100ms\"\n[[endpoint]]\nname = \"shop\"\nprobe.tcp \
            = \"127.0.0.1:{}\"\n[[endpoint]]\nname = \"web\"\nprobe.http \
            = \"http://127.0.0.1:{}/\"\n",
        closed_port(),
        answering(ok("", b"")).await
    );
    let contract = "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"shop\", \"web\"]\nmeasure = { \
        slices = \"1s\", down_if = \"all_fail\" }\n";
    let began = tokio::time::Instant::now();
    let daemon = Daemon::start(directory.path(), &format!("{endpoints}{contract}")).await;
    daemon.until_state("shop", "down").await;
    daemon.until_state("web", "up").await;
    let config = directory.path().join("probity.toml");
    let month =
        probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms)[..7].to_owned();
    let evaluate = || {
        probity(&[
            "sla",
            "evaluate",
            "--config",
            config.to_str().expect("UTF-8"),
            "--period",
            &month,
            "--json",
        ])
    };
    // Two slices can be as few as two slots: how many results there are is waited for apart.
    let probes = |result: &Value| result["statistics"]["probes"].as_u64().unwrap_or(0);
    let is_judged = |judged: &Value| {
        judged["results"][0]["down_ms"].as_u64() >= Some(2000)
            && judged["results"]
                .as_array()
                .is_some_and(|l| l.iter().all(|r| probes(r) >= 4))
    };
    daemon
        .until(|_| async { is_judged(&checked(&evaluate().stdout)) })
        .await;
    let judged = checked(&evaluate().stdout);
    let slots = began.elapsed().as_millis() as u64 / 500 + 2;
    let (shop, web) = (&judged["results"][0], &judged["results"][1]);
    let from = shop["outages"][0]["from"].as_str().expect("a begin");
    let month_began =
        probity::words::parse_utc(&format!("{month}-01T00:00:00Z")).expect("an instant");
    let first_start =
        probity::report::sla::instant(month_began + shop["outside_ms"].as_i64().expect("a length"));
    assert!(
        !from.contains('.') || from == first_start,
        "it begins with a slice, or in the slice in which the first start was: {shop}"
    );
    assert_eq!(
        (web["down_ms"].as_u64(), shop["availability"].as_str()),
        (Some(0), Some("0/1")),
        "{web}"
    );
    // While it is down it is probed every 100 ms, five times as often as it has slots.
    assert!(
        probes(shop) <= slots && probes(web) <= slots,
        "of at most {slots} slots: {judged}"
    );
    // A kill takes nothing of it.
    daemon.kill();
    let daemon = Daemon::start(directory.path(), &format!("{endpoints}{contract}")).await;
    assert!(probes(&checked(&evaluate().stdout)["results"][1]) + 3 >= probes(web));
    // While the contract is not loaded, nothing is recorded, and the reason is said.
    super::daemon::write_config(directory.path(), daemon.port, &endpoints);
    daemon.reload().await.expect("reloaded");
    daemon.until_slots("web", 4).await;
    super::daemon::write_config(
        directory.path(),
        daemon.port,
        &format!("{endpoints}{contract}"),
    );
    daemon.reload().await.expect("reloaded");
    daemon.until_slots("web", 4).await;
    let refused = evaluate();
    assert_eq!(refused.status.code(), Some(3));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        why.contains("were not recorded") && why.contains("shop"),
        "{why}"
    );
    let api = daemon.json("/api/v1/timeline").await;
    assert!(
        api["components"]
            .as_array()
            .is_some_and(|l| l.iter().all(|c| c.get("probes").is_none())),
        "not all there: left out"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_taken_out_of_the_config_keeps_its_past_in_its_component() {
    let directory = tempfile::tempdir().expect("a directory");
    let endpoint = |name: &str, probe: &str| {
        format!("[[endpoint]]\nname = \"{name}\"\ncomponent = \"shop\"\n{probe}\n")
    };
    let head = "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval \
        = \"100ms\"\n[component.shop]\n[sla.s]\nobjective = \"99.9\"\ncomponents = [\"shop\"]\n";
    let stays = format!(
        "{head}{}",
        endpoint(
            "web",
            &format!(
                "probe.http = \"http://127.0.0.1:{}/\"",
                answering(ok("", b"")).await
            )
        )
    );
    let text = format!(
        "{stays}{}",
        endpoint(
            "db",
            &format!("probe.tcp = \"127.0.0.1:{}\"", closed_port())
        )
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("db", "down").await;
    daemon.until_state("web", "up").await;
    let shop = |timeline: &serde_json::Value| {
        timeline["components"]
            .as_array()
            .and_then(|l| l.iter().find(|c| c["name"] == "shop"))
            .cloned()
            .unwrap_or_default()
    };
    let until_more_than = |daemon, key, ms| async move {
        let reached = |timeline: &Value| shop(timeline)[key].as_u64() > Some(ms);
        Daemon::until(daemon, |d| async move {
            reached(&d.json("/api/v1/timeline").await)
        })
        .await;
    };
    until_more_than(&daemon, "down_ms", 2000).await;
    super::daemon::write_config(directory.path(), daemon.port, &stays);
    daemon.reload().await.expect("reloaded");
    until_more_than(&daemon, "up_ms", 1500).await;
    let live = shop(&daemon.json("/api/v1/timeline").await);
    let down = live["down_ms"].as_u64().unwrap_or(0);
    assert!(down >= 1500, "{live}");
    assert!(
        live["up_ms"].as_u64().is_some_and(|up| up >= 1000),
        "up since it has gone: {live}"
    );
    assert_eq!(daemon.end().await.0, 0);
    let config = directory.path().join("probity.toml");
    let export = || {
        shop(&checked(
            &probity(&[
                "export",
                "timeline",
                "--config",
                config.to_str().expect("UTF-8"),
            ])
            .stdout,
        ))
    };
    assert_eq!(
        export()["down_ms"].as_u64(),
        Some(down),
        "the same without a daemon"
    );
    // Taken out while no daemon ran, and seen by the next.
    let daemon = Daemon::start(directory.path(), &stays).await;
    daemon.until_slots("web", 3).await;
    let live = shop(&daemon.json("/api/v1/timeline").await);
    assert_eq!(live["down_ms"].as_u64(), Some(down), "{live}");
    let month =
        probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms)[..7].to_owned();
    let judged = checked(
        &probity(&[
            "sla",
            "evaluate",
            "--config",
            config.to_str().expect("UTF-8"),
            "--period",
            &month,
            "--json",
        ])
        .stdout,
    );
    assert_eq!(
        judged["results"][0]["down_ms"].as_u64(),
        Some(down),
        "{judged}"
    );
}
