//! `[status_page]`: the public page.

use std::net::SocketAddr;

use url::Url;

use crate::config::document::common::socket_address;
use crate::config::document::problem::problem;
use crate::config::document::tree::{Item, Layers, nearest};
use crate::config::status_page::{DEFAULT_STATUS_PAGE, DEFAULT_TITLE, StatusPage};
use crate::words::Name;

/// Of a title, in characters.
const TITLE_LENGTH: usize = 200;

/// `declared`: the components that a table declares. Only these can be shown. `taken`: the address
/// of the other listener.
pub(super) fn status_page(
    top: &Layers,
    declared: &[&str],
    taken: SocketAddr,
) -> Option<StatusPage> {
    let section = top.item("status_page")?.section()?;
    let item = section.item("listen");
    let listen = item.as_ref().and_then(socket_address);
    if let Some(item) = item.filter(|_| listen == Some(taken)) {
        item.fault(
            problem!("`{}` is the address of `[listen]`", item.path),
            "Give the status page a port of its own, such as 9848.",
        );
    }
    let page = StatusPage {
        listen: listen.unwrap_or(DEFAULT_STATUS_PAGE.parse().expect("a constant address")),
        title: (section.item("title").and_then(|i| title(&i)))
            .unwrap_or_else(|| DEFAULT_TITLE.to_owned()),
        url: section.item("url").and_then(|i| address(&i)),
        components: section
            .item("components")
            .map_or_else(Vec::new, |i| components(&i, declared)),
    };
    section.end();
    Some(page)
}

fn components(item: &Item, declared: &[&str]) -> Vec<Name> {
    let mut list: Vec<Name> = Vec::new();
    for one in item.list() {
        let Some(name) = one.name() else { continue };
        if list.contains(&name) {
            one.fault(
                problem!("`{name}` appears twice"),
                "Name each component once.",
            );
        } else if declared.contains(&name.as_str()) {
            list.push(name);
        } else {
            let advice = match nearest(name.as_str(), declared) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => format!("Declare it: [component.{name}]."),
            };
            one.fault(problem!("unknown component `{name}`"), advice);
        }
    }
    if item.list().is_empty() {
        item.fault(
            problem!("`{}` names nothing", item.path),
            "Name at least one component, or leave the key out: then all of them are shown.",
        );
    }
    list
}

fn title(item: &Item) -> Option<String> {
    let text = item.text()?;
    let is_fit = !text.trim().is_empty()
        && text.chars().count() <= TITLE_LENGTH
        && !text.chars().any(char::is_control);
    if !is_fit {
        item.fault(
            problem!("`{}` cannot be a title", item.path),
            format!("Write 1 to {TITLE_LENGTH} characters on one line."),
        );
    }
    is_fit.then_some(text)
}

fn address(item: &Item) -> Option<String> {
    let text = item.text()?;
    let url = Url::parse(&text).ok().filter(|url| {
        let is_secret = !url.username().is_empty() || url.password().is_some();
        matches!(url.scheme(), "http" | "https") && !is_secret && url.has_host()
    });
    if url.is_none() {
        item.fault(
            problem!(
                "`{}` = \"{}\" is not a web address",
                item.path,
                text.escape_debug()
            ),
            "Write where readers find the page: \"https://status.example.com\".",
        );
    }
    url.map(|url| url.as_str().trim_end_matches('/').to_owned())
}
