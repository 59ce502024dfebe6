//! The words of a contract, as the config has them. They are read and printed by the same lists.

use jiff::civil::Weekday;

use crate::judgement::sla::contract::*;

/// Days of the week as contracts and maintenance windows write them.
pub(in crate::config) const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];
pub(in crate::config) const UNKNOWN: [(&str, Unknown); 3] = [
    ("exclude", Unknown::Exclude),
    ("up", Unknown::Up),
    ("down", Unknown::Down),
];
pub(in crate::config) const BEFORE_IN_SERVICE: [(&str, BeforeInService); 2] = [
    ("exclude", BeforeInService::Exclude),
    ("as_up", BeforeInService::AsUp),
];
/// Whether outages count in whole minutes.
pub(in crate::config) const OUTAGE_COUNT: [(&str, bool); 2] =
    [("whole", false), ("whole_minutes", true)];
pub(in crate::config) const TREAT: [(&str, Treat); 3] = [
    ("exclude", Treat::Exclude),
    ("as_up", Treat::AsUp),
    ("count", Treat::Count),
];
pub(in crate::config) const ANNOUNCEMENT: [(&str, Announcement); 2] = [
    ("recorded", Announcement::Recorded),
    ("claimed", Announcement::Claimed),
];
pub(in crate::config) const MEASURED_FROM: [(&str, MeasuredFrom); 2] = [
    ("target", MeasuredFrom::Target),
    ("100", MeasuredFrom::Hundred),
];
pub(in crate::config) const AGGREGATE: [(&str, Aggregate); 2] = [
    ("per_outage", Aggregate::PerOutage),
    ("period", Aggregate::Period),
];

/// The word of a value.
pub(in crate::config) fn word_of<T: PartialEq>(
    words: &[(&'static str, T)],
    value: &T,
) -> &'static str {
    let found = words.iter().find(|(_, one)| one == value);
    found.map_or("", |(word, _)| word)
}
