//! What an operator meets in the first hour: files of the wrong owner, backups that cannot be made,
//! a config that is refused, and what `check` says of this host.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use super::cli::probity;
use super::daemon::{Daemon, QUICK, run, write_config};
use super::program::{program, program_of_root, program_of_user};
use super::serve::closed_port;

/// The user that a service manager would choose, in tests that root runs.
const SERVICE: u32 = 64_123;

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Exit code and both outputs.
fn told(args: &[&str]) -> (Option<i32>, String) {
    told_by(probity(args))
}

/// What root is told at a shell.
fn root_told(args: &[&str]) -> (Option<i32>, String) {
    told_by(program_of_root().args(args).output().expect("runs"))
}

fn told_by(output: Output) -> (Option<i32>, String) {
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn give(directory: &Path, user: u32) {
    for entry in std::fs::read_dir(directory).expect("readable") {
        chown(entry.expect("an entry").path(), Some(user), Some(user)).expect("given");
    }
    chown(directory, Some(user), Some(user)).expect("given");
}

fn owners(directory: &Path) -> Vec<(String, u32, u32)> {
    let entries = std::fs::read_dir(directory).expect("readable").flatten();
    let mut list: Vec<_> = entries
        .map(|entry| {
            let found = entry.metadata().expect("there");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, found.uid(), found.mode() & 0o777)
        })
        .collect();
    list.sort();
    list
}

fn one_endpoint() -> String {
    format!(
        "{QUICK}[[endpoint]]\nname = \"a\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    )
}

fn run_as_service(config: &Path) -> Command {
    let folder = config.parent().expect("a folder");
    let mut command = program_of_user(folder, SERVICE);
    command.args(["run", "--config"]).arg(config);
    command
}

/// How a start ends that is refused, as the user of the service.
fn refused_start(config: &Path) -> (Option<i32>, String) {
    let output = run_as_service(config).output().expect("it ended");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Only root can give files away. For other users the files are theirs before and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_by_root_leaves_files_that_the_daemon_can_open() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("set");
    let text = one_endpoint();
    let daemon = Daemon::start(directory.path(), &text).await;
    assert_eq!(daemon.end().await.0, 0);
    let state = directory.path().join("state");
    let (state_name, backup) = (
        state.to_str().expect("UTF-8").to_owned(),
        directory.path().join("kept/copy.sqlite"),
    );
    // Only root can read it, as a backup of another host.
    let kept = directory.path().join("kept");
    std::fs::create_dir(&kept).expect("made");
    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o700)).expect("set");
    let backup = backup.to_str().expect("UTF-8").to_owned();
    let made = told(&[
        "history",
        "backup",
        "--to",
        &backup,
        "--state-dir",
        &state_name,
    ]);
    assert_eq!(made.0, Some(0), "{}", made.1);
    let history = state.join("history.sqlite");
    std::fs::set_permissions(&history, PermissionsExt::from_mode(0o640)).expect("set");
    if !is_root() {
        let own = std::fs::metadata(&history).expect("there").uid();
        let restored = told(&["history", "restore", &backup, "--state-dir", &state_name]);
        assert_eq!(restored.0, Some(0), "{}", restored.1);
        let found = owners(&state);
        let put = found.iter().find(|(name, ..)| name == "history.sqlite");
        assert_eq!(put.map(|file| (file.1, file.2)), Some((own, 0o640)));
        return;
    }
    give(&state, SERVICE);
    // As under /var/lib/private: only root gets through.
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).expect("set");
    let unreached = root_told(&["history", "restore", &backup, "--state-dir", &state_name]);
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("set");
    assert_eq!(unreached.0, Some(73), "{}", unreached.1);
    assert!(unreached.1.contains("systemd-run"), "{}", unreached.1);
    let restored = root_told(&["history", "restore", &backup, "--state-dir", &state_name]);
    assert_eq!(restored.0, Some(0), "{}", restored.1);
    let found = owners(&state);
    assert!(
        found.iter().all(|(_, owner, _)| *owner == SERVICE),
        "{found:?}"
    );
    let mode = |name: &str| found.iter().find(|(n, ..)| n == name).map(|f| f.2);
    assert_eq!(mode("history.sqlite"), Some(0o640), "{found:?}");
    let config = write_config(directory.path(), closed_port(), &text);
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o644)).expect("set");
    let daemon = Daemon::start_with(directory.path(), &text, run_as_service).await;
    assert_eq!(daemon.end().await.0, 0);

    // What a copy by root leaves is named, with the command that mends it.
    let (code, said) = {
        chown(&history, Some(0), Some(0)).expect("given");
        std::fs::set_permissions(&history, PermissionsExt::from_mode(0o600)).expect("set");
        refused_start(&config)
    };
    let path = history.display();
    let words = format!(
        "`{path}` belongs to user 0 (mode 0600), and this process runs as user {SERVICE}; run: \
            chown {SERVICE}: {path}"
    );
    assert!(code == Some(73) && said.contains(&words), "{code:?} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_lie_in_the_state_directory_and_their_age_is_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!("{}[history.backup]\nevery = \"1h\"\n", one_endpoint());
    let daemon = Daemon::start(directory.path(), &text).await;
    let age = "probity_backup_last_success_timestamp_seconds 1";
    daemon
        .until(|d| async move { d.get("/metrics").await.is_some_and(|t| t.contains(age)) })
        .await;
    let page = daemon.get("/").await.expect("a page");
    assert!(page.contains("The newest backup is of "), "{page}");
    assert!(!page.contains("the last backup failed"), "{page}");
    let count = |of: &Path| std::fs::read_dir(of.join("state/backups")).map_or(0, Iterator::count);
    assert_eq!(count(directory.path()), 1);
    assert_eq!(daemon.end().await.0, 0);

    // A restart within the hour makes none, and knows of the one that is there.
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon
        .until(|d| async move { d.get("/metrics").await.is_some_and(|t| t.contains(age)) })
        .await;
    assert_eq!(daemon.end().await.0, 0);
    assert_eq!(count(directory.path()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_cannot_be_made_is_known_from_the_start_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("a file");
    std::fs::write(&file, "").expect("written");
    let text = format!(
        "{}[history.backup]\ndir = \"{}/backups\"\n",
        one_endpoint(),
        file.display()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    let failed = "the last backup failed: the log of the daemon says why";
    daemon
        .until(|d| async move { d.get("/").await.is_some_and(|page| page.contains(failed)) })
        .await;
    let metrics = daemon.get("/metrics").await.expect("metrics");
    assert!(
        metrics.contains("\nprobity_backup_last_success_timestamp_seconds 0.000\n"),
        "{metrics}"
    );
    let log = std::fs::read_to_string(directory.path().join("log")).expect("a log");
    assert!(
        log.contains("cannot be made: Not a directory")
            && log.contains("or name another folder in [history.backup] dir"),
        "{log}"
    );
    assert_eq!(daemon.end().await.0, 0);
}

/// Secrets from every source, none of which is there.
const NO_SECRETS: &str = "[listen]\ntoken = { credential = \"reload-token\" }\n[[notify]]\nname \
    = \"ops\"\nwebhook.url = { file = \"gone/hook\" }\n[deadman]\nurl = { env \
    = \"PROBITY_TEST_GONE\" }\n";

/// As from a shell, where the service manager gives nothing.
fn at_the_shell(directory: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = program()
        .args(args)
        .current_dir(directory)
        .env_remove("CREDENTIALS_DIRECTORY")
        .env_remove("STATE_DIRECTORY")
        .output()
        .expect("it ran");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_send_no_secret_read_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{}[sla.s]\nobjective = \"99.9\"\ncomponents = [\"a\"]\n",
        one_endpoint()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    let port = daemon.port;
    daemon.until_state("a", "down").await;
    let config = write_config(directory.path(), port, &format!("{text}{NO_SECRETS}"));
    let text = std::fs::read_to_string(&config).expect("there");
    // `[daemon] listen` is short for an address in [listen].
    let listen = format!("listen = \"127.0.0.1:{port}\"\n");
    let moved = format!("[listen]\naddress = \"127.0.0.1:{port}\"\n");
    let text = text.replace(&listen, "").replace("[listen]\n", &moved);
    std::fs::write(&config, text).expect("written");
    let name = config.to_str().expect("UTF-8");
    let status = at_the_shell(directory.path(), &["status", "--config", name]);
    assert_eq!(status.0, Some(1), "the endpoint is down: {}", status.1);
    assert_eq!(daemon.end().await.0, 0);
    let now = probity::net::clock::Clock::Real.read().utc_ms;
    let month = &probity::words::format_utc(now)[..7];
    let out = directory.path().join("out");
    let out = out.to_str().expect("UTF-8");
    for (args, codes) in [
        (&["history", "list"][..], &[0][..]),
        (&["history", "verify"], &[0]),
        (&["maintenance", "list"], &[0]),
        (&["export", "timeline"], &[0]),
        (&["export", "openmetrics"], &[0]),
        (&["rules", "--output", out], &[0]),
        (&["simulate", "--days", "1"], &[0]),
        (&["sla", "evaluate", "--period", month], &[0, 1, 3]),
        (
            &["sla", "report", "--period", month, "--output", out],
            &[0, 1, 3],
        ),
    ] {
        let args = [args, &["--config", name]].concat();
        let (code, said) = at_the_shell(directory.path(), &args);
        assert!(
            code.is_some_and(|code| codes.contains(&code)),
            "{args:?}: {code:?} {said}"
        );
    }
    let reports = std::fs::read_dir(out).expect("made").flatten();
    assert!(
        reports
            .into_iter()
            .any(|file| file.path().is_dir() || file.file_name().to_string_lossy().contains("s-")),
        "a report was written"
    );
    // The daemon itself needs all of them.
    let started = at_the_shell(directory.path(), &["run", "--config", name]);
    assert!(
        started.0 == Some(78) && started.1.contains("3 faults"),
        "{} {}",
        started.0.unwrap_or_default(),
        started.1
    );
}

#[test]
fn check_names_credentials_that_it_cannot_see_and_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("conf/probity.toml");
    std::fs::create_dir(directory.path().join("conf")).expect("made");
    std::fs::set_permissions(
        config.parent().expect("one"),
        PermissionsExt::from_mode(0o755),
    )
    .expect("set");
    let write = |more: &str| {
        let text = format!(
            "[listen]\naddress = \"127.0.0.1:{}\"\ntoken = {{ credential = \"reload-token\" \
                }}\n[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://127.0.0.1:1/\"\n\
                probe.http.auth.bearer = {{ file = \"secrets.d/token\" }}\n{more}",
            closed_port()
        );
        std::fs::write(&config, text).expect("written");
    };
    let check = || at_the_shell(directory.path(), &["check", "conf/probity.toml"]);
    write("");
    // A relative path begins at the config, wherever the command is started.
    let secrets = directory.path().join("conf/secrets.d");
    std::fs::create_dir(&secrets).expect("made");
    std::fs::set_permissions(&secrets, PermissionsExt::from_mode(0o755)).expect("set");
    std::fs::write(secrets.join("token"), "planted-token-1234").expect("written");
    std::fs::set_permissions(secrets.join("token"), PermissionsExt::from_mode(0o600)).expect("set");
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("only the service manager has them: the credentials reload-token;"),
        "{said}"
    );
    assert_eq!(
        said.contains("only root can read conf/secrets.d/token"),
        is_root(),
        "{said}"
    );
    write("unheard_of = 1\n");
    let (code, said) = check();
    assert!(
        code == Some(78) && said.contains("unknown key `unheard_of`") && !said.contains("reload-"),
        "{said}"
    );
}

#[test]
fn check_says_what_a_start_on_this_host_would_meet() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("bound").port();
    let config = directory.path().join("probity.toml");
    let file = directory.path().join("a file");
    std::fs::write(&file, "").expect("written");
    let text = format!(
        "include = [\"conf.d/*.toml\"]\n[daemon]\nlisten = \"127.0.0.1:{port}\"\nstate_dir \
            = \"{0}/state\"\n[history.backup]\ndir = \"{0}/backups\"\n[[endpoint]]\nname \
            = \"a\"\ninterval = \"2s\"\ntimeout = \"3s\"\nresolver = \"127.0.0.1:{1}\"\n\
            probe.tcp = \"nowhere.invalid:1\"\n",
        file.display(),
        closed_port()
    );
    let folder = directory.path().join("conf.d");
    std::fs::create_dir(&folder).expect("made");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("set");
    std::fs::write(&config, text).expect("written");
    let check = |more: &[&str]| {
        let args = [&["check", config.to_str().expect("UTF-8")], more].concat();
        at_the_shell(directory.path(), &args)
    };
    let of_the_host = [
        format!("another program listens on 127.0.0.1:{port}: the daemon would not start"),
        format!(
            "the state directory cannot be used: {} is not a directory",
            file.display()
        ),
        "backups cannot be made in ".to_owned(),
        "a: nowhere.invalid does not resolve: ".to_owned(),
    ];
    let of_the_config = [
        "include: no file matches `",
        "a has a timeout (3 s) that is longer than its interval (2 s)",
    ];
    let (code, said) = check(&[]);
    assert_eq!(code, Some(0), "{said}");
    for words in of_the_host.iter().map(String::as_str).chain(of_the_config) {
        assert!(said.contains(words), "{words}: {said}");
    }
    let (code, said) = check(&["--no-environment"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        of_the_host.iter().all(|words| !said.contains(words)),
        "{said}"
    );
    assert!(
        of_the_config.iter().all(|words| said.contains(words)),
        "{said}"
    );
    let (code, said) = check(&["--strict", "--no-environment"]);
    assert!(
        code == Some(78) && said.contains("--strict allows none"),
        "{said}"
    );
    let both = config.to_str().expect("UTF-8");
    let (code, said) = at_the_shell(directory.path(), &["check", both, "--config", both]);
    assert_eq!(code, Some(64), "{said}");
}

/// It never ends its answer: a byte each 100 ms, for ten seconds.
#[test]
fn check_does_not_wait_for_a_neighbour_that_drips() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in taken.incoming().flatten() {
            let gap = Some(Duration::from_millis(100));
            stream.set_read_timeout(gap).expect("set");
            let mut dripped = 0;
            while dripped < 100 && stream.write_all(b"x").is_ok() {
                dripped += 1;
                let _ = stream.read(&mut [0; 1024]);
            }
        }
    });
    let config = write_config(directory.path(), port, &one_endpoint());
    let began = tokio::time::Instant::now();
    let (code, said) = at_the_shell(
        directory.path(),
        &["check", config.to_str().expect("UTF-8")],
    );
    assert!(
        code == Some(0) && said.contains("another program listens"),
        "{code:?} {said}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_reload_is_shown_until_it_is_mended() {
    let directory = tempfile::tempdir().expect("a directory");
    let manager = UnixDatagram::bind(directory.path().join("manager")).expect("bound");
    manager.set_nonblocking(true).expect("set");
    let told = || {
        let (mut list, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length) = manager.recv(&mut buffer) {
            list.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        list
    };
    let under_a_manager = |config: &Path| {
        let mut command = run(config);
        command.env("NOTIFY_SOCKET", directory.path().join("manager"));
        command
    };
    let text = one_endpoint();
    let daemon = Daemon::start_with(directory.path(), &text, under_a_manager).await;
    let port = daemon.port;
    let config = write_config(directory.path(), port, &text);
    let name = config.to_str().expect("UTF-8").to_owned();
    let (code, said) = at_the_shell(directory.path(), &["check", &name]);
    let running = format!("a running Probity daemon listens on 127.0.0.1:{port}");
    assert!(
        code == Some(0) && !said.contains(&running),
        "its own daemon runs: {code:?} {said}"
    );
    let elsewhere = std::fs::read_to_string(&config).expect("read");
    let elsewhere = elsewhere.replace("/state\"", "/another\"");
    let second = directory.path().join("second.toml");
    std::fs::write(&second, elsewhere).expect("written");
    let second = second.to_str().expect("UTF-8");
    let (code, said) = at_the_shell(directory.path(), &["check", second]);
    assert!(
        code == Some(0) && said.contains(&running),
        "{code:?} {said}"
    );
    let reload = || at_the_shell(directory.path(), &["reload", "--config", &name]);
    assert_eq!(reload().0, Some(0));
    told();

    // One fault in what the config says, and one in how it is written.
    let faulty = format!("{text}planted_word = 1\nlabels = \"planted value\"\n");
    write_config(directory.path(), port, &faulty);
    let (code, said) = reload();
    assert!(
        code == Some(1) && said.contains("unknown key `planted_word`"),
        "{code:?} {said}"
    );
    let line = std::fs::read_to_string(&config)
        .expect("there")
        .lines()
        .position(|line| line.starts_with("planted_word"))
        .expect("a line")
        + 1;
    let refused = "the last reload was refused, the config before is in force: ";
    let first = format!("{refused}{name}:{line}:1: unknown key \u{2026}");
    let states = told();
    assert!(
        states
            .iter()
            .any(|state| state.contains("READY=1") && state.contains(&first)),
        "{states:?}"
    );
    let page = daemon.get("/").await.expect("a page");
    assert!(page.contains(&first), "{page}");
    let url = format!("http://127.0.0.1:{port}");
    let status = || at_the_shell(directory.path(), &["status", "--url", &url]).1;
    assert!(status().contains(&first), "{}", status());
    for shown in [page, status(), states.concat()] {
        assert!(!shown.contains("planted"), "{shown}");
    }

    write_config(directory.path(), port, &text);
    assert_eq!(reload().0, Some(0));
    let states = told();
    assert!(
        states
            .iter()
            .any(|state| state.contains("READY=1") && state.contains("STATUS=1 endpoints")),
        "{states:?}"
    );
    // The daemon reports its state now and then, too: what came before the reload does not count.
    let reloaded = states.iter().position(|s| s.contains("RELOADING=1"));
    let since = states[reloaded.expect("a reload")..].concat();
    let shown = since + &daemon.get("/").await.expect("a page") + &status();
    assert!(!shown.contains(refused), "{shown}");
    assert_eq!(daemon.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_that_was_changed_and_not_reloaded_is_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = one_endpoint();
    let daemon = Daemon::start(directory.path(), &text).await;
    let url = format!("http://127.0.0.1:{}", daemon.port);
    let status = || at_the_shell(directory.path(), &["status", "--url", &url]).1;
    let note = "the config on disk differs from the one in force, which was read at ";
    let shown = async |daemon: &Daemon| {
        let pages = ["/", "/prober"].map(|path| daemon.get(path));
        let [page, prober] = pages;
        let page = page.await.expect("a page").contains(note);
        let prober = prober.await.expect("a page");
        let prober = prober.contains("UTC; the one on disk differs");
        let list = daemon.json("/api/v1/endpoints").await;
        let field = list["config_changed_since"].is_string();
        [page, prober, field, status().contains(note)]
    };
    assert_eq!(shown(&daemon).await, [false; 4]);
    let edited = write_config(directory.path(), daemon.port, &format!("{text}# a note\n"));
    daemon.until(async |d| shown(d).await == [true; 4]).await;
    let edited = edited.to_str().expect("UTF-8");
    let (code, said) = at_the_shell(directory.path(), &["reload", "--config", edited]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(shown(&daemon).await, [false; 4]);
    assert_eq!(daemon.end().await.0, 0);
}

#[test]
fn the_unit_waits_for_the_answer_of_a_reload() {
    let unit = std::fs::read_to_string("deploy/systemd/probity.service").expect("there");
    let line = |key: &str| unit.lines().find(|line| line.starts_with(key));
    assert_eq!(
        line("ExecReload="),
        Some("ExecReload=/usr/bin/probity reload --config /etc/probity/probity.toml")
    );
}
