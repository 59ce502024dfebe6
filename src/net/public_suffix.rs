//! The public suffix list: what of a name anybody may register below.

/// The suffix below which a name is registered: `co.uk` of `shop.example.co.uk`. The name is in
/// lower case and has no dot at its end.
pub fn public_suffix(name: &str) -> Option<&str> {
    // The only call: each further one would bring another copy of the list, 0.7 MB of code.
    psl::suffix_str(name)
}

/// What somebody registered: `example.co.uk` of `shop.example.co.uk`. A public suffix and a name of
/// one label have none.
pub fn registrable_domain(name: &str) -> Option<&str> {
    let suffix = public_suffix(name)?;
    let before = name.strip_suffix(suffix)?.strip_suffix('.')?;
    let label = before.rsplit('.').next()?;
    (!label.is_empty()).then(|| &name[before.len() - label.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_and_what_is_registered_below_them() {
        for (name, suffix, domain) in [
            ("shop.example.co.uk", Some("co.uk"), Some("example.co.uk")),
            ("example.com", Some("com"), Some("example.com")),
            ("co.uk", Some("co.uk"), None),
            ("com", Some("com"), None),
            (
                "a.b.example.github.io",
                Some("github.io"),
                Some("example.github.io"),
            ),
            // Not on the list: the last label counts.
            ("db.internal", Some("internal"), Some("db.internal")),
            ("localhost", Some("localhost"), None),
            ("..com", Some("com"), None),
            ("", None, None),
        ] {
            assert_eq!(public_suffix(name), suffix, "{name}");
            assert_eq!(registrable_domain(name), domain, "{name}");
        }
    }
}
