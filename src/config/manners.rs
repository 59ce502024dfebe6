//! What kinds of probe note of their targets, said once by `probity check` for all endpoints of
//! which it is true. A connection that leaves without a word is counted by some servers, for
//! example.

use super::plan::{Endpoint, Plan};
use crate::kind::target::Note;

pub(super) fn notes(plan: &Plan) -> Vec<String> {
    let mut shared: Vec<Shared> = Vec::new();
    // Witnesses connect as endpoints do.
    for endpoint in plan.endpoints.iter().chain(&plan.witness.endpoints) {
        for note in endpoint.probe.notes() {
            match shared.iter_mut().find(|s| s.note.about == note.about) {
                Some(same) => same.endpoints += 1,
                None => shared.push(Shared {
                    note,
                    first: endpoint,
                    endpoints: 1,
                }),
            }
        }
    }
    shared.iter().map(Shared::said).collect()
}

/// A note, and of how many endpoints it is true.
struct Shared<'p> {
    note: Note,
    first: &'p Endpoint,
    endpoints: usize,
}

impl Shared<'_> {
    fn said(&self) -> String {
        let Self {
            note,
            first,
            endpoints,
        } = self;
        if *endpoints == 1 {
            format!("the endpoint {} {}", first.name, note.one)
        } else {
            format!(
                "{endpoints} endpoints (such as {}) {}",
                first.name, note.many
            )
        }
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

    impl crate::config::ConfigInputs for One {
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
}
