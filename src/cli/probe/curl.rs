//! The curl command that repeats an http probe. Secrets are masked in it.

use super::asked::Pinned;
use crate::config::Endpoint;
use crate::config::document::secret::MASK;
use crate::config::plan::probe::{TlsGroups, TlsVersion, Verify};
use crate::config::plan::{Addresses, ResolverChoice};
use crate::daemon::exit::Exit;
use crate::daemon::streams::{say, say_error};
use crate::kind::Probe;
use crate::kind::http::HttpTarget;
use crate::kind::http::spec::{Auth, Compression, Http, HttpVersion, USER_AGENT};
use crate::words::{escaped, people};

pub fn print(endpoint: &Endpoint, pinned: &[Pinned]) -> Exit {
    let Probe::Http(target) = &endpoint.probe else {
        say_error(format_args!(
            "probity: --curl is an option of http probes; {} is a probe of the kind {}",
            endpoint.target(),
            endpoint.probe.kind().as_str()
        ));
        return Exit::Usage;
    };
    let words = words(endpoint, target, pinned);
    let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    say(format!("{}\n", escaped(&line.join(" "))).as_bytes());
    for note in left_out(endpoint, &target.spec, &words) {
        say_error(format_args!("note: {note}"));
    }
    Exit::Fine
}

/// The words of the command, before a shell's quotes.
fn words(endpoint: &Endpoint, target: &HttpTarget, pinned: &[Pinned]) -> Vec<String> {
    let spec = &target.spec;
    let mut words = vec!["curl".to_owned(), "-sS".to_owned(), "-i".to_owned()];
    let mut word = |text: &str| words.push(text.to_owned());
    let timeout = endpoint.rules.cadence.timeout;
    word("--max-time");
    word(&format!("{}.{:03}", timeout / 1000, timeout % 1000));
    match spec.version {
        HttpVersion::Auto => {}
        HttpVersion::Http11 => word("--http1.1"),
        HttpVersion::Http2 if target.url.scheme() == "http" => word("--http2-prior-knowledge"),
        HttpVersion::Http2 => word("--http2"),
    }
    if spec.redirects.max > 0 {
        word("-L");
        word("--max-redirs");
        word(&spec.redirects.max.to_string());
    }
    if spec.compression == Compression::Ask {
        word("--compressed");
    }
    dialed(endpoint, pinned, &mut word);
    tls(spec, &mut word);
    request(spec, &mut word);
    word(&url(endpoint, spec));
    words
}

fn dialed(endpoint: &Endpoint, pinned: &[Pinned], word: &mut impl FnMut(&str)) {
    match endpoint.dial.addresses {
        Addresses::Any | Addresses::First => {}
        Addresses::Ipv4 => word("-4"),
        Addresses::Ipv6 => word("-6"),
    }
    if let Some(source) = endpoint.dial.source {
        word("--interface");
        word(&source.to_string());
    }
    for one in pinned {
        let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
        word("--resolve");
        word(&format!(
            "{}:{}:{}",
            one.host,
            one.port,
            addresses.join(",")
        ));
    }
}

fn tls(spec: &Http, word: &mut impl FnMut(&str)) {
    if let Some(file) = &spec.tls.ca {
        word("--cacert");
        word(&file.path.to_string_lossy());
    }
    if spec.tls.verify == Verify::None {
        word("-k");
    }
    if spec.tls.min_version == TlsVersion::Tls13 {
        word("--tlsv1.3");
    }
}

fn request(spec: &Http, word: &mut impl FnMut(&str)) {
    let is_given = |name: &str| {
        let mut headers = spec.headers.iter();
        headers.any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    // A method that wants a body sends an empty one.
    let wants_body = matches!(spec.method.as_str(), "POST" | "PUT" | "PATCH");
    let body = spec.body.as_ref().map(|body| body.0.shown());
    let body = body.or_else(|| wants_body.then_some(""));
    match spec.method.as_str() {
        "HEAD" => word("--head"),
        "GET" if body.is_none() => {}
        "POST" if body.is_some() => {}
        method => {
            word("-X");
            word(method);
        }
    }
    if !is_given("user-agent") {
        word("-A");
        word(USER_AGENT);
    }
    for (name, value) in &spec.headers {
        word("-H");
        // curl leaves out a header that ends with its colon.
        word(&match value.shown() {
            "" => format!("{name};"),
            value => format!("{name}: {value}"),
        });
    }
    match &spec.auth {
        Some(Auth::Basic { username, .. }) => {
            word("-u");
            word(&format!("{username}:{MASK}"));
        }
        Some(Auth::Bearer(_)) => {
            word("-H");
            word(&format!("Authorization: Bearer {MASK}"));
        }
        None => {}
    }
    if let Some(body) = body {
        if !is_given("content-type") {
            // curl would name a type of its own.
            word("-H");
            word("Content-Type:");
        }
        word("--data-raw");
        word(body);
    }
}

fn url(endpoint: &Endpoint, spec: &Http) -> String {
    let mut url = endpoint.target();
    let mut joint = if url.contains('?') { '&' } else { '?' };
    for (name, _) in &spec.query {
        url.push(joint);
        url.extend(url::form_urlencoded::byte_serialize(name.as_bytes()));
        url.push('=');
        url.push_str(MASK);
        joint = '&';
    }
    url
}

/// What a person should know who runs the command.
fn left_out(endpoint: &Endpoint, spec: &Http, words: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    if words.iter().any(|word| word.contains(MASK)) {
        notes.push(format!("write the secret in place of each {MASK}"));
    }
    let keys = [
        ("resolver", endpoint.dial.resolver != ResolverChoice::System),
        ("tls.server_name", spec.tls.server_name.is_some()),
        ("tls.client_certificate", spec.tls.client.is_some()),
        ("tls.groups", spec.tls.groups != TlsGroups::default()),
    ];
    let keys: Vec<&str> = keys
        .iter()
        .filter_map(|(key, is_used)| is_used.then_some(*key))
        .collect();
    if !keys.is_empty() {
        notes.push(format!(
            "{} {} not in the command",
            people::listed(&keys, "and"),
            if keys.len() == 1 { "is" } else { "are" }
        ));
    }
    notes
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    if word.chars().any(char::is_control) {
        return dollar_quoted(word);
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// With line ends and other control bytes as escapes, in the form of POSIX.1-2024 (2.2.4).
fn dollar_quoted(word: &str) -> String {
    let mut out = String::from("$'");
    for c in word.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\'' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\{:03o}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, shown) in [
            ("https://a.example/x?y=1", "'https://a.example/x?y=1'"),
            ("-sS", "-sS"),
            ("", "''"),
            ("it's $HOME", "'it'\\''s $HOME'"),
            ("a\nb'\\\u{1}", "$'a\\nb\\'\\\\\\001'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
