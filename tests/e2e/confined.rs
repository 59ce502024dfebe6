//! What the kernel refuses a running daemon.

use super::daemon::Daemon;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_thread_of_a_running_daemon_has_a_filter_of_system_calls() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start(directory.path(), "").await;
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("threads");
    let states: Vec<String> = tasks
        .map(|task| {
            std::fs::read_to_string(task.expect("a thread").path().join("status")).expect("read")
        })
        .collect();
    assert!(
        states.len() > 2,
        "the engine, the writer and the listener have threads of their own"
    );
    for state in states {
        assert!(state.lines().any(|line| line == "Seccomp:\t2"), "{state}");
        assert!(
            state.lines().any(|line| line == "NoNewPrivs:\t1"),
            "{state}"
        );
    }
}
