//! Whose files are believed, and how files are made: modes, owners, links that somebody planted.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::cli::probity;
use super::daemon::{Daemon, http, run, write_config};
use super::program::program;
use super::serve::closed_port;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("there").mode() & 0o7777
}

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
}

fn check(config: &Path) -> (Option<i32>, String) {
    told(probity(&[
        "check",
        "--config",
        config.to_str().expect("UTF-8"),
    ]))
}

fn told(output: Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// How a daemon ends that should not start, within ten seconds.
fn started(config: &Path) -> (Option<i32>, String) {
    ended(run(config))
}

/// What a command says that ends by itself soon.
fn ended(mut command: Command) -> (Option<i32>, String) {
    let child = command
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("spawned");
    let (pid, (sender, ended)) = (child.id(), std::sync::mpsc::channel());
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = ended
        .recv_timeout(std::time::Duration::from_secs(10))
        .unwrap_or_else(|_| {
            sh(&format!("kill -9 {pid}"));
            panic!("it goes on")
        });
    told(output.expect("ended"))
}

fn sh(line: &str) {
    assert!(
        Command::new("sh")
            .args(["-c", line])
            .status()
            .expect("a shell runs")
            .success(),
        "{line}"
    );
}

/// The command that the refusal gives, as it stands there.
fn advised(text: &str) -> String {
    let (_, rest) = text
        .split_once("; run: ")
        .unwrap_or_else(|| panic!("no advice in {text}"));
    rest.split(['\n', ','])
        .next()
        .expect("a command")
        .to_owned()
}

/// A config with an included file and a secret, and what each is.
fn config(directory: &Path) -> [PathBuf; 4] {
    let (folder, secret) = (directory.join("conf.d"), directory.join("the token"));
    std::fs::create_dir(&folder).expect("made");
    set(&folder, 0o755);
    let (main, part) = (directory.join("probity.toml"), folder.join("a.toml"));
    let endpoint = format!(
        "{}probe.http.auth.bearer = {{ file = {secret:?} }}\n",
        http("a", closed_port()).replace("probe.http =", "probe.http.url =")
    );
    std::fs::write(&part, endpoint).expect("written");
    std::fs::write(&secret, "hunter2-planted").expect("written");
    let state = directory.join("state");
    std::fs::write(
        &main,
        format!(
            "include = [\"conf.d/*.toml\"]\n[daemon]\nstate_dir = \
        {state:?}\nlisten = \"127.0.0.1:{}\"\n",
            closed_port()
        ),
    )
    .expect("written");
    [&main, &part, &secret]
        .into_iter()
        .for_each(|file| set(file, 0o600));
    [main, folder, part, secret]
}

#[test]
fn what_others_can_write_to_is_no_config_and_the_advice_mends_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let [main, folder, part, secret] = config(directory.path());
    assert_eq!(check(&main).0, Some(0), "{}", check(&main).1);
    for (path, wrong, who) in [
        (&main, 0o664, "its group"),
        (&main, 0o606, "every user"),
        (&folder, 0o775, "its group"),
        (&folder, 0o1777, "every user"),
        (&part, 0o620, "its group"),
        (&secret, 0o660, "its group"),
        (&secret, 0o602, "every user"),
        (&directory.path().to_path_buf(), 0o770, "its group"),
    ] {
        set(path, wrong);
        let (code, said) = check(&main);
        assert_eq!(code, Some(78), "{}: {said}", path.display());
        assert!(
            said.contains(&format!(
                "mode {wrong:04o} of `{}` lets {who} change it",
                path.display()
            )),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        let started = started(&main);
        assert_eq!(
            started.0,
            Some(78),
            "the daemon does not start: {}",
            started.1
        );
        sh(&advised(&said));
        assert_eq!(mode(path), wrong & !0o022);
        assert_eq!(check(&main).0, Some(0), "{}", check(&main).1);
    }
}

/// A folder above them that every user can write to lets every user put others in their place,
/// unless it is sticky.
#[test]
fn a_folder_above_what_is_believed_is_not_writable_for_every_user() {
    let directory = tempfile::tempdir().expect("a directory");
    let (outer, link) = (
        directory.path().join("outer"),
        directory.path().join("links/config"),
    );
    let inner = outer.join("middle/inner");
    for folder in [
        &inner,
        &outer.join("vault/own"),
        &directory.path().join("links"),
    ] {
        std::fs::create_dir_all(folder).expect("made");
    }
    let [main, ..] = config(&inner);
    let text = std::fs::read_to_string(&main).expect("there");
    std::fs::write(
        &main,
        text.replace(
            &format!("{:?}", inner.join("state")),
            &format!("{:?}", outer.join("vault/own/state")),
        ),
    )
    .expect("written");
    symlink(&inner, &link).expect("linked");
    let linked = link.join("probity.toml");
    assert_eq!(check(&linked), (Some(0), String::new()));
    for (folder, exit) in [
        ("outer", 78),
        ("outer/middle", 78),
        ("links", 78),
        ("outer/vault", 73),
    ] {
        let folder = directory.path().join(folder);
        set(&folder, 0o777);
        let said = format!(
            "mode 0777 of `{}` lets every user replace what is in it",
            folder.display()
        );
        let started = started(&linked);
        assert_eq!(started.0, Some(exit), "{}", started.1);
        assert!(started.1.contains(&said), "{}", started.1);
        let checked = probity(&["check", "--config", linked.to_str().expect("UTF-8")]);
        let all = format!(
            "{}{}",
            String::from_utf8_lossy(&checked.stdout),
            String::from_utf8_lossy(&checked.stderr)
        );
        assert!(all.contains(&said), "{all}");
        assert_eq!(
            checked.status.code(),
            Some(if exit == 78 { 78 } else { 0 }),
            "{all}"
        );
        sh(&advised(&started.1));
        assert_eq!(mode(&folder), 0o775);
        assert_eq!(check(&linked), (Some(0), String::new()));
        // As /tmp is.
        set(&folder, 0o1777);
        assert_eq!(check(&linked), (Some(0), String::new()));
        set(&folder, 0o755);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_looks_at_modes_as_a_start_does() {
    let directory = tempfile::tempdir().expect("a directory");
    let outer = directory.path().join("outer");
    let inner = outer.join("inner");
    std::fs::create_dir_all(&inner).expect("made");
    let [main, folder, part, secret] = config(&inner);
    let includes = format!("include = [{:?}]\n", folder.join("*.toml"));
    let daemon = Daemon::start_with(directory.path(), "", |started| {
        // The helper's config, with the includes of this one.
        let own = std::fs::read_to_string(started).expect("there");
        std::fs::write(&main, format!("{includes}{own}")).expect("written");
        run(&main)
    })
    .await;
    let state = daemon.directory.join("state");
    for (path, wrong, said) in [
        (&main, 0o606, "lets every user change it"),
        (&folder, 0o777, "lets every user change it"),
        (&part, 0o620, "lets its group change it"),
        (&secret, 0o602, "lets every user change it"),
        (&outer, 0o777, "lets every user replace what is in it"),
        (&state, 0o777, "lets every user change it"),
    ] {
        let right = mode(path);
        set(path, wrong);
        let refused = daemon.reload().await.expect_err("refused");
        assert!(
            refused.contains(said) && refused.contains(&format!("{}", path.display())),
            "{}: {refused}",
            path.display()
        );
        assert!(!refused.contains("hunter2"), "{refused}");
        sh(&advised(&refused));
        assert!(daemon.reload().await.is_ok(), "{}", path.display());
        set(path, right);
    }
    // A secret that every user can read is warned of, as at a start, and as long as it is so.
    let warned = || {
        daemon
            .log()
            .matches("every user can read the secret")
            .count()
    };
    assert_eq!(warned(), 0, "{}", daemon.log());
    set(&secret, 0o604);
    assert!(daemon.reload().await.is_ok());
    assert_eq!(warned(), 1);
    assert!(
        daemon
            .log()
            .contains(&format!("run: chmod o-r '{}'", secret.display())),
        "{}",
        daemon.log()
    );
    set(&secret, 0o600);
    assert!(daemon.reload().await.is_ok());
    assert_eq!(warned(), 1);
}

#[test]
fn a_config_behind_links_counts_as_its_target_and_a_readable_secret_is_only_warned_of() {
    let directory = tempfile::tempdir().expect("a directory");
    let [main, _, _, secret] = config(directory.path());
    // As Kubernetes mounts a config map: a link to a file in a folder that is a link.
    let (dated, mount) = (
        directory.path().join("..2026"),
        directory.path().join("mount"),
    );
    std::fs::create_dir(&dated).expect("made");
    std::fs::create_dir(&mount).expect("made");
    let text = std::fs::read_to_string(&main).expect("there").replace(
        "conf.d/",
        &format!("{}/conf.d/", directory.path().display()),
    );
    std::fs::write(dated.join("probity.toml"), text).expect("written");
    set(&dated.join("probity.toml"), 0o644);
    symlink("../..2026", mount.join("..data")).expect("linked");
    symlink("..data/probity.toml", mount.join("probity.toml")).expect("linked");
    let linked = mount.join("probity.toml");
    assert_eq!(check(&linked), (Some(0), String::new()));
    set(&secret, 0o644);
    let output = probity(&["check", "--config", linked.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let note = format!(
        "note: every user can read the secret {0}; run: chmod o-r '{0}'",
        secret.display()
    );
    assert!(said.contains(&note), "{said}");
    set(&secret, 0o640);
    assert!(
        !String::from_utf8_lossy(
            &probity(&["check", "--config", linked.to_str().expect("UTF-8")]).stdout
        )
        .contains("can read the secret")
    );
    set(&dated.join("probity.toml"), 0o664);
    assert_eq!(check(&linked).0, Some(78));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_directory_is_closed_to_others_or_the_daemon_does_not_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = directory.path().join("state");
    let text = http("a", closed_port());
    let daemon = Daemon::start(directory.path(), &text).await;
    assert_eq!(mode(&state), 0o700);
    for file in ["history.sqlite", "lock", "checkpoint.key", "control.sock"] {
        assert_eq!(mode(&state.join(file)) & 0o077, 0, "{file}");
    }
    daemon.end().await;
    // Of an older version: nothing but the daemon's own is in it.
    set(&state, 0o755);
    let daemon = Daemon::start(directory.path(), &text).await;
    assert_eq!(mode(&state), 0o700);
    assert!(
        daemon
            .log()
            .contains("the state directory has mode 0700 now"),
        "{}",
        daemon.log()
    );
    daemon.end().await;
    // Somebody's own files: closing it would be no favour.
    set(&state, 0o755);
    std::fs::write(state.join("notes.txt"), "").expect("written");
    let daemon = Daemon::start(directory.path(), &text).await;
    assert_eq!(mode(&state), 0o755);
    assert!(
        daemon
            .log()
            .contains(&format!("run: chmod 0700 {}", state.display())),
        "{}",
        daemon.log()
    );
    daemon.end().await;
    let config = write_config(directory.path(), closed_port(), &text);
    for (wrong, who) in [(0o775, "its group"), (0o777, "every user")] {
        set(&state, wrong);
        let (code, said) = started(&config);
        assert_eq!(code, Some(73), "{said}");
        assert!(
            said.contains(&format!("mode {wrong:04o} lets {who} change it")),
            "{said}"
        );
        let noted = probity(&["check", "--config", config.to_str().expect("UTF-8")]);
        assert!(
            String::from_utf8_lossy(&noted.stdout).contains("chmod go-w"),
            "{}",
            String::from_utf8_lossy(&noted.stdout)
        );
        sh(&advised(&said));
    }
    assert_eq!(mode(&state), 0o755);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_goes_through_no_link_that_was_planted() {
    let directory = tempfile::tempdir().expect("a directory");
    let (victim, out) = (
        directory.path().join("victim"),
        directory.path().join("out"),
    );
    std::fs::create_dir(&out).expect("made");
    std::fs::write(&victim, "kept").expect("written");
    let plant = |name: &str| symlink(&victim, out.join(name)).expect("linked");
    let daemon = Daemon::start(directory.path(), &http("a", closed_port())).await;
    daemon.until_state("a", "down").await;
    let config = directory.path().join("probity.toml");
    let (config, shown) = (
        config.to_str().expect("UTF-8"),
        out.to_str().expect("UTF-8"),
    );
    plant("probity-rules.yml");
    assert_eq!(
        probity(&["rules", "--config", config, "--output", shown])
            .status
            .code(),
        Some(0)
    );
    assert!(
        std::fs::symlink_metadata(out.join("probity-rules.yml"))
            .expect("there")
            .is_file()
    );
    assert_eq!(mode(&out.join("probity-rules.yml")) & 0o600, 0o600);
    // A backup replaces nothing, not even a link that leads nowhere.
    plant("taken.sqlite");
    symlink(
        directory.path().join("nowhere"),
        out.join("dangling.sqlite"),
    )
    .expect("linked");
    for name in ["taken.sqlite", "dangling.sqlite"] {
        let to = out.join(name);
        assert_eq!(
            probity(&[
                "history",
                "backup",
                "--config",
                config,
                "--to",
                to.to_str().expect("UTF-8")
            ])
            .status
            .code(),
            Some(73),
            "{name}"
        );
    }
    plant("copy.part");
    let to = out.join("copy.sqlite");
    let copied = probity(&[
        "history",
        "backup",
        "--config",
        config,
        "--to",
        to.to_str().expect("UTF-8"),
    ]);
    assert_eq!(
        copied.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&copied.stderr)
    );
    assert_eq!(mode(&to), 0o600);
    // Others could put something else in the place of what is being made.
    set(&out, 0o777);
    let there = out.join("other.sqlite");
    let there = there.to_str().expect("UTF-8");
    let refused = probity(&["history", "backup", "--config", config, "--to", there]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(73), "{said}");
    assert!(said.contains("run: chmod go-w"), "{said}");
    set(&out, 0o1777);
    let sticky = probity(&["history", "backup", "--config", config, "--to", there]);
    assert_eq!(sticky.status.code(), Some(0), "they cannot: {sticky:?}");
    set(&out, 0o755);
    assert!(
        out.join("copy.part").is_symlink(),
        "what is not ours is left"
    );
    assert!(!directory.path().join("nowhere").exists());
    assert_eq!(std::fs::read_to_string(&victim).expect("there"), "kept");
    let left: Vec<_> = std::fs::read_dir(&out)
        .expect("readable")
        .map(|e| e.expect("an entry").file_name())
        .filter(|n| n.to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // What a restore puts in place is the daemon's alone, whatever the mode of the copy.
    daemon.end().await;
    set(&to, 0o644);
    let state = directory.path().join("state");
    let restored = probity(&[
        "history",
        "restore",
        to.to_str().expect("UTF-8"),
        "--state-dir",
        state.to_str().expect("UTF-8"),
    ]);
    assert_eq!(
        restored.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    assert_eq!(mode(&state.join("history.sqlite")), 0o600);
    // It looks at a state directory as the daemon does, and follows no link in it.
    let other = directory.path().join("other");
    std::fs::create_dir(&other).expect("made");
    set(&other, 0o777);
    let into = |place: &Path| {
        probity(&[
            "history",
            "restore",
            to.to_str().expect("UTF-8"),
            "--state-dir",
            place.to_str().expect("UTF-8"),
        ])
    };
    let refused = into(&other);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(73) && said.contains("chmod"),
        "{said}"
    );
    set(&other, 0o700);
    symlink(&victim, other.join("lock")).expect("linked");
    assert_eq!(into(&other).status.code(), Some(73));
    assert_eq!(std::fs::read_to_string(&victim).expect("there"), "kept");
}

/// Every argument of the command line that names a file, as `command argument`.
fn paths_of(command: &clap::Command, above: &str, found: &mut Vec<String>) {
    let is_path =
        |arg: &&clap::Arg| arg.get_value_parser().type_id() == std::any::TypeId::of::<PathBuf>();
    found.extend(
        command
            .get_arguments()
            .filter(is_path)
            .map(|arg| format!("{above}{}", arg.get_id())),
    );
    command
        .get_subcommands()
        .for_each(|inner| paths_of(inner, &format!("{above}{} ", inner.get_name()), found));
}

/// What a command only reads.
const READ: [&str; 12] = [
    "ca_file",
    "config",
    "contract",
    "events",
    "from",
    "named",
    "outages",
    "probes",
    "report",
    "since",
    "state_dir",
    "timeline",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_writes_an_output_file_through_a_link() {
    let mut found = Vec::new();
    paths_of(
        &<probity::cli::args::Cli as clap::CommandFactory>::command(),
        "",
        &mut found,
    );
    found.retain(|path| !READ.iter().any(|read| path.ends_with(&format!(" {read}"))));
    found.sort();
    assert_eq!(
        found,
        [
            "history backup to",
            "man output",
            "rules output",
            "sla report output"
        ],
        "another one needs a line below"
    );
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{}[sla.s]\nobjective = \"99\"\ncomponents = [\"a\"]\n",
        http("a", closed_port())
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("a", "down").await;
    let (out, victim) = (
        directory.path().join("out"),
        directory.path().join("victim"),
    );
    std::fs::write(&victim, "kept").expect("written");
    let config = directory.path().join("probity.toml");
    let period = &probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms)[..7];
    let (shown, copy) = (out.to_str().expect("UTF-8"), out.join("copy.sqlite"));
    for (args, replaces) in [
        (
            &["history", "backup", "--to", copy.to_str().expect("UTF-8")][..],
            false,
        ),
        (&["rules", "--output", shown], true),
        (&["man", "--output", shown], true),
        (
            &[
                "sla",
                "report",
                "--provisional",
                "--period",
                period,
                "--output",
                shown,
            ],
            true,
        ),
    ] {
        std::fs::create_dir(&out).expect("made");
        let of_config = ["--config", config.to_str().expect("UTF-8")];
        let more = &of_config[if args[0] == "man" { 2 } else { 0 }..];
        let run = || probity(&[args, more].concat()).status.code();
        run();
        let written: Vec<PathBuf> = std::fs::read_dir(&out)
            .expect("readable")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert!(!written.is_empty(), "{args:?}");
        for path in &written {
            std::fs::remove_file(path).expect("removed");
            symlink(&victim, path).expect("linked");
        }
        let code = run();
        assert_eq!(
            std::fs::read_to_string(&victim).expect("there"),
            "kept",
            "{args:?}"
        );
        for path in &written {
            assert_eq!(path.is_symlink(), !replaces, "{args:?}: {}", path.display());
        }
        assert!(
            replaces || code == Some(73),
            "{args:?}: what is there is not replaced"
        );
        std::fs::remove_dir_all(&out).expect("removed");
    }
}

#[test]
fn the_demo_lives_in_a_folder_of_its_own_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let listen = format!("127.0.0.1:{}", closed_port());
    let mut child = program()
        .args(["demo", "--seconds", "2", "--listen", &listen])
        .env("TMPDIR", directory.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("spawned");
    let mut first = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().expect("piped"));
    while !first.contains("config   ") {
        assert!(
            std::io::BufRead::read_line(&mut output, &mut first).expect("readable") > 0,
            "{first}"
        );
    }
    let entry = std::fs::read_dir(directory.path())
        .expect("readable")
        .next()
        .expect("a folder")
        .expect("an entry")
        .path();
    assert_eq!(mode(&entry), 0o700);
    assert!(
        first.contains(&format!(
            "config   {}",
            entry.join("probity.toml").display()
        )),
        "{first}"
    );
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(
        std::fs::read_dir(directory.path())
            .expect("readable")
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_pipe_is_no_file_and_makes_nobody_wait() {
    let directory = tempfile::tempdir().expect("a directory");
    let [main, _, part, secret] = config(directory.path());
    for file in [&secret, &part, &main] {
        let text = std::fs::read(file).expect("read");
        std::fs::remove_file(file).expect("removed");
        sh(&format!("mkfifo -m 600 '{}'", file.display()));
        let (code, said) = started(&main);
        assert!(
            code == Some(78) && said.contains("named pipe"),
            "{}: {code:?} {said}",
            file.display()
        );
        // Commands that ask the daemon look for its place in a config that cannot be read.
        for (name, code) in [("reload", 69), ("status", 78)] {
            let mut command = program();
            command.arg(name).arg("--config").arg(&main);
            if *file == main {
                assert_eq!(ended(command).0, Some(code), "{name}");
            }
        }
        std::fs::remove_file(file).expect("removed");
        std::fs::write(file, text).expect("put back");
        set(file, 0o600);
    }
    // Nor is a link to a pipe that somebody else holds.
    let holder = Command::new("sleep")
        .arg("60")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("spawned");
    std::fs::remove_file(&secret).expect("removed");
    symlink(format!("/proc/{}/fd/0", holder.id()), &secret).expect("linked");
    let (code, said) = check(&main);
    let mut holder = holder;
    holder.kill().expect("killed");
    holder.wait().expect("ended");
    assert!(
        code == Some(78) && said.contains("another program's"),
        "{code:?} {said}"
    );
    // A pipe that a shell makes for the command has no name.
    let words: Vec<_> = std::iter::once(program().get_program().to_owned())
        .chain(program().get_args().map(ToOwned::to_owned))
        .collect();
    let checked = Command::new("bash")
        .args([
            "-c",
            "exec \"$@\" check --config <(printf '[[endpoint]]\\nname \
            = \"a\"\\nprobe.tcp = \"127.0.0.1:1\"\\n')",
            "bash",
        ])
        .args(words)
        .output()
        .expect("a shell runs");
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}
