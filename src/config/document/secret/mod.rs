//! Secrets: never inline, read once, never printed.

pub mod by_host;
mod encoded;
mod fillers;
pub mod mask;
pub mod names;
mod pieces;
pub mod spelling;

use std::path::PathBuf;

pub use self::names::is_secret_name;
use super::source::{ConfigInputs, Source};
use super::tree::Item;
use crate::config::document::problem::problem;
use toml::de::DeValue;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A text that no surface may show. `Debug` and every printer give `<secret>`. Its memory is wiped
/// when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    is_unread: bool,
}

/// What stands in place of a secret.
pub const MASK: &str = "<secret>";

impl Drop for Secret {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_unread: false,
        }
    }

    /// In place of one that was not read: for commands that send none.
    fn unread() -> Self {
        Self {
            text: "not read".to_owned(),
            is_unread: true,
        }
    }

    /// Nothing can be said of its content.
    pub fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

/// A value that may stand inline, or a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MaybeSecret {
    Plain(String),
    Secret(Secret),
}

impl MaybeSecret {
    pub fn reveal(&self) -> &str {
        match self {
            MaybeSecret::Plain(text) => text,
            MaybeSecret::Secret(secret) => secret.reveal(),
        }
    }

    pub fn is_unread(&self) -> bool {
        match self {
            MaybeSecret::Plain(_) => false,
            MaybeSecret::Secret(secret) => secret.is_unread(),
        }
    }

    /// The text, or the mask.
    pub fn shown(&self) -> &str {
        match self {
            MaybeSecret::Plain(text) => text,
            MaybeSecret::Secret(_) => MASK,
        }
    }
}

/// Reads `{ file = "..." }`, `{ env = "..." }` or `{ credential = "..." }`. An inline text is
/// refused.
pub fn secret(item: &Item, inputs: &dyn ConfigInputs) -> Option<Secret> {
    const ADVICE: &str =
        "Write { file = \"/path\" }, { env = \"NAME\" } or { credential = \"name\" }.";
    if !matches!(item.value, DeValue::Table(_)) {
        item.source.hide(&item.span);
        item.fault(
            problem!(
                "`{}` is a secret and must not be written in the config",
                item.path
            ),
            ADVICE,
        );
        return None;
    }
    let section = item.section()?;
    let found: Vec<(&str, Item)> = ["file", "env", "credential"]
        .into_iter()
        .filter_map(|k| section.item(k).map(|i| (k, i)))
        .collect();
    section.end();
    let [(from, place)] = found.as_slice() else {
        item.fault(
            problem!("`{}` names no single source of its secret", item.path),
            ADVICE,
        );
        return None;
    };
    let name = place.text()?;
    if inputs.leaves_unread(&item.path, (from, &name)) {
        return Some(Secret::unread());
    }
    let text = from_source(from, &name, place.source, inputs);
    let text = text.map(Zeroizing::new);
    match text
        .as_ref()
        .map(|text| text.trim_end_matches(['\r', '\n']))
    {
        // As a file is that was cut while it was written.
        Ok(text) if text.chars().all(|c| c.is_whitespace() || c == '\0') => {
            place.fault(
                problem!("the secret `{}` is empty", item.path),
                "Write the secret into its source, or remove the key.",
            );
            None
        }
        Ok(text) => Some(Secret::new(text)),
        Err(why) => {
            place.fault(
                problem!("the secret `{}` cannot be read: {why}", item.path),
                "Make it readable for the daemon's user, and run check as that user. A relative \
                    path begins at the folder of this file.",
            );
            None
        }
    }
}

/// The text of a secret, or why it cannot be had.
fn from_source(
    from: &str,
    name: &str,
    config: &Source,
    inputs: &dyn ConfigInputs,
) -> Result<String, String> {
    let read = |path: PathBuf| {
        let text = inputs.read_secret(&path);
        text.map_err(|why| format!("{}: {why}", path.display()))
    };
    match from {
        "file" => read(config.beside(name)),
        "env" => inputs
            .environment(name)
            .ok_or_else(|| format!("the environment has no {name}")),
        _ => match inputs.credentials() {
            Some(directory) => read(directory.join(name)),
            None => Err(
                "there is no $CREDENTIALS_DIRECTORY: the service manager gave no credentials"
                    .into(),
            ),
        },
    }
}

/// An inline text, or a secret from its source.
pub fn maybe_secret(item: &Item, inputs: &dyn ConfigInputs) -> Option<MaybeSecret> {
    match item.value {
        DeValue::Table(_) => secret(item, inputs).map(MaybeSecret::Secret),
        _ => item.text().map(MaybeSecret::Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_wiped_when_it_goes() {
        // What a buffer holds after its end cannot be read without unsafe code: that it is wiped is
        // a matter of types.
        fn is_wiped<T: ZeroizeOnDrop>(_: &T) {}
        is_wiped(&Secret::new("planted"));
        assert!(std::mem::needs_drop::<Secret>());
    }
}
