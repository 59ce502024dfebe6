//! A tcp probe as config.

use std::fmt::Write;

use super::spec::{DialogueStep, Tcp};
use crate::config::plan::probe::HostPort;
use crate::config::print::probe::{print_within, quoted};

pub fn print(out: &mut String, address: &HostPort, spec: &Tcp) {
    let _ = writeln!(out, "probe.tcp.address = \"{address}\"");
    let step = |step: &DialogueStep| match step {
        DialogueStep::Send(text) => format!("{{ send = {} }}", quoted(text.0.shown())),
        DialogueStep::Expect(p) => format!("{{ expect = {} }}", quoted(&p.text)),
    };
    let steps: Vec<String> = spec.dialogue.iter().map(step).collect();
    if !steps.is_empty() {
        let _ = writeln!(out, "probe.tcp.dialogue = [{}]", steps.join(", "));
    }
    print_within(out, "tcp", spec.within);
}
