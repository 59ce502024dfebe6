//! A name server's answer: from bytes to a verdict, for questions of several types.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use probity::kind::Probe;
use probity::kind::dns::DnsTarget;
use probity::kind::dns::run::judge;
use probity::kind::dns::spec::Dns;
use probity::net::dns_message::{Wrong, answers, question, read};
use probity::net::trace::Trace;
use probity_fuzz::{choice, endpoint};

const SPECS: [&str; 6] = [
    "query = \"shop.example\"\ntype = \"A\"\nexpect = { any = \"^192\\\\.0\\\\.2\\\\.\", none \
        = \"^127\", at_least = 1, authoritative = true }",
    "query = \"shop.example\"\ntype = \"MX\"\nexpect = { all = \"mail\", rcode = \
        [\"NOERROR\", \"NXDOMAIN\"] }",
    "query = \"shop.example\"\ntype = \"TXT\"\nexpect = { any = [\"v=spf1\", \"x\"] }",
    "query = \"example\"\ntype = \"SOA\"\nrecursion = false",
    "query = \"_x._tcp.shop.example\"\ntype = \"SRV\"\nexpect = { all = \".\" }",
    "query = \"example\"\ntype = \"DNSKEY\"\nexpect = { none = \"^0\" }",
];

static CASES: LazyLock<Vec<(Arc<Dns>, Vec<u8>)>> = LazyLock::new(|| {
    let case = |keys: &&str| {
        let endpoint = endpoint(&format!(
            "[endpoint.probe.dns]\nserver = \"192.0.2.53\"\n{keys}"
        ));
        let Probe::Dns(DnsTarget { spec, .. }) = &endpoint.probe else {
            panic!("no dns")
        };
        let mut query = question(&spec.name, spec.record, spec.recursion);
        query[..2].copy_from_slice(&[0x70, 0x70]);
        (spec.clone(), query)
    };
    SPECS.iter().map(case).collect()
});

fuzz_target!(|data: &[u8]| {
    let (which, answer) = choice(data);
    let (spec, query) = &CASES[which % CASES.len()];
    // So that not every change of the question's bytes is refused.
    let is_taken_as_it_is = which & 0x80 != 0;
    match answers(query, answer) {
        Ok(()) => assert_eq!(answer[..2], query[..2]),
        Err(Wrong::Id | Wrong::Message(_)) if !is_taken_as_it_is => return,
        Err(Wrong::Id | Wrong::Message(_)) => {}
    }
    let Ok(message) = read(answer) else { return };
    let trace = Trace::begin();
    let verdict = judge(&trace, spec, &message);
    let facts = trace.facts.borrow();
    if facts.dns_rcode.is_none() {
        // Too long as text.
        assert!(verdict.is_err() && facts.dns_answers.is_empty());
        return;
    }
    assert!(facts.dns_answers.len() <= 500);
    assert_eq!(verdict.is_ok(), facts.findings.iter().all(|f| f.met));
});
