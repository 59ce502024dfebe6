//! Bars of equal slots: how an endpoint was over a period, as paths of an SVG that is 360 wide and
//! 28 high.
//!
//! Colour is never the only sign. Time up is a band of 20, a slot with downtime stands on a foot
//! that reaches below it, unknown time hangs from above, and time out of service is a thin line.

use crate::judgement::timeline::{Span, StateSpans};
use crate::words::{Ms, UtcMs, format_utc, people};

/// Of each bar.
pub const SLOTS: usize = 90;
/// Of one slot.
const WIDTH: usize = 4;
/// The band of time up.
const TOP: u64 = 4;
const BOTTOM: u64 = 24;
/// What a slot shows at least of time that was down or unknown.
const LEAST: u64 = 6;

/// How an endpoint was over a period.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// The path of time up.
    pub up: String,
    /// The path of time that is not served or not settled.
    pub none: String,
    /// What was down or unknown, each with a text.
    pub marks: Vec<Mark>,
    /// All of it in words.
    pub label: String,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Mark {
    pub class: &'static str,
    pub path: String,
    pub text: String,
}

/// What a bar covers: a choice of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BarSpan {
    Hour,
    #[default]
    Day,
    Month,
    Quarter,
    Year,
}

impl BarSpan {
    pub const WORDS: [(&'static str, BarSpan); 5] = [
        ("hour", BarSpan::Hour),
        ("day", BarSpan::Day),
        ("month", BarSpan::Month),
        ("quarter", BarSpan::Quarter),
        ("year", BarSpan::Year),
    ];

    /// As people say it.
    pub fn text(self) -> &'static str {
        match self {
            BarSpan::Hour => "last hour",
            BarSpan::Day => "last 24 hours",
            BarSpan::Month => "last 30 days",
            BarSpan::Quarter => "last 90 days",
            BarSpan::Year => "last 360 days",
        }
    }

    /// Slots of whole minutes end at the next minute, hours at the next hour, and so on.
    pub fn period(self, now: UtcMs) -> Span {
        let slot = self.slot();
        let step = match self {
            BarSpan::Hour => 40_000,
            BarSpan::Day => 60_000,
            BarSpan::Month => 3_600_000,
            BarSpan::Quarter | BarSpan::Year => 86_400_000,
        };
        let end = (now.div_euclid(step) + 1) * step;
        Span::new(end - slot * SLOTS as i64, end)
    }

    fn slot(self) -> i64 {
        match self {
            BarSpan::Hour => 40_000,
            BarSpan::Day => 16 * 60_000,
            BarSpan::Month => 8 * 3_600_000,
            BarSpan::Quarter => 86_400_000,
            BarSpan::Year => 4 * 86_400_000,
        }
    }
}

/// What one slot holds, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    span: Span,
    covered: Ms,
    down: Ms,
    unknown: Ms,
}

impl Slot {
    fn is_all(&self, part: Ms) -> bool {
        part > 0 && part == self.covered
    }

    /// As the next one, so that both are one mark.
    fn goes_on(&self, next: &Slot) -> bool {
        self.is_all(self.down) && next.is_all(next.down)
            || self.is_all(self.unknown) && next.is_all(next.unknown)
    }
}

pub fn bar(spans: &StateSpans, period: Span) -> Bar {
    let slots = slots(spans, period);
    let mut made = Bar {
        label: label(&slots),
        ..Bar::default()
    };
    for (from, to) in runs(&slots, |a, b| has_up(a) == has_up(b)) {
        let path = if has_up(&slots[from]) {
            &mut made.up
        } else {
            continue;
        };
        rectangle(path, (from, to), TOP, BOTTOM);
    }
    for (from, to) in runs(&slots, |a, b| (a.covered > 0) == (b.covered > 0)) {
        if slots[from].covered == 0 {
            rectangle(&mut made.none, (from, to), 13, 15);
        }
    }
    for (from, to) in runs(&slots, Slot::goes_on) {
        made.marks.extend(marks(&slots[from..to], (from, to)));
    }
    made
}

fn has_up(slot: &Slot) -> bool {
    slot.covered > slot.down + slot.unknown
}

fn slots(spans: &StateSpans, period: Span) -> Vec<Slot> {
    let length = (period.to - period.from) / SLOTS as i64;
    (0..SLOTS as i64)
        .map(|k| {
            let span = Span::new(period.from + k * length, period.from + (k + 1) * length);
            Slot {
                span,
                covered: spans.covered.cut(span).length(),
                down: spans.down.cut(span).length(),
                unknown: spans.unknown.cut(span).length(),
            }
        })
        .collect()
}

/// Where neighbours belong together, as `[from, to)`.
fn runs(slots: &[Slot], together: impl Fn(&Slot, &Slot) -> bool) -> Vec<(usize, usize)> {
    let mut list = Vec::new();
    let mut from = 0;
    for k in 1..=slots.len() {
        if k == slots.len() || !together(&slots[k - 1], &slots[k]) {
            list.push((from, k));
            from = k;
        }
    }
    list
}

fn rectangle(path: &mut String, (from, to): (usize, usize), top: u64, bottom: u64) {
    use std::fmt::Write;
    let (x, height) = (from * WIDTH, bottom - top);
    let width = (to - from) * WIDTH;
    let _ = write!(path, "M{x} {top}h{width}v{height}h-{width}z");
}

/// Down before unknown, each by its share of the slot.
fn marks(run: &[Slot], at: (usize, usize)) -> Vec<Mark> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return Vec::new();
    };
    let sum = |part: fn(&Slot) -> Ms| run.iter().map(part).sum::<Ms>();
    let (covered, down, unknown) = (sum(|s| s.covered), sum(|s| s.down), sum(|s| s.unknown));
    let share = |part: Ms, of: u64| LEAST + (of - LEAST) * part / covered.max(1);
    let mut list = Vec::new();
    let mut push = |class, part: Ms, (top, bottom)| {
        let mut path = String::new();
        rectangle(&mut path, at, top, bottom);
        list.push(Mark {
            class,
            path,
            text: format!(
                "{} to {} UTC: {class} {}",
                short(first.span.from),
                short(last.span.to),
                people::duration(part)
            ),
        });
    };
    if unknown > 0 {
        push(
            "unknown",
            unknown,
            (TOP, TOP + share(unknown, BOTTOM - TOP)),
        );
    }
    if down > 0 {
        push("down", down, (28 - share(down, 28), 28));
    }
    list
}

/// `11-01 12:00`.
fn short(at: UtcMs) -> String {
    format_utc(at)[5..16].replace('T', " ")
}

fn label(slots: &[Slot]) -> String {
    let sum = |part: fn(&Slot) -> Ms| slots.iter().map(part).sum::<Ms>();
    let (covered, down, unknown) = (sum(|s| s.covered), sum(|s| s.down), sum(|s| s.unknown));
    match (covered, down, unknown) {
        (0, ..) => "nothing settled yet".to_owned(),
        (up, 0, 0) => format!("up {}", people::duration(up)),
        _ => format!(
            "up {}, down {}, unknown {}",
            people::duration(covered - down - unknown),
            people::duration(down),
            people::duration(unknown)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::timeline::Spans;

    fn spans(covered: (i64, i64), down: &[(i64, i64)], unknown: &[(i64, i64)]) -> StateSpans {
        let of = |list: &[(i64, i64)]| {
            Spans::new(
                list.iter()
                    .map(|(from, to)| Span::new(*from, *to))
                    .collect(),
            )
        };
        StateSpans {
            covered: of(&[covered]),
            down: of(down),
            unknown: of(unknown),
            ..StateSpans::default()
        }
    }

    const PERIOD: Span = Span {
        from: 0,
        to: 90_000,
    };

    #[test]
    fn time_up_is_one_rectangle_and_what_is_not_served_a_line() {
        let bar = bar(&spans((10_000, 90_000), &[], &[]), PERIOD);
        assert_eq!(bar.up, "M40 4h320v20h-320z");
        assert_eq!(bar.none, "M0 13h40v2h-40z");
        assert_eq!((bar.marks.len(), bar.label.as_str()), (0, "up 80 s"));
    }

    #[test]
    fn a_short_outage_shows_and_a_long_one_is_one_mark() {
        let down = [(5_500, 5_501), (20_000, 30_000)];
        let bar = bar(&spans((0, 90_000), &down, &[]), PERIOD);
        // A millisecond of a second: the least that shows. The band of time up goes on.
        assert_eq!(bar.marks[0].path, "M20 22h4v6h-4z");
        assert_eq!(
            bar.marks[0].text,
            "01-01 00:00 to 01-01 00:00 UTC: down 1 ms"
        );
        assert_eq!(bar.marks[1].path, "M80 0h40v28h-40z");
        assert_eq!(
            bar.marks[1].text,
            "01-01 00:00 to 01-01 00:00 UTC: down 10 s"
        );
        assert_eq!(bar.up, "M0 4h80v20h-80zM120 4h240v20h-240z");
        assert_eq!(bar.label, "up 80 s, down 10 s, unknown 0 s");
    }

    #[test]
    fn a_slot_may_be_up_unknown_and_down() {
        let bar = bar(&spans((0, 90_000), &[(500, 750)], &[(0, 500)]), PERIOD);
        let classes: Vec<&str> = bar.marks.iter().map(|m| m.class).collect();
        assert_eq!(classes, ["unknown", "down"]);
        assert_eq!(bar.marks[0].path, "M0 4h4v13h-4z");
        assert_eq!(bar.marks[1].path, "M0 17h4v11h-4z");
        assert_eq!(bar.up, "M0 4h360v20h-360z");
    }

    #[test]
    fn nothing_settled_is_said() {
        let bar = bar(&StateSpans::default(), PERIOD);
        assert_eq!(bar.label, "nothing settled yet");
        assert_eq!(
            (bar.up.as_str(), bar.none.as_str()),
            ("", "M0 13h360v2h-360z")
        );
    }

    #[test]
    fn a_bar_ends_with_the_present_slot() {
        let now = 1_800_000_000_123;
        for (_, span) in BarSpan::WORDS {
            let period = span.period(now);
            assert!(period.from < now && now < period.to, "{span:?}");
            assert_eq!((period.to - period.from) % SLOTS as i64, 0, "{span:?}");
        }
    }
}
