//! What a probe does to the server that it asks, said by `probity check`: a connection that leaves
//! without a word is counted by some servers, and a GET with a body is refused by some.
//! docs/probes.md has the long form.

use std::sync::Arc;

use super::plan::{Endpoint, Plan};
use super::usual_ports::{self, First};
use crate::kind::Probe;
use crate::kind::http::HttpTarget;
use crate::kind::http::spec::{HttpVersion, is_of_connection};
use crate::kind::tcp::TcpTarget;
use crate::kind::tcp::spec::DialogueStep;

/// Servers by their usual port, with a dialogue that ends as their protocol wants it.
struct Server {
    ports: &'static [u16],
    protocol: &'static str,
    /// What the server makes of a connection that leaves.
    makes_of_it: &'static str,
    dialogue: &'static str,
}

const SERVERS: &[Server] = &[
    Server {
        ports: &[3306],
        protocol: "MySQL",
        makes_of_it: "MySQL and MariaDB count it as an interrupted handshake, and block this host \
            after max_connect_errors (100) of them, while the probe stays up",
        dialogue: MYSQL,
    },
    Server {
        ports: &[25, 587],
        protocol: "SMTP",
        makes_of_it: "the server logs a lost connection each time",
        dialogue: r#"[{ expect = "^220 " }, { send = "QUIT\r\n" }, { expect = "^221" }]"#,
    },
    Server {
        ports: &[21],
        protocol: "FTP",
        makes_of_it: "the server counts it as a session that was cut off",
        dialogue: r#"[{ expect = "^220 " }, { send = "QUIT\r\n" }, { expect = "^221" }]"#,
    },
    Server {
        ports: &[110],
        protocol: "POP3",
        makes_of_it: "the server logs a session that was cut off",
        dialogue: r#"[{ expect = '^\+OK' }, { send = "QUIT\r\n" }, { expect = '^\+OK' }]"#,
    },
    Server {
        ports: &[143],
        protocol: "IMAP",
        makes_of_it: "the server logs a session that was cut off",
        dialogue: r#"[{ expect = '^\* OK' }, { send = "a1 LOGOUT\r\n" }, { expect = '^a1 OK' }]"#,
    },
];

/// The same under TLS: port, protocol, what the server makes of a tls probe, which leaves after the
/// handshake and has no dialogue.
const SECURED: &[(u16, &str, &str)] = &[
    (
        465,
        "SMTP over TLS",
        "the server logs a lost connection each time",
    ),
    (
        990,
        "FTP over TLS",
        "the server counts it as a session that was cut off",
    ),
    (
        993,
        "IMAP over TLS",
        "the server logs a session that was cut off",
    ),
    (
        995,
        "POP3 over TLS",
        "the server logs a session that was cut off",
    ),
];

/// A login of the user `probity` without a password (a HandshakeResponse41): the server's refusal
/// completes the handshake, so it is not counted.
const MYSQL: &str = r#"[{ expect = "_password" }, { send = "\u0029\u0000\u0000\u0001\u0000\u0002\u0000\u0000\u0000\u0000\u0000\u0001\u0021\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000probity\u0000\u0000" }, { expect = "Access denied" }]"#;

pub(super) fn notes(plan: &Plan) -> Vec<String> {
    // Witnesses connect as endpoints do.
    let all: Vec<&Endpoint> = plan
        .endpoints
        .iter()
        .chain(&plan.witness.endpoints)
        .map(Arc::as_ref)
        .collect();
    let mut list = leaving(&all);
    list.extend(leaving_under_tls(&all));
    list.extend(waiting(&all));
    list.extend(asking(&all));
    list
}

/// `one` where there is one, else `many`.
fn of_count<'t>(count: usize, one: &'t str, many: &'t str) -> &'t str {
    if count == 1 { one } else { many }
}

/// Those that leave a server that counts it.
fn leaving(all: &[&Endpoint]) -> Vec<String> {
    let note = |server: &Server| {
        let those: Vec<&&Endpoint> = all.iter().filter(|e| leaves(e, server.ports)).collect();
        let first = those.first()?;
        Some(format!(
            "{} on the port of {} ({}) {} without a word: {}; a dialogue that ends politely: \
                probe.tcp.dialogue = {}",
            counted(those.len(), first),
            server.protocol,
            first.probe.target(),
            of_count(those.len(), "connects and leaves", "connect and leave"),
            server.makes_of_it,
            server.dialogue,
        ))
    };
    SERVERS.iter().filter_map(note).collect()
}

fn leaving_under_tls(all: &[&Endpoint]) -> Vec<String> {
    let note = |(port, protocol, makes_of_it): &(u16, &str, &str)| {
        let is_meant = |e: &&&Endpoint| match &e.probe {
            Probe::Tls(target) => target.address.port == *port,
            _ => false,
        };
        let those: Vec<&&Endpoint> = all.iter().filter(is_meant).collect();
        let first = those.first()?;
        Some(format!(
            "{} on the port of {protocol} ({}) {} after the handshake without a word: \
                {makes_of_it}; a tls probe has no dialogue, so only a longer interval makes it \
                rarer",
            counted(those.len(), first),
            first.probe.target(),
            of_count(those.len(), "leaves", "leave"),
        ))
    };
    SECURED.iter().filter_map(note).collect()
}

/// Those that wait for a server that waits for them.
fn waiting(all: &[&Endpoint]) -> Option<String> {
    let waiting: Vec<(&Endpoint, &str)> = all
        .iter()
        .filter_map(|e| Some((*e, waits_as_the_server_does(e)?)))
        .collect();
    let (first, protocol) = waiting.first()?;
    Some(format!(
        "{} {} for a greeting on the port of {protocol} ({}), whose server waits for the client \
            to speak first: start probe.tcp.dialogue with a send, or remove it",
        counted(waiting.len(), first),
        of_count(waiting.len(), "waits", "wait"),
        first.probe.target(),
    ))
}

/// Requests that a server may refuse, or that HTTP/2 changes.
fn asking(all: &[&Endpoint]) -> Vec<String> {
    let mut list = Vec::new();
    let with_body: Vec<&&Endpoint> = all.iter().filter(|e| gets_with_a_body(e)).collect();
    if let Some(first) = with_body.first() {
        list.push(format!(
            "{} {} a GET or HEAD request with a body: some servers refuse it (lighttpd answers \
                400); set probe.http.method = \"POST\", or remove probe.http.body",
            counted(with_body.len(), first),
            of_count(with_body.len(), "sends", "send"),
        ));
    }
    let left_out: Vec<(&Endpoint, &str)> = all
        .iter()
        .filter_map(|e| Some((*e, header_that_http_2_forbids(e)?)))
        .collect();
    if let Some((first, name)) = left_out.first() {
        let others = if left_out.len() == 1 {
            String::new()
        } else {
            format!("; {} other endpoints have such headers", left_out.len() - 1)
        };
        list.push(format!(
            "{}: the header `{name}` is left out of requests over HTTP/2, which \
            forbids it (RFC 9113, 8.2.2){others}",
            first.name
        ));
    }
    list
}

/// One that is configured where HTTP/2 may be spoken.
fn header_that_http_2_forbids(endpoint: &Endpoint) -> Option<&str> {
    let Probe::Http(HttpTarget { url, spec, .. }) = &endpoint.probe else {
        return None;
    };
    let may_speak_it = match spec.version {
        HttpVersion::Auto => url.scheme() == "https",
        HttpVersion::Http11 => false,
        HttpVersion::Http2 => true,
    };
    let forbidden = spec
        .headers
        .iter()
        .filter(|_| may_speak_it)
        .find(|(name, value)| is_of_connection(name, value.reveal().trim()));
    forbidden.map(|(name, _)| name.as_str())
}

fn counted(count: usize, first: &Endpoint) -> String {
    if count == 1 {
        format!("the endpoint {}", first.name)
    } else {
        format!("{count} endpoints (such as {})", first.name)
    }
}

/// Whether it sends nothing: a server counts one that only reads its greeting as well.
fn leaves(endpoint: &Endpoint, ports: &[u16]) -> bool {
    let is_sent = |step: &DialogueStep| matches!(step, DialogueStep::Send(_));
    match &endpoint.probe {
        Probe::Tcp(TcpTarget { address, spec }) => {
            ports.contains(&address.port) && !spec.dialogue.iter().any(is_sent)
        }
        _ => false,
    }
}

/// The protocol of a server that would never greet, where a dialogue begins with its greeting.
fn waits_as_the_server_does(endpoint: &Endpoint) -> Option<&'static str> {
    let Probe::Tcp(TcpTarget { address, spec }) = &endpoint.probe else {
        return None;
    };
    match (spec.dialogue.first(), usual_ports::usual(address.port)) {
        (Some(DialogueStep::Expect(_)), Some((protocol, First::Client | First::Tls))) => {
            Some(protocol)
        }
        _ => None,
    }
}

fn gets_with_a_body(endpoint: &Endpoint) -> bool {
    match &endpoint.probe {
        Probe::Http(HttpTarget { spec, .. }) => {
            spec.body.is_some() && matches!(spec.method.as_str(), "GET" | "HEAD")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialogue_that_waits_for_a_server_that_waits_is_noted() {
        let plan = |address: &str, step: &str| {
            let text = format!(
                "[[endpoint]]\nname = \"e\"\nprobe.tcp.address \
                    = \"{address}\"\nprobe.tcp.dialogue = [{{ {step} = \"x\" }}]\n"
            );
            crate::config::load(std::path::Path::new("one"), &One(text)).expect("valid")
        };
        assert_eq!(
            notes(&plan("192.0.2.1:5432", "expect")),
            [
                "the endpoint e waits for a greeting on the port of PostgreSQL (192.0.2.1:5432), \
                    whose server waits for the client to speak first: start probe.tcp.dialogue \
                    with a send, or remove it"
            ]
        );
        assert_eq!(notes(&plan("192.0.2.1:993", "expect")).len(), 1);
        assert!(
            notes(&plan("192.0.2.1:5432", "send")).is_empty()
                && notes(&plan("192.0.2.1:4222", "expect")).is_empty()
                && notes(&plan("192.0.2.1:22", "expect")).is_empty()
                && notes(&plan("192.0.2.1:7", "expect")).is_empty()
        );
    }

    #[test]
    fn a_probe_that_only_reads_leaves_without_a_word_too_and_so_does_a_witness() {
        let noted = |table: &str, probe: &str| {
            let text = format!("[[{table}]]\nname = \"e\"\n{probe}\n");
            let plan = crate::config::load(std::path::Path::new("one"), &One(text));
            notes(&plan.unwrap_or_else(|faults| panic!("{faults:#?}"))).join("\n")
        };
        let read = |port: u16, pattern: &str| {
            format!(
                "probe.tcp = {{ address = \"192.0.2.1:{port}\", dialogue = [{{ expect = \
                    '{pattern}' }}] }}"
            )
        };
        for table in ["endpoint", "witness.endpoint"] {
            for (port, pattern, protocol) in [
                (3306, "MariaDB", "MySQL"),
                (25, "^220 ", "SMTP"),
                (143, r"^\* OK", "IMAP"),
            ] {
                let said = noted(table, &read(port, pattern));
                let expected = format!(
                    "the endpoint e on the port of {protocol} (192.0.2.1:{port}) connects and \
                        leaves without a word: "
                );
                assert!(said.starts_with(&expected), "{table}: {said}");
            }
        }
        for (port, protocol) in [(465, "SMTP"), (990, "FTP"), (993, "IMAP"), (995, "POP3")] {
            let said = noted("endpoint", &format!("probe.tls = \"192.0.2.1:{port}\""));
            let expected = format!(
                "the endpoint e on the port of {protocol} over TLS (192.0.2.1:{port}) leaves after \
                    the handshake without a word: "
            );
            assert!(said.starts_with(&expected), "{said}");
        }
        assert_eq!(noted("endpoint", "probe.tls = \"192.0.2.1:443\""), "");
        assert_eq!(noted("endpoint", &read(22, "^SSH")), "");
    }

    struct One(String);

    impl crate::config::Surroundings for One {
        fn read(&self, _: &std::path::Path) -> Result<String, String> {
            Ok(self.0.clone())
        }

        fn matching(&self, _: &std::path::Path) -> Result<Vec<std::path::PathBuf>, String> {
            Ok(Vec::new())
        }

        fn environment(&self, _: &str) -> Option<String> {
            None
        }

        fn credentials(&self) -> Option<std::path::PathBuf> {
            None
        }

        fn host_name(&self) -> String {
            "host".into()
        }
    }

    #[test]
    fn the_login_of_mysql_is_one_whole_packet() {
        let table = toml::from_str::<toml::Table>(&format!("dialogue = {MYSQL}")).expect("TOML");
        let send = table["dialogue"][1]["send"]
            .as_str()
            .expect("a text")
            .as_bytes();
        let (head, packet) = send.split_at(4);
        assert_eq!(head, [packet.len() as u8, 0, 0, 1], "its length and number");
        assert_eq!(&packet[..4], [0, 2, 0, 0], "CLIENT_PROTOCOL_41 and no more");
        assert_eq!(&packet[32..], b"probity\0\0");
    }
}
