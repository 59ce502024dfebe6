//! When the program was built: no date before it is in the future. SOURCE_DATE_EPOCH makes builds
//! reproducible.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rerun-if-changed=build.rs");
    let given = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    #[expect(
        clippy::disallowed_methods,
        reason = "a build script has no other clock"
    )]
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    println!(
        "cargo:rustc-env=PROBITY_BUILT_AT={}",
        given.unwrap_or_else(now)
    );
}
