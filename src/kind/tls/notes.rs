//! What `probity check` notes of a tls probe: it leaves after the handshake, which some servers
//! log. docs/probes.md has the long form.

use crate::config::plan::probe::HostPort;
use crate::kind::target::Note;

/// Servers by their usual port: protocol, what the server makes of a tls probe, which leaves after
/// the handshake and has no dialogue.
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

pub fn notes(address: &HostPort) -> Vec<Note> {
    let those = SECURED.iter().filter(|(port, ..)| address.port == *port);
    let note = |(_, protocol, makes_of_it): &(u16, &'static str, &str)| {
        Note::new(protocol, ["leaves", "leave"], |verb| {
            format!(
                "on the port of {protocol} ({address}) {verb} after the handshake without a word: \
                    {makes_of_it}; a tls probe has no dialogue, so only a longer interval makes \
                    it rarer",
            )
        })
    };
    those.map(note).collect()
}
