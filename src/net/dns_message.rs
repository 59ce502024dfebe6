//! Reads a DNS message as far as the dns probe and the resolver look at it: header, question,
//! answers, and the chain of aliases in them.
//!
//! Every record's data stays raw, so that one that no library knows is no fault of the message;
//! `dns_text` writes it out. All of it may be hostile: names are bounded, pointers only lead
//! backwards, and counts are not believed.

use crate::config::dns_question::{ANY, CNAME, DNAME};
use crate::config::plan::probe::Recursion;

const HEADER: usize = 12;
/// A question about the root.
const SHORTEST_ENTRY: usize = 5;
/// A name's bytes, its labels' lengths and the root included (RFC 1035, section 2.3.4).
const NAME_LIMIT: usize = 255;
/// Aliases that are followed: BIND follows as many.
pub const CHAIN_LIMIT: usize = 16;
/// Pointers that one name is followed over. It has at most 127 labels, so more pointers than that
/// lead from pointer to pointer.
const POINTER_LIMIT: usize = 127;
const CLASS_IN: u16 = 1;

/// A message whose sections could be read.
pub struct Answered<'m> {
    pub bytes: &'m [u8],
    pub rcode: u8,
    pub is_authoritative: bool,
    pub is_truncated: bool,
    /// The answer section, in its order.
    pub records: Vec<Record>,
}

pub struct Record {
    /// Uncompressed, as it was sent.
    pub owner: Vec<u8>,
    pub kind: u16,
    pub class: u16,
    /// Where its data stands in the message.
    pub from: usize,
    pub to: usize,
}

/// What the question's name led to.
pub struct Led<'a> {
    /// Every name that an alias led to, in order.
    pub aliases: Vec<Vec<u8>>,
    /// The records of the asked type at the end of the chain.
    pub records: Vec<&'a Record>,
}

/// A question, ready to be sent with an id of its own in place of 0.
pub fn question(name: &[u8], kind: u16, recursion: Recursion) -> Vec<u8> {
    let mut bytes = vec![
        0,
        0,
        u8::from(recursion == Recursion::Desired),
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
    bytes
}

/// The name that a question asks about.
pub fn asked(question: &[u8]) -> &[u8] {
    question
        .get(HEADER..question.len().saturating_sub(4))
        .unwrap_or_default()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..at + 2)
        .map(|b| u16::from_be_bytes([b[0], b[1]]))
}

/// A name, decompressed, and where the message goes on after it.
pub fn name_at(message: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let mut name = Vec::with_capacity(32);
    let (mut at, mut after, mut pointers) = (at, None, 0);
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => {
                name.push(0);
                return (name.len() <= NAME_LIMIT).then(|| (name, after.unwrap_or(at + 1)));
            }
            1..=63 => {
                name.extend_from_slice(message.get(at..=at + length)?);
                if name.len() >= NAME_LIMIT {
                    return None;
                }
                at += 1 + length;
            }
            0xc0..=0xff => {
                let to = usize::from(u16_at(message, at)? & 0x3fff);
                after.get_or_insert(at + 2);
                pointers += 1;
                // Backwards only, and not for long: a chain of pointers may be as long as the
                // message.
                if to >= at || pointers > POINTER_LIMIT {
                    return None;
                }
                at = to;
            }
            _ => return None,
        }
    }
}

/// Why bytes do not answer a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// They answer another, by their id, or are too short to have one.
    Id,
    Message(&'static str),
}

/// Whether these bytes answer the question: id, direction, and the question where it is repeated.
pub fn answers(question: &[u8], reply: &[u8]) -> Result<(), Wrong> {
    if reply.get(..2) != question.get(..2) {
        return Err(Wrong::Id);
    }
    if reply.len() < HEADER {
        return Err(Wrong::Message("it is shorter than a header"));
    }
    if reply[2] & 0x80 == 0 {
        return Err(Wrong::Message("it is a question, not an answer"));
    }
    if u16_at(reply, 4) == Some(0) {
        return Ok(());
    }
    let asked = question.get(HEADER..).unwrap_or_default();
    let (name, after) =
        name_at(reply, HEADER).ok_or(Wrong::Message("its question cannot be read"))?;
    let kind_and_class = reply
        .get(after..after + 4)
        .ok_or(Wrong::Message("its question is cut short"))?;
    let same = asked.len() == name.len() + 4
        && asked[..name.len()].eq_ignore_ascii_case(&name)
        && &asked[name.len()..] == kind_and_class;
    if same {
        Ok(())
    } else {
        Err(Wrong::Message("it answers another question"))
    }
}

/// How many questions and records a message can have in its first two sections: what its header
/// says, as far as there is room for it.
pub fn most_entries(bytes: &[u8]) -> usize {
    let count = |at| usize::from(u16_at(bytes, at).unwrap_or(0));
    (count(4) + count(6)).min(bytes.len() / SHORTEST_ENTRY)
}

/// The message in these bytes.
pub fn read(bytes: &[u8]) -> Result<Answered<'_>, &'static str> {
    read_some(bytes, u16::MAX)
}

/// The same with no more than the first so many records of its answer section, and with no more
/// questions than that.
pub fn read_some(bytes: &[u8], most: u16) -> Result<Answered<'_>, &'static str> {
    let count = |at| u16_at(bytes, at).ok_or("it is shorter than a header");
    let (questions, answers) = (count(4)?, count(6)?.min(most));
    let flags = count(2)?;
    if questions > most {
        return Err("it repeats too many questions");
    }
    let mut at = HEADER;
    for _ in 0..questions {
        at = name_at(bytes, at).ok_or("its question cannot be read")?.1 + 4;
    }
    let is_truncated = flags & 0x0200 != 0;
    let mut records = Vec::with_capacity(usize::from(answers).min(32));
    for _ in 0..answers {
        match record_at(bytes, at) {
            Some(record) => {
                at = record.to;
                records.push(record);
            }
            // What was cut off may be cut within a record.
            None if is_truncated => break,
            None => return Err("a record of its answer section cannot be read"),
        }
    }
    Ok(Answered {
        bytes,
        rcode: (flags & 15) as u8,
        is_authoritative: flags & 0x0400 != 0,
        is_truncated,
        records,
    })
}

fn record_at(bytes: &[u8], at: usize) -> Option<Record> {
    let (owner, at) = name_at(bytes, at)?;
    let (kind, class) = (u16_at(bytes, at)?, u16_at(bytes, at + 2)?);
    let from = at + 10;
    let to = from + usize::from(u16_at(bytes, at + 8)?);
    (to <= bytes.len()).then_some(Record {
        owner,
        kind,
        class,
        from,
        to,
    })
}

impl Answered<'_> {
    /// Follows the aliases from the question's name to the records of the asked type (RFC 1034,
    /// section 3.6.2; RFC 6672).
    pub fn led(&self, name: &[u8], kind: u16) -> Led<'_> {
        let mut aliases: Vec<Vec<u8>> = Vec::new();
        loop {
            let at = aliases.last().map_or(name, Vec::as_slice);
            let records: Vec<&Record> = self
                .records
                .iter()
                .filter(|r| {
                    r.class == CLASS_IN
                        && (r.kind == kind || kind == ANY)
                        && r.owner.eq_ignore_ascii_case(at)
                })
                .collect();
            let next = if records.is_empty() {
                self.alias_of(at)
            } else {
                None
            };
            match next {
                Some(next)
                    if aliases.len() < CHAIN_LIMIT
                        && !next.eq_ignore_ascii_case(name)
                        && !aliases.iter().any(|a| a.eq_ignore_ascii_case(&next)) =>
                {
                    aliases.push(next);
                }
                _ => return Led { aliases, records },
            }
        }
    }

    /// Where a name's alias leads: its CNAME, or the DNAME of a name above it.
    fn alias_of(&self, name: &[u8]) -> Option<Vec<u8>> {
        let own = self
            .records
            .iter()
            .find(|r| r.class == CLASS_IN && r.kind == CNAME && r.owner.eq_ignore_ascii_case(name));
        if let Some(own) = own {
            return self.name_of(own);
        }
        let above = self
            .records
            .iter()
            .filter(|r| r.class == CLASS_IN && r.kind == DNAME)
            .find_map(|r| Some((r, prefix_of(name, &r.owner)?)));
        let (record, prefix) = above?;
        let to = [prefix, &self.name_of(record)?].concat();
        (to.len() <= NAME_LIMIT).then_some(to)
    }

    fn name_of(&self, record: &Record) -> Option<Vec<u8>> {
        name_at(self.bytes, record.from)
            .filter(|(_, end)| *end <= record.to)
            .map(|(name, _)| name)
    }
}

/// The labels of `name` before `suffix`, where it lies strictly below it.
fn prefix_of<'n>(name: &'n [u8], suffix: &[u8]) -> Option<&'n [u8]> {
    let mut at = 0;
    loop {
        at += 1 + usize::from(*name.get(at)?);
        if name.get(at..)?.eq_ignore_ascii_case(suffix) {
            return name.get(..at);
        }
        if *name.get(at)? == 0 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::dns_question::name_to_wire;

    fn wire(text: &str) -> Vec<u8> {
        name_to_wire(text).expect("a name")
    }

    fn message(records: &[(&str, u16, u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = question(&wire("www.shop.example"), 1, Recursion::Desired);
        bytes[2] |= 0x80;
        bytes[7] = records.len() as u8;
        for (owner, kind, class, data) in records {
            bytes.extend(wire(owner));
            bytes.extend(
                [
                    kind.to_be_bytes(),
                    class.to_be_bytes(),
                    [0, 0],
                    [0, 60],
                    (data.len() as u16).to_be_bytes(),
                ]
                .concat(),
            );
            bytes.extend(data);
        }
        bytes
    }

    fn found(records: &[(&str, u16, u16, Vec<u8>)]) -> (usize, usize) {
        let bytes = message(records);
        let answered = read(&bytes).expect("readable");
        let led = answered.led(&wire("WWW.shop.example"), 1);
        (led.aliases.len(), led.records.len())
    }

    #[test]
    fn only_records_that_the_chain_leads_to_are_found() {
        let a = || vec![192, 0, 2, 1];
        assert_eq!(
            found(&[
                ("www.shop.example", 1, 1, a()),
                ("www.shop.example", 16, 1, vec![1, b'x']),
                ("other.example", 1, 1, a())
            ]),
            (0, 1)
        );
        assert_eq!(
            found(&[("www.shop.example", 1, 3, a())]),
            (0, 0),
            "another class"
        );
        // In any order, over a DNAME, and never round and round.
        assert_eq!(
            found(&[
                ("b.example", 1, 1, a()),
                ("a.example", 5, 1, wire("b.example")),
                ("www.shop.example", 5, 1, wire("A.example"))
            ]),
            (2, 1)
        );
        assert_eq!(
            found(&[
                ("shop.example", 39, 1, wire("store.example")),
                ("www.store.example", 1, 1, a())
            ]),
            (1, 1)
        );
        assert_eq!(
            found(&[("www.shop.example", 39, 1, wire("store.example"))]),
            (0, 0),
            "a DNAME does not speak of its own name"
        );
        assert_eq!(
            found(&[
                ("www.shop.example", 5, 1, wire("b.example")),
                ("b.example", 5, 1, wire("www.shop.example"))
            ]),
            (1, 0)
        );
        assert_eq!(
            found(&[("www.shop.example", 5, 1, wire("gone.example"))]),
            (1, 0),
            "it dangles"
        );
    }

    #[test]
    fn a_chain_is_followed_for_a_bounded_number_of_names() {
        let mut records: Vec<(String, u16, u16, Vec<u8>)> =
            vec![("www.shop.example".into(), 5, 1, wire("n0.example"))];
        records.extend((0..CHAIN_LIMIT + 2).map(|n| {
            (
                format!("n{n}.example"),
                5,
                1,
                wire(&format!("n{}.example", n + 1)),
            )
        }));
        let borrowed: Vec<(&str, u16, u16, Vec<u8>)> = records
            .iter()
            .map(|(o, k, c, d)| (o.as_str(), *k, *c, d.clone()))
            .collect();
        assert_eq!(found(&borrowed).0, CHAIN_LIMIT);
    }

    #[test]
    fn an_answer_is_to_its_question_in_any_case_of_letters() {
        let mut asked = question(&wire("shop.example"), 1, Recursion::Desired);
        asked[..2].copy_from_slice(&[7, 9]);
        let mut reply = asked.clone();
        assert_eq!(
            answers(&asked, &reply),
            Err(Wrong::Message("it is a question, not an answer"))
        );
        reply[2] |= 0x80;
        assert_eq!(answers(&asked, &reply), Ok(()));
        reply[13] = b'S';
        assert_eq!(answers(&asked, &reply), Ok(()));
        reply[13] = b't';
        assert!(matches!(answers(&asked, &reply), Err(Wrong::Message(_))));
        reply[0] = 8;
        assert_eq!(answers(&asked, &reply), Err(Wrong::Id));
        // Who does not know the id can send these, too.
        assert_eq!(answers(&asked, &[]), Err(Wrong::Id));
        assert_eq!(answers(&asked, &[7]), Err(Wrong::Id));
        let short = Wrong::Message("it is shorter than a header");
        assert_eq!(answers(&asked, &[7, 9]), Err(short));
    }

    #[test]
    fn hostile_names_end() {
        assert!(name_at(&[0xc0, 0], 0).is_none(), "to itself");
        assert!(name_at(&[0xc0, 2, 0xc0, 0], 0).is_none(), "forwards");
        assert!(
            name_at(&[1, b'a', 0xc0, 0], 0).is_none(),
            "to its own begin, for ever"
        );
        assert!(
            name_at(&[0x40, 0], 0).is_none(),
            "a label of an unknown kind"
        );
        assert!(name_at(&[5, b'a'], 0).is_none(), "cut short");
        let pointers = |count: u8| {
            [
                vec![0, 0],
                (0..count).flat_map(|n| [0xc0, 2 * n]).collect::<Vec<u8>>(),
            ]
            .concat()
        };
        assert_eq!(name_at(&pointers(127), 254), Some((vec![0], 256)));
        assert!(
            name_at(&[pointers(127), vec![0xc0, 254]].concat(), 256).is_none(),
            "128 pointers"
        );
        let long: Vec<u8> = std::iter::repeat_n([1, b'a'], 128)
            .flatten()
            .chain([0])
            .collect();
        assert!(name_at(&long, 0).is_none(), "257 bytes");
        assert_eq!(
            name_at(&[0, 1, b'a', 0xc0, 0], 1),
            Some((vec![1, b'a', 0], 5))
        );
    }

    #[test]
    fn of_many_records_the_first_are_read_and_many_questions_are_refused() {
        let mut bytes = message(&vec![("www.shop.example", 1, 1, vec![192, 0, 2, 1]); 120]);
        assert_eq!(
            (
                read(&bytes).map(|m| m.records.len()),
                read_some(&bytes, 100).map(|m| m.records.len())
            ),
            (Ok(120), Ok(100))
        );
        assert_eq!(most_entries(&bytes), 121);
        bytes[4..8].copy_from_slice(&[0xff; 4]);
        assert_eq!(most_entries(&bytes), bytes.len() / 5);
        assert_eq!(
            read_some(&bytes, 100).map(|m| m.records.len()),
            Err("it repeats too many questions")
        );
    }

    #[test]
    fn every_cut_of_a_message_is_an_error_and_no_panic() {
        let whole = message(&[("www.shop.example", 1, 1, vec![1, 2, 3, 4])]);
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{end}");
        }
        assert!(read(&whole).is_ok());
    }
}
