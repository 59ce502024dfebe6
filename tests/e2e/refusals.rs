//! What cannot be judged is refused: files that are none, figures out of any range, two answers to
//! one question. Each refusal says what is wrong, where and what to do, ends with a documented
//! code, and never panics.

use std::io::{Read, Write};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::cli::probity;
use super::daemon::{Daemon, run};
use super::program::program;
use super::recorded::Recorded;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }

    fn contract(&self) -> String {
        self.file(
            "c.toml",
            "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"c\"]\n",
        )
    }
}

/// Refused with this code, and with these words on standard error.
fn refused(output: &Output, code: i32, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    for word in words {
        assert!(error.contains(word), "no {word:?} in: {error}");
    }
    assert!(
        output.stdout.is_empty() && !error.contains("panicked"),
        "{error}"
    );
}

#[test]
fn an_instant_outside_the_years_that_can_be_written_is_refused() {
    let place = Place::new();
    let contract = place.contract();
    let first_of_10000 = 253_402_300_800_000_i64;
    for (from, to) in [
        (json!("2026-11-01T00:00:00Z"), json!(first_of_10000)),
        (json!(-62_167_219_200_001_i64), json!(0)),
        (json!(0), json!(1e18)),
    ] {
        let timeline = json!({"components": [{"name": "c", "down": [{"from": from, "to": to}]}]});
        let file = place.file("t.json", timeline.to_string());
        let output = probity(&[
            "sla",
            "evaluate",
            "--contract",
            &contract,
            "--timeline",
            &file,
            "--period",
            "2026-11",
        ]);
        refused(
            &output,
            64,
            &["t.json: components[0].down[0].", "years 0000 to 9999"],
        );
    }
    let last =
        json!({"components": [{"name": "c", "down": [{"from": 0, "to": first_of_10000 - 1}]}]});
    let output = probity(&[
        "sla",
        "evaluate",
        "--contract",
        &contract,
        "--timeline",
        &place.file("t.json", last.to_string()),
        "--period",
        "2026-11",
    ]);
    assert_eq!(output.status.code(), Some(1), "all of it is down");
}

const TWO_VANTAGES: &str = concat!(
    r#"[{"vantage":"a","at":0,"ok":true},{"vantage":"b","at":0,"ok":true},"#,
    r#"{"vantage":"a","at":30000,"ok":false},{"vantage":"b","at":30000,"ok":false}]"#,
);

#[test]
fn durations_of_flags_have_bounds() {
    let place = Place::new();
    let probes = place.file("p.json", TWO_VANTAGES);
    let most = "18446744073709551615ms";
    for (flag, values) in [
        (
            "--interval",
            &["0s", "367d", most, "30", "", "1y", "99999999999999999999d"][..],
        ),
        ("--timeout", &["0s", "367d", most][..]),
        ("--retry-interval", &["0s", "367d", most][..]),
        ("--late-after", &["367d", most][..]),
        ("--jitter", &["nan", "inf", "1", "x"][..]),
        ("--down-after", &["0", "101", "4294967295"][..]),
        ("--up-after", &["0", "101"][..]),
    ] {
        for value in values {
            let mut args = vec!["export", "timeline", "--probes", &probes, flag, value];
            if flag != "--interval" {
                args.extend(["--interval", "30s"]);
            }
            refused(
                &probity(&args),
                64,
                &[flag, &format!("`{value}`"), "Allowed: "],
            );
        }
    }
    for value in ["0s", "50ms", "367d", most] {
        refused(
            &probity(&["sla", "explain", "--objective", "99.9", "--interval", value]),
            64,
            &["--interval", "Allowed: "],
        );
    }
    let recorded = Recorded::shared();
    let openmetrics =
        |more: &[&str]| recorded.probity(&[&["export", "openmetrics"], more].concat());
    for value in ["0s", "999ms", "367d", most] {
        refused(
            &openmetrics(&["--step", value]),
            64,
            &["--step", "Allowed: "],
        );
    }
    refused(
        &openmetrics(&[
            "--from",
            "0000-01-01T00:00:00Z",
            "--to",
            "9999-12-31T00:00:00Z",
            "--step",
            "1s",
        ]),
        64,
        &["--step", "samples"],
    );
}

#[test]
fn a_result_that_says_two_things_is_refused() {
    let place = Place::new();
    for (item, words) in [
        (
            json!({"at": 0, "start": 0, "end": 1, "ok": false, "result": "success"}),
            "both `ok` and `result`",
        ),
        (
            json!({"at": 0, "ok": "false"}),
            "`ok` should be true or false",
        ),
        (
            json!({"at": 0, "event": "start", "ok": true}),
            "both an event and a result",
        ),
        (
            json!({"start": 0, "end": 1, "result": "unmeasured", "reason": "weather"}),
            "unknown reason `weather`",
        ),
    ] {
        let file = place.file("p.json", json!([{"at": 0, "ok": true}, item]).to_string());
        refused(
            &probity(&["export", "timeline", "--probes", &file, "--interval", "30s"]),
            64,
            &["p.json: item 1: ", words],
        );
    }
}

/// With a quorum that nobody can reach nothing would ever be down.
#[test]
fn a_quorum_that_cannot_be_reached_is_refused() {
    let place = Place::new();
    let (contract, probes) = (place.contract(), place.file("p.json", TWO_VANTAGES));
    let export = |quorum: &str| {
        probity(&[
            "export",
            "timeline",
            "--probes",
            &probes,
            "--interval",
            "30s",
            "--quorum",
            quorum,
        ])
    };
    refused(&export("3"), 64, &["--quorum", "`3`", "1 to 2"]);
    refused(&export("0"), 64, &["--quorum", "`0`", "1 to 2"]);
    assert_eq!(export("2").status.code(), Some(0));
    let outage = json!({"from": "2026-11-02T00:00:00Z", "to": "2026-11-03T00:00:00Z"});
    let down = json!({"components": [{"name": "c", "down": [outage]}]});
    let timeline = place.file("t.json", down.to_string());
    let evaluate = |quorum: &str| {
        probity(&[
            "sla",
            "evaluate",
            "--contract",
            &contract,
            "--timeline",
            &timeline,
            "--timeline",
            &timeline,
            "--period",
            "2026-11",
            "--quorum",
            quorum,
        ])
    };
    refused(&evaluate("3"), 64, &["--quorum", "`3`", "1 to 2"]);
    refused(&evaluate("0"), 64, &["--quorum", "`0`", "1 to 2"]);
    assert_eq!(evaluate("2").status.code(), Some(1));
}

#[test]
fn a_file_that_is_none_says_what_is_wrong() {
    let place = Place::new();
    let (contract, timeline) = (place.contract(), place.file("t.json", "{}"));
    let utf_16: Vec<u8> = "\u{feff}[sla.s]"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::create_dir(place.0.path().join("directory")).expect("made");
    let vast = |name: &str, bytes: u64| {
        let path = place.file(name, "");
        std::fs::File::options()
            .write(true)
            .open(&path)
            .and_then(|f| f.set_len(bytes))
            .expect("a sparse file");
        path
    };
    let directory = place
        .0
        .path()
        .join("directory")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let zeros = vast("zeros", 60 << 20);
    for (file, words) in [
        (&directory, "directory"),
        (&place.file("utf-16", utf_16), "UTF-8"),
        (&zeros, "zero byte"),
        (&vast("vast", 2 << 30), "the limit is"),
        (&format!("{directory}/missing"), "No such file"),
    ] {
        let name = file.rsplit('/').next().expect("a name");
        refused(
            &probity(&["check", "--config", file]),
            78,
            &[name, words, "--config"],
        );
        refused(
            &probity(&[
                "sla",
                "evaluate",
                "--contract",
                file,
                "--timeline",
                &timeline,
                "--period",
                "2026-11",
            ]),
            78,
            &[name, words, "[sla.NAME]"],
        );
        refused(
            &probity(&[
                "sla",
                "evaluate",
                "--contract",
                &contract,
                "--timeline",
                file,
                "--period",
                "2026-11",
            ]),
            64,
            &[name, words],
        );
        refused(
            &probity(&["export", "timeline", "--probes", file, "--interval", "30s"]),
            64,
            &[name, words],
        );
        refused(
            &probity(&["sla", "verify", file, "--events", file]),
            64,
            &[name, words],
        );
        refused(
            &probity(&[
                "history",
                "verify",
                "--since",
                file,
                "--state-dir",
                &directory,
            ]),
            64,
            &[name, words],
        );
    }
    let empty = place.file("empty", "");
    refused(
        &probity(&[
            "sla",
            "evaluate",
            "--contract",
            &empty,
            "--period",
            "2026-11",
        ]),
        78,
        &["empty", "[sla.NAME]"],
    );
    refused(
        &probity(&[
            "sla",
            "evaluate",
            "--contract",
            &contract,
            "--timeline",
            &empty,
            "--period",
            "2026-11",
        ]),
        64,
        &["empty: it is empty"],
    );
    refused(
        &probity(&[
            "export",
            "timeline",
            "--probes",
            &empty,
            "--interval",
            "30s",
        ]),
        64,
        &["empty: it is empty"],
    );
    let torn = place.file("torn", "{\"components\": [");
    refused(
        &probity(&["export", "timeline", "--probes", &torn, "--interval", "30s"]),
        64,
        &["torn: invalid JSON", "line 1"],
    );
}

#[test]
fn a_malformed_period_is_refused_with_an_example() {
    let place = Place::new();
    let (contract, timeline) = (
        place.contract(),
        place.file("t.json", "{\"components\": [{\"name\": \"c\"}]}"),
    );
    for period in [
        "2026-13",
        "2026-00",
        "2026-1",
        "26-11",
        "2026/11",
        "2026-11-01",
        "",
        " 2026-11",
        "2026-Q5",
        "99999-01",
        "2026",
        "2026-11x",
        "November",
        "２０２６-11",
    ] {
        let output = probity(&[
            "sla",
            "evaluate",
            "--contract",
            &contract,
            "--timeline",
            &timeline,
            "--period",
            period,
        ]);
        refused(&output, 64, &[&format!("`{period}`"), "2026-11"]);
    }
    let rolling = place.file(
        "r.toml",
        "[sla.s]\nobjective = \"99.9\"\ncomponents = [\"c\"]\nperiod = \"rolling 30d\"\n",
    );
    for period in ["2026-11", "now"] {
        let output = probity(&[
            "sla",
            "evaluate",
            "--contract",
            &rolling,
            "--timeline",
            &timeline,
            "--period",
            period,
        ]);
        refused(
            &output,
            64,
            &[&format!("`{period}`"), "2026-12-01T00:00:00Z"],
        );
    }
}

/// What prints, and the code that it ends with.
const PRINTING: [(&[&str], i32); 8] = [
    (&["--help"], 0),
    (&["man"], 0),
    (&["completions", "bash"], 0),
    (&["check", "--config", "config/quickstart.toml"], 0),
    (
        &["check", "--config", "config/quickstart.toml", "--json"],
        0,
    ),
    (&["sla", "explain", "--objective", "99.9"], 0),
    (
        &[
            "sla",
            "evaluate",
            "--contract",
            "docs/examples/contract.toml",
            "--timeline",
            "docs/examples/timeline.json",
            "--period",
            "2026-11",
        ],
        1,
    ),
    (
        &[
            "simulate",
            "--config",
            "config/quickstart.toml",
            "--days",
            "1",
        ],
        0,
    ),
];

fn with_output(args: &[&str], out: Stdio) -> Output {
    program()
        .args(args)
        .stdout(out)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("runs")
}

#[test]
fn a_reader_that_leaves_changes_nothing_and_a_full_disk_is_told() {
    let recorded = Recorded::shared();
    let (config, state) = (recorded.config(), recorded.state_dir());
    let of_state = [
        vec!["export", "journal", "--state-dir", &state],
        vec![
            "export",
            "openmetrics",
            "--state-dir",
            &state,
            "--from",
            "2025-03-01T00:00:00Z",
            "--to",
            "2025-03-01T06:00:00Z",
        ],
        vec![
            "export",
            "timeline",
            "--config",
            config.to_str().expect("UTF-8"),
        ],
        vec!["history", "list", "--state-dir", &state],
    ];
    let all = PRINTING
        .iter()
        .map(|(args, code)| (args.to_vec(), *code))
        .chain(of_state.into_iter().map(|args| (args, 0)));
    for (args, code) in all {
        // The other end of the pipe is gone before anything is written.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let left = with_output(&args, writer.into());
        assert_eq!(
            (left.status.code(), String::from_utf8_lossy(&left.stderr)),
            (Some(code), "".into()),
            "{args:?}"
        );
        let full = with_output(
            &args,
            std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .expect("Linux has it")
                .into(),
        );
        assert_eq!(
            full.status.code(),
            Some(74),
            "{args:?}: {}",
            String::from_utf8_lossy(&full.stderr)
        );
        assert!(
            String::from_utf8_lossy(&full.stderr).contains("cannot be written"),
            "{args:?}"
        );
    }
}

#[test]
fn a_refusal_that_nobody_reads_is_one_all_the_same() {
    for (args, code) in [
        (&["check", "--config", "missing.toml"][..], 78),
        (&["nonsense"], 64),
        (&["status", "--url", "http://127.0.0.1:1"], 69),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let status = program()
            .args(args)
            .stderr(writer)
            .stdout(Stdio::null())
            .status()
            .expect("runs");
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

/// The terminal is closed, or the logger restarts: probing goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_log_nobody_reads_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let text = "[[endpoint]]\nname = \"down\"\ninterval = \"500ms\"\nprobe.tcp = \"127.0.0.1:1\"\n";
    let daemon = Daemon::start_logging(directory.path(), text, writer.into(), run).await;
    daemon.until_state("down", "down").await;
    daemon.reload().await.expect("reloaded");
}

/// What fails after the history was opened ends the daemon as well: it must not go on without
/// listener and notifications.
#[test]
fn a_daemon_that_cannot_make_its_control_socket_says_so_and_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    // A socket's path has 107 bytes at most (unix(7)).
    let deep = directory.path().join("d".repeat(100));
    let taken = directory.path().join("taken");
    std::fs::create_dir_all(taken.join("control.sock/folder")).expect("made");
    std::fs::set_permissions(&taken, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("changed");
    for state in [deep, taken] {
        let text = format!(
            "[daemon]\nvantage = \"v\"\nlisten = \"127.0.0.1:0\"\nstate_dir = {state:?}\n\
            [[endpoint]]\nname = \"e\"\nprobe.tcp = \"127.0.0.1:1\"\n"
        );
        let config = directory.path().join("probity.toml");
        std::fs::write(&config, text).expect("written");
        let mut daemon = run(&config)
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut said = String::new();
        let mut error = daemon.stderr.take().expect("a pipe");
        // Until it ends.
        error.read_to_string(&mut said).expect("read");
        let code = daemon.wait().expect("ended").code();
        assert_eq!(code, Some(73), "{said}");
        let place = state.join("control.sock");
        let place = place.display();
        assert!(
            said.contains(&format!("the control socket {place} cannot be made")),
            "{said}"
        );
    }
}

/// The terminal is stopped, or the logger stands still: probing goes on, and the lines follow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_log_is_full_goes_on_and_writes_when_it_is_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    // As many bytes as a pipe holds (pipe(7)): nothing more can be written.
    writer.write_all(&[b'x'; 64 << 10]).expect("written");
    let text = "[[endpoint]]\nname = \"down\"\ninterval = \"500ms\"\nprobe.tcp = \"127.0.0.1:1\"\n";
    let daemon = Daemon::start_logging(directory.path(), text, writer.into(), run).await;
    daemon.until_state("down", "down").await;
    let text = Arc::new(Mutex::new(Vec::new()));
    let reading = text.clone();
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut piece) {
            let mut text = reading.lock().expect("a text");
            text.extend_from_slice(&piece[..n]);
        }
    });
    let is_written = || {
        let text = text.lock().expect("a text");
        String::from_utf8_lossy(&text).contains("endpoint=down")
    };
    daemon.until(|_| std::future::ready(is_written())).await;
}

#[test]
fn what_is_not_read_on_a_terminal_has_no_escape_codes() {
    for (args, _) in PRINTING
        .iter()
        .filter(|(args, _)| args != &["completions", "bash"])
    {
        for color in ["CLICOLOR_FORCE", "NO_COLOR"] {
            let output = program()
                .args(*args)
                .env(color, "1")
                .env("TERM", "xterm-256color")
                .output()
                .expect("runs");
            assert!(
                !output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b),
                "{args:?}"
            );
        }
    }
    let down = probity(&["probe", "tcp://127.0.0.1:1", "--log", "debug"]);
    assert!(!down.stdout.contains(&0x1b) && !down.stderr.contains(&0x1b));
}

/// A mistake in an address is one on the command line, and no config is to blame.
#[test]
fn an_address_that_is_none_is_a_usage_error() {
    for address in [
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:99999",
        "http://",
        "dns://",
        "icmp://",
        "tls://a b:1",
    ] {
        let output = probity(&["probe", address]);
        refused(&output, 64, &["probity: "]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !error.contains("command line:") && !error.contains("config"),
            "{error}"
        );
    }
    refused(
        &probity(&["probe", "tcp://127.0.0.1:1", "--timeout", "99999999d"]),
        64,
        &["--timeout", "Allowed: "],
    );
}

/// A name that was never recorded has no outages, and that is no answer.
#[test]
fn an_endpoint_that_was_never_recorded_is_refused() {
    let recorded = Recorded::shared();
    refused(
        &recorded.probity(&["history", "list", "--endpoint", "shop-wbe"]),
        64,
        &["`shop-wbe`", "shop-web"],
    );
}
