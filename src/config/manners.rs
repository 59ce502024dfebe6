//! What a probe does to the server that it asks, said by `probity check`: a connection that leaves
//! without a word is counted by some servers, and a GET with a body is refused by some.
//! docs/probes.md has the long form.

use super::plan::probe::{DialogueStep, HttpVersion, Probe, is_of_connection};
use super::plan::{Endpoint, Plan};
use super::usual_ports::{self, First};

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

/// A login of the user `probity` without a password (a HandshakeResponse41): the server's refusal
/// completes the handshake, so it is not counted.
const MYSQL: &str = r#"[{ expect = "_password" }, { send = "\u0029\u0000\u0000\u0001\u0000\u0002\u0000\u0000\u0000\u0000\u0000\u0001\u0021\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000probity\u0000\u0000" }, { expect = "Access denied" }]"#;

pub(super) fn notes(plan: &Plan) -> Vec<String> {
    let mut list = Vec::new();
    for server in SERVERS {
        let leaving: Vec<&Endpoint> = plan
            .endpoints
            .iter()
            .map(AsRef::as_ref)
            .filter(|e| leaves(e, server.ports))
            .collect();
        if let Some(first) = leaving.first() {
            list.push(format!(
                "{} on the port of {} ({}) {} and {} without a word: {}; a dialogue that ends \
                    politely: probe.tcp.dialogue = {}",
                counted(leaving.len(), first),
                server.protocol,
                first.probe.target(),
                if leaving.len() == 1 {
                    "connects"
                } else {
                    "connect"
                },
                if leaving.len() == 1 {
                    "leaves"
                } else {
                    "leave"
                },
                server.makes_of_it,
                server.dialogue,
            ));
        }
    }
    let waiting: Vec<(&Endpoint, &str)> = plan
        .endpoints
        .iter()
        .filter_map(|e| Some((e.as_ref(), waits_as_the_server_does(e)?)))
        .collect();
    if let Some((first, protocol)) = waiting.first() {
        list.push(format!(
            "{} {} for a greeting on the port of {protocol} ({}), whose server waits for the \
                client to speak first: start probe.tcp.dialogue with a send, or remove it",
            counted(waiting.len(), first),
            if waiting.len() == 1 { "waits" } else { "wait" },
            first.probe.target(),
        ));
    }
    let with_body: Vec<&Endpoint> = plan
        .endpoints
        .iter()
        .map(AsRef::as_ref)
        .filter(|e| gets_with_a_body(e))
        .collect();
    if let Some(first) = with_body.first() {
        list.push(format!(
            "{} {} a GET or HEAD request with a body: some servers refuse it (lighttpd answers \
                400); set probe.http.method = \"POST\", or remove probe.http.body",
            counted(with_body.len(), first),
            if with_body.len() == 1 {
                "sends"
            } else {
                "send"
            },
        ));
    }
    let left_out: Vec<(&Endpoint, &str)> = plan
        .endpoints
        .iter()
        .filter_map(|e| Some((e.as_ref(), header_that_http_2_forbids(e)?)))
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
    let Probe::Http { url, spec, .. } = &endpoint.probe else {
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

fn leaves(endpoint: &Endpoint, ports: &[u16]) -> bool {
    match &endpoint.probe {
        Probe::Tcp { address, spec } => ports.contains(&address.port) && spec.dialogue.is_empty(),
        Probe::Http { .. } | Probe::Tls { .. } | Probe::Icmp { .. } | Probe::Dns { .. } => false,
    }
}

/// The protocol of a server that would never greet, where a dialogue begins with its greeting.
fn waits_as_the_server_does(endpoint: &Endpoint) -> Option<&'static str> {
    let Probe::Tcp { address, spec } = &endpoint.probe else {
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
        Probe::Http { spec, .. } => {
            spec.body.is_some() && matches!(spec.method.as_str(), "GET" | "HEAD")
        }
        Probe::Tcp { .. } | Probe::Tls { .. } | Probe::Icmp { .. } | Probe::Dns { .. } => false,
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
                && notes(&plan("192.0.2.1:22", "expect")).is_empty()
                && notes(&plan("192.0.2.1:7", "expect")).is_empty()
        );
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
