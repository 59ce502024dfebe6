//! `probity probe` with options: each is the config key that it stands for, and several probes are
//! summed up.

use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::authority::{Authority, acceptor, https};
use super::cli::{checked, probity};
use super::daemon::write_config;
use super::program::program;
use super::serve::{answering, closed_port, ok, read_head, tcp, until_the_client_ends};
use super::waiting::until;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Refused as a usage error that says this.
fn usage(args: &[&str], parts: &[&str]) {
    let output = probity(&[&["probe"], args].concat());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{args:?}: {error}");
    for part in parts {
        assert!(error.contains(part), "{part}\n{error}");
    }
}

/// A server that notes the heads of requests and answers with a text.
async fn noting(body: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = heads.clone();
    let port = tcp(move |mut stream| {
        let noted = noted.clone();
        async move {
            let head = read_head(&mut stream).await;
            noted.lock().expect("not poisoned").push(head);
            let _ = stream.write_all(&ok("", body.as_bytes())).await;
            let _ = stream.shutdown().await;
            until_the_client_ends(&mut stream).await;
        }
    })
    .await;
    (format!("http://127.0.0.1:{port}/"), heads)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_are_sent_as_the_config_would_send_them() {
    let (url, heads) = noting("all ok 200, Bearer s3cret-planted").await;
    let output = probity(&[
        "probe",
        &url,
        "-H",
        "X-One: a: b",
        "--header",
        "Authorization: Bearer s3cret-planted",
        "-X",
        "PUT",
        "--data",
        "hello",
        "--expect",
        "status=200",
        "--expect",
        "body.contains=200",
        "--expect",
        "body.contains=all",
        "--expect",
        "headers.server=false",
    ]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "ok   status in [200]",
        "ok   body contains \"200\"",
        "ok   body contains \"all\"",
        "ok   header server is absent",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
    let heads = heads.lock().expect("not poisoned").join("");
    assert!(heads.starts_with("PUT / HTTP/1.1\r\n"), "{heads}");
    for part in [
        "X-One: a: b\r\n",
        "Authorization: Bearer s3cret-planted\r\n",
        "Content-Length: 5\r\n",
    ] {
        assert!(heads.contains(part), "{part}\n{heads}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_may_come_from_a_file_and_is_posted() {
    let (url, heads) = noting("").await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("body");
    std::fs::write(&file, "{\"a\": \"ü\"}\n").expect("written");
    let data = format!("@{}", file.display());
    let output = probity(&["probe", &url, "--data", &data]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    let heads = heads.lock().expect("not poisoned").join("");
    assert!(
        heads.starts_with("POST / ") && heads.contains("Content-Length: 12\r\n"),
        "{heads}"
    );
    let missing = format!("@{}/none", directory.path().display());
    usage(&[&url, "--data", &missing], &["--data: ", "cannot be read"]);
}

#[test]
fn an_option_has_the_errors_of_its_key_and_says_which_kinds_have_it() {
    let url = "http://127.0.0.1:1/";
    usage(
        &["tcp://127.0.0.1:1", "-H", "A: b"],
        &["--header is an option of http probes"],
    );
    usage(
        &["dns://127.0.0.1/a", "-k"],
        &["--insecure is an option of http and tls probes"],
    );
    usage(
        &["icmp://127.0.0.1", "--curl"],
        &["--curl is an option of http probes"],
    );
    usage(
        &[url, "-X", "get"],
        &["--request: ", "not a valid HTTP method", "capitals"],
    );
    usage(
        &[url, "-H", "Authorization hunter2"],
        &["a --header has no colon", "'Name: value'"],
    );
    let told = probity(&["probe", url, "-H", "Authorization hunter2"]);
    assert!(!String::from_utf8_lossy(&told.stderr).contains("hunter2"));
    usage(
        &[url, "-H", "A: b", "-H", "A: c"],
        &["--header A is given twice"],
    );
    usage(
        &[url, "--expect", "statsu=2xx"],
        &["--expect statsu: ", "Did you mean `status`?"],
    );
    usage(
        &[url, "--expect", "status=6xx"],
        &["--expect status: ", "2xx"],
    );
    usage(
        &[url, "--expect", "status"],
        &["invalid --expect `status`", "KEY=VALUE"],
    );
    usage(&[url, "--expect", "a\nb=c"], &["invalid --expect"]);
    usage(
        &[url, "--ca-file", "/not/there.pem"],
        &["--ca-file: ", "/not/there.pem"],
    );
    usage(
        &[url, "--resolver", "nameserver"],
        &["--resolver: ", "10.0.0.2:53"],
    );
    usage(
        &[url, "--resolve", "a:b:c"],
        &["invalid --resolve `a:b:c`", "HOST:PORT:ADDRESS"],
    );
    usage(&[url, "--count", "0"], &["--count", "1..=1000"]);
    usage(
        &[url, "--count", "2", "--interval", "1ms"],
        &["invalid --interval `1ms`"],
    );
    usage(&[url, "-4", "-6"], &["cannot be used with"]);
}

/// A key that takes a number or true and false gets one, where the text is refused.
#[test]
fn a_value_that_is_no_text_is_read_as_the_number_that_it_is() {
    let output = probity(&[
        "probe",
        "dns://127.0.0.1:1/a.example/A",
        "--expect",
        "at_least=2",
        "--expect",
        "authoritative=true",
        "--timeout",
        "100ms",
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    usage(
        &["dns://127.0.0.1:1/a.example/A", "--expect", "at_least=many"],
        &["--expect at_least: "],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_without_its_scheme_is_led_to_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = write_config(
        directory.path(),
        1,
        "[[endpoint]]\nname = \"shop\"\nprobe.tcp = \"127.0.0.1:1\"\n",
    );
    let config = config.to_str().expect("UTF-8");
    usage(
        &["example.com", "--config", config],
        &[
            "Did you mean https://example.com?",
            "tcp://example.com:PORT",
        ],
    );
    usage(&["example.com"], &["Did you mean https://example.com?"]);
    usage(
        &["db.example:5432", "-c", config],
        &["Did you mean tcp://db.example:5432?"],
    );
    usage(
        &["example.com:443/x", "-c", config],
        &["Did you mean https://example.com:443/x?"],
    );
    usage(&["shpo", "-c", config], &["Did you mean shop?"]);
    usage(
        &["smtp://mail.example"],
        &["SMTP is probed as tcp://mail.example:25", "probes.md"],
    );
    usage(
        &["shop", "-c", config, "-k", "-X", "PUT"],
        &["--request and --insecure are for addresses only"],
    );
    let bad = directory.path().join("bad.toml");
    std::fs::write(&bad, "[[endpoint]]\nname = \"m\"\nprobe.smtp = \"a:25\"\n").expect("written");
    let output = probity(&["check", "--config", bad.to_str().expect("UTF-8")]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("SMTP is probed by probe.tcp.address = \"HOST:25\""),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_probes_are_summed_up_by_address() {
    let port = answering(ok("", b"hello")).await;
    let url = format!("http://shop.example:{port}/");
    let two = format!("shop.example:{port}:127.0.0.1,127.0.0.2");
    let args = |more: &[&'static str]| {
        let given = ["probe", &url, "--resolve", &two, "--each-address"];
        let args: Vec<&str> = given.into_iter().chain(more.iter().copied()).collect();
        probity(&args)
    };
    let output = args(&["--count", "3", "--interval", "10ms"]);
    let text = out(&output);
    // Nothing listens on the second address.
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.matches("  down  ").count(), 3, "{text}");
    for part in [
        "    6  down        127.0.0.2",
        "connect_refused",
        "\n127.0.0.1: 3 probes, 3 up, 0 down, 0 unmeasured\n",
        "\n127.0.0.2: 3 probes, 0 up, 3 down, 0 unmeasured\n",
        "  first_byte",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let value = checked(&args(&["--json"]).stdout);
    assert_eq!(value["probes"].as_array().map(Vec::len), Some(2));
    let [first, second] = [0, 1].map(|n| &value["addresses"][n]);
    assert_eq!(
        (&first["address"], &first["successes"]),
        (&"127.0.0.1".into(), &1.into())
    );
    assert!(
        first["phases_ms"]["connect"]["p95"].as_f64() > Some(0.0),
        "{first}"
    );
    assert_eq!(
        (&second["failures"], &second["duration_ms"]),
        (&1.into(), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_family_of_addresses_can_be_chosen() {
    let port = answering(ok("", b"")).await;
    let url = format!("http://a.localhost:{port}/");
    let value = checked(&probity(&["probe", &url, "-4", "--json"]).stdout);
    assert_eq!(value["address"], "127.0.0.1");
    assert_eq!(value["attempts"].as_array().map(Vec::len), Some(1));
    let value = checked(&probity(&["probe", &url, "-6", "--json"]).stdout);
    assert_eq!(value["attempts"][0]["address"], "::1", "{value}");
    let each = probity(&["probe", &url, "-4", "--each-address"]);
    assert_eq!(out(&each).matches("127.0.0.1").count(), 2, "{}", out(&each));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn build_servers_get_a_test_case_for_each_probe_and_expectation() {
    let port = answering(ok("", b"a <b> & \"c\"")).await;
    let url = format!("http://127.0.0.1:{port}/");
    let fails = ["probe", &url, "--expect", "body.contains=<d>", "--junit"];
    let output = probity(&fails);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "tests=\"3\" failures=\"2\" errors=\"0\"",
        "<testcase classname=\"probity.http\" name=\"probe\"",
        "<failure type=\"body_mismatch\"",
        "name=\"body contains &quot;&lt;d&gt;&quot;\"",
        "message=\"found 11 bytes: &quot;a &lt;b&gt; &amp; ",
        "name=\"status in [&quot;2xx&quot;]\" time=\"0\"/>",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let dead = format!("tcp://127.0.0.1:{}", closed_port());
    let text = out(&probity(&[
        "probe",
        &dead,
        "--junit",
        "--count",
        "2",
        "--interval",
        "10ms",
    ]));
    assert!(text.contains("tests=\"2\" failures=\"2\""), "{text}");
    assert!(text.contains("name=\"probe 2\""), "{text}");
}

#[test]
fn curl_gets_what_the_probe_sends_with_secrets_masked() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("s"), "s3cret-planted").expect("written");
    let secret = format!("{{ file = \"{}/s\" }}", directory.path().display());
    let config = write_config(
        directory.path(),
        1,
        &format!(
            "[[endpoint]]\nname = \"shop\"\ntimeout = \"2s\"\nsource_address = \
                \"127.0.0.1\"\nprobe.http = {{ url = \"https://shop.example/a?b=1\", method = \
                \"POST\", body = \"it's\", version = \"1.1\", redirects = 0, query = {{ token = \
                {secret} }}, auth = {{ basic = {{ username = \"probe\", password = {secret} }} \
                }}, headers = {{ x-a = \"b\" }}, tls = {{ verify = false, server_name = \
                \"other.example\" }} }}\n"
        ),
    );
    let config = config.to_str().expect("UTF-8");
    let output = probity(&["probe", "shop", "--config", config, "--curl", "-4"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(
        out(&output),
        format!(
            "curl -sS -i --max-time 2.000 --http1.1 -4 --interface 127.0.0.1 -k -A Probity/{} -H \
                'x-a: b' -u 'probe:<secret>' -H Content-Type: --data-raw 'it'\\''s' \
                'https://shop.example/a?b=1&token=<secret>'\n",
            env!("CARGO_PKG_VERSION")
        )
    );
    assert!(
        error.contains("write the secret in place of each <secret>")
            && error.contains("tls.server_name is not in the command"),
        "{error}"
    );
}

/// What a command came to that got SIGINT once the server had so many requests.
async fn interrupted(args: &[&str], heads: &Mutex<Vec<String>>, requests: usize) -> Output {
    let mut command = program();
    let child = command.args(args).stdout(Stdio::piped()).spawn();
    let child = child.expect("runs");
    let enough = async || heads.lock().expect("not poisoned").len() >= requests;
    let missing = || format!("no request {requests}");
    until(Duration::from_secs(20), missing, enough).await;
    let interrupt = format!("kill -INT {}", child.id());
    let sent = std::process::Command::new("sh")
        .args(["-c", &interrupt])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    child.wait_with_output().expect("it ended")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_that_are_interrupted_before_a_result_are_no_success() {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = heads.clone();
    let port = tcp(move |mut stream| {
        let noted = noted.clone();
        async move {
            let head = read_head(&mut stream).await;
            noted.lock().expect("not poisoned").push(head);
            std::future::pending::<()>().await;
        }
    })
    .await;
    let url = format!("http://127.0.0.1:{port}/");
    for (requests, option) in [(1, "--count=3"), (2, "--watch")] {
        let output = interrupted(&["probe", &url, option], &heads, requests).await;
        assert_eq!(output.status.code(), Some(3), "{}", out(&output));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_expectation_is_shown_also_after_one_that_failed() {
    let answer = |headers: &str| {
        let body = "under repair";
        format!("HTTP/1.1 503 No\r\n{headers}Content-Length: 12\r\nConnection: close\r\n\r\n{body}")
    };
    let expected = |port: u16, more: &[&str]| {
        let url = format!("http://127.0.0.1:{port}/");
        let of_body = [
            "--expect=body.contains=welcome",
            "--expect=body.contains=repair",
        ];
        probity(&[&["probe", &url, "--expect=status=200"], &of_body[..], more].concat())
    };
    let port = answering(answer("")).await;
    let output = expected(port, &[]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let lines = [
        "  FAIL status in [200] (found 503: \"under repair\")",
        "  FAIL body contains \"welcome\" (found 12 bytes: \"under repair\")",
        "  ok   body contains \"repair\" (found ",
    ];
    for line in lines {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // The first that failed is the cause, also where the body cannot be decoded.
    for headers in ["", "Content-Encoding: gzip\r\n"] {
        let port = answering(answer(headers)).await;
        let shown = expected(port, &["--json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        assert_eq!(shown["cause"], "status", "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_ends_at_ctrl_c_with_its_summary() {
    let (url, heads) = noting("").await;
    let args = ["probe", &url, "--watch", "--interval", "20ms"];
    let output = interrupted(&args, &heads, 3).await;
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("    3  up          127.0.0.1"), "{text}");
    assert!(
        text.contains(" up, 0 down, 0 unmeasured\n  phase"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_expires_is_an_expectation_with_what_was_found() {
    let authority = Authority::new();
    let port = https(acceptor(authority.leaf(|_| ()), &[])).await;
    let url = format!("https://127.0.0.1:{port}/");
    let ca = authority.ca_file();
    let ca = ca.to_str().expect("UTF-8");
    let unknown = probity(&["probe", &url]);
    assert_eq!(unknown.status.code(), Some(1), "{}", out(&unknown));
    for option in [&["--ca-file", ca][..], &["-k"]] {
        let output = probity(&[&["probe", &url], option].concat());
        assert!(
            matches!(output.status.code(), Some(0 | 3)),
            "{}",
            out(&output)
        );
    }
    let directory = tempfile::tempdir().expect("a directory");
    let of = |name: &str, within: &str| {
        format!(
            "[[endpoint]]\nname = \"{name}\"\nprobe.http = {{ url = \"{url}\", tls = {{ ca_file = \
                \"{ca}\", expiring_within = \"{within}\" }} }}\n"
        )
    };
    let text = format!(
        "clock = \"trusted\"\n{}{}",
        of("soon", "99%"),
        of("fine", "1d")
    );
    let config = write_config(directory.path(), 1, &text);
    let config = config.to_str().expect("UTF-8");
    let shown = out(&probity(&["probe", "soon", "--config", config]));
    assert!(
        shown.contains("FAIL certificate valid for ") && shown.contains(" more (found "),
        "{shown}"
    );
    let shown = out(&probity(&["probe", "fine", "--config", config]));
    assert!(
        shown.contains("ok   certificate valid for 1 d more (found "),
        "{shown}"
    );
}

/// "error sending request" alone says nothing: the cause is told to its bottom.
#[test]
fn a_daemon_that_does_not_answer_is_told_with_its_cause() {
    let url = format!("http://127.0.0.1:{}", closed_port());
    let output = probity(&["status", "--url", &url]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
}
