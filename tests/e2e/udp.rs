//! The udp kind: one datagram, and what comes back.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use probity::config::load;
use probity::kind::run::ProbeReport;
use probity::words::{Cause, Outcome, Phase, Reason};
use tokio::net::UdpSocket;

use super::cli::{checked, probity};
use super::dns::{attempts, naming};
use super::hold::{HOLD_LIMIT, longest_hold};
use super::serve::*;

/// A server at this address that answers each datagram with these, one after the other; its port.
async fn server<A>(address: &str, answers: A) -> u16
where
    A: Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
{
    let socket = UdpSocket::bind(address).await.expect("bound");
    let port = socket.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for answer in answers(&buffer[..length]) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    port
}

async fn answers_with(answer: &'static [u8]) -> u16 {
    server("127.0.0.1:0", move |_| vec![answer.to_vec()]).await
}

async fn echo() -> u16 {
    server("127.0.0.1:0", |datagram| vec![datagram.to_vec()]).await
}

/// A port at which datagrams arrive, and nobody reads them.
async fn silent() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let port = socket.local_addr().expect("bound").port();
    (socket, port)
}

/// A pattern to which each byte of [`made_for_it`] is a new state of its automaton.
const EXPENSIVE: &str = "[ab]*a[ab]{200}c";

/// The largest datagram, of letters for which the pattern takes seconds.
fn made_for_it() -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        if state >> 40 & 1 == 0 { b'a' } else { b'b' }
    };
    (0..65_000).map(|_| next()).collect()
}

#[tokio::test]
async fn an_answer_that_takes_too_long_to_check_is_down() {
    let port = server("127.0.0.1:0", |_| vec![made_for_it()]).await;
    let expensive: Vec<String> = (0..9).map(|n| format!("\"{EXPENSIVE}{n}\"")).collect();
    let keys = format!("send = \"?\"\nexpect.matches = [{}]", expensive.join(", "));
    let report = probe(&format!("timeout = \"9s\"\n{}", at(port, &keys))).await;
    assert_eq!(cause(&report), Cause::JudgeLimit, "{report:?}");
}

fn closed() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.local_addr().expect("bound").port()
}

/// Keys of `probe.udp`, one in a line.
fn at(port: u16, keys: &str) -> String {
    let keys = keys.lines().map(|line| format!("probe.udp.{line}\n"));
    format!(
        "probe.udp.address = \"127.0.0.1:{port}\"\n{}",
        keys.collect::<String>()
    )
}

fn detail(report: &ProbeReport) -> &str {
    match &report.outcome {
        Outcome::Failure { detail, .. } => detail,
        other => panic!("not down: {other:?}"),
    }
}

fn findings(report: &ProbeReport) -> Vec<(String, String, bool)> {
    let facts = report.outcome.facts().expect("facts");
    let all = facts.findings.iter();
    all.map(|f| (f.expectation.clone(), f.found.clone(), f.met))
        .collect()
}

fn finding(expectation: &str, found: &str, met: bool) -> (String, String, bool) {
    (expectation.to_owned(), found.to_owned(), met)
}

#[tokio::test]
async fn an_answer_is_held_against_texts_patterns_and_bytes() {
    let port = echo().await;
    for (keys, up) in [
        ("send = \"PING\"\nexpect.contains = \"PING\"", true),
        ("send = \"PING\"\nexpect.contains = [\"PI\", \"NG\"]", true),
        ("send = \"PING\"\nexpect.contains = [\"PI\", \"no\"]", false),
        (
            "send = \"a\\tb\\r\\n\"\nexpect.equals = \"a\\tb\\r\\n\"",
            true,
        ),
        ("send = \"PING\"\nexpect.matches = \"^P.NG$\"", true),
        ("send = \"PING\"\nexpect.matches = [\"^P\", \"^Q\"]", false),
        (
            "send = { hex = \"FFff 00 0a\" }\nexpect.equals = { base64 = \"//8ACg==\" }",
            true,
        ),
        (
            "send = { hex = \"ff00\" }\nexpect.matches = '^(?-u:\\xff)\\x00$'",
            true,
        ),
        ("send = \"PING\"\nexpect.equals = \"PIN\"", false),
        ("send = \"PING\"\nexpect.equals = \"PINGS\"", false),
        ("send = \"\"\nexpect.equals = \"\"", true),
        ("send = { hex = \"\" }\nexpect.matches = \"^$\"", true),
    ] {
        let report = probe(&at(port, keys)).await;
        if up {
            assert_up(&report);
        } else {
            assert_eq!(cause(&report), Cause::ExpectMismatch, "{keys}");
        }
    }
}

#[tokio::test]
async fn the_items_of_a_datagram_are_sent_as_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    std::fs::write(&file, "tok-en\r\n").expect("written");
    let port = echo().await;
    let keys = format!(
        "send = [\"AUTH \", {{ file = {file:?} }}, \" \", {{ env = \"TEST_SECRET\" }}, {{ hex \
            = \"0d\" }}, \"\\n\"]\nexpect.equals = \"AUTH tok-en hunter2-planted\\r\\n\""
    );
    assert_up(&probe(&at(port, &keys)).await);
}

#[tokio::test]
async fn without_an_expectation_any_answer_is_up_and_an_empty_one_is_an_answer() {
    let report = probe(&format!("probe.udp = \"127.0.0.1:{}\"", echo().await)).await;
    assert_up(&report);
    assert_eq!(
        findings(&report),
        [finding("an answer", "0 bytes: \"\"", true)]
    );
    assert!(report.phases.us(Phase::FirstByte).is_some());
    let address = report.outcome.facts().and_then(|f| f.address);
    assert_eq!(address.map(|a| a.to_string()).as_deref(), Some("127.0.0.1"));
    let report = probe(&at(answers_with(b"ERROR\r\n").await, "send = \"x\"")).await;
    assert_up(&report);
    assert_eq!(
        findings(&report),
        [finding("an answer", "7 bytes: \"ERROR\\r\\n\"", true)]
    );
}

#[tokio::test]
async fn a_closed_port_is_down_at_once() {
    let report = probe(&at(closed(), "send = \"x\"")).await;
    assert_eq!(cause(&report), Cause::ConnectRefused);
    assert_eq!(
        detail(&report),
        "the port is closed: the host answered with ICMP port unreachable"
    );
    assert!(report.duration_us < 1_000_000, "{}", report.duration_us);
}

#[tokio::test]
async fn silence_is_down_when_the_time_is_over() {
    let (_socket, port) = silent().await;
    let lines = |keys: &str| format!("timeout = \"200ms\"\n{}", at(port, keys));
    for keys in ["send = \"x\"", "send = \"x\"\nexpect.contains = \"y\""] {
        let report = probe(&lines(keys)).await;
        assert_eq!(cause(&report), Cause::ExpectTimeout);
        assert_eq!(
            detail(&report),
            "expected an answer, received nothing until the timeout"
        );
        assert_eq!(
            findings(&report),
            [finding("an answer", "nothing until the timeout", false)]
        );
        assert!(
            (195_000..2_000_000).contains(&report.duration_us),
            "{}",
            report.duration_us
        );
    }
    let report = probe(&lines("send = \"\"")).await;
    assert_eq!(
        detail(&report),
        "expected an answer, received nothing until the timeout; the datagram that was sent is \
            empty, and most servers do not answer one: set probe.udp.send"
    );
}

#[tokio::test]
async fn the_first_datagram_decides_and_what_was_received_is_reported() {
    let port = server("127.0.0.1:0", |_| {
        vec![b"busy\n".to_vec(), b"ready\n".to_vec()]
    })
    .await;
    let report = probe(&at(port, "send = \"x\"\nexpect.contains = \"ready\"")).await;
    assert_eq!(cause(&report), Cause::ExpectMismatch);
    assert_eq!(
        detail(&report),
        "expected an answer that contains \"ready\", found 5 bytes: \"busy\\n\""
    );
    assert_eq!(
        findings(&report),
        [finding(
            "an answer that contains \"ready\"",
            "5 bytes: \"busy\\n\"",
            false
        )]
    );
    // Bytes that are no text keep what can be read of them.
    let port = answers_with(b"\xff\xff\xff\xffI\x11name\0").await;
    let report = probe(&at(port, "expect.equals = { hex = \"ff0a\" }")).await;
    assert_eq!(
        detail(&report),
        "expected an answer that equals \"\\xff\\n\", found 11 bytes: \
            \"\\xff\\xff\\xff\\xffI\\x11name\\x00\""
    );
}

#[tokio::test]
async fn a_peer_of_another_protocol_is_named() {
    for (answer, name) in [
        (&b"SIP/2.0 400 Bad Request\r\n\r\n"[..], "SIP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "HTTP"),
    ] {
        let port = answers_with(answer).await;
        let report = probe(&at(port, "send = \"x\"\nexpect.matches = \"^PONG\"")).await;
        assert_eq!(cause(&report), Cause::ExpectMismatch);
        let end = format!("; the peer speaks {name}");
        assert!(detail(&report).ends_with(&end), "{}", detail(&report));
    }
}

#[tokio::test]
async fn ipv6_is_asked_with_a_zone_and_without() {
    let port = server("[::1]:0", |datagram| vec![datagram.to_vec()]).await;
    for host in ["[::1]", "[::1%lo]"] {
        let lines = format!(
            "probe.udp.address = \"{host}:{port}\"\nprobe.udp.send = \"x\"\n\
             probe.udp.expect.equals = \"x\""
        );
        assert_up(&probe(&lines).await);
    }
    let report = probe("probe.udp = \"[fe80::1%no-such]:1\"").await;
    assert_eq!(reason(&report), Reason::LocalNetwork);
}

#[tokio::test]
async fn the_next_address_is_asked_when_one_refuses_or_is_silent() {
    let port = echo().await;
    let resolver = naming(&[[127, 0, 0, 2], [127, 0, 0, 1]]).await;
    let lines = format!(
        "resolver = \"{resolver}\"\nprobe.udp.address = \"server.example:{port}\"\n\
         probe.udp.send = \"x\"\nprobe.udp.expect.equals = \"x\""
    );
    // Nobody listens on the first.
    let report = probe(&lines).await;
    assert_up(&report);
    assert_eq!(
        attempts(&report),
        [
            ("127.0.0.2".to_owned(), false),
            ("127.0.0.1".to_owned(), true)
        ]
    );
    let address = report.outcome.facts().and_then(|f| f.address);
    assert_eq!(address.map(|a| a.to_string()).as_deref(), Some("127.0.0.1"));
    let first = probe(&format!("addresses = \"first\"\n{lines}")).await;
    assert_eq!(cause(&first), Cause::ConnectRefused);
    // The first is silent.
    let silent = UdpSocket::bind(("127.0.0.2", port)).await.expect("bound");
    let report = probe(&lines).await;
    assert_up(&report);
    assert!(report.duration_us >= 240_000, "{}", report.duration_us);
    drop(silent);
    // None answers.
    let none = lines.replace(&format!(":{port}"), &format!(":{}", closed()));
    let report = probe(&none).await;
    assert_eq!(cause(&report), Cause::ConnectRefused);
    assert_eq!(attempts(&report).len(), 2);
}

#[tokio::test]
async fn a_name_without_an_address_of_the_sources_family_is_down_in_every_kind() {
    let resolver = naming(&[[127, 0, 0, 1]]).await;
    for probed in [
        "probe.udp.address = \"server.example:9\"",
        "probe.tcp = \"server.example:9\"",
    ] {
        for choice in ["any", "first"] {
            let lines = format!(
                "resolver = \"{resolver}\"\nsource_address = \"::1\"\n\
                    addresses = \"{choice}\"\n{probed}"
            );
            let found = cause(&probe(&lines).await);
            assert_eq!(found, Cause::DnsNoAddress, "{lines}");
        }
    }
}

#[tokio::test]
async fn the_source_address_is_used_and_one_that_is_not_ours_is_our_own_fault() {
    let from = Arc::new(Mutex::new(Vec::new()));
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let port = socket.local_addr().expect("bound").port();
    let seen = from.clone();
    tokio::spawn(async move {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 8]).await {
            seen.lock().expect("whole").push(from.ip().to_string());
            let _ = socket.send_to(b"ok", from).await;
        }
    });
    let lines = |source: &str| format!("source_address = \"{source}\"\n{}", at(port, ""));
    assert_up(&probe(&lines("127.0.0.9")).await);
    assert_eq!(*from.lock().expect("whole"), ["127.0.0.9"]);
    for (source, expected) in [
        ("192.0.2.77", Reason::LocalResource),
        ("::1", Reason::LocalNetwork),
    ] {
        assert_eq!(reason(&probe(&lines(source)).await), expected, "{source}");
    }
}

#[tokio::test]
async fn what_another_socket_sends_is_not_the_answer() {
    let peer = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let other = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let port = peer.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (_, from) = peer.recv_from(&mut [0; 8]).await.expect("asked");
        let _ = other.send_to(b"forged", from).await;
        let _ = peer.send_to(b"true", from).await;
    });
    let report = probe(&at(port, "send = \"x\"\nexpect.equals = \"true\"")).await;
    assert_up(&report);
}

#[tokio::test]
async fn the_largest_datagram_is_read_as_a_whole() {
    let port = server("127.0.0.1:0", |_| {
        vec![[&vec![b'a'; 65_506][..], b"z"].concat()]
    })
    .await;
    let report = probe(&at(port, "send = \"x\"\nexpect.matches = \"az$\"")).await;
    assert_up(&report);
    let (_, found, _) = &findings(&report)[0];
    assert!(found.starts_with("65507 bytes: \"aaaa"), "{found}");
    let expensive = at(
        port,
        "send = \"x\"\nexpect.matches = \"[ab]*a[ab]{20}c|z$\"",
    );
    assert_up(&probe(&expensive).await);
    let hold = longest_hold(&expensive).await;
    assert!(hold < HOLD_LIMIT, "{hold:?}");
}

#[tokio::test]
async fn an_answer_that_is_expected_and_slow_is_down() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let port = socket.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (_, from) = socket.recv_from(&mut [0; 8]).await.expect("asked");
        let began = tokio::time::Instant::now();
        while began.elapsed() < Duration::from_millis(50) {
            tokio::task::yield_now().await;
        }
        let _ = socket.send_to(b"ok", from).await;
    });
    let report = probe(&at(port, "send = \"x\"\nexpect.within = \"20ms\"")).await;
    assert_eq!(cause(&report), Cause::TooSlow);
}

#[tokio::test]
async fn what_this_host_may_not_send_is_our_own_fault() {
    // A broadcast address needs an option that no probe sets.
    let report = probe("probe.udp = \"127.255.255.255:9\"").await;
    assert_eq!(reason(&report), Reason::Permission);
}

#[tokio::test]
async fn a_secret_that_comes_back_is_masked() {
    let port = echo().await;
    let keys = "send = [\"token=\", { env = \"TEST_SECRET\" }]\nexpect.contains = \"never\"";
    let report = probe(&at(port, keys)).await;
    assert_eq!(
        detail(&report),
        "expected an answer that contains \"never\", found 21 bytes: \"token=<secret>\""
    );
    // Also among bytes that are no text, and in hexadecimal.
    let port = server("127.0.0.1:0", |datagram| {
        let digits: String = datagram.iter().map(|b| format!("{b:02x}")).collect();
        vec![[b"\xff\0", datagram, b"\xfe ", digits.as_bytes()].concat()]
    })
    .await;
    let report = probe(&at(port, keys)).await;
    let told = format!("{:?}", report.outcome);
    assert!(
        told.contains("<secret>") && !told.contains("hunter2") && !told.contains("68756e746572"),
        "{told}"
    );
    let endpoint = endpoint(&at(port, keys));
    assert!(!format!("{endpoint:?}").contains("hunter2"));
}

fn faults(lines: &str) -> Vec<String> {
    let text = format!("[[endpoint]]\nname = \"e\"\n{lines}\n");
    let faults = load(Path::new("test.toml"), &in_memory(&text)).err();
    let all = faults.unwrap_or_default().into_iter();
    all.map(|f| format!("{}: {}", f.problem, f.advice))
        .collect()
}

#[test]
fn a_datagram_that_cannot_be_is_refused() {
    for (keys, wanted) in [
        (
            "send = { hex = \"abc\" }",
            "`endpoint.probe.udp.send.hex` has 3 hexadecimal digits, and each byte needs two: \
                Write each byte as two hexadecimal digits (0 to 9, a to f), as in \"00 ff 0a\".",
        ),
        (
            "send = { hex = \"0g\" }",
            "`endpoint.probe.udp.send.hex` has 'g', which is not a hexadecimal digit: Write each \
                byte as two hexadecimal digits",
        ),
        (
            "send = { base64 = \"AP8\" }",
            "`endpoint.probe.udp.send.base64` has 3 characters, and base64 with its padding is \
                written in groups of four: Write base64 (RFC 4648) with its padding, as in \
                \"AP8K\" or \"AP8=\".",
        ),
        (
            "expect.equals = { base64 = \"AP-8\" }",
            "`endpoint.probe.udp.expect.equals.base64` is not valid base64: unexpected '-' at \
                character 3",
        ),
        (
            "send = { base64 = \"AP9=\" }",
            "is not valid base64: '9' at character 3 has bits left over",
        ),
        (
            "send = { hex = \"00\", base64 = \"AA==\" }",
            "does not say its bytes in one way",
        ),
        ("send = {}", "does not say its bytes in one way"),
        ("send = { hex = \"00\", file = \"x\" }", "unknown key `hex`"),
        ("send = 5", "is an integer"),
        (
            "expect.equals = { env = \"TEST_SECRET\" }",
            "unknown key `env`",
        ),
        ("expect.contains = \"\"", "an empty text is in every answer"),
        ("expect.matches = \"(\"", "invalid regular expression"),
        ("expect.contents = \"x\"", "unknown key `contents`"),
    ] {
        let found = faults(&at(1, keys));
        assert!(
            found.iter().any(|fault| fault.contains(wanted)),
            "{keys}: {found:?}"
        );
    }
    let of_length = |length: usize| at(1, &format!("send = [\"a\", \"{}\"]", "b".repeat(length)));
    assert_eq!(faults(&of_length(1231)), [""; 0]);
    let found = faults(&of_length(1232));
    assert!(found[0].contains("longer than 1232 bytes"), "{found:?}");
    for host in ["239.255.255.250", "255.255.255.255", "[ff02::fb%lo]"] {
        let found = faults(&format!("probe.udp = \"{host}:1900\""));
        assert!(
            found[0].contains("a multicast or broadcast address"),
            "{found:?}"
        );
    }
}

#[test]
fn a_definition_is_the_same_however_its_bytes_are_written() {
    let digest = |keys: &str| endpoint(&at(1, keys)).digest;
    let text = digest("send = \"PING\\n\"\nexpect.equals = \"PONG\"");
    for same in [
        "send = [\"PI\", \"NG\", \"\\n\"]\nexpect.equals = { hex = \"504f4e47\" }",
        "send = [{ hex = \"50 49\" }, \"NG\\n\", \"\"]\nexpect.equals = { base64 = \"UE9ORw==\" }",
    ] {
        assert_eq!(digest(same), text, "{same}");
    }
    for other in [
        "send = \"PING\"\nexpect.equals = \"PONG\"",
        "send = \"PING\\n\"\nexpect.contains = \"PONG\"",
        "send = [\"PING\\n\", { env = \"TEST_SECRET\" }]\nexpect.equals = \"PONG\"",
    ] {
        assert_ne!(digest(other), text, "{other}");
    }
}

#[test]
fn what_check_prints_of_it_is_the_same_definition() {
    for keys in [
        "send = \"PING \\\"x\\\"\\n\"\nexpect.contains = [\"a\", \"b\"]\nexpect.within = \"5ms\"",
        "send = [\"AUTH \", { env = \"TEST_SECRET\" }, { hex = \"ff00\" }]\nexpect.matches \
            = '^\\d\"'",
        "expect.equals = { base64 = \"//8ACg==\" }",
    ] {
        let first = endpoint(&at(1, keys));
        let mut printed = String::new();
        first.probe.print(&mut printed);
        assert!(!printed.contains("hunter2"), "{printed}");
        let again = printed.replace("\"<secret>\"", "{ env = \"TEST_SECRET\" }");
        assert_eq!(endpoint(&again).digest, first.digest, "{printed}");
    }
}

#[test]
fn check_notes_a_probe_that_sends_nothing_or_takes_any_answer() {
    let notes = |lines: &str| {
        let text = format!("[[endpoint]]\nname = \"e\"\n{lines}\n");
        probity::config::lint::warnings(&plan(&text))
    };
    let empty = "the endpoint e sends an empty datagram (127.0.0.1:1), which most servers do not \
        answer: set probe.udp.send";
    let any = "the endpoint e is up with any answer (127.0.0.1:1), also with one that reports an \
        error: set probe.udp.expect.contains, matches or equals";
    for (keys, wanted) in [
        ("", &[empty, any][..]),
        ("send = \"x\"", &[any]),
        ("expect.contains = \"x\"", &[empty]),
        ("send = \"x\"\nexpect.equals = \"x\"", &[]),
    ] {
        let found = notes(&at(1, keys));
        let of_kind = found
            .iter()
            .filter(|note| note.starts_with("the endpoint e"));
        assert_eq!(of_kind.collect::<Vec<_>>(), wanted, "{keys}");
    }
    let source = format!("source_address = \"127.0.0.1\"\n{}", at(1, "send = \"x\""));
    assert!(
        !notes(&source)
            .iter()
            .any(|note| note.contains("source_address"))
    );
}

/// The examples of docs/probes.md, against answers as their protocols have them.
#[tokio::test]
async fn the_documented_examples_fit_real_answers() {
    let page = std::fs::read_to_string("docs/probes.md").expect("the page");
    let examples: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|example| example.contains("probe.udp"))
        .collect();
    assert_eq!(examples.len(), 2);
    let with_port = |example: &str, port: u16| {
        let lines = example.lines().filter(|line| !line.contains(".address"));
        format!(
            "probe.udp.address = \"127.0.0.1:{port}\"\n{}",
            lines.collect::<Vec<_>>().join("\n")
        )
    };
    let ntp = |first: u8, stratum: u8| {
        server("127.0.0.1:0", move |datagram| {
            assert_eq!((datagram.len(), datagram[0]), (48, 0x23));
            let mut answer = vec![0x80; 48];
            (answer[0], answer[1]) = (first, stratum);
            vec![answer]
        })
    };
    assert_up(&probe(&with_port(examples[0], ntp(0x24, 2).await)).await);
    for (first, stratum) in [(0xe4, 0), (0x24, 0), (0x24, 16), (0x23, 2)] {
        let report = probe(&with_port(examples[0], ntp(first, stratum).await)).await;
        assert_eq!(cause(&report), Cause::ExpectMismatch);
    }
    let stun = server("127.0.0.1:0", |datagram| {
        assert_eq!((datagram.len(), &datagram[..4]), (20, &[0, 1, 0, 0][..]));
        vec![
            [
                &[1, 1, 0, 12],
                &datagram[4..],
                &[0, 0x20, 0, 8, 0, 1, 0xff, 0xfe, 1, 2, 3, 4],
            ]
            .concat(),
        ]
    })
    .await;
    assert_up(&probe(&with_port(examples[1], stun)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_on_the_command_line_is_probed() {
    let port = answers_with(b"pong").await;
    let target = format!("udp://127.0.0.1:{port}");
    let told = probity(&["probe", &target]);
    let json = probity(&["probe", &target, "--json"]);
    assert_eq!(told.status.code(), Some(0));
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        text.contains("ok   an answer (found 4 bytes: \"pong\")"),
        "{text}"
    );
    let value = checked(&json.stdout);
    assert_eq!(
        (&value["kind"], &value["result"]),
        (&"udp".into(), &"success".into())
    );
    let closed = probity(&["probe", &format!("udp://127.0.0.1:{}", closed())]);
    assert_eq!(closed.status.code(), Some(1));
    let usage = probity(&["probe", "udp://127.0.0.1"]);
    assert_eq!(usage.status.code(), Some(64));
}
