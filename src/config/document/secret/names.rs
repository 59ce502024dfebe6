//! Names that say that a secret follows: of headers, parameters and keys.

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
