//! What a web server sends: heads, framing, bodies, codings, redirects, and the assertions over
//! them; HTTP/1 and HTTP/2.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use probity::config::plan::probe::Strictness;
use probity::kind::Probe;
use probity::kind::http::HttpTarget;
use probity::kind::http::run::{followed, redirect_of};
use probity::kind::http::spec::{CrossOrigin, Http};
use probity::kind::run::coding;
use probity::kind::run::expect::{self, DecodedBody, CheckedExpectations};
use probity::kind::run::work::Awaited;
use probity::net::probe_error::ProbeError;
use probity::net::http_response::{Ask, Keep, Response};
use probity::net::http1;
use probity::net::http2;
use probity::net::trace::Trace;
use probity_fuzz::{Played, choice, endpoint, run};
use url::Url;

const HEAD: &str = "url = \"http://shop.example/a/b?c=d\"\nlimits = { body = \"64KiB\", decoded \
    = \"256KiB\", header = \"8KiB\" }\n";
const BODY: &str = "body = { contains = [\"ok\", \"ä\"], not_contains = \"error\", matches \
        = \"(?i)^\\\\s*<html|^\\\\{|[[:^alpha:]]{3,}\", not_matches = \"(a+)+$\" }";
const HEADERS: &str = "headers = { content-type = { matches = \"^text/\", not_matches \
    = \"latin1\" }, server = false, etag = true, x = \"y\" }";
/// Each over what the server sent, and with whatever it may make fail.
const JSON: [&str; 16] = [
    "body.status == 'ok'",
    "body.a + body.b == body.c",
    "body.a - body.b < body.c * body.d",
    "body.a / body.b > 1 || body.a % body.b == 0",
    "size(body.list) > body.n && body.list[body.n] == 'x'",
    "body.list.all(x, x > 0)",
    "body.list.exists(x, x.name == 'a' && x.n >= 1)",
    "body.list.map(x, x * 2).size() == 3 && body.list.filter(x, x != null).size() > 1",
    "body.text.matches('^a+b?') || body.text.contains(body.part) || body.text.startsWith('x')",
    "body.list.filter(x, x.matches('^(a|ab)+$')).size() > 1 && body.text + 'x' != body.part",
    "int(body.f) == body.n && double(body.n) < 2.5 && uint(body.n) == 3u",
    "string(body.n) == body.text && 'k' in body.map && body.map['k'] != body.n",
    "has(body.a) ? body.a == 1 : !has(body.b)",
    "body.at > '2026-01-01T00:00:00Z' && body.at < body.to",
    "body.d * 3600 < body.to && body.list.exists_one(x, x == body.d) && body.at.endsWith('Z')",
    "-body.a < 0 && !(body.flag) && body.a >= body.b && body.list == [1, 2.0, 'x'] && body.map == \
        {'k': 1}",
];

static SPECS: LazyLock<Vec<Arc<Http>>> = LazyLock::new(|| {
    let spec = |expect: String| {
        let endpoint = endpoint(&format!(
            "[endpoint.probe.http]\n{HEAD}[endpoint.probe.http.expect]\n{expect}"
        ));
        let Probe::Http(HttpTarget { spec, .. }) = &endpoint.probe else {
            panic!("no http")
        };
        spec.clone()
    };
    let plain = [
        "status = [200, \"4xx\"]\nfinal_url = \"^https?://shop\"\nversion = \"1.1\"\n".to_owned()
            + HEADERS,
        BODY.to_owned(),
    ];
    plain
        .into_iter()
        .chain(JSON.iter().map(|cel| format!("json = \"\"\"{cel}\"\"\"")))
        .map(spec)
        .collect()
});

static URL: LazyLock<Url> =
    LazyLock::new(|| Url::parse("http://shop.example/a/b?c=d").expect("a URL"));

fn read(bytes: &[u8], step: usize, method: &str, spec: &Http) -> Result<Response, ProbeError> {
    let trace = Trace::begin();
    let reading = if bytes.len() % 2 == 0 {
        Strictness::Lenient
    } else {
        Strictness::Strict
    };
    let ask = Ask {
        method,
        keep: Keep::Body,
        limits: &spec.limits,
        reading,
        memory: &probity::net::body_memory::BodyMemory::default(),
    };
    run(http1::exchange(
        &mut Played::new(bytes, step),
        &trace,
        b"",
        ask,
    ))
}

fn read2(bytes: &[u8], step: usize, spec: &Http) -> Result<Response, ProbeError> {
    let trace = Trace::begin();
    let request = http::Request::builder()
        .uri("http://shop.example/")
        .version(http::Version::HTTP_2)
        .body(())
        .expect("a request");
    let ask = Ask {
        method: "GET",
        keep: Keep::Body,
        limits: &spec.limits,
        reading: Strictness::Lenient,
        memory: &probity::net::body_memory::BodyMemory::default(),
    };
    run(http2::exchange(
        Played::new(bytes, step),
        &trace,
        request,
        None,
        ask,
    ))
    .map_err(|failure| match failure {
        http2::Failure::ProbeError(err) | http2::Failure::Http11Required(err) => err,
    })
}

fuzz_target!(|data: &[u8]| {
    let ((which, rest), spec) = match choice(data) {
        (first, rest) => (choice(rest), &SPECS[first % SPECS.len()]),
    };
    let method = if which & 1 == 0 { "GET" } else { "HEAD" };
    let step = [1, 7, 100, 5000][which >> 1 & 3];
    let response = match which >> 3 & 3 {
        0 | 1 => {
            let whole = read(rest, usize::MAX, method, spec);
            same(&whole, &read(rest, step, method, spec));
            whole
        }
        2 => read2(rest, step, spec),
        _ => framed(rest, step, spec),
    };
    let Ok(response) = response else { return };
    assert!(
        response.body.len() as u64 == response.body_bytes
            && response.body_bytes <= spec.limits.body
    );
    if let Some(location) = redirect_of(&response) {
        redirected(&location);
    }
    judged(&response, spec);
});

/// How a response is cut into packets changes nothing.
fn same(one: &Result<Response, ProbeError>, other: &Result<Response, ProbeError>) {
    match (one, other) {
        (Ok(a), Ok(b)) => assert_eq!(
            (a.status, &a.headers, &a.body, a.body_bytes),
            (b.status, &b.headers, &b.body, b.body_bytes)
        ),
        // Where a limit and another fault meet, what was read so far decides which is seen first.
        (Err(_), Err(_)) => {}
        (a, b) => panic!("{a:?}\n{b:?}"),
    }
}

/// What is framed rightly is read back.
fn framed(body: &[u8], step: usize, spec: &Http) -> Result<Response, ProbeError> {
    let body = &body[..body.len().min(60_000)];
    let mut counted = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: x\r\n\r\n",
        body.len()
    )
    .into_bytes();
    counted.extend_from_slice(body);
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for (k, piece) in body.chunks(1 + body.len() / 3).enumerate() {
        chunked.extend_from_slice(
            format!("{:x}{}\r\n", piece.len(), ["", ";a=b", " "][k % 3]).as_bytes(),
        );
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\nT: x\r\n\r\n");
    for text in [&counted, &chunked] {
        let read = read(text, step, "GET", spec).expect("rightly framed");
        assert!(read.body == body);
    }
    read(&counted, usize::MAX, "GET", spec)
}

fn redirected(location: &[u8]) {
    for policy in [CrossOrigin::Follow, CrossOrigin::Refuse] {
        let Ok(to) = followed(&URL, location, policy) else {
            continue;
        };
        assert!(
            matches!(to.scheme(), "http" | "https") && to.host_str().is_some_and(|h| !h.is_empty())
        );
        assert!(policy == CrossOrigin::Follow || to.origin() == URL.origin());
        assert!(!to.as_str().bytes().any(|b| b <= 0x20 || b == 0x7f), "{to}");
    }
}

fn judged(response: &Response, spec: &Http) {
    let mut verdicts = CheckedExpectations::default();
    let awaited = Awaited::default();
    let work = awaited.work(&spec.limits);
    expect::head(&spec.expect, (response, URL.as_str()), &work, &mut verdicts);
    if let Ok(plain) = coding::decoded(response, &spec.limits, spec.reading, &work) {
        assert!(plain.bytes.len() as u64 <= spec.limits.decoded);
        let seen = DecodedBody {
            bytes: plain.bytes.into_owned(),
            is_cut: response.is_cut,
        };
        let limits = (&spec.limits, &work);
        expect::body(&spec.expect, response, &seen, limits, &mut verdicts);
    }
    assert_eq!(
        verdicts.first_unmet.is_none(),
        verdicts.findings.iter().all(|f| f.met)
    );
}
