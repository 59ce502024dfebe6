//! What an audit found of contracts: combinations and their components, versions, merged and raw
//! records, forged reports.

use serde_json::{Value, json};

use super::cli::{checked, probity};
use super::daemon::Daemon;
use super::serve::{answering, closed_port, ok};

fn written(directory: &std::path::Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

fn evaluated(
    directory: &std::path::Path,
    contract: &str,
    timelines: &[Value],
    period: &str,
) -> (Option<i32>, Value, String) {
    let mut args = vec![
        "sla".to_owned(),
        "evaluate".into(),
        "--contract".into(),
        written(directory, "contract.toml", contract),
        "--period".into(),
        period.into(),
    ];
    for (k, timeline) in timelines.iter().enumerate() {
        args.extend([
            "--timeline".to_owned(),
            written(directory, &format!("t{k}.json"), &timeline.to_string()),
        ]);
    }
    let run = |more: &[&str]| {
        probity(
            &args
                .iter()
                .map(String::as_str)
                .chain(more.iter().copied())
                .collect::<Vec<_>>(),
        )
    };
    let output = run(&["--json"]);
    let value = if output.stdout.is_empty() {
        Value::Null
    } else {
        checked(&output.stdout)
    };
    let text = run(&[]);
    (
        output.status.code(),
        value,
        String::from_utf8_lossy(&[text.stdout, text.stderr].concat()).into_owned(),
    )
}

fn outage(from: &str, to: &str) -> Value {
    json!({"from": format!("2026-11-{from}Z"), "to": format!("2026-11-{to}Z")})
}

#[test]
fn a_combination_tells_its_components_by_themselves() {
    let directory = tempfile::tempdir().expect("a directory");
    let contract = "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"a\", \"b\"]\ncombine \
        = \"series\"\n[[tenant]]\nname = \"T\"\nsla = \"s\"\ncomponents = [\"c\"]\nfee \
        = \"1.00\"\n"
        .replace("combine", "currency = \"EUR\"\ncombine");
    let timeline = json!({"components": [
        {"name": "a", "down": [
            outage("10T00:00:00", "10T01:00:00"), outage("12T00:00:00", "12T03:00:00")]},
        {"name": "b", "down": [outage("10T00:30:00", "10T02:00:00")]},
        {"name": "c"},
    ]});
    let (_, value, text) = evaluated(directory.path(), &contract, &[timeline], "2026-11");
    let summary = |place: &Value| {
        ["count", "longest_ms", "mean_time_to_recover_ms"]
            .map(|k| place["outage_summary"][k].as_u64())
    };
    assert_eq!(
        summary(&value["results"][0]),
        [Some(2), Some(10_800_000), Some(9_000_000)],
        "together: two hours and three"
    );
    let each = value["components"].as_array().expect("a list");
    assert_eq!(
        each.iter()
            .map(|c| c["component"].as_str().expect("a name"))
            .collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert_eq!(
        summary(&each[0]),
        [Some(2), Some(10_800_000), Some(7_200_000)]
    );
    assert_eq!(
        each[0]["outage_summary"]["mean_time_between_failures_ms"],
        (30_u64 * 24 - 4) * 3_600_000 / 2
    );
    assert_eq!(
        (summary(&each[2]), each[2]["availability"].as_str()),
        ([Some(0), Some(0), None], Some("1/1"))
    );
    assert!(
        text.contains("a by itself: availability 99.4444 %")
            && text.contains("2 outages, the longest 3 h; mean time to recover 2 h"),
        "{text}"
    );
}

#[test]
fn the_budget_is_spent_by_what_the_contract_measures() {
    let directory = tempfile::tempdir().expect("a directory");
    // Weighted: 40 s of one of two halves are 20 s of a budget of 25.92 s.
    let weighted = "[sla.s]\nobjective = \"99.999\"\ncomponents = [\"a\", \"b\"]\ncombine \
        = \"weighted\"\nweights = { a = \"0.5\", b = \"0.5\" }\n";
    let down = [outage("10T00:00:00", "10T00:00:40")];
    let timeline = json!({"components": [{"name": "a", "down": down}, {"name": "b"}]});
    let (code, value, text) = evaluated(directory.path(), weighted, &[timeline], "2026-11");
    assert_eq!(
        (code, value["results"][0]["budget_remaining_ms"].as_str()),
        (Some(0), Some("5920/1")),
        "{value}"
    );
    assert!(text.contains("of which 5.92 s is left"), "{text}");
    // A mean of error ratios: a sixth of an hour is lost, whatever the time says.
    let mean = "[sla.s]\nobjective = \"99.9\"\nperiod = \"rolling 1h\"\ncomponents = \
        [\"a\"]\nmeasure = { slices = \"5m\", value = \"mean_error_ratio\", no_probe = \"0\" }\n";
    let at = |n: u32| format!("2026-11-10T00:{:02}:{:02}Z", n / 2, n % 2 * 30);
    let probe = |n: u32| json!({"at": at(n), "ok": !n.is_multiple_of(6)});
    let probes: Vec<Value> = (0..120).map(probe).collect();
    let timeline = json!({"components": [{"name": "a", "probes": probes}]});
    let (code, value, _) = evaluated(directory.path(), mean, &[timeline], "2026-11-10T01:00:00Z");
    assert_eq!(
        (code, value["results"][0]["availability"].as_str()),
        (Some(1), Some("5/6")),
        "{value}"
    );
    assert_eq!(
        value["results"][0]["budget_remaining_ms"], "-596400/1",
        "3.6 s less 600 s"
    );
    let by_time = format!(
        "{mean}fee = \"10.00\"\ncurrency = \"EUR\"\ncredit = {{ model = \"multiple\", of \
            = \"fee_of_downtime\", factor = \"10\" }}\n"
    );
    let (code, _, text) = evaluated(directory.path(), &by_time, &[], "2026-11-10T01:00:00Z");
    assert_eq!(code, Some(78));
    assert!(
        text.contains("a credit by downtime for a contract that measures a mean of error ratios"),
        "{text}"
    );
}

#[test]
fn a_period_belongs_to_the_version_in_force_when_it_begins() {
    let directory = tempfile::tempdir().expect("a directory");
    let versions = "[[sla.s]]\nobjective = \"99\"\ncomponents = [\"a\"]\n[[sla.s]]\nobjective \
        = \"99.9\"\ncomponents = [\"a\"]\nvalid_from = \"2027-01-01\"\nperiod \
        = \"calendar_quarter\"\ntime_zone = \"Europe/Helsinki\"\n";
    let timeline = json!({"components": [{"name": "a"}]});
    let of = |period: &str| {
        evaluated(
            directory.path(),
            versions,
            std::slice::from_ref(&timeline),
            period,
        )
    };
    let (code, value, _) = of("2026-11");
    assert_eq!(
        (
            code,
            value["objective_percent"].as_str(),
            value["period"]["start"].as_str()
        ),
        (Some(0), Some("99"), Some("2026-11-01T00:00:00Z"))
    );
    let (code, value, _) = of("2027-Q1");
    assert_eq!(
        (
            code,
            value["objective_percent"].as_str(),
            value["period"]["start"].as_str()
        ),
        (Some(0), Some("99.9"), Some("2026-12-31T22:00:00Z"))
    );
    let (code, _, text) = of("2027-02");
    assert_eq!(
        code,
        Some(3),
        "months belong to a version that is no longer in force: {text}"
    );
    let (code, _, text) = of("2026-W11");
    assert!(
        code == Some(64) && text.contains("is not a valid period of this contract"),
        "{text}"
    );
}

#[test]
fn several_timelines_are_merged_into_one_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let contract = "[sla.s]\nobjective = \"99.9\"\ncomponents = \
        [\"a\"]\n[sla.s.maintenance]\nnotice = \"48h\"\n";
    let both = |recorded: &str| {
        json!({"components": [{"name": "a", "down": [outage("05T00:00:00", "05T05:00:00")]}],
               "maintenance": [{"from": "2026-11-05T00:00:00Z", "to": "2026-11-05T05:00:00Z",
                   "announced_at": "2026-11-01T00:00:00Z", "recorded_at": recorded}]})
    };
    let (early, late) = (both("2026-11-01T00:00:00Z"), both("2026-11-04T23:00:00Z"));
    for order in [[early.clone(), late.clone()], [late.clone(), early.clone()]] {
        let (code, value, _) = evaluated(directory.path(), contract, &order, "2026-11");
        assert_eq!(
            (code, value["results"][0]["down_ms"].as_u64()),
            (Some(1), Some(18_000_000)),
            "the later record counts, whatever the order"
        );
    }
    assert_eq!(
        evaluated(
            directory.path(),
            contract,
            &[early.clone(), early.clone()],
            "2026-11"
        )
        .0,
        Some(0),
        "both admit it"
    );
    let mut short = early;
    short["components"][0]["in_service"] = json!({"from": "2026-11-16T00:00:00Z", "to": null});
    short["maintenance"] = json!([]);
    let (code, value, _) = evaluated(
        directory.path(),
        contract,
        &[
            short,
            json!({"components": [{"name": "a", "down": [outage("05T00:00:00", "05T05:00:00")]}]}),
        ],
        "2026-11",
    );
    assert_eq!(
        (code, value["results"][0]["service_ms"].as_u64()),
        (Some(1), Some(2_592_000_000)),
        "one that says nothing of service says always"
    );
}

#[test]
fn raw_results_of_one_component_do_not_stretch_anothers() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |component: &str, second: i64| {
        let ms = second * 1000;
        json!({"component": component, "vantage": "v", "at": ms, "ok": true})
    };
    let items: Vec<Value> = (0..=2)
        .map(|n| at("a", n * 30))
        .chain((60..=120).map(|n| at("b", n * 30)))
        .collect();
    let probes = written(directory.path(), "p.json", &Value::Array(items).to_string());
    let made = probity(&[
        "export",
        "timeline",
        "--probes",
        &probes,
        "--interval",
        "30s",
    ]);
    let timeline = checked(&made.stdout);
    assert_eq!(
        (timeline["from"].as_str(), timeline["to"].as_str()),
        (
            Some("1970-01-01T00:00:00.000Z"),
            Some("1970-01-01T01:00:00.000Z")
        )
    );
    let contract =
        "[sla.s]\nobjective = \"99\"\nperiod = \"rolling 1h\"\ncomponents = [\"a\", \"b\"]\n";
    let (code, value, _) = evaluated(
        directory.path(),
        contract,
        std::slice::from_ref(&timeline),
        "1970-01-01T01:00:00Z",
    );
    let of = |k: usize| ["up_ms", "unknown_ms"].map(|key| value["results"][k][key].as_u64());
    assert_eq!(
        (code, of(0), of(1)),
        (
            Some(3),
            [Some(60_000), Some(3_540_000)],
            [Some(1_800_000), Some(1_800_000)]
        ),
        "{timeline}"
    );
}

/// A daemon that has seen an outage and a component of two, its report, and its events.
async fn reported(
    directory: &std::path::Path,
) -> (Value, String, probity::history::checkpoint::Signer) {
    let web = answering(ok("", b"")).await;
    let text = format!(
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval \
            = \"100ms\"\n[component.shop]\ntitle = \"Shop\"\n[[endpoint]]\nname \
            = \"db\"\ncomponent = \"shop\"\nprobe.tcp = \"127.0.0.1:{}\"\n[[endpoint]]\nname \
            = \"web\"\ncomponent = \"shop\"\nprobe.http \
            = \"http://127.0.0.1:{web}/\"\n[sla.s]\nobjective = \"99.999\"\ncomponents = \
            [\"shop\"]\nfee = \"1000.00\"\ncurrency = \"EUR\"\n[sla.s.credit]\nmodel \
            = \"linear\"\nstep = \"1\"\nper_step = \"10\"\nrounding = \"pro_rata\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory, &text).await;
    daemon.until_state("db", "down").await;
    daemon.until_state("web", "up").await;
    // The component is there with and without a contract: API, metrics and page show one figure.
    daemon
        .until(|d| async move {
            d.json("/api/v1/components").await["components"][0]["outage_summary"]["count"] == 1
        })
        .await;
    let told = checked(
        daemon
            .get("/api/v1/components")
            .await
            .expect("answered")
            .as_bytes(),
    );
    let shop = &told["components"][0];
    assert_eq!(
        (
            shop["component"].as_str(),
            shop["title"].as_str(),
            shop["which"].as_str()
        ),
        (Some("shop"), Some("Shop"), Some("current"))
    );
    assert_eq!(
        told["components"].as_array().map(Vec::len),
        Some(1),
        "this month; in the one before it was not in service"
    );
    assert_eq!(
        daemon.json("/api/v1/components?component=nobody").await["components"],
        json!([])
    );
    daemon
        .until(|d| async move {
            d.get("/metrics").await.is_some_and(|m| {
                m.contains("probity_component_outages{component=\"shop\",period=\"current\"} 1")
            })
        })
        .await;
    daemon
        .until(|d| async move {
            d.get("/contracts").await.is_some_and(|page| {
                page.contains("<th scope=\"row\">Shop <span class=\"component\">shop</span></th>")
            })
        })
        .await;
    let mut page = String::new();
    for path in ["/", "/contracts", "/endpoints/db"] {
        page += &daemon.get(path).await.expect("a page");
    }
    for shown in [
        "Recent outages",
        "connect_refused",
        "still down",
        "Detection time",
        "mean time to recover",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert_eq!(daemon.end().await.0, 0);
    let config = directory.join("probity.toml");
    // A config that was edited and not loaded since is not what the figures rest on.
    let edited = std::fs::read_to_string(&config)
        .expect("read")
        .replace("interval = \"500ms\"", "interval = \"700ms\"")
        .replace(
            "title = \"Shop\"",
            "title = \"Shop\"\ncombine = \"parallel\"",
        );
    std::fs::write(&config, edited).expect("written");
    let config = config.to_str().expect("UTF-8");
    let month =
        probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms)[..7].to_owned();
    let output = probity(&[
        "sla",
        "report",
        "--config",
        config,
        "--period",
        &month,
        "--provisional",
    ]);
    let state = directory.join("state");
    let events = probity(&[
        "export",
        "journal",
        "--state-dir",
        state.to_str().expect("UTF-8"),
    ])
    .stdout;
    let signer = probity::history::checkpoint::Signer::kept(&state).expect("a key");
    (
        checked(&output.stdout),
        written(
            directory,
            "journal.jsonl",
            &String::from_utf8_lossy(&events),
        ),
        signer,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_report_rests_on_follows_from_the_events_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let (report, journal, signer) = reported(directory.path()).await;
    let verified = |value: &Value, more: &[&str]| {
        let signed = signer.signed(value.as_object().expect("an object").clone());
        let path = written(directory.path(), "report.json", &signed.to_string());
        let output = probity(&[&["sla", "verify", &path, "--events", &journal][..], more].concat());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, said) = verified(&report, &[]);
    assert_eq!(code, Some(0), "{said}");
    let told = checked(verified(&report, &["--json"]).1.as_bytes());
    assert_eq!(
        (
            told["verdict"].as_str(),
            told["with_tallies"].as_bool(),
            told["with_terms"].as_bool()
        ),
        (Some("follows"), Some(false), Some(true))
    );
    let extent = |name: &str| {
        report["extents"]
            .as_array()
            .and_then(|l| l.iter().position(|e| e["endpoint"] == name))
            .expect("it")
    };
    let (db, web) = (extent("db"), extent("web"));
    let first = report["extents"][db]["first_start_ms"]
        .as_u64()
        .expect("a number");
    let settled = report["extents"][db]["watermark_ms"]
        .as_u64()
        .expect("a number");
    type Manipulation<'d> = Box<dyn Fn(&mut Value) + 'd>;
    let manipulations: [(&str, Manipulation); 22] = [
        (
            "extents: db belongs",
            Box::new(|r| drop(r["extents"].as_array_mut().expect("a list").remove(db))),
        ),
        (
            "first_start_ms: ",
            Box::new(|r| r["extents"][db]["first_start_ms"] = json!(first + 1)),
        ),
        (
            "watermark_ms: ",
            Box::new(|r| r["extents"][db]["watermark_ms"] = json!(first - 1)),
        ),
        (
            "watermark_ms: it is later",
            Box::new(|r| r["extents"][db]["watermark_ms"] = json!(settled + 86_400_000)),
        ),
        (
            "gone: ",
            Box::new(|r| r["extents"][db]["gone"] = json!(true)),
        ),
        (
            "open_unknown: ",
            Box::new(|r| {
                r["extents"][web]["open_unknown"] = json!({"from_ms": first, "reason": "late"})
            }),
        ),
        (
            "component: ",
            Box::new(|r| r["extents"][db]["component"] = json!("db")),
        ),
        (
            "timeline",
            Box::new(|r| r["timeline"]["to"] = r["timeline"]["from"].clone()),
        ),
        (
            "provisional: ",
            Box::new(|r| r["provisional"] = json!(false)),
        ),
        (
            "evaluation.period: ",
            Box::new(|r| r["evaluation"]["period"]["start"] = json!("2026-11-02T00:00:00Z")),
        ),
        (
            "terms_recorded_at: no event commits",
            Box::new(|r| {
                r["terms"] = json!(r["terms"].as_str().expect("terms").replace("1000", "10"))
            }),
        ),
        (
            "terms_recorded_at: no event commits",
            Box::new(|r| r["terms_salt"] = json!("00")),
        ),
        (
            "terms_recorded_at: these terms are on record since",
            Box::new(|r| r["terms_recorded_at"] = json!("2026-01-01T00:00:00.000Z")),
        ),
        (
            "terms_recorded_at: these terms are on record since",
            Box::new(|r| r["terms_recorded_at"] = Value::Null),
        ),
        (
            ".combine: ",
            Box::new(|r| r["extents"][db]["combine"] = json!("parallel")),
        ),
        (
            ".in_service_from: ",
            Box::new(|r| r["extents"][db]["in_service_from"] = json!(first + 1000)),
        ),
        (
            "vantages: ",
            Box::new(|r| r["vantages"] = json!(["elsewhere"])),
        ),
        (
            "vantages: ",
            Box::new(|r| r["vantages"] = json!([r["vantages"][0], "elsewhere"])),
        ),
        (
            "endpoints[0].interval_ms: ",
            Box::new(|r| r["endpoints"][0]["interval_ms"] = json!(100)),
        ),
        (
            "terms: a later version",
            Box::new(|r| {
                r["terms"] = json!(format!(
                    "{}# superseded from 2026-01-01\n",
                    r["terms"].as_str().expect("terms")
                ))
            }),
        ),
        (
            "terms: they are in force from",
            Box::new(|r| {
                r["terms"] = json!(
                    r["terms"]
                        .as_str()
                        .expect("terms")
                        .replace("unknown = ", "valid_from = \"2100-01-01\"\nunknown = ")
                )
            }),
        ),
        (
            "events.checkpoint: ",
            Box::new(|r| r["events"]["checkpoint"]["head"] = json!("00".repeat(32))),
        ),
    ];
    for (place, manipulation) in manipulations {
        let mut forged = report.clone();
        manipulation(&mut forged);
        let (code, said) = verified(&forged, &[]);
        assert!(code == Some(1) && said.contains(place), "{place}: {said}");
    }
    // A report by another hand does not stand against a checkpoint of before.
    let mine = probity::history::checkpoint::Signer::from_hex(&"77".repeat(32)).expect("a key");
    let outside = written(
        directory.path(),
        "outside.json",
        &report["events"]["checkpoint"].to_string(),
    );
    assert_eq!(verified(&report, &["--since", &outside]).0, Some(0));
    let mut foreign = report.clone();
    foreign["events"]["checkpoint"] = Value::Null;
    let signed = mine.signed(foreign.as_object().expect("an object").clone());
    let path = written(directory.path(), "foreign.json", &signed.to_string());
    let output = probity(&[
        "sla", "verify", &path, "--events", &journal, "--since", &outside,
    ]);
    assert!(
        output.status.code() == Some(1)
            && String::from_utf8_lossy(&output.stdout).starts_with("key: "),
        "{output:?}"
    );
}

#[test]
fn every_contract_has_its_report_where_no_single_one_is_named() {
    let recorded = super::recorded::Recorded::shared();
    let directory = tempfile::tempdir().expect("a directory");
    let two = "[sla.a]\nobjective = \"99\"\nperiod = \"rolling 6h\"\ncomponents = \
        [\"backend\"]\n[sla.b]\nobjective = \"1\"\nperiod = \"rolling 6h\"\ncomponents = \
        [\"checkout\"]\n";
    let contract = written(directory.path(), "two.toml", two);
    let of = |more: &[&str]| {
        recorded.probity(
            &[
                &[
                    "sla",
                    "report",
                    "--contract",
                    &contract,
                    "--period",
                    super::recorded::TO,
                ][..],
                more,
            ]
            .concat(),
        )
    };
    let refused = of(&[]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains(
        "several contracts (a, b): choose \
        one with --sla, or write all of them with --output DIRECTORY"
    ));
    let output = directory.path().join("reports");
    let all = of(&["--output", output.to_str().expect("UTF-8")]);
    assert_eq!(all.status.code(), Some(1), "the worse of the two: {all:?}");
    let names: Vec<String> = std::fs::read_dir(&output)
        .expect("made")
        .map(|e| e.expect("read").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        (
            names.len(),
            names.iter().filter(|n| n.starts_with("b-")).count()
        ),
        (8, 4),
        "{names:?}"
    );
    let one = of(&["--sla", "b", "--format", "md"]);
    assert_eq!(one.status.code(), Some(0), "{one:?}");
}

#[test]
fn what_replaces_a_report_names_its_signature_and_is_shown() {
    let recorded = super::recorded::Recorded::shared();
    let report = |replaces: &str, format: &str| {
        recorded.probity(&[
            "sla",
            "report",
            "--period",
            super::recorded::TO,
            "--replaces",
            replaces,
            "--format",
            format,
        ])
    };
    assert_eq!(report("deadbeef", "json").status.code(), Some(64));
    let signature = "ab".repeat(64);
    for format in ["md", "html"] {
        let output = report(&signature, format);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(&signature),
            "{format}: {output:?}"
        );
    }
}

#[test]
fn explain_uses_the_terms_and_says_what_cannot_be_proven() {
    let directory = tempfile::tempdir().expect("a directory");
    let contract = written(
        directory.path(),
        "c.toml",
        "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"a\"]\nfee = \"100.00\"\ncurrency \
            = \"EUR\"\ncredit = { model = \"linear\", step = \"0.1\", per_step = \"5\", rounding \
            = \"started\" }\n",
    );
    let output = probity(&["sla", "explain", "--contract", &contract]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("\"For each 0.1 missing points\" 5 % of a fee of 100"),
        "{text}"
    );
    let json = checked(&probity(&["sla", "explain", "--contract", &contract, "--json"]).stdout);
    assert_eq!(
        (
            json["linear_readings"]["step_points"].as_str(),
            json["linear_readings"]["per_step_percent"].as_str()
        ),
        (Some("0.1"), Some("5"))
    );
    let text = String::from_utf8_lossy(&probity(&["sla", "explain", "--objective", "100"]).stdout)
        .into_owned();
    assert!(
        text.contains("no number of probes proves the objective")
            && !text.contains("18446744073709551615"),
        "{text}"
    );
    let explained = checked(&probity(&["sla", "explain", "--objective", "100", "--json"]).stdout);
    assert_eq!(explained["probes_needed_with_zero_failures"], Value::Null);
}

#[test]
fn five_nines_are_undetermined_after_a_failure_that_was_not_confirmed() {
    let directory = tempfile::tempdir().expect("a directory");
    let item = |at: i64, result: &str| {
        let at = at * 1000;
        json!({"component": "c", "vantage": "v", "start": at, "end": at, "result": result})
    };
    let slots = (0..=120).map(|n| item(n * 30, if n == 1 { "failure" } else { "success" }));
    let items: Vec<Value> = slots.chain([item(31, "success")]).collect();
    let probes = written(directory.path(), "p.json", &json!(items).to_string());
    let timeline = checked(
        &probity(&[
            "export",
            "timeline",
            "--probes",
            &probes,
            "--interval",
            "30s",
            "--down-after",
            "2",
        ])
        .stdout,
    );
    let of = |key: &str| timeline["components"][0][key].as_u64();
    assert_eq!(
        (of("down_ms"), of("down_lower_ms"), of("down_upper_ms")),
        (Some(0), Some(0), Some(31_000)),
        "{timeline}"
    );
    let contract =
        "[sla.s]\nobjective = \"99.999\"\nperiod = \"rolling 1h\"\ncomponents = [\"c\"]\n";
    let (code, value, _) = evaluated(
        directory.path(),
        contract,
        std::slice::from_ref(&timeline),
        "1970-01-01T01:00:00Z",
    );
    assert_eq!(
        (
            code,
            value["results"][0]["verdict"].as_str(),
            value["results"][0]["availability"].as_str()
        ),
        (Some(3), Some("undetermined"), Some("1/1")),
        "{value}"
    );
}

/// What happens while the disk is full is written later, with its own times: a report of meanwhile
/// did not leave it out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_was_issued_while_events_waited_for_the_disk_verifies_later() {
    let (directory, switch) = (
        tempfile::tempdir().expect("a directory"),
        super::daemon::Switch::new().await,
    );
    let text = format!(
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n{}{}",
        super::daemon::http("web", switch.port),
        "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"web\"]\n"
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("web", "up").await;
    let recorded = |d: Value| d["recorded"] == true;
    daemon
        .until(|d| async move { recorded(d.json("/api/v1/endpoints").await) })
        .await;
    let state = directory.path().join("state");
    let other =
        rusqlite::Connection::open(state.join(probity::history::schema::FILE)).expect("opened");
    other
        .execute_batch("BEGIN IMMEDIATE")
        .expect("nobody else can write now");
    switch.set(500);
    daemon.until_state("web", "down").await;
    let down = probity::net::clock::Clock::Real.read().utc_ms;
    daemon
        .until(|_| async move { probity::net::clock::Clock::Real.read().utc_ms > down + 6000 })
        .await;
    let config = directory.path().join("probity.toml");
    let config = config.to_str().expect("UTF-8");
    let report = || {
        checked(
            &probity(&[
                "sla",
                "report",
                "--config",
                config,
                "--period",
                &super::component_history::month(),
                "--provisional",
            ])
            .stdout,
        )
    };
    let meanwhile = report();
    other.execute_batch("ROLLBACK").expect("given back");
    let path = state.to_str().expect("UTF-8");
    let events = || {
        String::from_utf8(probity(&["export", "journal", "--state-dir", path]).stdout)
            .expect("UTF-8")
    };
    daemon
        .until(|_| async move { events().contains("\"kind\":\"recorded_late\"") })
        .await;
    let journal = written(directory.path(), "journal.jsonl", &events());
    let signer = probity::history::checkpoint::Signer::kept(&state).expect("a key");
    let verified = |value: &Value| {
        let signed = signer.signed(value.as_object().expect("an object").clone());
        let path = written(directory.path(), "report.json", &signed.to_string());
        let output = probity(&["sla", "verify", &path, "--events", &journal]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    assert_eq!(meanwhile["outages"], json!([]), "nothing of it was on disk");
    let (code, said) = verified(&meanwhile);
    assert_eq!(code, Some(0), "{said}");
    // The same, as if it was issued once all of it was written.
    let mut late = meanwhile.clone();
    daemon
        .until(|_| async move { report()["outages"] != json!([]) })
        .await;
    late["issued_at"] = json!(probity::words::format_utc(
        probity::net::clock::Clock::Real.read().utc_ms + 6000
    ));
    let (code, said) = verified(&late);
    assert!(
        code == Some(1) && said.contains("the report leaves it out"),
        "{said}"
    );
}
