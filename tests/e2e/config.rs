//! Bad configs: each fault with its line, what is wrong and what to do, all at once.

use std::path::Path;

use probity::config::{Fault, load};

use super::serve::in_memory;

fn faults(text: &str) -> Vec<Fault> {
    load(Path::new("test.toml"), &in_memory(text))
        .err()
        .unwrap_or_default()
}

const GOOD: &str = "[[endpoint]]\nname = \"good\"\nprobe.tcp = \"127.0.0.1:1\"\n";

/// (what is written, line of the fault, part of the problem, part of the advice)
const SLIPS: &[(&str, usize, &str, &str)] = &[
    (
        "[endpoint]\nname = \"a\"\n",
        1,
        "one table where a list",
        "[[endpoint]]",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nintervall = \"5s\"\nprobe.tcp = \"h:1\"\n",
        3,
        "unknown key `intervall`",
        "`interval`",
    ),
    (
        "[[endpoint]]\nname = \"a\"\ninterval = 5\nprobe.tcp = \"h:1\"\n",
        3,
        "number without a unit",
        "\"5s\"",
    ),
    (
        "[[endpoint]]\nname = \"a\"\ninterval = \"5 s\"\nprobe.tcp = \"h:1\"\n",
        3,
        "not a valid duration",
        "500ms",
    ),
    (
        "[[endpoint]]\nname = \"a\"\ninterval = \"10ms\"\nprobe.tcp = \"h:1\"\n",
        3,
        "out of range",
        "100ms",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http = \"https://h/\"\nprobe.http.expect.status = 200\n",
        4,
        "appears twice",
        "probe.http.url",
    ),
    ("[[endpoint]]\nname = \"a\"\n", 2, "no probe", "probe.http"),
    (
        "[[endpoint]]\nprobe.tcp = \"h:1\"\n",
        1,
        "without a name",
        "identity",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h\"\n",
        3,
        "not a host with a port",
        "host:port",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h:0\"\n",
        3,
        "not a host with a port",
        "host:port",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http = \"shop.example\"\n",
        3,
        "invalid URL",
        "https://",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http = \"ftp://h/\"\n",
        3,
        "not an http or https URL",
        "https://",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http = \"https://u:p@h/\"\n",
        3,
        "user name or a password",
        "auth.basic",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h:1\"\nprobe.icmp = \"h\"\n",
        3,
        "2 kinds of probe",
        "one endpoint",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.gopher = \"h\"\n",
        3,
        "unknown key `gopher`",
        "http",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.tcp = 5432\n",
        3,
        "is an integer",
        "address",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.expect.status = 200\n",
        2,
        "no address",
        "probe.http.url",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = \
            99\n",
        4,
        "not a valid status code",
        "2xx",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status \
            = \"658xx\"\n",
        4,
        "not a valid status code",
        "2xx",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = \
            []\n",
        4,
        "empty",
        "2xx",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url \
            = \"http://h/\"\nprobe.http.expect.body.matches = \"(\"\n",
        4,
        "invalid regular expression",
        "regex",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json \
            = \"body.\"\n",
        4,
        "not a valid CEL expression",
        "body",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json \
            = \"body.a.all(x, body.a.all(y, y == x))\"\n",
        4,
        "macro inside a macro",
        "square",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json \
            = \"status == 'ok'\"\n",
        4,
        "not there",
        "`body`",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json \
            = \"body.name.startWith('a')\"\n",
        4,
        "no function `startWith`",
        "`startsWith`",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json \
            = \"len(body.items) > 3\"\n",
        4,
        "no function `len`",
        "size(x)",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json \
            = \"body.items.length > 3\"\n",
        4,
        "member `length`",
        "size(body.items)",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json \
            = \"timestamp(body.at) > body.then\"\n",
        4,
        "no function `timestamp`",
        "RFC 3339",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json \
            = \"size(body.items)\"\n",
        4,
        "never true or false",
        "body.status == 'ok'",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.json \
            = \"body.name.matches('(')\"\n",
        4,
        "invalid regular expression",
        "regex",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = \
            [200, \"3xx\"]\n",
        4,
        "redirects are followed",
        "redirects = 0",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = \
            302\n",
        4,
        "expects 302",
        "redirects = 0",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status \
            = \"200-399\"\n",
        4,
        "expects 301",
        "redirects = 0",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = \
            101\n",
        4,
        "interim",
        "final",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status \
            = \"1xx\"\n",
        4,
        "interim",
        "final",
    ),
    (
        "[defaults]\nprobe.http.expect.status = \"3xx\"\n[[endpoint]]\nname \
            = \"a\"\nprobe.http.url = \"http://h/\"\n",
        2,
        "redirects are followed",
        "redirects = 0",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.auth = {}\n",
        4,
        "no single way",
        "bearer",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nrenamed_from = \"b\"\nprobe.tcp \
            = \"h:1\"\n[[endpoint]]\nname = \"b\"\nprobe.tcp = \"h:1\"\n",
        3,
        "still configured",
        "Remove one",
    ),
    ("[deadman]\nevery = \"1m\"\n", 1, "no url", "file"),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.method = \"get\"\n",
        4,
        "not a valid HTTP method",
        "capitals",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.headers = { \"a \
            b\" = \"c\" }\n",
        4,
        "invalid header name",
        "letters",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.headers = { host \
            = \"a b\" }\n",
        4,
        "not a valid authority",
        "port",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.headers = { Host \
            = \"\u{e9}.example\" }\n",
        4,
        "not a valid authority",
        "xn--",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.headers = { \
            authorization = \"Bearer x\" }\n",
        4,
        "is a secret",
        "file",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.auth.bearer \
            = \"x\"\n",
        4,
        "is a secret",
        "env",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.auth.bearer = { \
            env = \"NOT_THERE\" }\n",
        4,
        "cannot be read",
        "readable",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.auth.bearer = { \
            env = \"A\", file = \"b\" }\n",
        4,
        "no single source",
        "credential",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.tls.ca_file \
            = \"/not/there\"\n",
        4,
        "cannot be read",
        "readable",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.limits.body \
            = \"1XB\"\n",
        4,
        "not a size in the allowed range",
        "KiB",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.dns.server = \"192.0.2.1\"\nprobe.dns.type = \"QQ\"\n",
        4,
        "not a valid record type",
        "AAAA",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.dns.server = \"192.0.2.1\"\nprobe.dns.expect.rcode \
            = \"FINE\"\n",
        4,
        "not known",
        "NOERROR",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.icmp = \"h:5\"\n",
        3,
        "not a valid host",
        "without a port",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h:1\"\n[[endpoint]]\nname = \"a\"\nprobe.tcp \
            = \"h:1\"\n",
        5,
        "duplicate endpoint name",
        "identity",
    ),
    (
        "[[endpoint]]\nname = \"a\\nb\"\nprobe.tcp = \"h:1\"\n",
        2,
        "cannot be a name",
        "printable",
    ),
    (
        "[[endpoint]]\nname = \"a\\u202Eb\"\nprobe.tcp = \"h:1\"\n",
        2,
        "cannot be a name",
        "printable",
    ),
    (
        "[[endpoint]]\nname = \"\"\nprobe.tcp = \"h:1\"\n",
        2,
        "cannot be a name",
        "printable",
    ),
    (
        "[[endpoint]]\nname = 5\nprobe.tcp = \"h:1\"\n",
        2,
        "is an integer",
        "quotes",
    ),
    (
        "[[endpoint]]\nname = \"a\"\ncomponent = \"shop\"\nprobe.tcp = \"h:1\"\n",
        3,
        "not declared",
        "[component.shop]",
    ),
    (
        "[component.shop]\n[[endpoint]]\nname = \"a\"\ncomponent = \"shpo\"\nprobe.tcp = \"h:1\"\n",
        4,
        "not declared",
        "\"shop\"",
    ),
    (
        "[component.\"My Shop\"]\n",
        1,
        "cannot be a component's id",
        "a-z",
    ),
    (
        "[component.a]\ncombine = \"any\"\n",
        2,
        "not known",
        "parallel",
    ),
    (
        "[component.a]\ncombine = { at_least = 0 }\n",
        2,
        "out of range",
        "1",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nlabels = { \"a-b\" = \"c\" }\nprobe.tcp = \"h:1\"\n",
        3,
        "cannot be a label",
        "start with a letter",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nlabels = { state = \"c\" }\nprobe.tcp = \"h:1\"\n",
        3,
        "set by Probity",
        "another name",
    ),
    (
        "[[endpoint]]\nname = \"a\"\naddresses = \"ipv5\"\nprobe.tcp = \"h:1\"\n",
        3,
        "not known",
        "ipv4",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nresolver = \"dns.example\"\nprobe.tcp = \"h:1\"\n",
        3,
        "not a valid resolver",
        "10.0.0.2",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nsource_address = \"eth0\"\nprobe.tcp = \"h:1\"\n",
        3,
        "not a valid IP address",
        "IP",
    ),
    (
        "[[endpoint]]\nname = \"a\"\njitter = 1.5\nprobe.tcp = \"h:1\"\n",
        3,
        "not a valid share",
        "0.1",
    ),
    (
        "[[endpoint]]\nname = \"a\"\ndown_after = 0\nprobe.tcp = \"h:1\"\n",
        3,
        "out of range",
        "1",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nenabled = \"yes\"\nprobe.tcp = \"h:1\"\n",
        3,
        "is a string",
        "true or false",
    ),
    (
        "[daemon]\nlisten = \"9847\"\n",
        2,
        "not a valid listen address",
        "127.0.0.1:9847",
    ),
    (
        "[daemon]\ninterval = \"5s\"\n",
        2,
        "unknown key `interval`",
        "[defaults]",
    ),
    (
        "[defaults]\nlisten = \"127.0.0.1:1\"\n",
        2,
        "unknown key `listen`",
        "[daemon]",
    ),
    (
        "[listen]\naddress = \"localhost\"\n",
        2,
        "not a valid listen address",
        "127.0.0.1:9847",
    ),
    (
        "[daemon]\nlisten = \"127.0.0.1:1\"\n[listen]\naddress = \"127.0.0.1:2\"\n",
        2,
        "both say where to listen",
        "Keep one",
    ),
    (
        "[listen]\ntrusted = [\"10.0.0.0/8\", \"10.1.0.0/8\"]\n",
        2,
        "invalid network `10.1.0.0/8`",
        "10.0.0.0/8",
    ),
    (
        "[listen]\ntrusted = [\"shop.example\"]\n",
        2,
        "invalid network",
        "192.0.2.7",
    ),
    ("[listen]\nmax_connections = 0\n", 2, "out of range", "1"),
    (
        "[listen]\nmax_connections_per_peer = 0\n",
        2,
        "out of range",
        "1",
    ),
    (
        "[listen]\nhead_timeout = \"5\"\n",
        2,
        "not a valid duration",
        "500ms",
    ),
    ("[listen]\nidle_timeout = \"2d\"\n", 2, "out of range", "1d"),
    (
        "[listen]\nanswer_timeout = \"1ms\"\n",
        2,
        "out of range",
        "100ms",
    ),
    (
        "[daemon]\ntrusted = []\n",
        2,
        "unknown key `trusted`",
        "[listen]",
    ),
    (
        "[defaults]\nprobe.http.expect.status = \"x\"\n",
        2,
        "not a valid status code",
        "2xx",
    ),
    (
        "[group.api]\ninterval = \"5s\"\n",
        1,
        "no targets",
        "[group.api.targets]",
    ),
    (
        "[group.api]\n[group.api.targets]\nlogin.example = \"http://h/\"\n",
        3,
        "not quoted",
        "Quote it",
    ),
    (
        "[group.api]\nprobe.http.expect.status = 200\n[group.api.targets]\na \
            = \"http://h/\"\ninterval = \"5s\"\n",
        5,
        "landed under",
        "above",
    ),
    (
        "[group.API]\n[group.API.targets]\na = \"http://h/\"\n",
        1,
        "group's id",
        "a-z",
    ),
    (
        "[metrics]\nbuckets = [\"1s\", \"5ms\"]\n",
        2,
        "do not ascend",
        "shortest",
    ),
    (
        "[metrics]\nbuckets = [\"1ms\", \"500us\"]\n",
        2,
        "do not ascend",
        "shortest",
    ),
    (
        "[metrics]\nbuckets = [\"5us\"]\n",
        2,
        "out of range",
        "10us",
    ),
    (
        "[metrics]\nbuckets = [\"0.5ms\"]\n",
        2,
        "not a valid duration",
        "500ms",
    ),
    ("[metrics]\nlatency = \"fast\"\n", 2, "not known", "classic"),
    (
        "[[notify]]\nwebhook.url = { env = \"TEST_SECRET\" }\n",
        1,
        "without a name",
        "name",
    ),
    (
        "[[notify]]\nname = \"ops\"\n",
        1,
        "without a receiver",
        "webhook.url",
    ),
    (
        "[[notify]]\nname = \"ops\"\nwebhook.url = \"https://h/\"\n",
        3,
        "is a secret",
        "file",
    ),
    ("[deadmen]\n", 1, "unknown key `deadmen`", "`deadman`"),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http = \"https://u:planted@h:99999/?t=planted\"\n",
        3,
        "invalid URL `https://<secret>@h:99999/?<secret>`",
        "https://",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.tcp = \"u:planted@h:1\"\n",
        3,
        "`<secret>@h:1` is not a host with a port",
        "host:port",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.tcp = \"h:+80\"\n",
        3,
        "not a host with a port",
        "host:port",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.tcp = \"a..b:80\"\n",
        3,
        "empty label",
        "host name",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http = \"http://h:0/\"\n",
        3,
        "port 0",
        "listens",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.icmp = \"a b\"\n",
        3,
        "not a valid host",
        "without a port",
    ),
    (
        "[[endpoint]]\nname = \"a\"\ninterval = \"\\u001b[31m\"\nprobe.tcp = \"h:1\"\n",
        3,
        "\"\\u{1b}[31m\" is not a valid duration",
        "500ms",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = \
            0o310\nprobe.http.expect.version = \"3\"\n",
        5,
        "not known",
        "1.1",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = \
            0o1750\n",
        4,
        "not a valid status code",
        "2xx",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.limits.body = \
            0x0\n",
        4,
        "not a size in the allowed range",
        "KiB",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.headers = \
            { x = {} }\n",
        4,
        "states no expectation",
        "matches",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.headers = \
            { \"x y\" = \"a\" }\n",
        4,
        "invalid header name",
        "letters",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.body \
            = \"ok\"\n",
        4,
        "does not say what to expect",
        "contains",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url \
            = \"http://h/\"\nprobe.http.expect.body.contains = \"\"\n",
        4,
        "is empty",
        "holds",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.tls.client_key = \
            { env = \"TEST_SECRET\" }\n",
        4,
        "needs its certificate",
        "client_certificate",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.tls.ca_file \
            = \"tests/fixtures/weak.key\"\n",
        4,
        "no certificate",
        "BEGIN CERTIFICATE",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.tls.ca_file \
            = \"tests/fixtures/damaged.pem\"\n",
        4,
        "certificate 1 of",
        "BEGIN CERTIFICATE",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url \
            = \"http://h/\"\nprobe.http.tls.client_certificate \
            = \"tests/fixtures/weak.pem\"\nprobe.http.tls.client_key = { env = \"TEST_SECRET\" }\n",
        5,
        "no private key",
        "PRIVATE KEY",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.http.url \
            = \"http://h/\"\nprobe.http.tls.client_certificate \
            = \"tests/fixtures/weak.pem\"\nprobe.http.tls.client_key = { file \
            = \"tests/fixtures/other.key\" }\n",
        4,
        "do not fit",
        "first certificate",
    ),
    (
        "[[endpoint]]\nname = \"a\"\nprobe.tcp.address = \"h:1\"\nprobe.tcp.dialogue = [{}]\n",
        4,
        "does nothing",
        "send",
    ),
    (
        "[metrics]\nstate_labels = [\"a b\"]\n",
        2,
        "cannot be a label",
        "endpoints",
    ),
    (
        "[metrics]\nstate_labels = [\"state\"]\n",
        2,
        "set by Probity",
        "endpoints",
    ),
    (
        "[metrics]\nstate_labels = [\"team\", \"team\"]\n",
        2,
        "appears twice",
        "once",
    ),
    (
        "[[component]]\nid = \"a\"\n",
        1,
        "`[[component]]` is a list",
        "[component.ID]",
    ),
    (
        "[[daemon]]\nlisten = \"127.0.0.1:1\"\n",
        1,
        "`[[daemon]]` is a list",
        "[daemon]",
    ),
    (
        "[witness.endpoint]\nname = \"w\"\n",
        1,
        "`[witness.endpoint]` is one table",
        "[[witness.endpoint]]",
    ),
    (
        "[witness]\nquorum = 2\n[[witness.endpoint]]\nname = \"w\"\nprobe.tcp = \"h:1\"\n",
        2,
        "larger than the number",
        "Lower it",
    ),
    ("[witness]\nquorum = 0\n", 2, "out of range", "1"),
    ("[group.g.targets]\na = 5\n", 2, "is an integer", "address"),
    (
        "[[notify]]\nname = \"ops\"\nwebhook = {}\n",
        3,
        "no url",
        "webhook.url",
    ),
    (
        "[[maintenance]]\nid = \"x\"\nstart = \"2026-12-06T02:00\"\nduration = \"2h\"\nevery = \
            []\n",
        5,
        "empty list",
        "leave",
    ),
    (
        "[sla.s]\nobjective = 99.9\ncomponents = [\"a\"]\n",
        2,
        "without quotes",
        "99.999",
    ),
    (
        "[[sla.s]]\nobjective = \"99\"\ncomponents = [\"a\"]\n[[sla.s]]\nobjective \
            = \"98\"\ncomponents = [\"a\"]\n",
        4,
        "start on the same day",
        "valid_from",
    ),
    (
        "include = [\"not-there.toml\"]\n",
        1,
        "cannot be included",
        "readable",
    ),
    ("include = [\"test.toml\"]\n", 1, "read twice", "once"),
    ("name = unquoted\n", 1, "not TOML", "Quote"),
    ("[[endpoint]\n", 1, "not TOML", ""),
    ("\u{feff}x", 1, "not TOML", ""),
];

#[test]
fn each_slip_is_told_with_its_line_what_is_wrong_and_what_to_do() {
    assert!(SLIPS.len() >= 60);
    for (text, line, problem, advice) in SLIPS {
        let found = faults(text);
        let hit = found
            .iter()
            .find(|f| f.line == *line && f.problem.contains(problem) && f.advice.contains(advice));
        assert!(
            hit.is_some_and(|f| f.column > 0),
            "{text}\nwanted line {line}: {problem} / {advice}\nfound {found:#?}"
        );
    }
}

#[test]
fn what_is_too_long_is_told_with_its_limit() {
    let (label, name) = ("a".repeat(64), "n".repeat(10_240));
    let many: Vec<String> = (0..50).map(|k| format!("l{k} = \"x\"")).collect();
    let cases = [
        (
            format!("probe.tcp = \"{label}.example:80\""),
            "a label longer than 63 bytes",
        ),
        (
            format!("probe.http = \"http://{label}.example/\""),
            "a label longer than 63 bytes",
        ),
        (
            format!("probe.icmp = \"{label}.example\""),
            "a label longer than 63 bytes",
        ),
        (
            format!("probe.dns.server = \"{label}.example\""),
            "a label longer than 63 bytes",
        ),
        (
            format!("probe.tcp = \"{}:80\"", vec!["a"; 130].join(".")),
            "longer than 253 bytes",
        ),
        (
            format!("probe.dns.server = \"192.0.2.1\"\nprobe.dns.query = \"{label}\""),
            "invalid domain name",
        ),
        (
            format!("probe.tcp = \"h:1\"\nlabels = {{ {name} = \"x\" }}"),
            "at most 100 bytes long, this one has 10240",
        ),
        (
            format!("probe.tcp = \"h:1\"\nlabels = {{ x = \"{name}\" }}"),
            "too long",
        ),
        (
            format!("probe.tcp = \"h:1\"\nlabels = {{ {} }}", many.join(", ")),
            "more than 40 labels",
        ),
        (
            format!("probe.tcp = \"h:1\"\ncomponent = \"{name}\""),
            "at most 200 bytes long, this one has 10240",
        ),
        (
            format!("probe.tcp = \"h:1\"\n{name} = 1"),
            "unknown key `nnn",
        ),
    ];
    for (keys, problem) in cases {
        let found = faults(&format!("[[endpoint]]\nname = \"a\"\n{keys}\n"));
        assert!(
            found
                .iter()
                .any(|f| f.line >= 3 && f.problem.contains(problem)),
            "{problem}: {found:#?}"
        );
        assert!(found.iter().all(|f| f.problem.len() < 500), "{problem}");
    }
}

#[test]
fn no_fault_shows_a_secret_or_a_control_character() {
    for (text, _, _, _) in SLIPS {
        for fault in faults(text) {
            let shown = fault.to_string().replace("\n    ", " ");
            assert!(
                !shown.contains("planted") && !shown.contains(|c: char| c.is_control()),
                "{shown:?}"
            );
        }
    }
    let hidden =
        faults("[[endpoint]]\nname = \"a\"\n\"\\u001b[31m\\u202e\" = 1\nprobe.tcp = \"h:1\"\n");
    assert_eq!(
        hidden[0].problem,
        "unknown key `\\u{1b}[31m\\u{202e}` in `endpoint`"
    );
}

#[test]
fn numbers_in_other_digits_mean_what_they_say() {
    let plan = super::serve::plan(
        "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.expect.status = \
            0o311\nprobe.http.limits.body = 0x20\n",
    );
    let probity::kind::Probe::Http(target) = &plan.endpoints[0].probe else {
        panic!("no http")
    };
    assert_eq!(
        (
            target.spec.expect.status.0.as_slice(),
            target.spec.limits.body
        ),
        ([(201, 201)].as_slice(), 32)
    );
}

#[test]
fn a_header_that_http_2_forbids_is_noted_where_http_2_may_be_spoken() {
    let of = |url: &str, version: &str, headers: &str| {
        let text = format!(
            "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"{url}\"\nprobe.http.version \
                = \"{version}\"\nprobe.http.headers = {{ {headers} }}\n"
        );
        probity::config::lint::warnings(&super::serve::plan(&text)).join("\n")
    };
    for (url, version) in [
        ("https://h/", "auto"),
        ("https://h/", "2"),
        ("http://h/", "2"),
    ] {
        let told = of(url, version, "Keep-Alive = \"x\"");
        assert!(
            told.contains(
                "the endpoint a has a header that HTTP/2 forbids (RFC 9113, 8.2.2): `Keep-Alive` \
                    is left out of requests over HTTP/2"
            ),
            "{told}"
        );
        assert!(!of(url, version, "te = \"trailers\"").contains("left out"));
    }
    for (url, version) in [("http://h/", "auto"), ("https://h/", "1.1")] {
        assert!(
            !of(url, version, "Keep-Alive = \"x\"").contains("left out"),
            "{url} {version}"
        );
    }
}

#[test]
fn a_host_header_is_a_name_or_an_address_with_or_without_a_port() {
    for host in [
        "shop.example",
        "a_b:8443",
        "127.0.0.1:80",
        "[::1]",
        "[fe80::1]:443",
        "xn--9ca.example",
    ] {
        let text = format!(
            "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.headers = {{ \
                host = \"{host}\" }}\n"
        );
        assert_eq!(faults(&text).len(), 0, "{host}");
    }
    for host in [
        "", "a b", "a:", "a:65536", "a:80:80", "user@a", "a/b", "[::1", "[a]", "::1", "a%20b",
    ] {
        let text = format!(
            "[[endpoint]]\nname = \"a\"\nprobe.http.url = \"http://h/\"\nprobe.http.headers = {{ \
                host = \"{host}\" }}\n"
        );
        assert_eq!(faults(&text).len(), 1, "{host}");
    }
}

#[test]
fn what_can_never_be_up_and_labels_of_nobody_are_noted() {
    let of = |least: u32, label: &str| {
        let text = format!(
            "[metrics]\nstate_labels = [\"{label}\"]\n[component.c]\ncombine = {{ at_least = \
                {least} }}\n[[endpoint]]\nname = \"a\"\ncomponent = \"c\"\nlabels = {{ team \
                = \"x\" }}\nprobe.tcp = \"127.0.0.1:1\"\n"
        );
        probity::config::lint::warnings(&super::serve::plan(&text)).join("\n")
    };
    let told = of(2, "tema");
    assert!(
        told.contains("the component c wants 2 endpoints up and has 1")
            && told.contains("names tema, a label that no endpoint has"),
        "{told}"
    );
    let told = of(1, "team");
    assert!(
        !told.contains("the component c") && !told.contains("state_labels"),
        "{told}"
    );
}

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    let text = format!(
        "{GOOD}[defaults]\ntimeout = 5\n[[endpoint]]\nname = \"b\"\nintervall \
            = \"1s\"\nprobe.http.url = \"nonsense\"\n[component.\"A B\"]\n"
    );
    let lines: Vec<usize> = faults(&text).iter().map(|f| f.line).collect();
    assert_eq!(lines, vec![5, 8, 9, 10]);
}

#[test]
fn no_cut_of_a_valid_config_panics() {
    let text = include_str!("../../config/example.toml");
    for end in (0..text.len())
        .step_by(7)
        .filter(|n| text.is_char_boundary(*n))
    {
        let _ = faults(&text[..end]);
    }
}

#[test]
fn defaults_and_groups_take_every_key_of_an_endpoint_whoever_uses_it() {
    let keys = "interval = \"60s\"\ntimeout = \"5s\"\nretry_interval = \"2s\"\nlate_after \
        = \"300ms\"\ndown_after = 3\nup_after = 2\njitter = 0.1\nlabels = { site = \"x\" \
        }\naddresses = \"ipv4\"\nresolver = \"127.0.0.1:53\"\nsource_address \
        = \"127.0.0.1\"\nenabled = true\ncomponent = \"c\"\nprobe.http.expect.status = 200\n";
    let plan = super::serve::plan(&format!("[component.c]\n[defaults]\n{keys}"));
    assert!(
        plan.endpoints.is_empty(),
        "a config whose last endpoint has left is still one"
    );
    let plan = super::serve::plan(&format!(
        "[component.c]\n[group.g]\n{keys}[group.g.targets]\na = \"http://127.0.0.1/\"\n"
    ));
    let (a, cadence) = (&plan.endpoints[0], plan.endpoints[0].rules.cadence);
    assert_eq!(
        (
            cadence.late_after,
            cadence.down_after,
            a.component.as_str(),
            a.dial.source.is_some()
        ),
        (300, 3, "c", true)
    );
    let nameless =
        faults("[defaults]\ninterval = \"5s\"\n[[endpoint]]\nprobe.tcp = \"127.0.0.1:1\"\n");
    assert_eq!(
        nameless.len(),
        1,
        "the defaults are not to blame: {nameless:#?}"
    );
}

#[test]
fn an_internationalized_name_is_asked_for_in_its_ascii_form() {
    let hosts = |probe: &str| {
        super::serve::plan(&format!("[[endpoint]]\nname = \"a\"\n{probe}\n")).endpoints[0]
            .host()
            .to_owned()
    };
    assert_eq!(
        hosts("probe.tcp = \"bücher.example:80\""),
        "xn--bcher-kva.example"
    );
    assert_eq!(
        hosts("probe.icmp = \"Bücher.example\""),
        "xn--bcher-kva.example"
    );
    assert_eq!(
        hosts("probe.http = \"http://bücher.example/\""),
        "xn--bcher-kva.example"
    );
    assert!(
        !faults("[[endpoint]]\nname = \"a\"\nprobe.tcp = \"b\u{fffd}cher.example:80\"\n")
            .is_empty()
    );
}

#[test]
fn groups_share_and_endpoints_override() {
    let plan = super::serve::plan(
        "[defaults]\ninterval = \"60s\"\nlabels = { site = \"x\" }\n[group.api]\ninterval \
            = \"10s\"\nlabels = { team = \"api\" }\nprobe.http.redirects = \
            0\nprobe.http.expect.status = [200, \"3xx\"]\n[group.api.targets]\norders \
            = \"http://127.0.0.1/a\"\n\"login.example\" \
            = \"http://127.0.0.1/b\"\n[[endpoint]]\nname = \"own\"\ninterval = \"5s\"\nprobe.tcp \
            = \"127.0.0.1:1\"\n[[endpoint]]\nname = \"off\"\nenabled = false\nprobe.tcp \
            = \"127.0.0.1:1\"\n",
    );
    let seen: Vec<(String, u64, usize)> = plan
        .endpoints
        .iter()
        .map(|e| (e.name.to_string(), e.rules.cadence.interval, e.labels.len()))
        .collect();
    assert_eq!(
        seen,
        vec![
            ("own".into(), 5000, 1),
            ("login.example".into(), 10_000, 2),
            ("orders".into(), 10_000, 2)
        ]
    );
}

#[test]
fn statuses_that_can_be_final_are_taken() {
    // 300, 304 and 305 lead nowhere by themselves; a redirect is final where none is followed.
    for lines in [
        "expect.status = 304",
        "expect.status = [200, 300, \"304-306\"]",
        "redirects = 0\nprobe.http.expect.status = \"3xx\"",
        "redirects = { max = 0 }\nprobe.http.expect.status = 308",
    ] {
        let text = format!(
            "[[endpoint]]\nname = \"a\"\nprobe.http.url \
                = \"http://127.0.0.1/\"\nprobe.http.{lines}\n"
        );
        assert!(faults(&text).is_empty(), "{lines}: {:?}", faults(&text));
    }
}

#[test]
fn what_a_probe_does_to_known_servers_is_noted_with_a_polite_dialogue() {
    let notes = |lines: &str| {
        let text = format!("[[endpoint]]\nname = \"e\"\n{lines}\n");
        probity::config::lint::warnings(&super::serve::plan(&text)).join("\n")
    };
    for (port, protocol) in [
        (3306, "MySQL"),
        (25, "SMTP"),
        (587, "SMTP"),
        (21, "FTP"),
        (110, "POP3"),
        (143, "IMAP"),
    ] {
        let bare = format!("probe.tcp.address = \"192.0.2.1:{port}\"");
        let told = notes(&bare);
        assert!(
            told.contains(&format!(
                "the endpoint e on the port of {protocol} \
            (192.0.2.1:{port}) connects and leaves without a word"
            )),
            "{told}"
        );
        // The dialogue that is offered is one, and silences the note.
        let dialogue = told
            .lines()
            .find_map(|l| l.split_once("a dialogue that ends politely: "))
            .map(|(_, d)| d.to_owned())
            .expect("offered");
        assert!(
            !notes(&format!("{bare}\n{dialogue}")).contains("leaves without a word"),
            "{port}"
        );
    }
    assert!(!notes("probe.tcp.address = \"192.0.2.1:5432\"").contains("without a word"));
    for method in ["GET", "HEAD"] {
        let told = notes(&format!(
            "probe.http.url = \"http://192.0.2.1/\"\nprobe.http.method \
                = \"{method}\"\nprobe.http.body = \"{{}}\""
        ));
        assert!(
            told.contains(
                "the endpoint e sends a GET or HEAD request with a body: some \
            servers refuse it (lighttpd answers 400)"
            ),
            "{told}"
        );
    }
    assert!(
        !notes(
            "probe.http.url = \"http://192.0.2.1/\"\nprobe.http.method \
        = \"POST\"\nprobe.http.body = \"{}\""
        )
        .contains("with a body")
    );
    assert!(!notes("probe.http.url = \"http://192.0.2.1/\"").contains("with a body"));
}

#[test]
fn a_source_address_that_a_kind_does_not_use_is_noted() {
    let noted = |probe: &str| {
        let text = format!(
            "[defaults]\nsource_address = \"127.0.0.1\"\n[[endpoint]]\nname = \"a\"\n{probe}\n"
        );
        probity::config::lint::warnings(&super::serve::plan(&text))
            .iter()
            .any(|note| note.contains("source_address is not used"))
    };
    assert!(noted("probe.icmp = \"127.0.0.1\""));
    assert!(noted(
        "probe.dns = { server = \"127.0.0.1:53\", query = \"a.test\", type = \"A\" }"
    ));
    assert!(!noted("probe.tcp = \"127.0.0.1:1\""));
}
