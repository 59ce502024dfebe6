//! `[status_page]`: what anybody may see, on a listener of its own.

use std::fmt::Write;
use std::net::SocketAddr;

use super::print::probe::quoted;
use crate::words::Name;

/// Default of `[status_page] listen`.
pub const DEFAULT_STATUS_PAGE: &str = "127.0.0.1:9848";
/// Default of `[status_page] title`.
pub const DEFAULT_TITLE: &str = "Status";

/// The public status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusPage {
    pub listen: SocketAddr,
    pub title: String,
    /// Where readers find it: `https://status.example.com`.
    pub url: Option<String>,
    /// In this order; left empty: every component that the config declares, by title.
    pub components: Vec<Name>,
}

impl StatusPage {
    /// Who can read what.
    pub fn exposure(&self) -> String {
        let address = self.listen;
        format!(
            "every client that reaches {address} can read titles, IDs, states, outages and \
                availability of the components of [status_page], and their maintenance"
        )
    }
}

pub(super) fn print(out: &mut String, page: &StatusPage) {
    let _ = writeln!(
        out,
        "\n[status_page]\nlisten = \"{}\"\ntitle = {}",
        page.listen,
        quoted(&page.title)
    );
    if let Some(url) = &page.url {
        let _ = writeln!(out, "url = {}", quoted(url));
    }
    if !page.components.is_empty() {
        let list: Vec<String> = page.components.iter().map(|n| quoted(n.as_str())).collect();
        let _ = writeln!(out, "components = [{}]", list.join(", "));
    }
}
