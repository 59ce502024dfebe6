//! Who has a place at the listener, and who makes room when all are taken. Pure: the time is an
//! argument.
//!
//! An eighth of the places is kept for peers that `[listen] trusted` names or that took an answer
//! lately and did nothing wrong since. Room is made by a connection that waits (its head is
//! unfinished, or it is idle): the one that has waited longest, of the peer that has the most.
//! Whoever does not read could keep all places otherwise, with an address for each. So a connection
//! whose answer is late, because its reader does not take it, makes room as well, and before those
//! that wait, but not for a stranger. Where there is none of these, one that has been answered for
//! more than a second without a pause makes room for a peer of a better standing, and for an equal
//! that has no connection where its own peer has several. Requests that were sent ahead keep no
//! place from known peers: between two of them a connection makes room as one that waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::peer::{Asker, Peer, PeerStanding};
use super::refusal::Refusal;
use crate::words::Ms;

/// Peers that are remembered without a connection.
const MOST_PEERS: usize = 4096;
/// How long an answer that was taken keeps a place: longer than any usual interval of scrapes.
const GOOD_FOR_MS: Ms = 600_000;
/// A peer with more connections than this has no good manners: a scraper has one or two, a browser
/// six.
const GOOD_CONNECTIONS: usize = 8;
/// How long bad manners are remembered.
const BAD_FOR_MS: Ms = 60_000;
/// One in so many places is kept.
const KEPT: usize = 8;
/// An answer that takes longer waits for its reader; answers one after the other without a pause
/// are one.
const SLOW_MS: Ms = 1000;
/// Who asks for the next answer sooner has made no pause.
const PAUSE_MS: Ms = 100;
/// An answer that has waited for its reader for so long, in sum, is late.
pub const LATE_MS: Ms = 50;

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionPhase {
    /// Between two requests.
    Idle,
    /// Between two requests, the next of which was sent before the last was answered.
    Ahead,
    /// Has not sent a whole head yet.
    Unfinished,
    /// Its request is being answered.
    Answering,
}

#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub connections: usize,
    pub per_peer: usize,
}

struct Seat<H> {
    asker: Asker,
    phase: ConnectionPhase,
    since_ms: Ms,
    /// Since when it has been answered without a pause; nothing before its first request.
    busy_ms: Option<Ms>,
    pace: ReaderPace,
    /// What ends the connection.
    handle: Option<H>,
}

/// How the client takes what it has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ReaderPace {
    Late,
    InTime,
}

#[derive(Default)]
struct PeerRecord {
    open: usize,
    good_ms: Option<Ms>,
    /// When it was prompt for the first time without a break since, and for the last.
    prompt_ms: Option<(Ms, Ms)>,
    bad_ms: Option<Ms>,
}

pub struct ConnectionTable<H> {
    /// By number, which ascends: the first of two that have waited equally long is the older.
    seats: BTreeMap<u64, Seat<H>>,
    peers: HashMap<Peer, PeerRecord>,
    next: u64,
}

impl<H> Default for ConnectionTable<H> {
    fn default() -> Self {
        Self {
            seats: BTreeMap::new(),
            peers: HashMap::new(),
            next: 0,
        }
    }
}

/// A connection that was let in, and one that made room for it.
pub struct Admitted<H> {
    pub seat: u64,
    pub asker: Asker,
    pub displaced: Option<Displaced<H>>,
}

/// A connection that makes room.
pub struct Displaced<H> {
    pub peer: Peer,
    pub handle: H,
    pub why: Refusal,
}

impl<H> ConnectionTable<H> {
    pub fn open(&self) -> usize {
        self.seats.len()
    }

    /// A place for a new connection, or why there is none. `trusted` is what the config says of the
    /// peer.
    pub fn admit(
        &mut self,
        peer: Peer,
        trusted: Option<PeerStanding>,
        bounds: Bounds,
        now_ms: Ms,
    ) -> Result<Admitted<H>, Refusal> {
        let mut asker = self.asker(peer, now_ms);
        let own = self.peers.get(&peer).map_or(0, |known| known.open);
        // With this one it has too many.
        let many = (own >= GOOD_CONNECTIONS).then_some(PeerStanding::Unknown);
        if let Some(standing) = trusted.or(many) {
            (asker.standing, asker.since_ms) = (standing, 0);
        }
        let standing = asker.standing;
        let kept = if standing == PeerStanding::Unknown {
            bounds.connections / KEPT
        } else {
            0
        };
        let victim = if own >= bounds.per_peer && standing != PeerStanding::Trusted {
            Some(
                self.longest_waiting_of(peer)
                    .ok_or(Refusal::PeerConnections)?,
            )
        } else if self.seats.len() >= (bounds.connections - kept).max(1) {
            Some(
                self.who_makes_room(own, standing)
                    .or_else(|| self.who_takes_long(own, standing, now_ms))
                    .ok_or(Refusal::Connections)?,
            )
        } else {
            None
        };
        let displaced = victim.and_then(|seat| self.leave(seat));
        self.next += 1;
        self.seats.insert(
            self.next,
            Seat {
                asker,
                phase: ConnectionPhase::Unfinished,
                since_ms: now_ms,
                busy_ms: None,
                pace: ReaderPace::InTime,
                handle: None,
            },
        );
        self.remember(peer, now_ms).open += 1;
        Ok(Admitted {
            seat: self.next,
            asker,
            displaced,
        })
    }

    pub fn holds(&mut self, seat: u64, handle: H) {
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.handle = Some(handle);
        }
    }

    /// The connection does something else from now on; its peer may have another standing by now.
    pub fn enters(&mut self, seat: u64, phase: ConnectionPhase, now_ms: Ms) {
        let Some(before) = self.seats.get(&seat).map(|seat| seat.asker) else {
            return;
        };
        let asker = if before.standing == PeerStanding::Trusted {
            before
        } else {
            self.asker(before.peer, now_ms)
        };
        if let Some(seat) = self.seats.get_mut(&seat) {
            if seat.phase == ConnectionPhase::Idle
                && now_ms.saturating_sub(seat.since_ms) >= PAUSE_MS
            {
                seat.busy_ms = None;
            }
            (seat.phase, seat.since_ms, seat.asker) = (phase, now_ms, asker);
            match phase {
                ConnectionPhase::Idle => seat.pace = ReaderPace::InTime,
                ConnectionPhase::Answering => {
                    seat.busy_ms.get_or_insert(now_ms);
                }
                ConnectionPhase::Ahead | ConnectionPhase::Unfinished => {}
            }
        }
    }

    /// An answer of the connection is late, until all that was asked for has been taken.
    pub fn is_late(&mut self, seat: u64) {
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.pace = ReaderPace::Late;
        }
    }

    pub fn peer(&self, seat: u64) -> Option<Peer> {
        self.seats.get(&seat).map(|seat| seat.asker.peer)
    }

    /// The connection is over, or makes room.
    pub fn leave(&mut self, seat: u64) -> Option<Displaced<H>> {
        let seat = self.seats.remove(&seat)?;
        let peer = seat.asker.peer;
        if let Some(known) = self.peers.get_mut(&peer) {
            known.open -= 1;
        }
        Some(Displaced {
            peer,
            handle: seat.handle?,
            why: match seat.pace {
                ReaderPace::Late => Refusal::SlowReader,
                ReaderPace::InTime => Refusal::Displaced,
            },
        })
    }

    pub fn behaved_well(&mut self, peer: Peer, now_ms: Ms) {
        self.remember(peer, now_ms).good_ms = Some(now_ms);
    }

    pub fn was_prompt(&mut self, peer: Peer, now_ms: Ms) {
        let is_prompt = self.standing(peer, now_ms) == PeerStanding::Prompt;
        let known = self.remember(peer, now_ms);
        let first_ms = known
            .prompt_ms
            .filter(|_| is_prompt)
            .map(|(first, _)| first);
        known.good_ms = Some(now_ms);
        known.prompt_ms = Some((first_ms.unwrap_or(now_ms), now_ms));
    }

    /// From now on, whichever of its connections: it is to show it again.
    pub fn is_not_prompt(&mut self, peer: Peer) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.prompt_ms = None;
        }
        let own = self
            .seats
            .values_mut()
            .filter(|seat| seat.asker.peer == peer && seat.asker.standing == PeerStanding::Prompt);
        own.for_each(|seat| {
            (seat.asker.standing, seat.asker.since_ms) = (PeerStanding::Good, 0);
        });
    }

    /// To be prompt again it has to take an answer again.
    pub fn behaved_badly(&mut self, peer: Peer, now_ms: Ms) {
        let known = self.remember(peer, now_ms);
        (known.bad_ms, known.prompt_ms) = (Some(now_ms), None);
    }

    pub fn asker(&self, peer: Peer, now_ms: Ms) -> Asker {
        let standing = self.standing(peer, now_ms);
        let first = self.peers.get(&peer).and_then(|known| known.prompt_ms);
        let since_ms = match standing {
            PeerStanding::Prompt => first.map_or(now_ms, |(first, _)| first),
            PeerStanding::Unknown | PeerStanding::Good | PeerStanding::Trusted => 0,
        };
        Asker {
            peer,
            standing,
            since_ms,
        }
    }

    fn standing(&self, peer: Peer, now_ms: Ms) -> PeerStanding {
        let Some(known) = self.peers.get(&peer) else {
            return PeerStanding::Unknown;
        };
        let within =
            |at: Option<Ms>, for_ms| at.is_some_and(|at| now_ms.saturating_sub(at) < for_ms);
        if known.open > GOOD_CONNECTIONS || within(known.bad_ms, BAD_FOR_MS) {
            PeerStanding::Unknown
        } else if within(known.prompt_ms.map(|(_, last)| last), GOOD_FOR_MS) {
            PeerStanding::Prompt
        } else if within(known.good_ms, GOOD_FOR_MS) {
            PeerStanding::Good
        } else {
            PeerStanding::Unknown
        }
    }

    /// One that waits or is late makes room for another's: of the lowest standing, a late one
    /// first, of the peer with the most, of the one that became prompt last, the one that has
    /// waited longest. Never one of a peer that has fewer connections, or a better standing.
    fn who_makes_room(&self, own: usize, standing: PeerStanding) -> Option<u64> {
        let makes_room = |seat: &Seat<H>| match seat.phase {
            ConnectionPhase::Idle | ConnectionPhase::Unfinished => true,
            // For a stranger only the two above do.
            _ if standing == PeerStanding::Unknown => false,
            ConnectionPhase::Ahead => true,
            ConnectionPhase::Answering => seat.pace == ReaderPace::Late,
        };
        let waiting = self
            .seats
            .iter()
            .filter(|(_, seat)| makes_room(seat) && seat.asker.standing <= standing);
        let with_open = waiting.map(|(id, seat)| {
            (
                id,
                seat,
                self.peers
                    .get(&seat.asker.peer)
                    .map_or(0, |known| known.open),
            )
        });
        let may = with_open
            .filter(|(_, seat, open)| seat.asker.standing < standing || *open >= own.max(1));
        may.min_by_key(|(id, seat, open)| {
            (
                seat.asker.standing,
                seat.pace,
                Reverse(*open),
                Reverse(seat.asker.since_ms),
                seat.since_ms,
                **id,
            )
        })
        .map(|(id, ..)| *id)
    }

    /// Of those of a lower standing that are being answered, the one that has taken longest without
    /// a pause, if it has taken long. For the only connection of a known peer also one of an equal
    /// that has others.
    fn who_takes_long(&self, own: usize, standing: PeerStanding, now_ms: Ms) -> Option<u64> {
        let has_others = |seat: &Seat<H>| {
            let known = self.peers.get(&seat.asker.peer);
            known.is_some_and(|known| known.open > 1)
        };
        let is_only = own == 0 && standing > PeerStanding::Unknown;
        let may = |seat: &Seat<H>| {
            seat.asker.standing < standing
                || is_only && seat.asker.standing == standing && has_others(seat)
        };
        let busy = self.seats.iter().filter_map(|(id, seat)| {
            let since = seat
                .busy_ms
                .filter(|_| seat.phase == ConnectionPhase::Answering)?;
            (may(seat) && now_ms.saturating_sub(since) >= SLOW_MS).then_some((
                seat.asker.standing,
                since,
                *id,
            ))
        });
        busy.min().map(|(.., id)| id)
    }

    fn longest_waiting_of(&self, peer: Peer) -> Option<u64> {
        let own = self.seats.iter().filter(|(_, seat)| {
            seat.asker.peer == peer && seat.phase != ConnectionPhase::Answering
        });
        own.min_by_key(|(id, seat)| (seat.since_ms, **id))
            .map(|(id, _)| *id)
    }

    /// The record of a peer; one without a connection makes room. First one that is not prompt, the
    /// longest unseen; of those that are, the one that has been for the shortest time: newcomers,
    /// however many, make nobody unknown who has scraped for longer.
    fn remember(&mut self, peer: Peer, now_ms: Ms) -> &mut PeerRecord {
        if self.peers.len() >= MOST_PEERS && !self.peers.contains_key(&peer) {
            let useless = |known: &PeerRecord| {
                known.open == 0
                    && known
                        .good_ms
                        .is_none_or(|at| now_ms.saturating_sub(at) >= GOOD_FOR_MS)
            };
            self.peers.retain(|_, known| !useless(known));
            let oldest = self
                .peers
                .iter()
                .filter(|(_, known)| known.open == 0)
                .min_by_key(|(peer, known)| {
                    let prompt = known.prompt_ms;
                    let lasting =
                        prompt.filter(|(_, last)| now_ms.saturating_sub(*last) < GOOD_FOR_MS);
                    let proven_ms = lasting.map(|(first, last)| last - first);
                    (proven_ms, known.good_ms, **peer)
                });
            if self.peers.len() >= MOST_PEERS
                && let Some(oldest) = oldest.map(|(peer, _)| *peer)
            {
                self.peers.remove(&oldest);
            }
        }
        self.peers.entry(peer).or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const FOUR: Bounds = Bounds {
        connections: 4,
        per_peer: 3,
    };

    fn peer(n: u32) -> Peer {
        Peer::of(IpAddr::V4((0xC000_0200 + n).into()))
    }

    /// The seat, and the peer that made room.
    fn admit(
        table: &mut ConnectionTable<()>,
        who: Peer,
        trusted: Option<PeerStanding>,
        bounds: Bounds,
        now_ms: Ms,
    ) -> Result<(u64, Option<Peer>), Refusal> {
        let admitted = table.admit(who, trusted, bounds, now_ms)?;
        table.holds(admitted.seat, ());
        Ok((admitted.seat, admitted.displaced.map(|one| one.peer)))
    }

    fn seated(table: &mut ConnectionTable<()>, who: Peer, now_ms: Ms) -> u64 {
        admit(table, who, None, FOUR, now_ms).expect("a place").0
    }

    #[test]
    fn a_full_table_takes_a_newcomer_in_place_of_what_the_busiest_peer_left_waiting_longest() {
        let mut table = ConnectionTable::default();
        seated(&mut table, peer(2), 0);
        let answered = seated(&mut table, peer(1), 1);
        table.enters(answered, ConnectionPhase::Answering, 1);
        let oldest = seated(&mut table, peer(1), 2);
        seated(&mut table, peer(1), 3);
        let (_, displaced) = admit(&mut table, peer(3), None, FOUR, 4).expect("a place");
        assert_eq!(displaced, Some(peer(1)), "it has three, peer 2 only one");
        assert!(
            table.leave(oldest).is_none(),
            "the one that waited longest is gone"
        );
        assert!(
            table.leave(answered).is_some(),
            "the one that is being answered is not"
        );
        assert_eq!(table.open(), 3);
    }

    #[test]
    fn nobody_makes_room_while_all_are_being_answered_or_have_fewer() {
        let mut table = ConnectionTable::default();
        for n in 1..=4 {
            let seat = seated(&mut table, peer(n), 0);
            table.enters(seat, ConnectionPhase::Answering, 0);
        }
        assert_eq!(
            admit(&mut table, peer(5), None, FOUR, 1),
            Err(Refusal::Connections)
        );
        let mut table = ConnectionTable::default();
        seated(&mut table, peer(1), 0);
        let seats: Vec<u64> = (0..3).map(|_| seated(&mut table, peer(2), 0)).collect();
        seats
            .iter()
            .for_each(|seat| table.enters(*seat, ConnectionPhase::Answering, 0));
        let bounds = Bounds {
            per_peer: 10,
            ..FOUR
        };
        assert_eq!(
            admit(&mut table, peer(2), None, bounds, 1),
            Err(Refusal::Connections),
            "a peer with three takes nothing from one with one"
        );
    }

    #[test]
    fn who_does_not_read_makes_room_for_a_better_peer_after_a_second() {
        let trusted = Some(PeerStanding::Trusted);
        let mut table = ConnectionTable::default();
        for n in 1..=4 {
            let seat = seated(&mut table, peer(n), 0);
            table.enters(seat, ConnectionPhase::Answering, u64::from(n) * 100);
        }
        let early = admit(&mut table, peer(9), trusted, FOUR, 1099);
        assert_eq!(early, Err(Refusal::Connections), "an answer has a second");
        let stranger = admit(&mut table, peer(8), None, FOUR, 5000);
        assert_eq!(stranger, Err(Refusal::Connections), "of no better standing");
        let (seat, displaced) = admit(&mut table, peer(9), trusted, FOUR, 1100).expect("a place");
        assert_eq!(displaced, Some(peer(1)), "the one that has taken longest");
        table.enters(seat, ConnectionPhase::Answering, 1100);
        // One that took an answer promptly finds a place as well, but never that of a trusted one.
        table.was_prompt(peer(7), 1200);
        for n in [2, 3, 4] {
            let (seat, displaced) = admit(&mut table, peer(7), None, FOUR, 5000).expect("a place");
            assert_eq!(displaced, Some(peer(n)));
            table.enters(seat, ConnectionPhase::Answering, 5000);
        }
        assert!(admit(&mut table, peer(7), None, FOUR, 9000).is_err());
    }

    #[test]
    fn one_peer_has_so_many_and_then_gives_up_its_own() {
        let mut table = ConnectionTable::default();
        let seats: Vec<u64> = (0..3).map(|n| seated(&mut table, peer(1), n)).collect();
        assert_eq!(
            admit(&mut table, peer(1), None, FOUR, 5)
                .expect("a place")
                .1,
            Some(peer(1))
        );
        assert!(table.leave(seats[0]).is_none());
        let mut table = ConnectionTable::default();
        for n in 0..3 {
            let seat = seated(&mut table, peer(1), n);
            table.enters(seat, ConnectionPhase::Answering, n);
        }
        assert_eq!(
            admit(&mut table, peer(1), None, FOUR, 5),
            Err(Refusal::PeerConnections)
        );
        assert!(
            admit(&mut table, peer(1), Some(PeerStanding::Trusted), FOUR, 5).is_ok(),
            "a trusted one is bound by the sum alone"
        );
        assert!(
            admit(
                &mut table,
                peer(2),
                None,
                Bounds {
                    connections: 8,
                    ..FOUR
                },
                5
            )
            .is_ok()
        );
    }

    #[test]
    fn an_eighth_is_kept_for_peers_that_are_trusted_or_took_an_answer() {
        let eight = Bounds {
            connections: 8,
            per_peer: 8,
        };
        let mut table = ConnectionTable::default();
        table.behaved_well(peer(9), 0);
        for n in 1..=7 {
            let seat = admit(&mut table, peer(n), None, eight, 0)
                .expect("a place")
                .0;
            table.enters(seat, ConnectionPhase::Answering, 0);
        }
        assert_eq!(
            admit(&mut table, peer(8), None, eight, 0),
            Err(Refusal::Connections),
            "the eighth place is kept"
        );
        assert_eq!(
            admit(&mut table, peer(9), None, eight, GOOD_FOR_MS),
            Err(Refusal::Connections),
            "it was too long ago"
        );
        table.behaved_badly(peer(9), 1);
        assert_eq!(
            admit(&mut table, peer(9), None, eight, 2),
            Err(Refusal::Connections),
            "it behaved badly since"
        );
        let (seat, _) =
            admit(&mut table, peer(9), None, eight, 1 + BAD_FOR_MS).expect("the kept place");
        table.leave(seat);
        assert!(admit(&mut table, peer(8), Some(PeerStanding::Trusted), eight, 2).is_ok());
    }

    #[test]
    fn a_peer_with_many_connections_has_no_good_manners() {
        let many = Bounds {
            connections: 80,
            per_peer: 80,
        };
        let mut table = ConnectionTable::default();
        table.behaved_well(peer(1), 0);
        let standings: Vec<PeerStanding> = (0..10)
            .map(|_| {
                table
                    .admit(peer(1), None, many, 1)
                    .map(|a: Admitted<()>| a.asker.standing)
                    .expect("a place")
            })
            .collect();
        assert_eq!(
            standings,
            [vec![PeerStanding::Good; 8], vec![PeerStanding::Unknown; 2]].concat(),
            "the new one counts"
        );
    }

    #[test]
    fn who_took_its_answer_promptly_is_prompt_until_it_behaves_badly() {
        let mut table: ConnectionTable<()> = ConnectionTable::default();
        table.behaved_well(peer(1), 0);
        assert_eq!(table.standing(peer(1), 1), PeerStanding::Good);
        table.was_prompt(peer(1), 1);
        assert_eq!(table.standing(peer(1), GOOD_FOR_MS), PeerStanding::Prompt);
        assert_eq!(
            table.standing(peer(1), 1 + GOOD_FOR_MS),
            PeerStanding::Unknown
        );
        table.behaved_badly(peer(1), 2);
        assert_eq!(table.standing(peer(1), 3), PeerStanding::Unknown);
        assert_eq!(
            table.standing(peer(1), 2 + BAD_FOR_MS),
            PeerStanding::Good,
            "promptness is to be shown again"
        );
    }

    /// Four connections of prompt peers that are being answered, the first of them late.
    fn prompt_and_one_late() -> ConnectionTable<()> {
        let mut table = ConnectionTable::default();
        for n in 1..=4 {
            table.was_prompt(peer(n), u64::from(n));
            let seat = seated(&mut table, peer(n), 10);
            table.enters(seat, ConnectionPhase::Answering, 10);
            if n == 1 {
                table.is_late(seat);
            }
        }
        table
    }

    #[test]
    fn one_whose_answer_is_late_makes_room_for_its_equals_but_for_no_stranger() {
        let mut table = prompt_and_one_late();
        let stranger = admit(&mut table, peer(8), None, FOUR, 20);
        assert_eq!(stranger, Err(Refusal::Connections));
        table.was_prompt(peer(9), 20);
        let admitted = table.admit(peer(9), None, FOUR, 20).expect("a place");
        table.holds(admitted.seat, ());
        let displaced = admitted.displaced.map(|one| (one.peer, one.why));
        assert_eq!(displaced, Some((peer(1), Refusal::SlowReader)));
        let next = admit(&mut table, peer(9), None, FOUR, 21).expect("a place");
        assert_eq!(next.1, Some(peer(9)), "nobody else is late");
    }

    #[test]
    fn an_idle_connection_is_kept_while_an_equal_is_late_and_pipelining_does_not_end_that() {
        let mut table = prompt_and_one_late();
        let late = *table.seats.keys().next().expect("a seat");
        let idle = *table.seats.keys().last().expect("a seat");
        table.enters(idle, ConnectionPhase::Idle, 11);
        // Its next request was sent before the answer was taken.
        table.enters(late, ConnectionPhase::Unfinished, 12);
        table.enters(late, ConnectionPhase::Answering, 12);
        table.was_prompt(peer(9), 20);
        let admitted = admit(&mut table, peer(9), None, FOUR, 20).expect("a place");
        assert_eq!(admitted.1, Some(peer(1)));
        assert!(table.leave(idle).is_some());
        let mut table = prompt_and_one_late();
        let late = *table.seats.keys().next().expect("a seat");
        table.enters(late, ConnectionPhase::Idle, 12);
        table.enters(late, ConnectionPhase::Answering, 13);
        table.was_prompt(peer(9), 20);
        let refused = admit(&mut table, peer(9), None, FOUR, 20);
        assert_eq!(refused, Err(Refusal::Connections), "it has taken all");
    }

    #[test]
    fn of_equals_that_are_late_the_one_that_became_prompt_last_makes_room() {
        let mut table = prompt_and_one_late();
        let seats: Vec<u64> = table.seats.keys().copied().collect();
        seats.into_iter().for_each(|seat| table.is_late(seat));
        // Peer 4 has taken an answer since; peer 1 has been prompt for longer all the same.
        table.was_prompt(peer(4), 15);
        table.was_prompt(peer(9), 20);
        let (_, displaced) = admit(&mut table, peer(9), None, FOUR, 20).expect("a place");
        assert_eq!(displaced, Some(peer(4)));
    }

    #[test]
    fn who_keeps_an_answer_waiting_is_prompt_no_more_and_begins_anew() {
        let mut table = prompt_and_one_late();
        assert_eq!(table.asker(peer(2), 20).since_ms, 2);
        table.was_prompt(peer(2), 20);
        assert_eq!(table.asker(peer(2), 20).since_ms, 2, "without a break");
        table.is_not_prompt(peer(2));
        assert_eq!(table.standing(peer(2), 20), PeerStanding::Good);
        let two = Bounds {
            per_peer: 1,
            ..FOUR
        };
        assert!(admit(&mut table, peer(2), None, two, 20).is_err());
        assert!(
            table
                .seats
                .values()
                .all(|seat| (seat.asker.peer == peer(2))
                    == (seat.asker.standing == PeerStanding::Good)),
            "its connection has a lower standing by now"
        );
        table.was_prompt(peer(2), 30);
        assert_eq!(table.asker(peer(2), 30).since_ms, 30);
        table.was_prompt(peer(2), 31 + GOOD_FOR_MS);
        let after = table.asker(peer(2), 31 + GOOD_FOR_MS).since_ms;
        assert_eq!(after, 31 + GOOD_FOR_MS, "it was too long ago");
    }

    #[test]
    fn requests_sent_ahead_keep_no_place_from_a_known_peer() {
        let mut table = ConnectionTable::default();
        for n in 1..=4 {
            if n != 2 {
                table.was_prompt(peer(n), 0);
            }
            let seat = seated(&mut table, peer(n), 0);
            table.enters(seat, ConnectionPhase::Answering, 0);
        }
        table.was_prompt(peer(9), 0);
        assert!(admit(&mut table, peer(9), None, FOUR, 500).is_err());
        let ahead = *table.seats.keys().nth(1).expect("a seat");
        table.enters(ahead, ConnectionPhase::Ahead, 500);
        let stranger = admit(&mut table, peer(8), None, FOUR, 500);
        assert_eq!(stranger, Err(Refusal::Connections));
        let (_, displaced) = admit(&mut table, peer(9), None, FOUR, 500).expect("a place");
        assert_eq!(displaced, Some(peer(2)), "between two of its requests");
    }

    #[test]
    fn answers_without_a_pause_are_one_long_answer() {
        let trusted = Some(PeerStanding::Trusted);
        let taken = |pause_ms| {
            let mut table = ConnectionTable::default();
            for n in 1..=4 {
                let seat = seated(&mut table, peer(n), 0);
                for at in [0, 300, 600, 900, 1200] {
                    table.enters(seat, ConnectionPhase::Answering, at);
                    table.enters(seat, ConnectionPhase::Idle, at + 290 - pause_ms);
                    table.enters(seat, ConnectionPhase::Unfinished, at + 290);
                }
                table.enters(seat, ConnectionPhase::Answering, 1490);
            }
            admit(&mut table, peer(9), trusted, FOUR, 1500).map(|(_, displaced)| displaced)
        };
        assert_eq!(taken(PAUSE_MS - 1), Ok(Some(peer(1))));
        assert_eq!(taken(PAUSE_MS), Err(Refusal::Connections));
    }

    #[test]
    fn a_known_peer_without_a_connection_takes_one_of_an_equal_that_has_several() {
        let prompt = |pairs: bool| {
            let mut table = ConnectionTable::default();
            for n in 1..=4 {
                let who = peer(if pairs { n / 2 } else { n });
                table.was_prompt(who, 0);
                let seat = seated(&mut table, who, 0);
                table.enters(seat, ConnectionPhase::Answering, u64::from(n));
            }
            table.was_prompt(peer(9), 0);
            table
        };
        let mut table = prompt(true);
        assert!(admit(&mut table, peer(9), None, FOUR, 999).is_err());
        let stranger = admit(&mut table, peer(8), None, FOUR, 5000);
        assert_eq!(stranger, Err(Refusal::Connections));
        let (seat, displaced) = admit(&mut table, peer(9), None, FOUR, 5000).expect("a place");
        assert_eq!(displaced, Some(peer(1)), "peers 0 and 2 have one each");
        table.enters(seat, ConnectionPhase::Answering, 5000);
        assert!(
            admit(&mut table, peer(9), None, FOUR, 9000).is_err(),
            "it has one"
        );
        assert!(admit(&mut prompt(false), peer(9), None, FOUR, 9000).is_err());
    }

    #[test]
    fn newcomers_do_not_make_a_scraper_unknown_that_has_been_prompt_for_longer() {
        let mut table: ConnectionTable<()> = ConnectionTable::default();
        for at in [0, 15_000, 30_000] {
            table.was_prompt(peer(1), at);
        }
        for n in 0..2 * MOST_PEERS as u32 {
            table.behaved_well(peer(100 + n), 40_000);
        }
        assert_eq!(table.standing(peer(1), 40_001), PeerStanding::Prompt);
        for at in [40_000, 45_000] {
            for n in 0..2 * MOST_PEERS as u32 {
                table.was_prompt(peer(100 + n), at);
            }
        }
        assert!(table.peers.len() <= MOST_PEERS);
        assert_eq!(table.asker(peer(1), 45_001).since_ms, 0);
        assert_eq!(table.standing(peer(1), 45_001), PeerStanding::Prompt);
    }

    #[test]
    fn one_that_waits_makes_room_for_a_better_standing_and_never_for_a_worse() {
        let mut table = ConnectionTable::default();
        table.behaved_well(peer(1), 0);
        let good = seated(&mut table, peer(1), 0);
        table.enters(good, ConnectionPhase::Idle, 0);
        for n in 2..=4 {
            let seat = seated(&mut table, peer(n), 1);
            table.enters(seat, ConnectionPhase::Answering, 1);
        }
        assert_eq!(
            admit(&mut table, peer(5), None, FOUR, 2),
            Err(Refusal::Connections),
            "the idle one took an answer lately"
        );
        assert_eq!(
            admit(&mut table, peer(6), Some(PeerStanding::Trusted), FOUR, 2)
                .expect("a place")
                .1,
            Some(peer(1))
        );
    }

    #[test]
    fn peers_of_a_moment_are_forgotten_before_those_that_behaved_well() {
        let mut table: ConnectionTable<()> = ConnectionTable::default();
        table.behaved_well(peer(1), 0);
        for n in 0..2 * MOST_PEERS as u32 {
            let seat = seated(&mut table, peer(100 + n), 1);
            table.leave(seat);
        }
        assert!(table.peers.len() <= MOST_PEERS);
        assert_eq!(table.standing(peer(1), 2), PeerStanding::Good);
        for n in 0..2 * MOST_PEERS as u32 {
            table.behaved_well(peer(100 + n), 3);
        }
        assert!(table.peers.len() <= MOST_PEERS);
    }
}
