//! What is changed in the database beside the events: `history verify` finds it.

use super::cli::{checked, probity};
use super::daemon::Daemon;
use super::serve::{answering, ok};

const QUICK: &str =
    "[defaults]\ninterval = \"300ms\"\ntimeout = \"250ms\"\nretry_interval = \"100ms\"\n";

fn shop(port: u16, status: u16) -> String {
    format!(
        "{QUICK}[[endpoint]]\nname = \"shop\"\nprobe.http.url \
            = \"http://127.0.0.1:{port}/\"\nprobe.http.expect.status = [{status}]\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_beside_the_events_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = answering(ok("", b"ok")).await;
    let state = directory.path().join("state");
    let file = state.join("history.sqlite");
    let open = || rusqlite::Connection::open(&file).expect("opened");
    let digest = || {
        open()
            .query_row("SELECT digest FROM endpoint WHERE name = 'shop'", [], |r| {
                r.get::<_, i64>(0)
            })
            .expect("a digest")
    };
    let verified = || {
        let output = probity(&[
            "history",
            "verify",
            "--json",
            "--state-dir",
            state.to_str().expect("UTF-8"),
        ]);
        (output.status.code(), checked(&output.stdout))
    };
    let run = async |text: String, until: &str| {
        let daemon = Daemon::start(directory.path(), &text).await;
        daemon.until_state("shop", until).await;
        assert_eq!(daemon.end().await.0, 0);
    };
    run(shop(port, 404), "down").await;
    let strict = digest();
    // A change of the expectations is an event, and all fits.
    run(shop(port, 200), "up").await;
    let lax = digest();
    assert_eq!(verified().0, Some(0), "{:?}", verified());
    run(shop(port, 404), "down").await;
    assert_eq!(verified().0, Some(0), "{:?}", verified());
    // A history of an earlier build has the first eight bytes alone, and the next start adds the
    // rest. Where events tell the whole, the table has to have it.
    open()
        .execute("DELETE FROM definition", [])
        .expect("deleted");
    assert_eq!(verified().0, Some(1), "{:?}", verified());
    run(shop(port, 404), "down").await;
    assert_eq!(
        open()
            .query_row("SELECT count(*) FROM definition", [], |r| r
                .get::<_, i64>(0))
            .expect("counted"),
        1
    );
    assert_eq!(verified().0, Some(0), "{:?}", verified());
    let kept = std::fs::read(&file).expect("read");
    for manipulation in [
        format!("UPDATE endpoint SET digest = {lax}"),
        format!("UPDATE endpoint SET digest = {}", strict ^ 1),
        // Another definition whose digest begins with the same eight bytes.
        "UPDATE definition SET sha256 = CAST(substr(sha256, 1, 31) || CASE WHEN substr(sha256, \
            32) = x'00' THEN x'01' ELSE x'00' END AS BLOB)"
            .to_owned(),
        "INSERT INTO outage (opened, endpoint, cause, confirmed_at, from_at, from_earliest, \
            from_latest, closed, to_at, to_earliest, to_latest)
         SELECT 0, endpoint, cause, confirmed_at, from_at, from_earliest, from_latest, 0, from_at \
         + 9000, from_at + 9000, 0 FROM outage LIMIT 1"
            .to_owned(),
        "ALTER TABLE outage RENAME TO kept; CREATE VIEW outage AS SELECT * FROM kept WHERE closed \
            IS NOT NULL"
            .to_owned(),
    ] {
        open().execute_batch(&manipulation).expect("done");
        let found = verified();
        assert_eq!(found.0, Some(1), "{manipulation}: {}", found.1);
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
        std::fs::write(&file, &kept).expect("put back");
    }
    // The table says what the config will say, so that the start tells of no change: it shows all
    // the same.
    open()
        .execute_batch(&format!("UPDATE endpoint SET digest = {lax}"))
        .expect("done");
    run(shop(port, 200), "up").await;
    let found = verified();
    assert_eq!(found.0, Some(1), "{}", found.1);
    // Also after a change that is told.
    run(shop(port, 404), "down").await;
    let found = verified();
    assert_eq!(found.0, Some(1), "{}", found.1);
    assert!(
        found.1["why"]
            .as_str()
            .is_some_and(|why| why.contains("definition")),
        "{}",
        found.1
    );
}
