//! What stands beside the endpoints: the history's key and backups, receivers of notifications, the
//! dead man's switch.

use std::path::PathBuf;

use url::{Position, Url};

use super::builder::Builder;
use super::probe::{is_header_name, is_sendable, is_set_by_prober};
use crate::config::document::common::DAY_MS;
use crate::config::document::problem::problem;
use crate::config::document::secret::mask::Mask;
use crate::config::document::secret::{Secret, secret};
use crate::config::document::tree::{Item, Layers, Section};
use crate::config::plan::*;

/// Headers of a message that follow from its content and its way.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// Characters of a path that may be secret: `/hook` is none.
const LEAST_PATH: usize = 8;

impl Builder<'_> {
    pub(in crate::config) fn history(&self, layers: &Layers) -> HistoryPlan {
        let key = layers.item("key").and_then(|i| {
            let key = secret(&i, self.inputs)?;
            let is_key = key.reveal().trim().len() == 64
                && key.reveal().trim().bytes().all(|b| b.is_ascii_hexdigit());
            if !is_key && !key.is_unread() {
                i.fault(
                    "the key that signs checkpoints is not 64 hexadecimal digits",
                    "Make one: openssl rand -hex 32",
                );
            }
            Some(key)
        });
        let commit_within = layers
            .item("commit_within")
            .and_then(|i| i.duration(1000, 30_000));
        let backup = layers.item("backup").and_then(|i| {
            let section = i.section()?;
            let dir = section.item("dir").and_then(|i| i.text());
            let plan = BackupPlan {
                every: section
                    .item("every")
                    .and_then(|i| i.duration(1000, 31 * DAY_MS))
                    .unwrap_or(DEFAULT_BACKUP_EVERY),
                keep: section
                    .item("keep")
                    .and_then(|i| i.integer(1, 100_000))
                    .map_or(DEFAULT_BACKUP_KEEP, |n| n as usize),
                dir: dir.map(PathBuf::from),
            };
            section.end();
            Some(plan)
        });
        layers.end();
        HistoryPlan {
            key,
            commit_within,
            backup,
        }
    }

    pub(in crate::config) fn notify(&self, section: &Section) -> Option<Notify> {
        let name = section.item("name").and_then(|i| i.name());
        let webhook = section.section("webhook");
        let after = section
            .item("after")
            .and_then(|i| i.duration(0, DAY_MS))
            .unwrap_or(0);
        let on = section.item("on").map_or_else(
            || NotifyOn::of(&NotifyOn::WORDS.map(|(_, state)| state)),
            |i| notify_on(&i),
        );
        let headers = self.headers(section, webhook.as_ref());
        let url = webhook.as_ref().and_then(|w| {
            let url = w.item("url").and_then(|i| secret(&i, self.inputs));
            w.end();
            url
        });
        section.end();
        if name.is_none() {
            section.source.fault(
                &section.span,
                "a [[notify]] without a name",
                "Add name = \"ops\".",
            );
        }
        if let Some(webhook) = webhook.as_ref().filter(|w| !w.table.contains_key("url")) {
            section.source.fault(
                &webhook.span,
                "the webhook has no url",
                "Add webhook.url = { file = \"...\" }.",
            );
        }
        if webhook.is_none() {
            section.source.fault(
                &section.span,
                "a [[notify]] without a receiver",
                "Add webhook.url = { file = \"...\" }.",
            );
        }
        let url = url.filter(|u| is_web_address(section, u));
        Some(Notify {
            name: name?,
            url: url?,
            after,
            on,
            headers,
        })
    }

    /// The headers of a receiver's messages.
    fn headers(&self, section: &Section, webhook: Option<&Section>) -> Vec<(String, Secret)> {
        let headers = webhook.and_then(|w| w.section("headers"));
        headers
            .iter()
            .flat_map(|h| h.entries().collect::<Vec<_>>())
            .filter_map(|(k, span, i)| {
                if !is_header_name(k) {
                    section.source.fault(
                        &span,
                        problem!("invalid header name `{k}`"),
                        "Use letters, digits and hyphens.",
                    );
                }
                let is_set = is_set_by_prober(k, &OWN_HEADERS, section.source, &span);
                let value =
                    secret(&i, self.inputs).filter(|s| is_sendable(Some(&i), s.reveal()))?;
                (!is_set).then(|| (k.to_owned(), value))
            })
            .collect()
    }

    pub(in crate::config) fn deadman(&self, top: &Layers) -> Option<Deadman> {
        let section = top.item("deadman")?.section()?;
        let url = section.item("url").and_then(|i| secret(&i, self.inputs));
        let every = section
            .item("every")
            .and_then(|i| i.duration(1000, DAY_MS))
            .unwrap_or(DEFAULT_DEADMAN_EVERY);
        section.end();
        if !section.table.contains_key("url") {
            section.source.fault(
                &section.span,
                "[deadman] has no url",
                "Add url = { file = \"...\" }, or remove the table.",
            );
        }
        Some(Deadman {
            url: url.filter(|u| is_web_address(&section, u))?,
            every,
        })
    }
}

/// The states that a receiver is told of.
fn notify_on(on: &Item) -> NotifyOn {
    let words = on.list();
    let states = words.iter().filter_map(|one| one.word(&NotifyOn::WORDS));
    let list: Vec<_> = states.collect();
    if list.is_empty() {
        on.fault(
            "`notify.on` names no state",
            "Write any of \"down\", \"up\", \"unknown\", or leave the key out for all three.",
        );
    }
    NotifyOn::of(&list)
}

/// What is secret in messages and in the dead man's calls, by the host that it is sent to. The name
/// of the host is none.
pub(in crate::config) fn sent_by_own_calls(
    notify: &[Notify],
    deadman: Option<&Deadman>,
) -> Vec<(String, Mask)> {
    let messages = notify.iter().map(|n| (&n.url, &n.headers[..]));
    let calls = messages.chain(deadman.map(|deadman| (&deadman.url, &[][..])));
    let sent = calls.filter_map(|(url, headers)| {
        let url = Url::parse(url.reveal()).ok()?;
        let mut secrets: Vec<Secret> = headers.iter().map(|(_, value)| value.clone()).collect();
        secrets.extend(url.password().map(Secret::new));
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let long = [url.username(), path].into_iter();
        secrets.extend(long.filter(|t| t.len() >= LEAST_PATH).map(Secret::new));
        Some((url.host_str()?.to_ascii_lowercase(), Mask::of(secrets)))
    });
    sent.filter(|(_, mask)| !mask.is_empty()).collect()
}

pub(in crate::config) fn proxies(layers: &Layers) -> Proxies {
    let is_asked = layers
        .item("from_environment")
        .and_then(|i| i.flag())
        .unwrap_or(false);
    layers.end();
    if is_asked {
        Proxies::Environment
    } else {
        Proxies::None
    }
}

/// The fault names the table only: the address is a secret.
fn is_web_address(section: &Section, address: &Secret) -> bool {
    let is_one = address.is_unread()
        || Url::parse(address.reveal()).is_ok_and(|u| matches!(u.scheme(), "http" | "https"));
    if !is_one {
        section.source.fault(
            &section.span,
            problem!(
                "the secret url of `{}` is not an http or https URL",
                section.path
            ),
            "Its source must hold one line such as https://hooks.example/x.",
        );
    }
    is_one
}
