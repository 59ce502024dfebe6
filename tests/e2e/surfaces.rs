//! Snapshots of what commands print: help, configs and their faults, and every reading of a night
//! whose figures are known.
//!
//! One file per surface in tests/snapshots. A change of one is read as its reader would, then
//! accepted by running the tests with `INSTA_UPDATE=always`.

use clap::CommandFactory;
use serde_json::Value;

use super::cli::{checked, probity};
use super::program::program;
use super::recorded::{FROM, Recorded, TO, plain, pretty, snapshot, told};

/// The help of a command and of all below it.
fn help_of(command: &clap::Command, path: &[&str], out: &mut String) {
    let shown = program()
        .args(path)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .expect("runs");
    assert_eq!(shown.status.code(), Some(0), "{path:?}");
    *out += &format!(
        "$ probity {} --help\n{}\n",
        path.join(" "),
        String::from_utf8_lossy(&shown.stdout)
    );
    for inner in command.get_subcommands() {
        help_of(inner, &[path, &[inner.get_name()]].concat(), out);
    }
}

#[test]
fn help() {
    let mut out = String::new();
    help_of(&probity::cli::args::Cli::command(), &[], &mut out);
    // Said once, at the top: every command has them.
    let (first, rest) = out
        .split_once("$ probity run --help")
        .expect("the first command");
    let everywhere = regex::Regex::new(concat!(
        r"(?m)^ +--log-format.*\n(?: {10,}.*\n)*^ +--log (?:.*\n)(?: {10,}.*\n)*",
        r"^ +-h, --help(?:.*\n)(?: {10,}.*\n)*^ +-V, --version.*\n(?: {10,}.*\n)*",
    ));
    let rest = everywhere
        .expect("a pattern")
        .replace_all(rest, "      (and --log-format, --log, --help, --version)\n");
    snapshot("help", &format!("{first}$ probity run --help{rest}"));
}

/// What people read of a config is the same on every host.
const NO_HOST: &str = "--no-environment";

#[test]
fn check() {
    let recorded = Recorded::shared();
    let mut out = recorded.told(&["check", NO_HOST]);
    checked(&recorded.probity(&["check", "--json", NO_HOST]).stdout);
    out += &format!(
        "\n$ probity check --config config/quickstart.toml\n{}",
        told(&probity(&[
            "check",
            "--config",
            "config/quickstart.toml",
            NO_HOST
        ]))
    );
    snapshot("check", &out);
    snapshot("check_print", &recorded.told(&["check", "--print"]));
    snapshot(
        "check_json",
        &recorded.named(&pretty(&checked(
            &recorded.probity(&["check", "--json", NO_HOST]).stdout,
        ))),
    );
}

const BAD: &str = r#"
[daemon]
listen = "9847"
sate_dir = "/var/lib/probity"

[metrics]
latency = "native"

[endpoint]
name = "shop"

[[endpoint]]
name = "shop"
interval = 30
timeout = "10 parsecs"
component = "nowhere"
probe.http = "ftp://shop.example/"

[[endpoint]]
name = "shop"
interval = "10ms"
down_after = 0
probe.http.url = "https://shop.example/"
probe.http.expect.status = ["2xxx", 99]
probe.http.expect.body.matches = "("
probe.http.expect.json = "body.status = 'ok'"
probe.http.auth.basic = { username = "a", password = "in clear" }

[[maintenance]]
id = "m"
start = "yesterday"
duration = "2h"
every = "Sunday"

[sla.standard]
objective = 99.9
components = ["nowhere"]
"#;

#[test]
fn faults_of_a_config() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let named = |text: &str| text.replace(directory.path().to_str().expect("UTF-8"), "DIRECTORY");
    let mut out = String::new();
    let tables = BAD.replace("[endpoint]\nname = \"shop\"\n", "");
    for (name, text) in [
        ("bad.toml", tables.as_str()),
        ("table.toml", BAD),
        ("syntax.toml", "[[endpoint]\nname = \"a\"\n"),
        ("empty.toml", ""),
    ] {
        let path = file(name, text);
        out += &format!(
            "$ probity check --config {name}\n{}\n",
            named(&told(&probity(&["check", "--config", &path])))
        );
    }
    out += &format!(
        "$ probity check --config missing.toml\n{}",
        named(&told(&probity(&[
            "check",
            "--config",
            &format!("{}/missing.toml", directory.path().display())
        ])))
    );
    snapshot("faults", &out);
    let json = checked(
        &probity(&[
            "check",
            "--json",
            "--config",
            &file("one.toml", "[[endpoint]]\nname = 1\nprobe.tcp = \"a:1\"\n"),
        ])
        .stdout,
    );
    snapshot("faults_json", &named(&pretty(&json)));
}

/// A command's JSON, held against its schema.
fn json(recorded: &Recorded, args: &[&str]) -> String {
    recorded.named(&pretty(&checked(&recorded.probity(args).stdout)))
}

#[test]
fn history() {
    let recorded = Recorded::shared();
    snapshot("history_list", &recorded.told(&["history", "list"]));
    snapshot(
        "history_list_json",
        &json(&recorded, &["history", "list", "--json", "--limit", "2"]),
    );
    let all = ["history", "list", "--transitions", "--endpoint", "shop-db"];
    snapshot("history_transitions", &recorded.told(&all));
    checked(&recorded.probity(&[&all[..], &["--json"]].concat()).stdout);
    let nothing = recorded.told(&["history", "list", "--since", "2025-04-01T00:00:00Z"]);
    let verified = recorded.told(&["history", "verify"]);
    checked(&recorded.probity(&["history", "verify", "--json"]).stdout);
    snapshot(
        "history_verify",
        &format!("{verified}\n$ probity history list --since 2025-04-01T00:00:00Z\n{nothing}"),
    );
    snapshot("maintenance_list", &recorded.told(&["maintenance", "list"]));
    snapshot(
        "maintenance_list_json",
        &json(&recorded, &["maintenance", "list", "--json"]),
    );
}

#[test]
fn exports() {
    let recorded = Recorded::shared();
    let night = ["--from", FROM, "--to", TO];
    snapshot(
        "export_timeline",
        &json(&recorded, &[&["export", "timeline"], &night[..]].concat()),
    );
    let short = [
        "export",
        "openmetrics",
        "--from",
        "2025-03-01T02:55:00Z",
        "--to",
        "2025-03-01T03:25:00Z",
        "--step",
        "10m",
    ];
    snapshot("export_openmetrics", &recorded.told(&short));
    let journal = recorded.told(&["export", "journal"]);
    assert!(journal.lines().count() > 15, "{journal}");
    snapshot("export_journal", &journal);
}

#[test]
fn contracts_on_a_recorded_night() {
    let recorded = Recorded::shared();
    let evaluate = ["sla", "evaluate", "--period", TO];
    snapshot("sla_evaluate", &recorded.told(&evaluate));
    snapshot(
        "sla_evaluate_json",
        &json(&recorded, &[&evaluate[..], &["--json"]].concat()),
    );
    let report =
        |more: &[&str]| recorded.told(&[&["sla", "report", "--period", TO][..], more].concat());
    // The night is of 2025; a report is issued later, and says so in the way of its language.
    let later = r"20(?:2[6-9]|[3-9]\d)";
    let clock = r"[T ]\d\d:\d\d:\d\d\.\d{3}(?:Z| UTC)";
    let issued =
        format!(r"(?:\d\d?[./-]\d\d?[./-]{later}|{later}-\d\d-\d\d|{later}年\d+月\d+日){clock}");
    let issued = [(issued.as_str(), "ISSUED")];
    for lang in ["en", "fi", "nl", "el", "zh", "uz"] {
        snapshot(
            &format!("report_{lang}"),
            &plain(&report(&["--format", "md", "--lang", lang]), &issued),
        );
    }
    snapshot(
        "report_html",
        &plain(&report(&["--format", "html"]), &issued),
    );
    snapshot("report_csv", &report(&["--format", "csv"]));
    let object = checked(&recorded.probity(&["sla", "report", "--period", TO]).stdout);
    snapshot(
        "report_json",
        &plain(&recorded.named(&pretty(&object)), &issued),
    );
    snapshot(
        "report_tenant",
        &plain(&report(&["--format", "md", "--tenant", "B"]), &issued),
    );
}

#[test]
fn contracts_on_a_timeline_file() {
    let with_files = |more: &[&str]| {
        let args = [
            "sla",
            "evaluate",
            "--contract",
            "docs/examples/contract.toml",
            "--timeline",
            "docs/examples/timeline.json",
            "--period",
            "2026-11",
        ];
        probity(&[&args[..], more].concat())
    };
    checked(&with_files(&["--json"]).stdout);
    let explained = [
        "sla",
        "explain",
        "--objective",
        "99.95",
        "--interval",
        "10s",
    ];
    let value: Value = checked(&probity(&[&explained[..], &["--json"]].concat()).stdout);
    assert_eq!(value["budgets"].as_array().map(Vec::len), Some(12));
    // The months ahead depend on when it is asked; the lengths of months do not.
    let months = [(r"(?m)^  \d{4}-\d\d .*\n", "")];
    let out = format!(
        "$ probity sla evaluate --contract docs/examples/contract.toml --timeline \
            docs/examples/timeline.json --period 2026-11\n{}\n$ probity {}\n{}",
        told(&with_files(&[])),
        explained.join(" "),
        plain(&told(&probity(&explained)), &months)
    );
    snapshot("sla_on_files", &out);
}

#[test]
fn rules() {
    let recorded = Recorded::shared();
    let directory = tempfile::tempdir().expect("a directory");
    let output = recorded.probity(&[
        "rules",
        "--output",
        directory.path().to_str().expect("UTF-8"),
    ]);
    assert_eq!(output.status.code(), Some(0));
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("written");
    snapshot(
        "rules",
        &format!(
            "{}\n{}",
            read("probity-rules.yml"),
            read("probity-rules-test.yml")
        ),
    );
}

#[test]
fn simulation() {
    let recorded = Recorded::shared();
    let outages = recorded.path().join("outages.json");
    std::fs::write(
        &outages,
        "[{\"endpoint\": \"backend\", \"from\": \"2026-11-01T10:00:00Z\", \
            \"to\": \"2026-11-01T10:10:00Z\"}, \
            {\"endpoint\": \"shop-db\", \"from\": \"2026-11-01T11:00:00Z\", \
            \"to\": \"2026-11-01T11:00:20Z\"}]",
    )
    .expect("written");
    snapshot(
        "simulate",
        &recorded.told(&[
            "simulate",
            "--days",
            "1",
            "--outages",
            outages.to_str().expect("UTF-8"),
        ]),
    );
}
