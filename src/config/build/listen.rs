//! `[listen]`: the daemon's own HTTP listener.

use std::net::IpAddr;

use crate::config::document::common::{DAY_MS, socket_address};
use crate::config::document::problem::problem;
use crate::config::document::secret::{Secret, secret};
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::listen::{ANY_HOST, AddressPrefix, Listen};

/// A shorter token could be guessed; a longer one fits into no head.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 16..=1024;
/// From `[listen]`, and from the short form that `[daemon]` may have.
pub(super) fn listen(layers: &Layers, short: Option<&Item>, inputs: &dyn ConfigInputs) -> Listen {
    let default = Listen::default();
    let address = layers.item("address");
    if let Some(short) = short.filter(|_| address.is_some()) {
        short.fault(
            "`daemon.listen` and `listen.address` both say where to listen",
            "Keep one of them.",
        );
    }
    let duration = |key, least, most, default| {
        layers
            .item(key)
            .and_then(|i| i.duration(least, most))
            .unwrap_or(default)
    };
    let count = |key| {
        layers
            .item(key)
            .and_then(|i| i.integer(1, 100_000))
            .map(|n| n as usize)
    };
    let listen = Listen {
        address: address
            .as_ref()
            .or(short)
            .and_then(socket_address)
            .unwrap_or(default.address),
        allowed_hosts: layers
            .item("allowed_hosts")
            .iter()
            .flat_map(Item::list)
            .filter_map(|i| allowed_host(&i))
            .collect(),
        token: layers.item("token").and_then(|i| token(&i, inputs)),
        trusted: layers
            .item("trusted")
            .iter()
            .flat_map(Item::list)
            .filter_map(|i| network(&i))
            .collect(),
        max_connections: count("max_connections").unwrap_or(default.max_connections),
        max_connections_per_peer: count("max_connections_per_peer"),
        head_timeout: duration("head_timeout", 100, 300_000, default.head_timeout),
        idle_timeout: duration("idle_timeout", 100, DAY_MS, default.idle_timeout),
        answer_timeout: duration("answer_timeout", 100, DAY_MS, default.answer_timeout),
    };
    layers.end();
    listen
}

/// A name as it stands in `Host`, without its port.
fn allowed_host(item: &Item) -> Option<String> {
    let text = item.text()?;
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if name != ANY_HOST && !is_address && !is_host_name(&name) {
        item.fault(
            problem!(
                "invalid host name `{}` in `{}`",
                text.escape_debug(),
                item.path
            ),
            "Write the name that clients use, without scheme and \
                port: \"probity.internal\". \"*\" allows any name.",
        );
        return None;
    }
    Some(name)
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn token(item: &Item, inputs: &dyn ConfigInputs) -> Option<Secret> {
    let token = secret(item, inputs)?;
    let text = token.reveal();
    if token.is_unread() {
        return Some(token);
    }
    if !TOKEN_LENGTH.contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
        item.fault(
            problem!(
                "the secret `{}` is not 16 to 1024 printable characters without blanks",
                item.path
            ),
            "Make one: openssl rand -hex 32",
        );
        return None;
    }
    Some(token)
}

fn network(item: &Item) -> Option<AddressPrefix> {
    let text = item.text()?;
    let network = AddressPrefix::parse(&text);
    if network.is_none() {
        item.fault(
            problem!(
                "invalid network `{}` in `{}`",
                text.escape_debug(),
                item.path
            ),
            "Write an address or a prefix whose other bits are \
                0: \"192.0.2.7\", \"10.0.0.0/8\", \"fd00::/8\".",
        );
    }
    network
}
