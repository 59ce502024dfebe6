//! What `probity check` notes of a tcp probe: some servers count a connection that leaves without a
//! word, and some never greet. docs/probes.md has the long form.

use super::spec::{DialogueStep, Tcp};
use crate::config::plan::probe::HostPort;
use crate::config::usual_ports::{self, First};
use crate::kind::target::Note;

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
const MYSQL: &str = concat!(
    r#"[{ expect = "_password" }, { send = ""#,
    r#"\u0029\u0000\u0000\u0001\u0000\u0002\u0000\u0000\u0000\u0000\u0000\u0001\u0021"#,
    r#"\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000"#,
    r#"\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000"#,
    r#"probity\u0000\u0000" }, { expect = "Access denied" }]"#,
);

pub fn notes(address: &HostPort, spec: &Tcp) -> Vec<Note> {
    let leaves = leaves(address, spec);
    leaves.into_iter().chain(waits(address, spec)).collect()
}

/// Whether it sends nothing: a server counts one that only reads its greeting as well.
fn leaves(address: &HostPort, spec: &Tcp) -> Option<Note> {
    let is_sent = |step: &DialogueStep| matches!(step, DialogueStep::Send(_));
    if spec.dialogue.iter().any(is_sent) {
        return None;
    }
    let server = SERVERS
        .iter()
        .find(|server| server.ports.contains(&address.port))?;
    let verbs = ["connects and leaves", "connect and leave"];
    Some(Note::new(server.protocol, verbs, |verb| {
        format!(
            "on the port of {} ({}) {verb} without a word: {}; a dialogue that ends politely: \
                probe.tcp.dialogue = {}",
            server.protocol, address, server.makes_of_it, server.dialogue,
        )
    }))
}

/// Whether a dialogue begins with the greeting of a server that never greets.
fn waits(address: &HostPort, spec: &Tcp) -> Option<Note> {
    let usual = usual_ports::usual(address.port);
    let (Some(DialogueStep::Expect(_)), Some((protocol, First::Client | First::Tls))) =
        (spec.dialogue.first(), usual)
    else {
        return None;
    };
    Some(Note::new("greeting", ["waits", "wait"], |verb| {
        format!(
            "{verb} for a greeting on the port of {protocol} ({}), whose server waits for the \
                client to speak first: start probe.tcp.dialogue with a send, or remove it",
            address,
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

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
