//! No crate of the lock file has an advisory against its version, or is without a maintainer, or
//! needs a newer Rust than the README says.
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

/// Major, minor and patch of a version of Rust, which may lack the last.
fn version_of_rust(text: &str) -> Version {
    let full = match text.matches('.').count() {
        1 => format!("{text}.0"),
        _ => text.to_owned(),
    };
    Version::parse(&full).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The crates of `cargo metadata` that ask for a newer Rust than the program itself does.
fn newer_than_ours(metadata: &serde_json::Value, ours: &str) -> Vec<String> {
    let packages = metadata["packages"].as_array().expect("packages");
    let newer = packages.iter().filter(|package| {
        let asked = package["rust_version"].as_str();
        asked.is_some_and(|asked| version_of_rust(asked) > version_of_rust(ours))
    });
    newer
        .map(|package| format!("{} {}", package["name"], package["rust_version"]))
        .collect()
}

#[test]
fn the_rust_that_the_readme_asks_for_is_enough_for_every_crate() {
    let manifest: toml::Table = include_str!("../Cargo.toml").parse().expect("a manifest");
    let ours = manifest["package"]["rust-version"]
        .as_str()
        .expect("a version");
    let readme = include_str!("../README.md");
    assert!(readme.contains(&format!("Rust ({ours} or newer)")));
    let page = include_str!("../docs/installation.md");
    assert!(page.contains(&format!("The oldest Rust that builds it is {ours},")));
    // Of the system that it is built for: others need crates that are not on this machine.
    let rustc = std::process::Command::new("rustc").arg("-vV").output();
    let said = String::from_utf8(rustc.expect("rustc runs").stdout).expect("text");
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    let asked = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .args(["--filter-platform", host.expect("a host")])
        .output()
        .expect("cargo runs");
    assert!(
        asked.status.success(),
        "{}",
        String::from_utf8_lossy(&asked.stderr)
    );
    let metadata = serde_json::from_slice(&asked.stdout).expect("JSON");
    assert_eq!(newer_than_ours(&metadata, ours), [""; 0]);
}

#[test]
fn a_crate_that_needs_a_newer_rust_would_be_named() {
    let metadata = serde_json::json!({"packages": [
        {"name": "of-today", "rust_version": "1.91"},
        {"name": "of-then", "rust_version": "1.89.9"},
        {"name": "silent", "rust_version": null},
        {"name": "a-patch", "rust_version": "1.90.1"},
    ]});
    assert_eq!(
        newer_than_ours(&metadata, "1.90"),
        ["\"of-today\" \"1.91\"", "\"a-patch\" \"1.90.1\""]
    );
}
