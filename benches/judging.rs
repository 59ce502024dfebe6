//! How long it takes to hold one answer against what is expected of it, in the worst cases that a
//! config may ask for, and whether that is done on the probing thread. `cargo bench --bench
//! judging`; exit code 1 where something holds that thread for more than 5 ms.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use probity::config::document::secret::Secret;
use probity::config::document::secret::mask::Mask;
use probity::config::{OneText, load};
use probity::kind::Probe;
use probity::kind::http::spec::Http;
use probity::kind::run::cost;
use probity::kind::run::expect::{self, CheckedExpectations, DecodedBody};
use probity::kind::run::work::{self, Work};
use probity::net::http_response::Response;
use probity::net::sys::KernelClock;

const LIMIT: Duration = Duration::from_millis(5);
const RUNS: usize = 5;
const BODY: usize = 64 << 10;
/// The most JSON that is judged on the probing thread.
const JSON: usize = 4 << 10;

/// What a config expects, as the daemon reads it.
fn expecting(lines: &str) -> std::sync::Arc<Http> {
    let text = format!(
        "[[endpoint]]\nname = \"e\"\nprobe.http.url \
        = \"http://127.0.0.1/\"\n{lines}\n"
    );
    let plan = load(Path::new("bench.toml"), &OneText(&text)).expect(
        "a config that `probity \
        check` accepts",
    );
    match &plan.endpoints[0].probe {
        Probe::Http(target) => target.spec.clone(),
        other => panic!("no http probe: {other:?}"),
    }
}

fn answer(headers: &[(&str, &str)], body: &[u8]) -> Response {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    Response {
        status: 200,
        version: "1.1",
        headers,
        body: body.to_vec(),
        body_bytes: body.len() as u64,
        ..Response::default()
    }
}

fn random(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        if state >> 40 & 1 == 0 { b'a' } else { b'b' }
    };
    (0..length).map(|_| next()).collect()
}

/// The most CPU time of some runs; each has patterns that were never used.
fn longest(lines: &str, mut response: Response) -> Duration {
    let body = std::mem::take(&mut response.body);
    let run = |_| {
        let spec = expecting(lines);
        let seen = DecodedBody {
            bytes: body.clone(),
            is_cut: false,
        };
        let mut verdicts = CheckedExpectations::default();
        let began = KernelClock::ThreadCpu.now_ns();
        let work = Work::of(work::longest(&spec.limits), Arc::default());
        let (answer, limits) = ((&response, "http://127.0.0.1/"), (&spec.limits, &work));
        expect::head(&spec.expect, answer, &work, &mut verdicts);
        expect::body(&spec.expect, &response, &seen, limits, &mut verdicts);
        Duration::from_nanos(KernelClock::ThreadCpu.now_ns() - began)
    };
    (0..RUNS).map(run).max().unwrap_or_default()
}

fn is_inline(lines: &str, response: &Response) -> bool {
    let spec = expecting(lines);
    let is_small_json = spec.expect.json.is_none() || response.body.len() <= JSON;
    is_small_json
        && cost::is_small(cost::head(&spec.expect, response, "http://127.0.0.1/"))
        && cost::is_small(cost::body(&spec.expect, response))
}

/// Prints a case, and the largest body of its kind that is judged on the probing thread. True where
/// that thread is held too long.
fn measured(name: &str, lines: &str, response: impl Fn(usize) -> Response, bytes: usize) -> bool {
    let whole = longest(lines, response(bytes));
    let (mut least, mut most) = (0, bytes);
    while least < most {
        let middle = (least + most).div_ceil(2);
        if is_inline(lines, &response(middle)) {
            least = middle
        } else {
            most = middle - 1
        }
    }
    // Where even nothing is too much, nothing holds the thread.
    let held = if is_inline(lines, &response(least)) {
        longest(lines, response(least))
    } else {
        Duration::ZERO
    };
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let _ = writeln!(
        std::io::stdout(),
        "{{\"case\":\"{name}\",\"bytes\":{bytes},\"ms\":{:.2},\
            \"on_probing_thread_up_to_bytes\":{least},\"held_ms\":{:.2}}}",
        ms(whole),
        ms(held)
    );
    held > LIMIT
}

fn main() -> ExitCode {
    let (plain, gbk) = (
        |body: &[u8]| answer(&[], body),
        |body: &[u8]| answer(&[("content-type", "text/html; charset=gbk")], body),
    );
    let of_random = |n| plain(&random(n));
    let many = |key: &str, one: &str, count: usize| {
        format!(
            "probe.http.expect.body.{key} = [{}]",
            format!("{one},").repeat(count)
        )
    };
    let pattern = |text: &str| format!("probe.http.expect.body.not_matches = '{text}'");
    let conditions = (0..25)
        .map(|n| format!("x != {}", n + 100))
        .collect::<Vec<_>>()
        .join(" && ");
    let list = |n: usize| format!("[{}0]", "0,".repeat(n.saturating_sub(3) / 2));
    let letters = |n: usize| format!("[{}\"b\"]", "\"b\",".repeat(n.saturating_sub(5) / 4));
    let mut failed = false;
    let mut case = |name: &str, lines: &str, response: &dyn Fn(usize) -> Response, bytes| {
        failed |= measured(name, lines, response, bytes)
    };
    case(
        "one text",
        "probe.http.expect.body.contains = 'status: ok'",
        &of_random,
        BODY,
    );
    case(
        "a text of 32 KiB in a body like it",
        &many("contains", &format!("'{}b'", "a".repeat(BODY / 2)), 1),
        &|n| plain(&vec![b'a'; n]),
        BODY,
    );
    case(
        "1,000 texts",
        &many("not_contains", "'down'", 1000),
        &of_random,
        BODY,
    );
    case(
        "a pattern that is usual",
        &pattern(r#""status":\s*"(ok|up)""#),
        &|n| plain(&br#""status": "unknown" "#.repeat(n / 20)),
        BODY,
    );
    case(
        "an expensive pattern of 15 bytes",
        &pattern("[ab]*a[ab]{20}c"),
        &of_random,
        BODY,
    );
    case(
        "an expensive pattern of 16 bytes",
        &pattern("[ab]*a[ab]{200}c"),
        &of_random,
        BODY,
    );
    case(
        "the largest pattern that is accepted",
        &pattern("[ab]*a[ab]{8000}c"),
        &of_random,
        BODY,
    );
    case(
        "words of Unicode",
        &pattern(r"\w+\d\w+-\w+"),
        &|n| plain("für中文ж".repeat(n / 14).as_bytes()),
        BODY,
    );
    case(
        "100 patterns",
        &many("not_matches", r"'fail(ed|ure)\s'", 100),
        &of_random,
        BODY,
    );
    case(
        "GBK, one text",
        "probe.http.expect.body.not_contains = '中文'",
        &|n| gbk(&[0xc4, 0xe3].repeat(n / 2)),
        BODY,
    );
    case(
        "GBK, an expensive pattern",
        &pattern("[ab]*a[ab]{20}c"),
        &|n| gbk(&random(n)),
        BODY,
    );
    case(
        "a header, an expensive pattern",
        "probe.http.expect.headers.x-a = { not_matches = '[ab]*a[ab]{20}c' }",
        &|n| answer(&[("x-a", &String::from_utf8_lossy(&random(n)))], b""),
        60_000,
    );
    case(
        "200 headers, 100 patterns",
        &header_patterns(100),
        &many_headers,
        200,
    );
    case(
        "JSON, all() with 25 conditions",
        &format!(
            "probe.http.expect.json = 'body.all(x, \
        {conditions})'"
        ),
        &|n| plain(list(n).as_bytes()),
        JSON,
    );
    case(
        "JSON, all() with three conditions",
        "probe.http.expect.json = 'body.all(x, x >= 0 && x \
        < 100 && x != 7)'",
        &|n| plain(list(n).as_bytes()),
        JSON,
    );
    case(
        "JSON, all() over elements without the field",
        "probe.http.expect.json = 'body.all(x, x.ok && x.up)'",
        &|n| plain(format!("[{}[]]", "[],".repeat(n.saturating_sub(4) / 3)).as_bytes()),
        JSON,
    );
    case(
        "JSON, all() with a pattern",
        "probe.http.expect.json = \"body.all(x, \
        x.matches('^[ab]*a[ab]{20}c|b$'))\"",
        &|n| plain(letters(n).as_bytes()),
        JSON,
    );
    case(
        "JSON, a condition that fails at the end",
        "probe.http.expect.json = 'size(body) == 1'",
        &|n| plain(list(n).as_bytes()),
        JSON,
    );
    for (name, text) in [
        (
            "a usual text",
            "the server answered 401 Unauthorized: bad token",
        ),
        ("letters", &"a".repeat(1000)),
        ("escapes", &"%25&a\\u{".repeat(111)),
        ("ampersands", &"&".repeat(1000)),
    ] {
        masked(name, text);
    }
    ExitCode::from(u8::from(failed))
}

/// The time to look for one secret in a text, and what it is taken for.
fn masked(name: &str, text: &str) {
    let mask = Mask::of(vec![Secret::new(
        "Bearer geheim-schlüssel-%&42-abcdefgh".to_owned(),
    )]);
    let took = |_| {
        let began = KernelClock::ThreadCpu.now_ns();
        std::hint::black_box(mask.apply(text.to_owned()));
        KernelClock::ThreadCpu.now_ns() - began
    };
    let ns = (0..RUNS).map(took).max().unwrap_or_default();
    let _ = writeln!(
        std::io::stdout(),
        "{{\"masked\":\"{name}\",\"bytes\":{},\"ms\":{:.3},\"taken_for_ms\":{:.3}}}",
        text.len(),
        ns as f64 / 1e6,
        mask.cost_ns(text) as f64 / 1e6
    );
}

/// A pattern for each of so many headers.
fn header_patterns(count: usize) -> String {
    (0..count)
        .map(|n| {
            format!(
                "probe.http.expect.headers.x-{n} = {{ not_matches = 'fail(ed|ure)' \
        }}\n"
            )
        })
        .collect()
}

fn many_headers(count: usize) -> Response {
    let headers = (0..count)
        .map(|n| (format!("x-{}", n % 100), b"a value of some length".to_vec()))
        .collect();
    Response {
        headers,
        ..answer(&[], b"")
    }
}
