//! No crate of the lock file has an advisory against its version, or is without a maintainer.
//!
//! Held against tests/supply/advisories.tsv, whose first line says of when it is. That the registry
//! has taken no version back is looked at by `.ci/run`.

use semver::{Version, VersionReq};

/// Advisories that do not concern us, each with its reason.
const ACCEPTED: &[(&str, &str)] = &[];

struct Advisory<'t> {
    package: &'t str,
    id: &'t str,
    kind: &'t str,
    /// Versions with the fault mended, and those that never had it.
    fine: Vec<VersionReq>,
}

impl Advisory<'_> {
    fn concerns(&self, version: &Version) -> bool {
        !self.fine.iter().any(|range| range.matches(version))
    }
}

fn advisories(table: &str) -> Vec<Advisory<'_>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut fields = line.split('\t');
            let mut next = || {
                fields
                    .next()
                    .unwrap_or_else(|| panic!("five fields: {line}"))
            };
            let (package, id, kind, patched, unaffected) = (next(), next(), next(), next(), next());
            let ranges = patched
                .split("; ")
                .chain(unaffected.split("; "))
                .filter(|range| !range.is_empty());
            let fine = ranges
                .map(|range| {
                    VersionReq::parse(range).unwrap_or_else(|e| panic!("{id}: {range}: {e}"))
                })
                .collect();
            Advisory {
                package,
                id,
                kind,
                fine,
            }
        })
        .collect()
}

/// What is wrong with the crates of a lock file.
fn faults(lock: &str, table: &str) -> Vec<String> {
    let lock: toml::Table = lock.parse().expect("a lock file");
    let known = advisories(table);
    let mut faults = Vec::new();
    for package in lock["package"].as_array().expect("packages") {
        let (name, version) = (
            package["name"].as_str().expect("a name"),
            package["version"].as_str().expect("a version"),
        );
        let version = Version::parse(version).expect("a version");
        for advisory in known.iter().filter(|a| {
            a.package == name && a.concerns(&version) && !ACCEPTED.iter().any(|(id, _)| *id == a.id)
        }) {
            faults.push(format!(
                "{name} {version}: {} ({})",
                advisory.id, advisory.kind
            ));
        }
    }
    faults
}

#[test]
fn no_crate_that_we_build_on_has_an_advisory_against_it() {
    let faults = faults(
        include_str!("../Cargo.lock"),
        include_str!("supply/advisories.tsv"),
    );
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(ACCEPTED.iter().all(|(_, reason)| !reason.is_empty()));
}

#[test]
fn a_vulnerable_and_an_unmaintained_crate_would_be_named() {
    let lock = "[[package]]\nname = \"h2\"\nversion = \"0.3.16\"\n[[package]]\nname \
        = \"instant\"\nversion = \"0.1.13\"\n[[package]]\nname = \"h2\"\nversion = \"0.4.15\"\n";
    let found = faults(lock, include_str!("supply/advisories.tsv"));
    assert!(
        found.contains(&"h2 0.3.16: RUSTSEC-2023-0034 (vulnerability)".to_owned()),
        "{found:?}"
    );
    assert!(
        found.contains(&"instant 0.1.13: RUSTSEC-2024-0384 (unmaintained)".to_owned()),
        "{found:?}"
    );
    assert!(
        !found.iter().any(|fault| fault.starts_with("h2 0.4.15")),
        "{found:?}"
    );
}
