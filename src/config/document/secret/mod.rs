//! Secrets: never inline, read once, never printed.

pub mod by_host;
mod encoded;
mod fillers;
pub mod mask;
mod pieces;
pub mod spelling;

use std::path::Path;

use super::source::Surroundings;
use super::tree::Item;
use toml::de::DeValue;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A text that no surface may show. `Debug` and every printer give `<secret>`. Its memory is wiped
/// when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What stands in place of a secret.
pub const MASK: &str = "<secret>";

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
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
pub fn secret(item: &Item, surroundings: &dyn Surroundings) -> Option<Secret> {
    const ADVICE: &str =
        "Write { file = \"/path\" }, { env = \"NAME\" } or { credential = \"name\" }.";
    if !matches!(item.value, DeValue::Table(_)) {
        item.fault(
            format!(
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
            format!("`{}` names no single source of its secret", item.path),
            ADVICE,
        );
        return None;
    };
    let name = place.text()?;
    let text = match *from {
        "file" => surroundings
            .read_secret(Path::new(&name))
            .map_err(|why| format!("{name}: {why}")),
        "env" => surroundings
            .environment(&name)
            .ok_or_else(|| format!("the environment has no {name}")),
        _ => match surroundings.credentials() {
            Some(directory) => surroundings
                .read_secret(&directory.join(&name))
                .map_err(|why| format!("{}: {why}", directory.join(&name).display())),
            None => Err(
                "there is no $CREDENTIALS_DIRECTORY: the service manager gave no credentials"
                    .into(),
            ),
        },
    };
    let text = text.map(Zeroizing::new);
    match text
        .as_ref()
        .map(|text| text.trim_end_matches(['\r', '\n']))
    {
        // As a file is that was cut while it was written.
        Ok(text) if text.chars().all(|c| c.is_whitespace() || c == '\0') => {
            place.fault(
                format!("the secret `{}` is empty", item.path),
                "Write the secret into its source, or remove the key.",
            );
            None
        }
        Ok(text) => Some(Secret::new(text)),
        Err(why) => {
            place.fault(
                format!("the secret `{}` cannot be read: {why}", item.path),
                "Make it readable for the daemon's user, or name another source; a relative path \
                    is relative to the daemon's working directory.",
            );
            None
        }
    }
}

/// An inline text, or a secret from its source.
pub fn maybe_secret(item: &Item, surroundings: &dyn Surroundings) -> Option<MaybeSecret> {
    match item.value {
        DeValue::Table(_) => secret(item, surroundings).map(MaybeSecret::Secret),
        _ => item.text().map(MaybeSecret::Plain),
    }
}

/// Whether a header or a query parameter of this name usually holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    const INSIDE: [&str; 10] = [
        "token",
        "secret",
        "passw",
        "passphrase",
        "passcode",
        "apikey",
        "signature",
        "credential",
        "authorization",
        "sessionid",
    ];
    const WORDS: [&str; 18] = [
        "key",
        "sig",
        "auth",
        "pwd",
        "cookie",
        "session",
        "jwt",
        "bearer",
        "pass",
        "pw",
        "pin",
        "otp",
        "totp",
        "psk",
        "sid",
        "sessid",
        "phpsessid",
        "userpass",
    ];
    // `userPass` is `user_pass`; `sortKey` is no `key`, and was none before.
    const HUMPS: [&str; 5] = ["Pass", "Pwd", "Pin", "Otp", "Sid"];
    let ends_in_a_hump = HUMPS
        .iter()
        .filter_map(|hump| name.strip_suffix(hump))
        .any(|before| before.ends_with(|c: char| c.is_ascii_lowercase()));
    let name = name.to_ascii_lowercase();
    ends_in_a_hump
        || INSIDE.iter().any(|part| name.contains(part))
        || name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| WORDS.contains(&word))
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

    #[test]
    fn names_of_secrets_are_known_and_words_that_hold_one_are_not() {
        for name in [
            "pass",
            "user_pass",
            "userPass",
            "pw",
            "pin",
            "otp",
            "sid",
            "sessionid",
            "sessionId",
            "x-pass",
            "x-sessionid",
            "x-otp",
            "JSESSIONID",
            "PHPSESSID",
            "connect.sid",
            "x-api-key",
            "passphrase",
            "passcode",
            "X-Session",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "passenger",
            "bypass",
            "compass",
            "pinned",
            "shipping",
            "spin",
            "side",
            "inside",
            "sidebar",
            "sortKey",
            "monkey",
            "keyboard",
            "power",
            "options",
            "stopPin2",
            "passive",
            "content-type",
            "accept",
            "page",
            "q",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
