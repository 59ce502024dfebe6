//! Reads the table of a dns probe.

use super::spec::{Dns, DnsExpect};
use crate::config::build::probe::{pattern, within};
use crate::config::dns_question;
use crate::config::document::problem::problem;
use crate::config::document::tree::{Item, Layers};
use crate::config::plan::probe::{Recursion, Transport};

pub fn spec(layers: &Layers) -> Dns {
    let expect = layers.layers("expect");
    let patterns = |key| {
        expect
            .item(key)
            .iter()
            .flat_map(Item::list)
            .filter_map(|i| pattern(&i))
            .collect()
    };
    let built = DnsExpect {
        rcodes: expect
            .item("rcode")
            .iter()
            .flat_map(Item::list)
            .filter_map(|i| rcode(&i))
            .collect(),
        any: patterns("any"),
        all: patterns("all"),
        none: patterns("none"),
        chain: patterns("chain"),
        at_least: expect.item("at_least").and_then(|i| i.integer(0, 1000)),
        authoritative: expect.item("authoritative").and_then(|i| i.flag()),
        within: within(&expect),
    };
    expect.end();
    let record = layers
        .item("type")
        .and_then(|i| record_type(&i))
        .unwrap_or(dns_question::A);
    let (query, name) = layers
        .item("query")
        .and_then(|i| query_name(&i, record))
        .unwrap_or_else(|| (".".into(), vec![0]));
    Dns {
        query,
        name,
        record,
        transport: layers
            .item("transport")
            .and_then(|i| i.word(&Transport::WORDS))
            .unwrap_or(Transport::Udp),
        recursion: match layers.item("recursion").and_then(|i| i.flag()) {
            Some(false) => Recursion::NotDesired,
            Some(true) | None => Recursion::Desired,
        },
        expect: built,
    }
}

/// The name to ask for, as it is written and as it is sent. Where PTR is asked for, an address
/// stands for its name.
fn query_name(item: &Item, record: u16) -> Option<(String, Vec<u8>)> {
    let text = item.text()?;
    let reversed = text
        .parse()
        .ok()
        .filter(|_| record == dns_question::PTR)
        .map(dns_question::reversed);
    match dns_question::name_to_wire(reversed.as_deref().unwrap_or(&text)) {
        Ok(name) => Some((text, name)),
        Err(why) => {
            let advice = "Write it as in \"shop.example\"; for type = \"PTR\" an address, as \
                in \"192.0.2.1\", is accepted, too.";
            item.fault(
                problem!("invalid domain name `{}`: {why}", text.escape_debug()),
                advice,
            );
            None
        }
    }
}

fn record_type(item: &Item) -> Option<u16> {
    let text = item.text()?;
    let number = dns_question::type_number(&text);
    if number.is_none() {
        item.fault(
            problem!(
                "`{}` = \"{}\" is not a valid record type",
                item.path,
                text.escape_debug()
            ),
            "Write it in capitals: \"A\", \"AAAA\", \"MX\", \"SOA\", \"TXT\", or by its \
                number: \"TYPE65280\".",
        );
    }
    number
}

fn rcode(item: &Item) -> Option<String> {
    const KNOWN: [&str; 11] = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",
    ];
    let words: Vec<(&'static str, &'static str)> = KNOWN.iter().map(|w| (*w, *w)).collect();
    item.word(&words).map(str::to_owned)
}
