//! Whether this host's calendar may be held against a certificate.
//!
//! A certificate that is expired, or not valid yet, by a wrong clock is no fault of its endpoint. A
//! verdict that rests on the date needs something that vouches for the clock: the kernel's
//! synchronisation state (adjtimex), an unbroken run since it was last synchronised, or, against
//! "expired", another certificate of at most 400 days that is valid by the same clock. Dates before
//! the build of this program are past whatever the clock says. docs/decisions/021-clock.md has the
//! cases.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::clock::{Clock, NS_PER_MS};
use super::sys::{self, KernelSync};
use crate::config::plan::ClockChoice;
use crate::words::{UtcMs, format_utc};

/// When this program was built, in seconds of UTC.
const BUILT_AT: &str = env!("PROBITY_BUILT_AT");
const DAY: i64 = 86_400;
const HOUR_NS: u64 = 3_600_000_000_000;
/// Certificates with a longer life say little about the clock: a private authority issues some for
/// decades.
const TELLING_LIFETIME: i64 = 400 * DAY;
/// An unsynchronised clock runs on this well: 5 s, and 500 ppm of the time since.
const DRIFT_NS: u64 = 5_000_000_000;
/// A clock that was set by more than this is not believed for a while, whoever set it.
const STEP_NS: u64 = HOUR_NS;
const STEP_S: i64 = 3600;
const AFTER_STEP_NS: u64 = 120_000_000_000;
/// Failures that begin within this time began at once.
const AT_ONCE_NS: u64 = 600_000_000_000;
/// Failing certificates that are remembered.
const FAILING_LIMIT: usize = 1000;
const OF_ONE_HOST: usize = 4;

const LATER_IN_HISTORY: &str = "its own history has a later time";

/// What systemd-timesyncd touches at each synchronisation, the time of its file being the clock's.
const TIMESYNC_FILE: &str = "/run/systemd/timesync/synchronized";
/// It asks at least every 34 minutes.
const TIMESYNC_FRESH_S: u64 = 7200;

/// The kernel's word; where a sandbox keeps us from asking it, that of systemd-timesyncd.
fn by_the_system() -> KernelSync {
    let state = sys::kernel_sync();
    if state != KernelSync::Unavailable {
        return state;
    }
    let touched = std::fs::metadata(TIMESYNC_FILE).map(|file| file.mtime());
    match touched {
        Ok(at) if at.abs_diff(Point::now().utc_seconds()) < TIMESYNC_FRESH_S => {
            KernelSync::Synchronised
        }
        Ok(_) | Err(_) => KernelSync::Unavailable,
    }
}

/// On which side of the date a certificate is. Seconds of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Valid no more after this instant; also the instant from which on it counts as expiring.
    Expired {
        not_after: i64,
    },
    NotYetValid {
        not_before: i64,
    },
}

impl Side {
    fn edge(self) -> i64 {
        match self {
            Side::Expired { not_after } => not_after,
            Side::NotYetValid { not_before } => not_before,
        }
    }

    fn is_like(self, other: Side) -> bool {
        matches!(self, Side::Expired { .. }) == matches!(other, Side::Expired { .. })
    }
}

/// A certificate, and who showed it: a hash of the host that the endpoint of the config is at,
/// whose certificates are related.
pub type Shown<'c> = (u64, &'c str);

struct Failing {
    whose: u64,
    certificate: String,
    side: Side,
    /// CLOCK_BOOTTIME.
    since: u64,
}

/// Whether a chain was verified in this handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Anew,
    /// It was good before, and is still within its dates.
    Remembered,
}

/// What vouches for the clock of one daemon.
pub struct ClockTrust {
    kernel: fn() -> KernelSync,
    /// Seconds of UTC.
    built_at: i64,
    is_trusted: AtomicBool,
    seen: Mutex<ClockEvidence>,
}

#[derive(Default)]
struct ClockEvidence {
    /// The newest time of the history when this process began, in seconds of UTC.
    newest_recorded: Option<i64>,
    /// CLOCK_BOOTTIME since which the kernel vouches for a clock that is clearly before that.
    behind_since: Option<u64>,
    /// CLOCK_REALTIME minus CLOCK_BOOTTIME when the clock was last vouched for, and when that was.
    vouched: Option<Point>,
    stepped_at: Option<u64>,
    last_offset: Option<i128>,
    /// The last two certificates that were valid and say something about the clock.
    valid: [Option<(String, Point)>; 2],
    /// Certificates that this process has seen valid.
    once_valid: HashSet<String>,
    failing: Vec<Failing>,
    /// The history says that certificates failed on this side before this process began.
    known_failing: bool,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    offset_ns: i128,
    boot_ns: u64,
}

impl Point {
    fn now() -> Self {
        let reading = Clock::Real.read();
        Self {
            offset_ns: i128::from(reading.utc_ms) * i128::from(NS_PER_MS)
                - i128::from(reading.boot_ns),
            boot_ns: reading.boot_ns,
        }
    }

    /// The clock has run on from there without having been set.
    fn leads_to(self, now: Point) -> bool {
        let elapsed = now.boot_ns.saturating_sub(self.boot_ns);
        now.offset_ns.abs_diff(self.offset_ns) <= u128::from(DRIFT_NS + elapsed / 2000)
    }

    fn utc_seconds(self) -> i64 {
        ((self.offset_ns + i128::from(self.boot_ns)) / 1_000_000_000) as i64
    }
}

impl Default for ClockTrust {
    fn default() -> Self {
        Self::by(by_the_system)
    }
}

impl ClockTrust {
    /// With the kernel's state as this tells it.
    pub fn by(kernel: fn() -> KernelSync) -> Self {
        let built_at = BUILT_AT.parse().unwrap_or(0);
        Self {
            kernel,
            built_at,
            is_trusted: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// Who vouches, as the config has it.
    pub fn choose(&self, choice: ClockChoice) {
        self.is_trusted
            .store(choice == ClockChoice::Trusted, Ordering::Relaxed);
    }

    /// The newest time of the history when the daemon starts.
    pub fn recorded(&self, newest_ms: UtcMs) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.newest_recorded = Some(newest_ms / 1000);
    }

    /// The history has an outage open because of a date: that certificates fail is nothing new.
    pub fn has_date_outage(&self) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .known_failing = true;
    }

    /// Looks at the kernel's state; called every few seconds, so that it is known when the clock
    /// was last vouched for.
    pub fn look(&self) -> KernelSync {
        let state = (self.kernel)();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.note(state, Point::now());
        state
    }

    /// A certificate was verified and is valid now. `lifetime` in seconds.
    pub fn valid(&self, (whose, certificate): Shown, lifetime: i64, found: Found) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found == Found::Anew && seen.once_valid.len() < 100_000 {
            seen.once_valid.insert(certificate.to_owned());
            seen.failing
                .retain(|f| f.certificate != certificate && f.whose != whose);
        }
        if lifetime > TELLING_LIFETIME {
            return;
        }
        let now = Point::now();
        let at = seen
            .valid
            .iter()
            .position(|v| v.as_ref().is_some_and(|(known, _)| known == certificate));
        match at {
            Some(at) => {
                if let Some((_, point)) = &mut seen.valid[at] {
                    *point = now;
                }
            }
            None => {
                let oldest = usize::from(
                    seen.valid[0].as_ref().map_or(0, |(_, p)| p.boot_ns + 1)
                        > seen.valid[1].as_ref().map_or(0, |(_, p)| p.boot_ns + 1),
                );
                seen.valid[oldest] = Some((certificate.to_owned(), now));
            }
        }
    }

    /// Why the date of this host may not be held against a certificate; nothing where it may.
    pub fn doubt(&self, shown: Shown, side: Side) -> Option<String> {
        if self.is_trusted.load(Ordering::Relaxed) {
            return None;
        }
        if matches!(side, Side::Expired { not_after } if not_after < self.built_at) {
            return None;
        }
        let state = (self.kernel)();
        let now = Point::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.note(state, now);
        let why = seen.doubt(shown, side, state, now, self.built_at)?;
        let mut text = format!(
            "this host's clock says {}, and {why}",
            format_utc(now.utc_seconds() * 1000)
        );
        if seen.is_behind_the_history(now) && !text.ends_with(LATER_IN_HISTORY) {
            text = format!("{text}; {LATER_IN_HISTORY}");
        }
        Some(text)
    }
}

impl ClockEvidence {
    fn note(&mut self, state: KernelSync, now: Point) {
        if self
            .last_offset
            .is_some_and(|before| now.offset_ns.abs_diff(before) > u128::from(STEP_NS))
        {
            self.stepped_at = Some(now.boot_ns);
            self.failing.clear();
            self.behind_since = None;
        }
        self.last_offset = Some(now.offset_ns);
        if state == KernelSync::Synchronised {
            self.vouched = Some(now);
            if self.is_behind_the_history(now) {
                self.behind_since.get_or_insert(now.boot_ns);
            }
        }
    }

    /// By more than an hour: either this clock is behind, or it was ahead when that was written.
    fn is_behind_the_history(&self, now: Point) -> bool {
        self.newest_recorded
            .is_some_and(|newest| now.utc_seconds() + STEP_S < newest)
    }

    fn doubt(
        &mut self,
        shown: Shown,
        side: Side,
        state: KernelSync,
        now: Point,
        built_at: i64,
    ) -> Option<String> {
        if now.utc_seconds() < built_at - DAY {
            return Some("that is before this program was built".into());
        }
        if self
            .stepped_at
            .is_some_and(|at| now.boot_ns.saturating_sub(at) < AFTER_STEP_NS)
        {
            return Some("it was set by more than an hour within the last two minutes".into());
        }
        let is_vouched = self.vouched.is_some_and(|point| point.leads_to(now));
        if !is_vouched {
            if self.another_is_valid(shown.1, now) && matches!(side, Side::Expired { .. }) {
                return None;
            }
            return Some(match state {
                KernelSync::Unavailable => {
                    "neither the kernel, nor systemd-timesyncd, nor another \
                    certificate confirms it"
                        .into()
                }
                KernelSync::Synchronised | KernelSync::Unsynchronised => {
                    "the kernel reports it as not synchronised (adjtimex), and no other \
                        certificate confirms it"
                        .into()
                }
            });
        }
        // A clock that is behind makes no certificate expire. One that was ahead when the history
        // was written is right now: the kernel's word counts after a while.
        let is_new = |since: u64| now.boot_ns.saturating_sub(since) < AT_ONCE_NS;
        if matches!(side, Side::NotYetValid { .. })
            && self.is_behind_the_history(now)
            && self.behind_since.is_none_or(is_new)
        {
            return Some(LATER_IN_HISTORY.into());
        }
        self.all_at_once(shown, side, now)
    }

    /// A certificate that tells of the clock was valid within the last hour, by the clock as it
    /// runs.
    fn another_is_valid(&self, certificate: &str, now: Point) -> bool {
        let is_recent = |point: &Point| {
            now.boot_ns.saturating_sub(point.boot_ns) < HOUR_NS && point.leads_to(now)
        };
        self.valid
            .iter()
            .flatten()
            .any(|(known, point)| known != certificate && is_recent(point))
    }

    /// Certificates that have nothing to do with each other do not fail to the same side at once by
    /// themselves.
    fn all_at_once(
        &mut self,
        (whose, certificate): Shown,
        side: Side,
        now: Point,
    ) -> Option<String> {
        if self.once_valid.contains(certificate) || self.known_failing {
            return None;
        }
        let own = || self.failing.iter().filter(|f| f.whose == whose);
        // Whoever shows another certificate each time gains no time by it, and takes no place from
        // others.
        let first = own().map(|f| f.since).min().unwrap_or(now.boot_ns);
        if !self.failing.iter().any(|f| f.certificate == certificate)
            && own().count() < OF_ONE_HOST
            && self.failing.len() < FAILING_LIMIT
        {
            self.failing.push(Failing {
                whose,
                certificate: certificate.to_owned(),
                side,
                since: now.boot_ns,
            });
        }
        let others = self.failing.iter().filter(|f| {
            let is_unrelated = f.whose != whose
                && f.certificate != certificate
                && f.side.edge().abs_diff(side.edge()) > DAY as u64;
            is_unrelated && f.side.is_like(side) && f.since.abs_diff(first) < AT_ONCE_NS
        });
        let count = others.count();
        // A clock that the kernel vouches for and that is wrong all the same is soon set right.
        let is_lasting = now.boot_ns.saturating_sub(first) >= AT_ONCE_NS;
        (count > 0 && !is_lasting && !self.another_is_valid(certificate, now)).then(|| {
            let noun = if count == 1 {
                "another unrelated certificate fails"
            } else {
                "other unrelated certificates fail"
            };
            format!("{noun} to the same side at the same time, while none is valid")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each certificate by a host of its own.
    fn of(certificate: &str) -> Shown<'_> {
        (certificate.bytes().map(u64::from).sum(), certificate)
    }

    /// Built long ago.
    fn by(kernel: fn() -> KernelSync) -> ClockTrust {
        ClockTrust {
            built_at: 1_700_000_000,
            ..ClockTrust::by(kernel)
        }
    }

    fn synchronised() -> ClockTrust {
        by(|| KernelSync::Synchronised)
    }

    fn unsynchronised() -> ClockTrust {
        by(|| KernelSync::Unsynchronised)
    }

    fn now() -> i64 {
        Point::now().utc_seconds()
    }

    #[test]
    fn a_synchronised_clock_may_be_held_against_a_certificate() {
        assert_eq!(
            synchronised().doubt(
                of("a"),
                Side::Expired {
                    not_after: now() - 5
                }
            ),
            None
        );
        assert_eq!(
            synchronised().doubt(
                of("a"),
                Side::NotYetValid {
                    not_before: now() + 5
                }
            ),
            None
        );
    }

    #[test]
    fn a_clock_that_nothing_vouches_for_may_not() {
        for clock in [unsynchronised(), by(|| KernelSync::Unavailable)] {
            assert!(
                clock
                    .doubt(
                        of("a"),
                        Side::Expired {
                            not_after: now() - 5
                        }
                    )
                    .is_some()
            );
            assert!(
                clock
                    .doubt(
                        of("a"),
                        Side::NotYetValid {
                            not_before: now() + 5
                        }
                    )
                    .is_some()
            );
            assert_eq!(
                clock.doubt(
                    of("a"),
                    Side::Expired {
                        not_after: 1_600_000_000
                    }
                ),
                None,
                "past before this program was built"
            );
            clock.choose(ClockChoice::Trusted);
            assert_eq!(
                clock.doubt(
                    of("a"),
                    Side::NotYetValid {
                        not_before: now() + 5
                    }
                ),
                None,
                "the config vouches"
            );
        }
    }

    #[test]
    fn another_certificate_vouches_against_expired_and_no_more() {
        let clock = unsynchronised();
        clock.valid(of("a"), 90 * DAY, Found::Anew);
        assert!(
            clock
                .doubt(
                    of("a"),
                    Side::Expired {
                        not_after: now() - 5
                    }
                )
                .is_some(),
            "not for itself"
        );
        clock.valid(of("long"), 3650 * DAY, Found::Anew);
        assert!(
            clock
                .doubt(
                    of("a"),
                    Side::Expired {
                        not_after: now() - 5
                    }
                )
                .is_some(),
            "a long life says little"
        );
        clock.valid(of("b"), 90 * DAY, Found::Anew);
        assert_eq!(
            clock.doubt(
                of("a"),
                Side::Expired {
                    not_after: now() - 5
                }
            ),
            None
        );
        assert!(
            clock
                .doubt(
                    of("a"),
                    Side::NotYetValid {
                        not_before: now() + 5
                    }
                )
                .is_some(),
            "a clock that is behind shows others as valid"
        );
    }

    #[test]
    fn unrelated_certificates_that_fail_at_once_tell_of_the_clock() {
        let clock = synchronised();
        let expired = |days: i64| Side::Expired {
            not_after: now() - days * DAY,
        };
        assert_eq!(clock.doubt(of("a"), expired(3)), None, "one alone");
        assert_eq!(
            clock.doubt(of("same authority"), expired(3)),
            None,
            "the same certificate of the chain"
        );
        assert!(clock.doubt(of("b"), expired(40)).is_some());
        assert!(clock.doubt(of("a"), expired(3)).is_some());
        clock.valid(of("c"), 90 * DAY, Found::Anew);
        assert_eq!(clock.doubt(of("b"), expired(40)), None, "one is valid");
    }

    #[test]
    fn what_expired_under_our_eyes_or_had_failed_before_is_believed() {
        let clock = synchronised();
        let expired = |days: i64| Side::Expired {
            not_after: now() - days * DAY,
        };
        clock.valid(of("a"), 3650 * DAY, Found::Anew);
        assert_eq!(clock.doubt(of("b"), expired(40)), None);
        assert_eq!(
            clock.doubt(of("a"), expired(3)),
            None,
            "it was valid by this clock before"
        );
        let clock = synchronised();
        clock.has_date_outage();
        assert_eq!(
            (
                clock.doubt(of("a"), expired(3)),
                clock.doubt(of("b"), expired(40))
            ),
            (None, None),
            "the history has such an outage"
        );
    }

    #[test]
    fn failing_at_once_is_doubted_for_ten_minutes_of_a_clock_that_is_vouched_for() {
        let start = 1_800_000_000;
        let at = |boot_s: u64| Point {
            offset_ns: i128::from(start) * 1_000_000_000,
            boot_ns: boot_s * 1_000_000_000,
        };
        let expired = |days: i64| Side::Expired {
            not_after: start - days * DAY,
        };
        let mut seen = ClockEvidence::default();
        let mut doubted = |certificate: &str, days: i64, boot_s: u64| {
            seen.note(KernelSync::Synchronised, at(boot_s));
            seen.doubt(
                of(certificate),
                expired(days),
                KernelSync::Synchronised,
                at(boot_s),
                0,
            )
            .is_some()
        };
        assert!(!doubted("a", 3, 1000), "one alone");
        assert!(doubted("b", 40, 1010) && doubted("a", 3, 1020));
        assert!(
            doubted("a", 3, 1599),
            "ten minutes have not passed since it failed first"
        );
        assert!(
            !doubted("a", 3, 1600),
            "the clock was not set right: the certificate has expired"
        );
        assert!(
            doubted("b", 40, 1609) && !doubted("b", 40, 1610),
            "each by its own first failure"
        );
        assert!(
            !doubted("c", 80, 3000),
            "what begins to fail later does not fail at once with them"
        );
        assert!(!doubted("a", 3, 3000) && !doubted("b", 40, 3000));
    }

    #[test]
    fn a_clock_that_is_set_right_begins_the_ten_minutes_anew() {
        let start = 1_800_000_000;
        let at = |offset_s: i64, boot_s: u64| Point {
            offset_ns: i128::from(offset_s) * 1_000_000_000,
            boot_ns: boot_s * 1_000_000_000,
        };
        let mut seen = ClockEvidence::default();
        let mut doubted = |certificate: &str, days: i64, point: Point| {
            seen.note(KernelSync::Synchronised, point);
            seen.doubt(
                of(certificate),
                Side::Expired {
                    not_after: start - days * DAY,
                },
                KernelSync::Synchronised,
                point,
                0,
            )
            .is_some()
        };
        assert!(!doubted("a", 3, at(start, 1000)) && doubted("b", 40, at(start, 1000)));
        let set = start + 2 * 3600;
        assert!(
            doubted("a", 3, at(set, 1700)),
            "the two minutes after a step"
        );
        assert!(!doubted("a", 3, at(set, 1830)), "alone since then");
        assert!(
            doubted("b", 40, at(set, 1840)) && doubted("a", 3, at(set, 2420)),
            "at once again, counted from the step"
        );
    }

    #[test]
    fn a_clock_before_the_build_of_this_program_is_doubted_although_the_kernel_vouches() {
        let clock = ClockTrust {
            built_at: now() + 2 * DAY,
            ..synchronised()
        };
        let early = Side::NotYetValid {
            not_before: now() + 5,
        };
        let why = clock.doubt(of("a"), early).expect("a doubt");
        assert!(
            why.ends_with("that is before this program was built"),
            "{why}"
        );
        let expired = Side::Expired {
            not_after: now() - 5,
        };
        assert_eq!(clock.doubt(of("a"), expired), None, "past by any clock");
    }

    #[test]
    fn a_clock_that_is_behind_its_own_history_is_doubted_although_the_kernel_vouches() {
        let early = Side::NotYetValid {
            not_before: now() + 5,
        };
        let expired = Side::Expired {
            not_after: now() - 5,
        };
        for (ahead_s, is_doubted) in [(-60, false), (3000, false), (4000, true), (400 * DAY, true)]
        {
            let clock = synchronised();
            clock.recorded((now() + ahead_s) * 1000);
            clock.look();
            let why = clock.doubt(of("a"), early);
            assert_eq!(why.is_some(), is_doubted, "{ahead_s}: {why:?}");
            assert!(
                why.is_none_or(|why| why.ends_with("and its own history has a later time")),
                "said once"
            );
            assert_eq!(
                clock.doubt(of("b"), expired),
                None,
                "a clock that is behind makes nothing expire"
            );
        }
        let clock = unsynchronised();
        clock.recorded((now() + 4000) * 1000);
        let why = clock.doubt(of("a"), early).expect("a doubt");
        assert!(
            why.ends_with("confirms it; its own history has a later time"),
            "{why}"
        );
    }

    #[test]
    fn a_history_that_was_written_while_the_clock_was_ahead_costs_ten_minutes_and_not_its_lead() {
        let start = 1_800_000_000;
        let at = |offset_s: i64, boot_s: u64| Point {
            offset_ns: i128::from(offset_s) * 1_000_000_000,
            boot_ns: boot_s * 1_000_000_000,
        };
        let mut seen = ClockEvidence {
            newest_recorded: Some(start + 400 * DAY),
            ..ClockEvidence::default()
        };
        let mut doubted = |state: KernelSync, point: Point| {
            seen.note(state, point);
            let side = Side::NotYetValid {
                not_before: start + 30 * DAY,
            };
            seen.doubt(of("a"), side, state, point, 0).is_some()
        };
        use KernelSync::{Synchronised, Unsynchronised};
        assert!(doubted(Unsynchronised, at(start, 10)));
        assert!(doubted(Unsynchronised, at(start, 5000)), "nothing vouches");
        assert!(doubted(Synchronised, at(start, 5010)));
        assert!(doubted(Synchronised, at(start, 5609)));
        assert!(!doubted(Synchronised, at(start, 5610)), "ten minutes later");
        // Set, and still behind: the ten minutes begin anew.
        let set = start + 2 * DAY;
        assert!(doubted(Synchronised, at(set, 6000)), "just set");
        assert!(doubted(Synchronised, at(set, 6599)));
        assert!(!doubted(Synchronised, at(set, 6600)));
    }

    #[test]
    fn a_clock_that_was_set_is_not_believed_until_it_has_settled() {
        let mut seen = ClockEvidence::default();
        let at = |offset_s: i128, boot_s: u64| Point {
            offset_ns: offset_s * 1_000_000_000,
            boot_ns: boot_s * 1_000_000_000,
        };
        let start = 1_800_000_000;
        seen.note(KernelSync::Synchronised, at(start, 10));
        let side = Side::Expired {
            not_after: start as i64 + 100 * DAY,
        };
        let stepped = start + 400 * i128::from(DAY);
        seen.note(KernelSync::Synchronised, at(stepped, 20));
        assert!(
            seen.doubt(of("a"), side, KernelSync::Synchronised, at(stepped, 21), 0)
                .is_some()
        );
        seen.note(KernelSync::Unsynchronised, at(stepped, 1000));
        assert_eq!(
            seen.doubt(
                of("a"),
                side,
                KernelSync::Unsynchronised,
                at(stepped, 1000),
                0
            ),
            None,
            "it was synchronised at this time"
        );
        seen.note(KernelSync::Unsynchronised, at(start, 2000));
        assert!(
            seen.doubt(
                of("a"),
                side,
                KernelSync::Unsynchronised,
                at(start + 60, 3000),
                0
            )
            .is_some(),
            "it was set since"
        );
    }

    #[test]
    fn another_certificate_each_time_gains_a_host_no_time() {
        let clock = synchronised();
        // Valid from days ahead, each another day: one host, many certificates.
        for day in 0..100 {
            let certificate = format!("of one host, day {day}");
            let side = Side::NotYetValid {
                not_before: now() + (day + 2) * 2 * DAY,
            };
            assert_eq!(clock.doubt((7, &certificate), side), None, "day {day}");
        }
        // Of another host, one more is unrelated, and both begin at once.
        let side = Side::NotYetValid {
            not_before: now() + 1000 * DAY,
        };
        assert!(clock.doubt((8, "of another"), side).is_some());
        assert!(
            clock
                .doubt(
                    (7, "of one host, day 3"),
                    Side::NotYetValid {
                        not_before: now() + 10 * DAY
                    }
                )
                .is_some()
        );
    }
}
