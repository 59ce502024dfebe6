//! What people ask: queries to the web server, requests on the control socket, and instants.

#![no_main]

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use libfuzzer_sys::fuzz_target;
use probity::account::figures::NotSeen;
use probity::config::document::value::{parse_duration, show_duration};
use probity::daemon::control::ControlState;
use probity::daemon::control::messages::ControlRequest;
use probity::engine::board::{Board, Entry};
use probity::engine::drive::{EngineCommand, Gauges, RecordRequest as Asked};
use probity::history::checkpoint::TermsKey;
use probity::history::event::Event;
use probity::history::opened::History;
use probity::history::schema;
use probity::judgement::maintenance::Window;
use probity::judgement::timeline::Span;
use probity::notify::Deliveries;
use probity::serve::answers::{Gates, ServerState};
use probity::serve::by_component::ComponentStates;
use probity::serve::contracts::contract_statuses;
use probity::serve::listener::head;
use probity::serve::metrics::daemon::SelfMetrics;
use probity::serve::server::{parts, router};
use probity::words::{Name, format_utc, parse_utc};
use probity_fuzz::{choice, plan, run};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tower::ServiceExt;

const PLAN: &str = "[component.shop]\ncombine = \"parallel\"\n[[endpoint]]\nname \
    = \"a\"\ncomponent = \"shop\"\nprobe.tcp = \"192.0.2.1:1\"\n\
[[endpoint]]\nname = \"b b\"\ncomponent = \"shop\"\nprobe.tcp = \"192.0.2.1:2\"\n\
[sla.s]\nobjective = \"99.9\"\ncomponents = [\"shop\"]\nmaintenance = { notice = \"48h\", \
allowance = \"1h\" }\n";

/// Two endpoints with some past.
const PAST: &str = "
INSERT INTO endpoint VALUES (1, 'a', 'shop', 'tcp', 't', 1, 1), (2, 'b b', 'shop', 'tcp', 't', 1, \
1);
INSERT INTO clock VALUES (0, 0), (1793500000000, 86400000), (1793700000000, -50);
INSERT INTO outage VALUES (3, 4, 1, 'timeout', 1793491300000, 1793491200000, 1793491100000, \
1793491250000, 1793491500000, 1793491400000, 1793491600000),
    (5, NULL, 2, 'reset', 1793600300000, 1793600200000, 1793600100000, 1793600250000, NULL, NULL, \
    NULL);
INSERT INTO unknown VALUES (6, 1, 1793550000000, 1793550100000, 'late');
INSERT INTO doubtful VALUES (7, 2, 1793550000000, 1793550100000);
INSERT INTO proven VALUES (8, 1, 1793491260000, 1793491390000);
INSERT INTO absent VALUES (9, 2, 1793540000000, 1793541000000);
INSERT INTO correction VALUES (10, \
'{\"components\":[\"shop\"],\"from\":\"2026-11-02T00:00:00Z\",\"to\":\"2026-11-02T01:00:00Z\"}');
INSERT INTO tally VALUES (1, 498000, x'7B7D');
INSERT INTO checkpoint VALUES (2, '{\"seq\":2}');
";

struct World {
    _directories: [TempDir; 2],
    router: Router,
    control: ControlState,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    let (_owner, connection) = schema::own(directory.path()).expect("a history");
    connection.execute_batch(PAST).expect("a past");
    let plan = Arc::new(plan(PLAN));
    let board = Arc::new(Board::new(plan.clone()));
    let entries: Vec<Arc<Entry>> = plan
        .endpoints
        .iter()
        .enumerate()
        .map(|(k, e)| Arc::new(Entry::new(k, e.clone(), 0)))
        .collect();
    for entry in &entries {
        let mut view = entry.view();
        view.shown.settled.first_start = Some(1_793_490_000_000);
        view.shown.settled.watermark = 1_793_800_000_000;
    }
    board.set_entries(entries);
    board
        .health
        .scheduled
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let (reload, _) = mpsc::channel(1);
    let (reader, now) = (
        schema::open_to_read(directory.path()).expect("a reader"),
        1_793_800_000_000,
    );
    let states = ComponentStates::read(&reader, &board, now, &ComponentStates::default());
    let judged = contract_statuses(
        &reader,
        &board,
        &TermsKey::nobodys(),
        (now, NotSeen::Included),
        Arc::new(states.expect("states")),
    )
    .expect("contract statuses");
    let server = ServerState {
        board: board.clone(),
        gauges: Arc::new(Gauges::default()),
        metrics: Arc::new(SelfMetrics::new("v")),
        deliveries: Arc::new(Deliveries::default()),
        state_dir: directory.path().to_owned(),
        reload,
        gates: Gates::default(),
        terms: TermsKey::nobodys(),
        contract_statuses: Arc::new(Arc::new(judged).into()),
    };
    let (engine, mut asked) = mpsc::unbounded_channel();
    // Only pruning asks the writer, and a history that does not verify, as this one, is never
    // pruned.
    let beside = tempfile::tempdir().expect("a directory");
    let (writer, _thread) = History::open(beside.path(), None)
        .expect("a history")
        .start(drop)
        .expect("a writer");
    let control = ControlState {
        board,
        state_dir: directory.path().to_owned(),
        engine,
        writer,
        reload: server.reload.clone(),
        terms: TermsKey::nobodys(),
    };
    std::thread::spawn(move || {
        while let Some(one) = asked.blocking_recv() {
            let EngineCommand::Record { request, reply } = one else {
                continue;
            };
            recorded(&request);
            let _ = reply.send(Ok(1_794_700_800_000));
        }
    });
    World {
        _directories: [directory, beside],
        router: router(server),
        control,
    }
});

/// What the engine would write into the history must be readable again.
fn recorded(request: &Asked) {
    match request {
        Asked::DeclareWindow { window, by } => {
            assert_eq!(Window::from_json(&window.to_json()).as_ref(), Some(window));
            assert!(Name::new(by).is_ok());
            for span in window.occurrences(Span::new(1_794_700_800_000, 1_797_000_000_000)) {
                assert!(span.from < span.to);
            }
        }
        Asked::EndWindow { .. } => {}
        Asked::Correct(event) => match &**event {
            Event::Exclusion(e) => assert!(parse_utc(&e.from) < parse_utc(&e.to), "{e:?}"),
            Event::Annotation(_) => {}
            other => panic!("no correction: {other:?}"),
        },
    }
}

fuzz_target!(|data: &[u8]| {
    let (which, rest) = choice(data);
    // Beside the four of old, whose inputs are in the corpus.
    if which == 255 {
        return heads(rest);
    }
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    match which % 4 {
        0 => leaves(text),
        1 => queried(text),
        2 => asked(text),
        _ => {
            if let Ok(list) = parts(text) {
                assert!(!list.is_empty());
            }
        }
    }
});

/// A head is the same however many bytes follow it, and no beginning of it is another one.
fn heads(bytes: &[u8]) {
    let Ok(Some(whole)) = head::head(bytes) else {
        return;
    };
    assert!(whole.length <= head::MOST_HEAD && whole.length <= bytes.len());
    assert!(
        head::head(&bytes[..whole.length])
            .is_ok_and(|h| h.is_some_and(|h| h.length == whole.length))
    );
    assert!((0..whole.length).all(|end| !matches!(head::head(&bytes[..end]), Ok(Some(_)))));
}

fn leaves(text: &str) {
    if let Some(at) = parse_utc(text) {
        let shown = format_utc(at);
        // An offset may lead out of the four digits of a year.
        if shown.len() == 24 && !shown.starts_with('-') {
            assert_eq!(parse_utc(&shown), Some(at), "{text}");
        }
    }
    if let Some(ms) = parse_duration(text) {
        assert_eq!(parse_duration(&show_duration(ms)), Some(ms), "{text}");
    }
}

/// A path with its query; a line below it each: Accept, Accept-Encoding, Origin.
fn queried(text: &str) {
    let mut lines = text.lines();
    let mut request = Request::builder().uri(lines.next().unwrap_or_default());
    for (name, value) in [header::ACCEPT, header::ACCEPT_ENCODING, header::ORIGIN]
        .into_iter()
        .zip(lines)
    {
        request = request.header(name, value);
    }
    let Ok(request) = request.body(Body::empty()) else {
        return;
    };
    let path = request.uri().path().to_owned();
    let names_a_host = request.uri().authority().is_some();
    let (status, kind, body) = run(async {
        let response = WORLD
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer");
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 24).await.expect("a body");
        (
            head.status.as_u16(),
            head.headers.get(header::CONTENT_TYPE).cloned(),
            body,
        )
    });
    let is_expected = matches!(status, 200 | 400 | 404 | 405)
        || path == "/-/ready" && status == 503
        || names_a_host && status == 421;
    assert!(is_expected, "{status}: {text}");
    if kind.is_some_and(|k| k == "application/json") {
        let value: Value = serde_json::from_slice(&body).expect("JSON");
        for component in value["components"].as_array().into_iter().flatten() {
            assert!(component["up_ms"].is_u64());
        }
    }
}

fn asked(text: &str) {
    let Ok(request) = ControlRequest::parse(text) else {
        return;
    };
    let answer = run(WORLD.control.answer(request, 1000));
    if let Err(why) = answer {
        assert!(!why.is_empty());
    }
}
