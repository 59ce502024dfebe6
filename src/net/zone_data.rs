//! The system's copy of the IANA time zone database: where it is, and which release it is.

use std::path::PathBuf;

use jiff::tz::TimeZoneDatabase;

use crate::judgement::zones::Zones;

/// Where systems keep it, unless `TZDIR` says otherwise.
const DIRECTORIES: [&str; 3] = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"];
/// A release is told in the first line of a file; more of it is not read.
const FIRST_LINE: u64 = 200;

fn directory() -> Option<PathBuf> {
    match std::env::var_os("TZDIR").map(PathBuf::from) {
        Some(named) => Some(named),
        None => DIRECTORIES.iter().map(PathBuf::from).find(|d| d.is_dir()),
    }
    .filter(|d| d.is_dir())
}

/// The system's release, without reading its zones; `None` where there is no copy or it does not
/// say.
pub fn system_release() -> Option<String> {
    release_in(&directory()?)
}

fn release_in(directory: &std::path::Path) -> Option<String> {
    use std::io::Read;
    ["tzdata.zi", "+VERSION"].iter().find_map(|name| {
        let file = std::fs::File::open(directory.join(name)).ok()?;
        // Cut in the middle of a letter it would be no text; a release is ASCII.
        let mut bytes = Vec::new();
        file.take(FIRST_LINE).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let first = text.lines().next()?.trim();
        let release = first.strip_prefix("# version ").unwrap_or(first).trim();
        let is_release = release.len() <= 20
            && release.starts_with(|c: char| c.is_ascii_digit())
            && release
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        is_release.then(|| release.to_owned())
    })
}

/// The system's copy.
pub fn system() -> Result<Zones, String> {
    let directory = directory().ok_or_else(|| {
        format!(
            "there is no time zone database in {} nor where TZDIR says",
            DIRECTORIES.join(", ")
        )
    })?;
    let database = TimeZoneDatabase::from_dir(&directory).map_err(|e| e.to_string())?;
    if database.is_definitively_empty() {
        return Err(format!(
            "there are no time zones in {}",
            directory.display()
        ));
    }
    Ok(Zones::of_system(
        release_in(&directory).unwrap_or_else(|| "unknown".into()),
        database,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_from_either_file_and_nothing_else_is_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let told = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("written");
            release_in(directory.path())
        };
        assert_eq!(told("+VERSION", "2025c\n"), Some("2025c".into()));
        assert_eq!(
            told(
                "tzdata.zi",
                "# version 2026f\n# This zic input file is in the public domain.\n"
            ),
            Some("2026f".into())
        );
        assert_eq!(
            told("tzdata.zi", "# redo posix_only\n"),
            Some("2025c".into()),
            "the other file says it"
        );
        assert_eq!(told("+VERSION", "\u{1b}[31m2025c"), None);
    }
}
