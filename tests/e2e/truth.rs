//! Whether the figure can be doubted: edited histories are found, maintenance and corrections are
//! events, a backup says what it is.

use std::path::Path;

use probity::history::chain::{GENESIS, canonical, link};
use probity::history::checkpoint::Signer;
use probity::judgement::rules::Rules;
use probity::judgement::state::{Judge, ProbeResult, ResultKind};
use probity::judgement::state_codec::{decode_with, encode_with};
use serde_json::{Value, json};

use super::cli::{checked, probity};
use super::component_history::settled_for;
use super::daemon::Daemon;
use super::pruning::cut;
use super::serve::{answering, closed_port, ok};

const QUICK: &str =
    "[defaults]\ninterval = \"500ms\"\ntimeout = \"300ms\"\nretry_interval = \"100ms\"\n";

fn state(directory: &Path) -> String {
    directory.join("state").to_str().expect("UTF-8").to_owned()
}

fn verify(directory: &Path, since: Option<&Path>) -> (Option<i32>, Value) {
    let state = state(directory);
    let mut args = vec!["history", "verify", "--json", "--state-dir", &state];
    if let Some(path) = since {
        args.extend(["--since", path.to_str().expect("UTF-8")]);
    }
    let output = probity(&args);
    (output.status.code(), checked(&output.stdout))
}

/// Writes all hashes anew, as somebody who owns the file would.
fn rehash(database: &rusqlite::Connection) {
    let mut statement = database
        .prepare("SELECT seq, body FROM event ORDER BY seq")
        .expect("a statement");
    let rows: Vec<(i64, String)> = statement
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .expect("rows")
        .map(|r| r.expect("a row"))
        .collect();
    let mut head = GENESIS;
    for (k, (seq, body)) in rows.iter().enumerate() {
        let Value::Object(mut event) = serde_json::from_str(body).expect("JSON") else {
            panic!("no object")
        };
        event.insert("seq".into(), json!(k + 1));
        let body = canonical(&event);
        head = link(&head, &body);
        database
            .execute(
                "UPDATE event SET seq = ?2, hash = ?3, body = ?4 WHERE seq = ?1",
                rusqlite::params![seq, (k + 1) as i64, head.as_slice(), body],
            )
            .expect("written");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_the_events_a_checkpoint_from_outside_shows_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    let published = daemon.get("/checkpoint").await.expect("a checkpoint");
    assert_eq!(daemon.end().await.0, 0);
    let outside = directory.path().join("outside.json");
    std::fs::write(&outside, &published).expect("written");
    let whole = verify(directory.path(), Some(&outside));
    assert_eq!(whole.0, Some(0), "{}", whole.1);
    assert!(whole.1["checkpoints"].as_u64().is_some_and(|n| n >= 1));
    let file = directory.path().join("state/history.sqlite");
    let original = std::fs::read(&file).expect("read");
    // (what is done, whether the chain alone shows it)
    type Manipulation = fn(&rusqlite::Connection);
    let manipulations: [(&str, Manipulation); 10] = [
        ("other witnesses are edited away", |db| {
            drop(db.execute(
                "UPDATE event SET body = replace(body, '\"quorum\":null', '\"quorum\":1') \
                WHERE kind = 'witnesses'",
                [],
            ));
            rehash(db);
        }),
        ("the limits are edited", |db| {
            drop(db.execute(
                "UPDATE event SET body = replace(body, 'null', '1') WHERE kind = 'limits'",
                [],
            ))
        }),
        ("the limits are removed", |db| {
            drop(db.execute("DELETE FROM event WHERE kind = 'limits'", []));
            rehash(db);
        }),
        ("an event is edited", |db| {
            drop(db.execute(
                "UPDATE event SET body = replace(body, 'connect_refused', \
                'connect_timeout') WHERE kind = 'down'",
                [],
            ))
        }),
        ("an event is removed", |db| {
            drop(db.execute("DELETE FROM event WHERE seq = 2", []))
        }),
        ("the end is cut off", |db| {
            drop(db.execute(
                "DELETE FROM event WHERE seq > (SELECT max(seq) - 1 FROM event)",
                [],
            ))
        }),
        ("two events change places", |db| {
            drop(db.execute_batch(
                "UPDATE event SET seq = -1 WHERE seq = 1; UPDATE event SET seq \
                = 1 WHERE seq = 2; UPDATE event SET seq = 2 WHERE seq = -1;",
            ));
        }),
        ("an event is edited and all hashes are written anew", |db| {
            drop(db.execute(
                "UPDATE event SET body = replace(body, 'connect_refused', \
                'connect_timeout') WHERE kind = 'down'",
                [],
            ));
            rehash(db);
        }),
        (
            "an event is removed, and numbers and hashes are written anew",
            |db| {
                drop(db.execute("DELETE FROM event WHERE seq = 1", []));
                rehash(db);
            },
        ),
        ("the same, and our own checkpoints are removed", |db| {
            drop(db.execute("DELETE FROM event WHERE seq = 1", []));
            rehash(db);
            drop(db.execute("DELETE FROM checkpoint", []));
        }),
    ];
    for (what, manipulation) in manipulations {
        let database = rusqlite::Connection::open(&file).expect("opened");
        manipulation(&database);
        drop(database);
        let found = verify(directory.path(), Some(&outside));
        assert_eq!(found.0, Some(1), "{what}: {}", found.1);
        assert!(
            found.1["seq"].is_u64() && found.1["why"].is_string(),
            "{what}: {}",
            found.1
        );
        if what != "the same, and our own checkpoints are removed" {
            assert_eq!(
                verify(directory.path(), None).0,
                Some(1),
                "{what}, without a checkpoint from outside"
            );
        }
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
        std::fs::write(&file, &original).expect("put back");
    }
    let mut forged: Value = serde_json::from_str(&published).expect("JSON");
    forged["seq"] = json!(1);
    std::fs::write(&outside, forged.to_string()).expect("written");
    assert_eq!(
        verify(directory.path(), Some(&outside)).0,
        Some(3),
        "a forged checkpoint proves nothing"
    );
}

/// Puts events in the place of all that are there, with right numbers and hashes from `head` on.
fn rewrite(
    database: &rusqlite::Connection,
    first: u64,
    head: [u8; 32],
    events: Vec<Value>,
) -> [u8; 32] {
    database
        .execute_batch("DELETE FROM event")
        .expect("deleted");
    let mut head = head;
    for (seq, event) in (first..).zip(events) {
        let Value::Object(mut event) = event else {
            panic!("no object")
        };
        event.insert("seq".into(), json!(seq));
        let body = canonical(&event);
        head = link(&head, &body);
        let (kind, at) = (
            event["kind"].as_str().expect("a kind"),
            event["at_ms"].as_i64().expect("a time"),
        );
        let endpoint: Option<i64> = event.contains_key("endpoint").then_some(1);
        let row = rusqlite::params![seq as i64, head.as_slice(), body, endpoint, kind, at];
        database
            .execute(
                "INSERT INTO event (seq, hash, body, endpoint, kind, at) VALUES (?1, ?2, \
            ?3, ?4, ?5, ?6)",
                row,
            )
            .expect("written");
    }
    head
}

/// One checkpoint in the place of all, by this key.
fn sign(database: &rusqlite::Connection, key: &Signer, head: [u8; 32]) {
    let last: i64 = database
        .query_row("SELECT max(seq) FROM event", [], |r| r.get(0))
        .expect("events");
    let chain: String = database
        .query_row("SELECT value FROM meta WHERE key = 'chain'", [], |r| {
            r.get(0)
        })
        .expect("a chain");
    let hex: String = head.iter().map(|b| format!("{b:02x}")).collect();
    let Value::Object(object) =
        json!({"chain": chain, "seq": last, "head": hex, "time": "2099-01-01T00:00:00.000Z"})
    else {
        panic!()
    };
    database
        .execute_batch("DELETE FROM checkpoint")
        .expect("deleted");
    database
        .execute(
            "INSERT INTO checkpoint (seq, body) VALUES (?1, ?2)",
            rusqlite::params![last, key.signed(object).to_string()],
        )
        .expect("written");
}

fn events_of(database: &rusqlite::Connection) -> Vec<Value> {
    let mut statement = database
        .prepare("SELECT body FROM event ORDER BY seq")
        .expect("a statement");
    let rows = statement
        .query_map([], |r| r.get::<_, String>(0))
        .expect("rows");
    rows.map(|body| serde_json::from_str(&body.expect("a body")).expect("JSON"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_owns_the_file_and_not_the_key_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    daemon
        .until(|d| async move {
            d.endpoint("down").await["ledger"]["down_ms"]
                .as_u64()
                .is_some_and(|ms| ms > 500)
        })
        .await;
    assert_eq!(daemon.end().await.0, 0);
    let file = directory.path().join("state/history.sqlite");
    let original = std::fs::read(&file).expect("read");
    let outside = directory.path().join("outside.json");
    let published: Value = {
        let database = rusqlite::Connection::open(&file).expect("opened");
        let newest: String = database
            .query_row(
                "SELECT body FROM checkpoint ORDER BY seq DESC LIMIT 1",
                [],
                |r| r.get(0),
            )
            .expect("a checkpoint");
        serde_json::from_str(&newest).expect("JSON")
    };
    std::fs::write(&outside, published.to_string()).expect("written");
    let (state, own) = (
        state(directory.path()),
        published["key"].as_str().expect("a key").to_owned(),
    );
    let verified = |more: &[&str]| {
        let output = probity(
            &[
                &["history", "verify", "--json", "--state-dir", &state][..],
                more,
            ]
            .concat(),
        );
        (output.status.code(), checked(&output.stdout))
    };
    let since = ["--since", outside.to_str().expect("UTF-8")];
    let both = ["--since", outside.to_str().expect("UTF-8"), "--key", &own];
    for args in [&[][..], &since, &both] {
        assert_eq!(verified(args).0, Some(0));
    }
    let mine = Signer::from_hex(&"77".repeat(32)).expect("a key");
    let signed_head = published["head"].as_str().expect("a head").to_owned();
    let unhex = |text: &str| -> [u8; 32] {
        std::array::from_fn(|n| {
            u8::from_str_radix(&text[2 * n..2 * n + 2], 16).expect("hexadecimal")
        })
    };
    // Rewritten with right hashes, signed by another key, and an event that names the old one.
    let rekeyed = |db: &rusqlite::Connection| {
        let mut events = events_of(db);
        events
            .iter_mut()
            .filter(|e| e["kind"] == "down")
            .for_each(|e| e["cause"] = json!("connect_timeout"));
        events.push(json!({
            "v": 1, "kind": "checkpoint_key_changed", "at_ms": 9_999_999_999_999_i64,
            "recorded": "2099-01-01T00:00:00.000Z", "key": own,
        }));
        let head = rewrite(db, 1, GENESIS, events);
        db.execute_batch("UPDATE outage SET cause = 'connect_timeout'")
            .expect("done");
        sign(db, &mine, head);
    };
    // The outage is taken out, and a restore is told of that explains it.
    let unrestored = |db: &rusqlite::Connection| {
        let mut events: Vec<Value> = events_of(db)
            .into_iter()
            .filter(|e| e["kind"] != "down")
            .collect();
        let last = events.len();
        events.push(json!({
            "v": 1, "kind": "restored", "at_ms": 9_999_999_999_999_i64,
            "recorded": "2099-01-01T00:00:00.000Z", "old_chain": published["chain"],
            "old_seq": last, "old_head": "", "new_chain": "0".repeat(32), "by": "x",
            "backup_until": null,
        }));
        let before = rewrite(db, 1, GENESIS, events[..last].to_vec());
        events[last]["old_head"] = json!(
            before
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<String>()
        );
        let head = rewrite(db, 1, GENESIS, events);
        db.execute_batch(
            "DELETE FROM outage; UPDATE meta SET value = \
            '00000000000000000000000000000000' WHERE key = 'chain'",
        )
        .expect("done");
        sign(db, &mine, head);
    };
    // All that was is said to be pruned, by a prune record that has the published checkpoint.
    let pruned = |db: &rusqlite::Connection| {
        let carried = json!({
            "added": {}, "ids": {"down": 1}, "names": {"1": ["down"]}, "in_service": {"1": true},
            "components": {"1": "down"}, "outages": [], "seals": [], "clock": [], "window": [],
            "correction": [], "recording": [], "keeps_from": 1, "restores": {}, "keys": [],
            "cut": {},
        });
        let sha = |text: &str| {
            probity::history::chain::hex(&probity::history::chain::sha256(text.as_bytes()))
        };
        let carried_text = canonical(carried.as_object().expect("an object"));
        let Value::Object(object) = json!({
            "schema": "probity-stub/1", "chain": published["chain"], "first": 1,
            "last": published["seq"], "head": signed_head, "until": "2026-01-01T00:00:00.000Z",
            "until_ms": 1, "checkpoints": [published], "carried_sha256": sha(&carried_text),
        }) else {
            panic!()
        };
        let body = mine.signed(object).to_string();
        db.execute_batch(
            "DELETE FROM outage; DELETE FROM unknown; DELETE FROM doubtful; DELETE \
            FROM proven; DELETE FROM absent; DELETE FROM clock",
        )
        .expect("done");
        db.execute(
            "INSERT INTO stub (last, body, carried) VALUES (?1, ?2, ?3)",
            rusqlite::params![published["seq"].as_i64(), body, carried_text],
        )
        .expect("put");
        let told = json!({
            "v": 1, "kind": "pruned", "at_ms": 9_999_999_999_999_i64,
            "recorded": "2099-01-01T00:00:00.000Z", "last": published["seq"],
            "stub_sha256": sha(&body),
        });
        let head = rewrite(
            db,
            published["seq"].as_u64().expect("a number") + 1,
            unhex(&signed_head),
            vec![told],
        );
        sign(db, &mine, head);
    };
    let inserted = |db: &rusqlite::Connection| {
        let mut events = events_of(db);
        events.insert(
            2,
            json!({"v": 1, "kind": "annotation", "at_ms": 5,
                "recorded": "2026-01-01T00:00:00.000Z", "text": "x"}),
        );
        let head = rewrite(db, 1, GENESIS, events);
        sign(db, &mine, head);
    };
    // A judge that is sealed rightly, in service since `earlier` before the real one and never
    // down.
    let judge_of = |earlier: u64, db: &rusqlite::Connection| {
        let (mark, bytes): (i64, Vec<u8>) = db
            .query_row("SELECT mark, judge FROM state", [], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
            .expect("a state");
        let place = probity::history::state_place(1, mark);
        let (cadence, real) =
            decode_with(probity::history::without_checksum(&bytes, &place).expect("sealed"))
                .expect("a judge");
        let (rules, mut out) = (Rules::new(cadence), Vec::new());
        let (mut judge, first) = (
            Judge::default(),
            real.first_start().expect("started") - earlier,
        );
        judge.start(&rules, first, &mut out);
        let settled = real.ledger().watermark;
        for at in (first..settled).step_by(400).chain([settled]) {
            judge.observe(
                &rules,
                ProbeResult {
                    start: at,
                    end: at,
                    kind: ResultKind::Success,
                    slot: true,
                },
                &mut out,
            );
        }
        db.execute(
            "UPDATE state SET judge = ?1",
            [probity::history::with_checksum(
                encode_with(&cadence, &judge),
                &place,
            )],
        )
        .expect("put");
    };
    let always_up = |db: &rusqlite::Connection| judge_of(20_000, db);
    let never_down = |db: &rusqlite::Connection| judge_of(0, db);
    let rows =
        |sql: &'static str| move |db: &rusqlite::Connection| db.execute_batch(sql).expect("done");
    type Manipulation<'d> = Box<dyn Fn(&rusqlite::Connection) + 'd>;
    // (what is done, whether it needs something from outside to be seen)
    let manipulations: [(&str, bool, Manipulation); 14] = [
        (
            "another key, and an event that names the old one",
            true,
            Box::new(rekeyed),
        ),
        (
            "a restore that explains what is gone",
            true,
            Box::new(unrestored),
        ),
        (
            "a stub that stands for what is gone",
            true,
            Box::new(pruned),
        ),
        ("an event is inserted", true, Box::new(inserted)),
        (
            "a judge that was in service earlier",
            false,
            Box::new(always_up),
        ),
        ("a judge that was never down", false, Box::new(never_down)),
        (
            "a judge that cannot be read",
            false,
            Box::new(rows("UPDATE state SET judge = x'00'")),
        ),
        ("no judges", false, Box::new(rows("DELETE FROM state"))),
        ("no marks", false, Box::new(rows("DELETE FROM mark"))),
        (
            "a mark of nothing",
            false,
            Box::new(rows("UPDATE mark SET inputs = x'00'")),
        ),
        (
            "an event filed under another kind",
            false,
            Box::new(rows("UPDATE event SET kind = 'proven' WHERE kind = 'down'")),
        ),
        (
            "an event filed under another time",
            false,
            Box::new(rows("UPDATE event SET at = at + 1 WHERE kind = 'down'")),
        ),
        (
            "an endpoint of no event",
            false,
            Box::new(rows(
                "INSERT INTO endpoint (id, name, component, kind, target, digest, in_service) \
                    VALUES (9, 'x', 'x', 'tcp', '', 0, 1); INSERT INTO state SELECT 9, mark, \
                    judge FROM state",
            )),
        ),
        (
            "the last mark is a day later",
            false,
            Box::new(rows("UPDATE mark SET utc_ms = utc_ms + 86400000")),
        ),
    ];
    for (what, needs_outside, manipulation) in manipulations {
        let database = rusqlite::Connection::open(&file).expect("opened");
        manipulation(&database);
        drop(database);
        for (n, args) in [&[][..], &since, &both, &["--key", &own]]
            .into_iter()
            .enumerate()
        {
            let (code, told) = verified(args);
            if n > 0 || !needs_outside {
                assert!(
                    code == Some(1) || code == Some(3) && told["verdict"] == "not provable",
                    "{what}: {args:?}: {told}"
                );
            }
        }
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
        std::fs::write(&file, &original).expect("put back");
    }
    // A backup that was tampered with is not taken.
    let copy = directory.path().join("copy.sqlite");
    std::fs::write(&copy, &original).expect("written");
    rusqlite::Connection::open(&copy)
        .expect("opened")
        .execute_batch("UPDATE outage SET from_at = from_at + 1")
        .expect("done");
    let restore = |more: &[&str]| {
        probity(
            &[
                &[
                    "history",
                    "restore",
                    copy.to_str().expect("UTF-8"),
                    "--state-dir",
                    &state,
                ][..],
                more,
            ]
            .concat(),
        )
    };
    let refused = restore(&[]);
    assert_eq!(refused.status.code(), Some(73));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("table of outages"),
        "{refused:?}"
    );
    assert_eq!(restore(&["--unverified"]).status.code(), Some(0));
    assert_eq!(verified(&[]).0, Some(1), "what was wrong in it stays wrong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_follows_another_is_trusted_when_that_one_vouches_for_it() {
    for is_kept in [true, false] {
        let directory = tempfile::tempdir().expect("a directory");
        let endpoint = format!(
            "{QUICK}[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
            closed_port()
        );
        let daemon = Daemon::start(directory.path(), &endpoint).await;
        daemon.until_state("down", "down").await;
        assert_eq!(daemon.end().await.0, 0);
        let state_directory = directory.path().join("state");
        let old = Signer::kept(&state_directory).expect("a key").key();
        let fresh = Signer::from_hex(&"42".repeat(32)).expect("a key").key();
        let secret = directory.path().join("other.key");
        std::fs::write(&secret, "42".repeat(32)).expect("written");
        if !is_kept {
            std::fs::remove_file(state_directory.join("checkpoint.key")).expect("removed");
        }
        let daemon = Daemon::start(
            directory.path(),
            &format!(
                "{endpoint}[history]\nkey = {{ file = \"{}\" }}\n",
                secret.display()
            ),
        )
        .await;
        daemon
            .until(|d| async move {
                d.get("/checkpoint").await.is_some_and(|c| {
                    c.contains(&Signer::from_hex(&"42".repeat(32)).expect("a key").key())
                })
            })
            .await;
        assert_eq!(daemon.end().await.0, 0);
        let state = state(directory.path());
        let with = |key: &str| {
            let output = probity(&[
                "history",
                "verify",
                "--json",
                "--state-dir",
                &state,
                "--key",
                key,
            ]);
            (
                output.status.code(),
                checked(&output.stdout)["verdict"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            )
        };
        assert_eq!(
            with(&fresh),
            (Some(0), "whole".to_owned()),
            "who trusts the new one trusts all that it covers"
        );
        let by_old = if is_kept {
            (Some(0), "whole".to_owned())
        } else {
            (Some(3), "not provable".to_owned())
        };
        assert_eq!(with(&old), by_old);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_is_declared_ahead_by_an_event_and_counted_beside_the_raw_state() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n[[maintenance]]\nid \
            = \"now\"\nendpoints = [\"down\"]\nstart = \"2020-01-01T00:00\"\nduration \
            = \"1d\"\nevery = \
            [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\", \"Sat\", \"Sun\"]\nreason \
            = \"always\"\n[sla.s]\nobjective = \"99.9\"\ncomponents = \
            [\"down\"]\n[sla.s.maintenance]\nnotice = \"48h\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    assert!(
        (daemon
            .metric("probity_endpoint_maintenance{endpoint=\"down\"}")
            .await
            - 1.0)
            .abs()
            < 0.01
    );
    let inside = "probity_endpoint_maintenance_seconds_total{endpoint=\"down\",state=\"down\"}";
    daemon
        .until(|d| async move { d.metric(inside).await > 0.5 })
        .await;
    let inside = daemon.metric(inside).await;
    let raw = daemon
        .metric("probity_endpoint_state_seconds_total{endpoint=\"down\",state=\"down\"}")
        .await;
    assert!(inside > 0.5 && inside <= raw, "{inside} of {raw}");
    assert!(
        daemon
            .get("/")
            .await
            .expect("a page")
            .contains("maintenance")
    );
    let state = state(directory.path());
    let add = |extra: &[&str]| {
        let mut args = vec![
            "maintenance",
            "add",
            "--state-dir",
            &state,
            "--duration",
            "2h",
            "--reason",
            "a test",
            "--by",
            "anna",
            "--json",
        ];
        args.extend(extra);
        probity(&args)
    };
    let past = add(&[
        "--id",
        "late",
        "--endpoint",
        "down",
        "--start",
        "2020-01-01T00:00",
    ]);
    assert_eq!(past.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&past.stderr).contains("the window starts in the past"));
    let soon = add(&[
        "--id",
        "later",
        "--component",
        "down",
        "--start",
        "2031-01-01T00:00Z",
    ]);
    assert_eq!(soon.status.code(), Some(1), "more than 400 days ahead");
    let next_hour =
        probity::words::format_utc(probity::net::clock::Clock::Real.read().utc_ms + 3_600_000);
    let soon = add(&[
        "--id",
        "later",
        "--component",
        "down",
        "--start",
        &next_hour,
    ]);
    let answer = checked(&soon.stdout);
    assert_eq!(
        (soon.status.code(), &answer["contracts"][0]["admitted"]),
        (Some(0), &json!(false)),
        "{answer}"
    );
    assert_eq!(
        add(&[
            "--id",
            "later",
            "--component",
            "down",
            "--start",
            &next_hour
        ])
        .status
        .code(),
        Some(1),
        "the id is in force"
    );
    assert_eq!(
        add(&[
            "--id",
            "other",
            "--component",
            "nobody",
            "--start",
            &next_hour
        ])
        .status
        .code(),
        Some(1)
    );
    let list = checked(&probity(&["maintenance", "list", "--state-dir", &state, "--json"]).stdout);
    assert_eq!(list["windows"].as_array().map(Vec::len), Some(2));
    assert!(
        list["windows"][1]["by"]
            .as_str()
            .is_some_and(|by| by.contains("uid") && by.contains("anna"))
    );
    let cancelled = probity(&[
        "maintenance",
        "cancel",
        "later",
        "--state-dir",
        &state,
        "--json",
    ]);
    assert_eq!(
        (cancelled.status.code(), &checked(&cancelled.stdout)["id"]),
        (Some(0), &json!("later"))
    );
    assert_eq!(
        probity(&["maintenance", "cancel", "later", "--state-dir", &state])
            .status
            .code(),
        Some(1)
    );
    // A kill forgets nothing of it.
    let before = daemon
        .metric("probity_endpoint_maintenance_seconds_total{endpoint=\"down\",state=\"down\"}")
        .await;
    daemon.kill();
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon
        .until(|d| async move {
            d.metric("probity_endpoint_maintenance_seconds_total{endpoint=\"down\",state=\"down\"}")
                .await
                >= before
        })
        .await;
    assert_eq!(daemon.end().await.0, 0);
    let kinds: Vec<String> =
        String::from_utf8_lossy(&probity(&["export", "journal", "--state-dir", &state]).stdout)
            .lines()
            .map(|l| {
                serde_json::from_str::<Value>(l).expect("JSON")["kind"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!(
        (count("maintenance_declared"), count("maintenance_ended")),
        (2, 1),
        "the config's window is declared once"
    );
    assert_eq!(verify(directory.path(), None).0, Some(0));
    assert_eq!(
        add(&["--start", &next_hour]).status.code(),
        Some(69),
        "nobody runs"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_changes_reports_and_never_the_raw_counters() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    let component = |timeline: Value| timeline["components"][0].clone();
    daemon
        .until(|d| async move {
            component(d.json("/api/v1/timeline").await)["down_ms"].as_u64() > Some(2500)
        })
        .await;
    let before = component(daemon.json("/api/v1/timeline").await);
    assert!(
        before["down_ms"].as_u64().is_some_and(|ms| ms > 1000),
        "{before}"
    );
    let now = probity::net::clock::Clock::Real.read().utc_ms;
    let (from, to) = (
        probity::words::format_utc(now - 60_000),
        probity::words::format_utc(now - 1000),
    );
    let state = state(directory.path());
    let exclude = |extra: &[&str]| {
        let mut args = vec![
            "history",
            "exclude",
            "--state-dir",
            &state,
            "--from",
            &from,
            "--to",
            &to,
            "--reason",
            "agreed",
            "--json",
        ];
        args.extend(extra);
        probity(&args)
    };
    assert_eq!(exclude(&[]).status.code(), Some(1), "it names nothing");
    let done = exclude(&["--endpoint", "down", "--by", "both"]);
    let answer = checked(&done.stdout);
    assert_eq!(done.status.code(), Some(0));
    assert!(
        answer["before"]["down"]["down_ms"]
            .as_u64()
            .is_some_and(|ms| ms > 500),
        "{answer}"
    );
    let after = component(daemon.json("/api/v1/timeline").await);
    let ms = |v: &Value| v["down_ms"].as_u64().unwrap_or(0);
    assert!(ms(&after) + 900 < ms(&before) + 1500, "{before}\n{after}");
    assert!(after["in_service"].is_array(), "{after}");
    let raw = daemon
        .metric("probity_endpoint_state_seconds_total{endpoint=\"down\",state=\"down\"}")
        .await;
    assert!(raw * 1000.0 >= ms(&before) as f64 - 1.0);
    let note = probity(&[
        "history",
        "annotate",
        "--state-dir",
        &state,
        "--seq",
        "2",
        "--text",
        "seen",
        "--json",
    ]);
    checked(&note.stdout);
    assert_eq!(note.status.code(), Some(0));
    assert_eq!(daemon.end().await.0, 0);
    assert_eq!(verify(directory.path(), None).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_says_what_it_is_and_counters_begin_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = answering(ok("", b"")).await;
    let text =
        format!("{QUICK}[[endpoint]]\nname = \"up\"\nprobe.http = \"http://127.0.0.1:{port}/\"\n");
    let daemon = Daemon::start(directory.path(), &text).await;
    let up_ms = |endpoints: Value| endpoints["endpoints"][0]["ledger"]["up_ms"].as_u64();
    daemon
        .until(|d| async move { up_ms(d.json("/api/v1/endpoints").await) > Some(1000) })
        .await;
    let state = state(directory.path());
    let copy = directory.path().join("copy.sqlite");
    let copy_name = copy.to_str().expect("UTF-8");
    let backup = probity(&[
        "history",
        "backup",
        "--to",
        copy_name,
        "--state-dir",
        &state,
        "--json",
    ]);
    assert_eq!(checked(&backup.stdout)["file"], copy_name);
    assert_eq!(
        backup.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&backup.stderr)
    );
    assert_eq!(
        probity(&[
            "history",
            "backup",
            "--to",
            copy_name,
            "--state-dir",
            &state
        ])
        .status
        .code(),
        Some(73),
        "it is not overwritten"
    );
    assert_eq!(
        probity(&["history", "restore", copy_name, "--state-dir", &state])
            .status
            .code(),
        Some(75),
        "the daemon runs"
    );
    settled_for(&daemon, 2000).await;
    let up_before = up_ms(daemon.json("/api/v1/endpoints").await).expect("a number");
    assert_eq!(daemon.end().await.0, 0);
    let outside = directory.path().join("outside.json");
    let database =
        rusqlite::Connection::open(directory.path().join("state/history.sqlite")).expect("opened");
    let newest: String = database
        .query_row(
            "SELECT body FROM checkpoint ORDER BY seq DESC LIMIT 1",
            [],
            |r| r.get(0),
        )
        .expect("a checkpoint");
    std::fs::write(&outside, newest).expect("written");
    drop(database);
    let restored = probity(&[
        "history",
        "restore",
        copy_name,
        "--state-dir",
        &state,
        "--by",
        "anna",
        "--json",
    ]);
    assert!(
        checked(&restored.stdout)["events"]
            .as_u64()
            .is_some_and(|n| n > 2)
    );
    assert_eq!(
        restored.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    let found = verify(directory.path(), Some(&outside));
    assert_eq!(
        (found.0, found.1["verdict"].as_str()),
        (Some(3), Some("forked by restore")),
        "{}",
        found.1
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon
        .until(|d| async move { up_ms(d.json("/api/v1/endpoints").await) > Some(500) })
        .await;
    let ledger = daemon.json("/api/v1/endpoints").await["endpoints"][0]["ledger"].clone();
    let n = |key: &str| ledger[key].as_u64().expect("a number");
    assert!(
        n("up_ms") < up_before,
        "counters begin again: {ledger}, {up_before} before"
    );
    assert_eq!(
        n("up_ms") + n("down_ms") + n("unknown_ms"),
        n("watermark_ms") - n("first_start_ms")
    );
    assert!(
        n("unknown_ms") > 1500,
        "what came after the backup is unknown: {ledger}"
    );
    let timeline = daemon.json("/api/v1/timeline").await["components"][0].clone();
    assert!(
        timeline["up_ms"].as_u64().is_some_and(|ms| ms > n("up_ms")),
        "the record before the backup is still there: {timeline}"
    );
    assert_eq!(daemon.end().await.0, 0);
    let found = verify(directory.path(), None);
    assert_eq!(
        (found.0, &found.1["restores"]),
        (Some(0), &json!(1)),
        "{}",
        found.1
    );
}

/// As a snapshot or rsync takes it: the newest events lie in SQLite's log beside the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_of_copied_files_brings_the_events_that_lie_in_the_log_as_well() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    let copies = directory.path().join("copies");
    std::fs::create_dir(&copies).expect("a directory");
    let from = copies.join("history.sqlite");
    let copied = |end: &str| {
        std::fs::copy(
            directory.path().join(format!("state/history.sqlite{end}")),
            format!("{}{end}", from.display()),
        )
        .expect("copied")
    };
    assert!(copied("-wal") > 0 && copied("") > 0);
    let events: i64 = rusqlite::Connection::open(&from)
        .and_then(|db| db.query_row("SELECT max(seq) FROM event", [], |r| r.get(0)))
        .expect("events");
    // Closing it has played the log back: once more as it was.
    copied("-wal");
    copied("");
    let into = directory.path().join("restored");
    let restored = probity(&[
        "history",
        "restore",
        from.to_str().expect("UTF-8"),
        "--state-dir",
        into.to_str().expect("UTF-8"),
        "--json",
    ]);
    assert_eq!(
        restored.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    assert!(
        checked(&restored.stdout)["events"].as_i64() > Some(events),
        "{restored:?}"
    );
    let found = probity(&[
        "history",
        "verify",
        "--state-dir",
        into.to_str().expect("UTF-8"),
        "--json",
    ]);
    assert_eq!(
        found.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&found.stdout)
    );
    assert_eq!(daemon.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_fails_leaves_the_directory_as_one_that_was_never_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    let copy = directory.path().join("copy.sqlite");
    let copy = copy.to_str().expect("UTF-8");
    assert_eq!(
        probity(&[
            "history",
            "backup",
            "--to",
            copy,
            "--state-dir",
            &state(directory.path())
        ])
        .status
        .code(),
        Some(0)
    );
    assert_eq!(daemon.end().await.0, 0);
    rusqlite::Connection::open(copy)
        .expect("opened")
        .execute_batch("DELETE FROM meta WHERE key = 'chain'")
        .expect("done");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let refused = probity(&[
        "history",
        "restore",
        copy,
        "--unverified",
        "--state-dir",
        &state(elsewhere.path()),
    ]);
    assert_ne!(refused.status.code(), Some(0));
    let left: Vec<_> = std::fs::read_dir(elsewhere.path().join("state"))
        .expect("readable")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["lock"], "no part of the copy");
    let daemon = Daemon::start(elsewhere.path(), &text).await;
    daemon.until_state("down", "down").await;
    assert_eq!(daemon.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_are_made_as_often_as_the_config_says_and_old_ones_go() {
    let directory = tempfile::tempdir().expect("a directory");
    let copies = directory.path().join("copies");
    let text = format!(
        "{QUICK}[history.backup]\nevery = \"1s\"\ndir = \"{}\"\nkeep = 2\n[[endpoint]]\nname \
            = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        copies.display(),
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    let mut made = std::collections::BTreeSet::new();
    daemon
        .until(|_| {
            let files = std::fs::read_dir(&copies).into_iter().flatten().flatten();
            made.extend(files.map(|file| file.file_name()).filter(|name| {
                let name = name.to_string_lossy();
                name.starts_with("history-") && name.ends_with("Z.sqlite")
            }));
            std::future::ready(made.len() >= 4)
        })
        .await;
    assert_eq!(daemon.end().await.0, 0);
    let count = std::fs::read_dir(&copies).expect("a directory").count();
    assert_eq!(count, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruned_events_leave_a_stub_that_keeps_every_checkpoint_and_time_before_is_unknown() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n[[endpoint]]\nname \
            = \"web\"\nprobe.http = \"http://127.0.0.1:{}/\"\n[sla.s]\nobjective \
            = \"99.9\"\ncomponents = [\"down\", \"web\"]\n",
        closed_port(),
        answering(ok("", b"")).await
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    let published = daemon.get("/checkpoint").await.expect("a checkpoint");
    assert_eq!(daemon.end().await.0, 0);
    let outside = directory.path().join("outside.json");
    std::fs::write(&outside, &published).expect("written");
    let now = || probity::net::clock::Clock::Real.read().utc_ms;
    let state = state(directory.path());
    let last = cut(directory.path(), now()).last as i64;
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    daemon.until_state("web", "up").await;
    let prune = |before: &str| {
        probity(&[
            "history",
            "prune",
            "--state-dir",
            &state,
            "--before",
            before,
            "--by",
            "anna",
            "--json",
        ])
    };
    assert_eq!(
        prune("2020-01-01T00:00:00Z").status.code(),
        Some(1),
        "nothing is that old"
    );
    assert_eq!(
        prune("2099-01-01T00:00:00Z").status.code(),
        Some(1),
        "the future"
    );
    let file = directory.path().join("state/history.sqlite");
    let rows = |sql: &str| -> i64 {
        rusqlite::Connection::open(&file)
            .expect("opened")
            .query_row(sql, [], |r| r.get(0))
            .expect("counted")
    };
    daemon
        .until(|_| async { rows("SELECT min(seq) FROM event") == last + 1 })
        .await;
    assert_eq!(
        rows("SELECT count(*) FROM outage WHERE closed IS NULL"),
        1,
        "the outage that was open stays"
    );
    let found = verify(directory.path(), Some(&outside));
    assert_eq!(
        found.0,
        Some(0),
        "the checkpoint of before is in the stub: {}",
        found.1
    );
    // What went is unknown, not up.
    let timeline = daemon.json("/api/v1/timeline").await;
    let web = timeline["components"]
        .as_array()
        .and_then(|l| l.iter().find(|c| c["name"] == "web"))
        .expect("web")
        .clone();
    assert!(
        web["unknown"]
            .as_array()
            .is_some_and(|l| l.iter().any(|u| u["reason"] == "history")),
        "{web}"
    );
    // Again, and over a restart: nothing that was published is lost.
    let again = probity::words::format_utc(now());
    assert_eq!(daemon.end().await.0, 0);
    assert!(cut(directory.path(), now()).last as i64 > last);
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    let found = verify(directory.path(), Some(&outside));
    assert_eq!(found.0, Some(0), "{}", found.1);
    assert_eq!(daemon.end().await.0, 0);
    // A report still follows from what is exported.
    let config = directory.path().join("probity.toml");
    let month = &again[..7];
    let report = probity(&[
        "sla",
        "report",
        "--config",
        config.to_str().expect("UTF-8"),
        "--period",
        month,
        "--provisional",
    ])
    .stdout;
    let (path, journal) = (
        directory.path().join("report.json"),
        directory.path().join("journal.jsonl"),
    );
    std::fs::write(&path, &report).expect("written");
    std::fs::write(
        &journal,
        probity(&["export", "journal", "--state-dir", &state]).stdout,
    )
    .expect("written");
    let checked_report = probity(&[
        "sla",
        "verify",
        path.to_str().expect("UTF-8"),
        "--events",
        journal.to_str().expect("UTF-8"),
    ]);
    let said = String::from_utf8_lossy(&checked_report.stdout).into_owned();
    assert_eq!(checked_report.status.code(), Some(0), "{said}");
    // What the pruned events said of terms is carried, and not told again.
    assert!(said.contains("its terms are on record since"), "{said}");
    for kind in ["terms", "witnesses", "limits"] {
        let sql = format!("SELECT count(*) FROM event WHERE kind = '{kind}'");
        assert_eq!(rows(&sql), 0, "{kind}");
    }
    // Whoever forges the prune record, what it carries or a checkpoint is seen.
    let original = std::fs::read(&file).expect("read");
    for manipulation in [
        "DELETE FROM stub",
        "UPDATE stub SET body = replace(body, '\"seq\":1', '\"seq\":2')",
        "UPDATE stub SET carried = replace(carried, 'connect_refused', 'connect_timeout')",
        "UPDATE outage SET cause = 'connect_timeout'",
        "DELETE FROM event WHERE kind = 'pruned'",
        "INSERT INTO unknown (seq, endpoint, from_at, to_at, reason) SELECT 1, 1, max(at), \
            max(at) + 60000, 'late' FROM event",
        "INSERT INTO absent (id, endpoint, from_at, to_at) SELECT -5, 1, max(at), max(at) + 60000 \
            FROM event",
        "INSERT INTO outage (opened, closed, endpoint, cause, confirmed_at, from_at, \
            from_earliest, from_latest, to_at, to_earliest, to_latest) SELECT 1, 1, 1, 'status', \
            max(at), max(at), max(at), max(at), max(at) + 60000, max(at), max(at) + 60000 FROM \
            event",
    ] {
        rusqlite::Connection::open(&file)
            .expect("opened")
            .execute_batch(manipulation)
            .expect("done");
        assert_eq!(verify(directory.path(), None).0, Some(1), "{manipulation}");
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
        std::fs::write(&file, &original).expect("put back");
    }
    let signer =
        probity::history::checkpoint::Signer::of_directory(&directory.path().join("state"))
            .expect("a key");
    let mut forged: Value = serde_json::from_str(&published).expect("JSON");
    forged["head"] = json!("00".repeat(32));
    let forged = signer.signed(forged.as_object().expect("an object").clone());
    std::fs::write(&outside, forged.to_string()).expect("written");
    assert_eq!(
        verify(directory.path(), Some(&outside)).0,
        Some(1),
        "another head than the stub has"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_the_format_before_goes_on_and_a_copy_of_it_is_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{QUICK}[[endpoint]]\nname = \"down\"\nprobe.tcp = \"127.0.0.1:{}\"\n",
        closed_port()
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    let published = daemon.get("/checkpoint").await.expect("a checkpoint");
    assert_eq!(daemon.end().await.0, 0);
    let outside = directory.path().join("outside.json");
    std::fs::write(&outside, &published).expect("written");
    // What the third format has more than the second.
    let file = directory.path().join("state/history.sqlite");
    let older = "DROP TABLE sealed; DROP TABLE tally_day; DROP TABLE tally_month; DROP TABLE \
        result; DROP TABLE recording; DROP TABLE stub; PRAGMA user_version = 2;";
    rusqlite::Connection::open(&file)
        .expect("opened")
        .execute_batch(older)
        .expect("done");
    assert_eq!(
        probity(&["history", "verify", "--state-dir", &state(directory.path())])
            .status
            .code(),
        Some(73),
        "a reader changes nothing"
    );
    let daemon = Daemon::start(directory.path(), &text).await;
    daemon.until_state("down", "down").await;
    assert_eq!(
        daemon.json("/api/v1/outages").await["outages"]
            .as_array()
            .map(Vec::len),
        Some(1),
        "the same outage goes on"
    );
    assert_eq!(daemon.end().await.0, 0);
    let found = verify(directory.path(), Some(&outside));
    assert_eq!(found.0, Some(0), "{}", found.1);
    let kept = rusqlite::Connection::open(directory.path().join("state/history.format-2.sqlite"))
        .expect("the copy");
    assert_eq!(
        kept.query_row("PRAGMA user_version", [], |r| r.get::<_, i64>(0))
            .expect("read"),
        2
    );
}
