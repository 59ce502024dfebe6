//! `probity status`: which endpoints it shows, in which order, and whom it asks.

use std::process::Output;

use super::cli::{checked, probity};
use super::daemon::{Daemon, write_config};
use super::serve::{answering, closed_port, ok};

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_chosen_by_name_state_and_label_and_ordered() {
    let directory = tempfile::tempdir().expect("a directory");
    let (port, dead) = (answering(ok("", b"")).await, closed_port());
    let text = format!(
        "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n\
         [[endpoint]]\nname = \"web-b\"\nlabels = {{ team = \"shop\" }}\nprobe.http = \
         \"http://127.0.0.1:{port}/\"\n[[endpoint]]\nname = \"web-a\"\nprobe.http = \
         \"http://127.0.0.1:{port}/\"\n[[endpoint]]\nname = \"db\"\nlabels = {{ team = \"shop\" \
         }}\nprobe.tcp = \"127.0.0.1:{dead}\"\n[[maintenance]]\nid = \"m\"\nendpoints = \
         [\"db\"]\nstart = \"2026-01-01T00:00\"\nevery = [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \
         \"Fri\", \"Sat\", \"Sun\"]\nduration = \"1d\"\nreason = \"r\"\n"
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    for (name, state) in [("web-a", "up"), ("web-b", "up"), ("db", "down")] {
        daemon.until_state(name, state).await;
    }
    let url = format!("http://127.0.0.1:{}", daemon.port);
    let names = |args: &[&str]| -> Vec<String> {
        let output = probity(&[&["status", "--url", &url, "--json"], args].concat());
        let rows = checked(&output.stdout)["endpoints"].clone();
        let rows = rows.as_array().expect("a list").clone();
        rows.iter()
            .map(|e| e["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names(&[]), ["web-b", "web-a", "db"]);
    assert_eq!(names(&["--sort", "name"]), ["db", "web-a", "web-b"]);
    assert_eq!(names(&["--sort", "state"]), ["db", "web-b", "web-a"]);
    assert_eq!(names(&["web-*"]), ["web-b", "web-a"]);
    assert_eq!(names(&["--label", "team=shop"]), ["web-b", "db"]);
    assert_eq!(
        names(&["--label", "team=shop", "--state", "down,unknown"]),
        ["db"]
    );
    assert_eq!(names(&["--state", "unknown"]), Vec::<String>::new());
    // The exit code is that of what is shown.
    let code = |args: &[&str]| {
        probity(&[&["status", "--url", &url], args].concat())
            .status
            .code()
    };
    assert_eq!((code(&[]), code(&["web-?"])), (Some(1), Some(0)));
    // For a health check a daemon is well that probes and records, whatever it finds.
    let ready = probity(&["status", "--url", &url, "--ready"]);
    assert_eq!(ready.status.code(), Some(0), "{}", both(&ready));
    assert!(both(&ready).contains("Ready"), "{}", both(&ready));
    let table = both(&probity(&["status", "--url", &url, "db"]));
    assert!(
        table.contains("month") && table.contains("failure: connect_refused, in maintenance"),
        "{table}"
    );
    let none = probity(&["status", "--url", &url, "shop"]);
    assert_eq!(none.status.code(), Some(64));
    assert!(both(&none).contains("no endpoint matches `shop`"));
    assert_eq!(code(&["--label", "team"]), Some(64));
}

#[test]
fn a_daemon_that_is_not_there_is_named_with_where_its_address_comes_from() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = closed_port();
    let config = write_config(directory.path(), port, "");
    let config = config.to_str().expect("UTF-8");
    let output = probity(&["status", "--config", config]);
    let error = both(&output);
    assert_eq!(output.status.code(), Some(69), "{error}");
    let address = format!("http://127.0.0.1:{port} (the [listen] address of {config})");
    assert!(
        error.contains(&address) && error.contains("Connection refused"),
        "{error}"
    );
    let ready = probity(&["status", "--config", config, "--ready"]);
    assert_eq!(ready.status.code(), Some(69), "{}", both(&ready));
    // A config that cannot be read says nothing of the daemon that is meant.
    for text in ["[daemon]\nlisten = 1\n", "["] {
        std::fs::write(config, text).expect("written");
        let output = probity(&["status", "--config", config]);
        assert_eq!(output.status.code(), Some(78), "{}", both(&output));
        assert!(
            both(&output).contains("name it with --url"),
            "{}",
            both(&output)
        );
    }
    // One with faults has been refused by the daemon that runs: it listens where it did.
    std::fs::write(
        config,
        format!("[daemon]\nlisten = \"127.0.0.1:{port}\"\nstate_dri = 1\n"),
    )
    .expect("written");
    let output = probity(&["status", "--config", config]);
    assert_eq!(output.status.code(), Some(69), "{}", both(&output));
    let why = format!("the listen address in {config}, which has faults");
    assert!(both(&output).contains(&why), "{}", both(&output));
    let output = probity(&["status", "--config", "/not/there.toml"]);
    assert_eq!(output.status.code(), Some(78), "{}", both(&output));
}
