//! Bad configs: each fault with its line, what is wrong and what to do, all at once.

use std::path::Path;

use probity::config::{Fault, load};

use super::serve::Memory;

fn faults(text: &str) -> Vec<Fault> {
    load(Path::new("test.toml"), &Memory(text.to_owned())).err().unwrap_or_default()
}

const GOOD: &str = "[[endpoint]]\nname = \"good\"\nprobe.tcp = \"127.0.0.1:1\"\n";

/// (what is written, line of the fault, part of the problem, part of the advice)
const SLIPS: &[(&str, usize, &str, &str)] = &[
    ("[endpoint]\nname = \"a\"\n", 1, "one table where a list", "[[endpoint]]"),
    ("[[endpoint]]\nname = \"a\"\nintervall = \"5s\"\nprobe.tcp = \"h:1\"\n", 3, "unknown key `intervall`", "`interval`"),
    ("[[endpoint]]\nname = \"a\"\ninterval = 5\nprobe.tcp = \"h:1\"\n", 3, "number without a unit", "\"5s\""),
    ("[[endpoint]]\nname = \"a\"\ninterval = \"5 s\"\nprobe.tcp = \"h:1\"\n", 3, "no duration", "500ms"),
    ("[[endpoint]]\nname = \"a\"\ninterval = \"10ms\"\nprobe.tcp = \"h:1\"\n", 3, "out of range", "100ms"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http = \"https://h/\"\nprobe.http.expect.status = 200\n", 4, "stands twice", "probe.http.url"),
    ("[[endpoint]]\nname = \"a\"\n", 2, "no probe", "probe.http"),
    ("[[endpoint]]\nprobe.tcp = \"h:1\"\n", 1, "without a name", "identity"),
    ("[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h\"\n", 3, "no host with a port", "host:port"),
    ("[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h:0\"\n", 3, "no host with a port", "host:port"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http = \"shop.example\"\n", 3, "no URL", "https://"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http = \"ftp://h/\"\n", 3, "no http or https URL", "https://"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http = \"https://u:p@h/\"\n", 3, "user name or a password", "auth.basic"),
    ("[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h:1\"\nprobe.icmp = \"h\"\n", 3, "2 kinds of probe", "one endpoint"),
    ("[[endpoint]]\nname = \"a\"\nprobe.gopher = \"h\"\n", 3, "unknown key `gopher`", "http"),
    ("[[endpoint]]\nname = \"a\"\nprobe.tcp = 5432\n", 3, "is an integer", "address"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.expect.status = 200\n", 2, "no address", "probe.http.url"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = 99\n", 4, "no status code", "2xx"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = \"658xx\"\n", 4, "no status code", "2xx"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = []\n", 4, "empty", "2xx"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.body.matches = \"(\"\n", 4, "no regular expression", "regex"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json = \"body.\"\n", 4, "no CEL expression", "body"),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json = \"body.a.all(x, body.a.all(y, y == x))\"\n",
        4,
        "macro inside a macro",
        "square",
    ),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json = \"status == 'ok'\"\n", 4, "not there", "`body`"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.auth = {}\n", 4, "no single way", "bearer"),
    ("[[endpoint]]\nname = \"a\"\nrenamed_from = \"b\"\nprobe.tcp = \"h:1\"\n[[endpoint]]\nname = \"b\"\nprobe.tcp = \"h:1\"\n", 3, "still configured", "out"),
    ("[deadman]\nevery = \"1m\"\n", 1, "no url", "file"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.method = \"get\"\n", 4, "no HTTP method", "capitals"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.headers = { \"a b\" = \"c\" }\n", 4, "no header name", "letters"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.headers = { authorization = \"Bearer x\" }\n", 4, "is a secret", "file"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.auth.bearer = \"x\"\n", 4, "is a secret", "env"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.auth.bearer = { env = \"NOT_THERE\" }\n", 4, "cannot be read", "readable"),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.auth.bearer = { env = \"A\", file = \"b\" }\n",
        4,
        "no single source",
        "credential",
    ),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.tls.ca_file = \"/not/there\"\n", 4, "cannot be read", "readable"),
    ("[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.limits.body = \"1XB\"\n", 4, "no size", "KiB"),
    ("[[endpoint]]\nname = \"a\"\nprobe.dns.server = \"192.0.2.1\"\nprobe.dns.type = \"QQ\"\n", 4, "no record type", "AAAA"),
    ("[[endpoint]]\nname = \"a\"\nprobe.dns.server = \"192.0.2.1\"\nprobe.dns.expect.rcode = \"FINE\"\n", 4, "not known", "NOERROR"),
    ("[[endpoint]]\nname = \"a\"\nprobe.icmp = \"h:5\"\n", 3, "no host", "without a port"),
    ("[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h:1\"\n[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h:1\"\n", 5, "stands twice", "identity"),
    ("[[endpoint]]\nname = \"a\\nb\"\nprobe.tcp = \"h:1\"\n", 2, "cannot be a name", "printable"),
    ("[[endpoint]]\nname = \"a\\u202Eb\"\nprobe.tcp = \"h:1\"\n", 2, "cannot be a name", "printable"),
    ("[[endpoint]]\nname = \"\"\nprobe.tcp = \"h:1\"\n", 2, "cannot be a name", "printable"),
    ("[[endpoint]]\nname = 5\nprobe.tcp = \"h:1\"\n", 2, "is an integer", "quotes"),
    ("[[endpoint]]\nname = \"a\"\ncomponent = \"shop\"\nprobe.tcp = \"h:1\"\n", 3, "not declared", "[component.shop]"),
    ("[component.shop]\n[[endpoint]]\nname = \"a\"\ncomponent = \"shpo\"\nprobe.tcp = \"h:1\"\n", 4, "not declared", "\"shop\""),
    ("[component.\"My Shop\"]\n", 1, "cannot be a component's id", "a-z"),
    ("[component.a]\ncombine = \"any\"\n", 2, "not known", "parallel"),
    ("[component.a]\ncombine = { at_least = 0 }\n", 2, "out of range", "1"),
    ("[[endpoint]]\nname = \"a\"\nlabels = { \"a-b\" = \"c\" }\nprobe.tcp = \"h:1\"\n", 3, "cannot be a label", "begin with a letter"),
    ("[[endpoint]]\nname = \"a\"\nlabels = { state = \"c\" }\nprobe.tcp = \"h:1\"\n", 3, "set by Probity", "another name"),
    ("[[endpoint]]\nname = \"a\"\naddresses = \"ipv5\"\nprobe.tcp = \"h:1\"\n", 3, "not known", "ipv4"),
    ("[[endpoint]]\nname = \"a\"\nresolver = \"dns.example\"\nprobe.tcp = \"h:1\"\n", 3, "no resolver", "10.0.0.2"),
    ("[[endpoint]]\nname = \"a\"\nsource_address = \"eth0\"\nprobe.tcp = \"h:1\"\n", 3, "no address", "IP"),
    ("[[endpoint]]\nname = \"a\"\njitter = 1.5\nprobe.tcp = \"h:1\"\n", 3, "no share", "0.1"),
    ("[[endpoint]]\nname = \"a\"\ndown_after = 0\nprobe.tcp = \"h:1\"\n", 3, "out of range", "1"),
    ("[[endpoint]]\nname = \"a\"\nenabled = \"yes\"\nprobe.tcp = \"h:1\"\n", 3, "is a string", "true or false"),
    ("[daemon]\nlisten = \"9847\"\n", 2, "no address to listen on", "127.0.0.1:9847"),
    ("[daemon]\ninterval = \"5s\"\n", 2, "unknown key `interval`", "[defaults]"),
    ("[defaults]\nlisten = \"127.0.0.1:1\"\n", 2, "unknown key `listen`", "[daemon]"),
    ("[defaults]\nprobe.http.expect.status = \"x\"\n", 2, "no status code", "2xx"),
    ("[group.api]\ninterval = \"5s\"\n", 1, "no targets", "[group.api.targets]"),
    ("[group.api]\n[group.api.targets]\nlogin.example = \"http://h/\"\n", 3, "not quoted", "Quote it"),
    ("[group.api]\nprobe.http.expect.status = 200\n[group.api.targets]\na = \"http://h/\"\ninterval = \"5s\"\n", 5, "landed under", "above"),
    ("[group.API]\n[group.API.targets]\na = \"http://h/\"\n", 1, "group's id", "a-z"),
    ("[metrics]\nbuckets = [\"1s\", \"5ms\"]\n", 2, "do not ascend", "shortest"),
    ("[metrics]\nlatency = \"fast\"\n", 2, "not known", "classic"),
    ("[[notify]]\nwebhook.url = { env = \"TEST_SECRET\" }\n", 1, "without a name", "name"),
    ("[[notify]]\nname = \"ops\"\n", 1, "without a receiver", "webhook.url"),
    ("[[notify]]\nname = \"ops\"\nwebhook.url = \"https://h/\"\n", 3, "is a secret", "file"),
    ("[deadmen]\n", 1, "unknown key `deadmen`", "`deadman`"),
    ("name = unquoted\n", 1, "not TOML", "quotes"),
    ("[[endpoint]\n", 1, "not TOML", ""),
    ("\u{feff}x", 1, "not TOML", ""),
];

#[test]
fn each_slip_is_told_with_its_line_what_is_wrong_and_what_to_do() {
    assert!(SLIPS.len() >= 60);
    for (text, line, problem, advice) in SLIPS {
        let found = faults(text);
        let hit = found.iter().find(|f| f.line == *line && f.problem.contains(problem) && f.advice.contains(advice));
        assert!(hit.is_some_and(|f| f.column > 0), "{text}\nwanted line {line}: {problem} / {advice}\nfound {found:#?}");
    }
}

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    let text = format!("{GOOD}[defaults]\ntimeout = 5\n[[endpoint]]\nname = \"b\"\nintervall = \"1s\"\nprobe.http.url = \"nonsense\"\n[component.\"A B\"]\n");
    let lines: Vec<usize> = faults(&text).iter().map(|f| f.line).collect();
    assert_eq!(lines, vec![5, 8, 9, 10]);
}

#[test]
fn no_cut_of_a_valid_config_panics() {
    let text = include_str!("../../config/example.toml");
    for end in (0..text.len()).step_by(7).filter(|n| text.is_char_boundary(*n)) {
        let _ = faults(&text[..end]);
    }
}

#[test]
fn groups_share_and_endpoints_override() {
    let plan = super::serve::plan(
        "[defaults]\ninterval = \"60s\"\nlabels = { site = \"x\" }\n[group.api]\ninterval = \"10s\"\nlabels = { team = \"api\" }\nprobe.http.expect.status = [200, \"3xx\"]\n[group.api.targets]\norders = \"http://127.0.0.1/a\"\n\"login.example\" = \"http://127.0.0.1/b\"\n[[endpoint]]\nname = \"own\"\ninterval = \"5s\"\nprobe.tcp = \"127.0.0.1:1\"\n[[endpoint]]\nname = \"off\"\nenabled = false\nprobe.tcp = \"127.0.0.1:1\"\n",
    );
    let seen: Vec<(String, u64, usize)> = plan.endpoints.iter().map(|e| (e.name.to_string(), e.rules.cadence.interval, e.labels.len())).collect();
    assert_eq!(seen, vec![("own".into(), 5000, 1), ("login.example".into(), 10_000, 2), ("orders".into(), 10_000, 2)]);
}
