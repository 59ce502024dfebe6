//! What a peer has said in a dialogue, held against the pattern that is expected next.
//!
//! A pattern is tried on each line, on what has arrived of a line without its end, and on all that
//! came since the last match. Whether more can still come is known for protocols that answer a
//! command with a reply of a known form: SMTP, FTP, NNTP, POP3, IMAP, Redis, memcached. Elsewhere
//! the peer has until the timeout. Pure: `kind::tcp` reads and writes.

use regex::bytes::Regex;
use zeroize::Zeroizing;

/// Bytes kept while one expectation is open.
pub const REPLY_LIMIT: usize = 64 << 10;
/// Bytes of an answer of several lines in which the place of a match is looked for.
const FOUND_WITHIN: usize = 2048;
/// Bytes of unfinished lines that are looked at again and again in one dialogue, as they trickle
/// in.
const SCAN_BUDGET: usize = 16 << 20;
/// Words of commands that are remembered, and bytes of one.
const WORD_LIMIT: usize = 32;
/// Bytes kept of the beginning of a line that has matched: more than a text shows of it.
const BEGUN_LIMIT: usize = 1024;

/// How a pattern stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// It matched this.
    Matched(Vec<u8>),
    /// The peer has answered with this, and no further answer is due.
    Cannot(Vec<u8>),
    More,
}

#[derive(Default)]
pub struct Dialogue {
    /// All that came since the last match; the lines before `line_at` have been looked at.
    received: Vec<u8>,
    line_at: usize,
    /// So far no line feed was found behind `line_at`.
    searched: usize,
    /// How the line began whose rest comes first: it has matched already. A secret that stands in
    /// it is only known as a whole.
    begun: Vec<u8>,
    /// The code of a reply of several lines whose last has not come.
    open_reply: Option<[u8; 3]>,
    commands: usize,
    /// The first words of the commands: the tags of IMAP.
    words: Vec<Zeroizing<String>>,
    is_http: bool,
    answered: usize,
    is_greeted: bool,
    has_matched: bool,
    scanned: usize,
}

impl Dialogue {
    /// Where the next bytes of the peer go.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.received
    }

    pub fn is_full(&self) -> bool {
        self.received.len() > REPLY_LIMIT
    }

    /// What came since the last match.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// The same for people, from the beginning of its first line on.
    pub fn said(&self) -> Vec<u8> {
        if self.received.trim_ascii().is_empty() {
            Vec::new()
        } else {
            [&*self.begun, &*self.received].concat()
        }
    }

    /// What the peer began with, while nothing of it has matched.
    pub fn unmatched_begin(&self) -> Option<&[u8]> {
        (!self.has_matched).then_some(&self.received)
    }

    pub fn has_sent(&self) -> bool {
        self.commands > 0
    }

    /// A text is sent; each of its lines is taken for a command that is answered.
    pub fn sent(&mut self, text: &str) {
        let before = self.commands;
        for line in text.lines().filter(|line| !line.is_empty()) {
            self.commands += 1;
            let word = line.split(' ').next().unwrap_or_default();
            if self.words.len() < WORD_LIMIT && word.len() <= WORD_LIMIT {
                self.words.push(Zeroizing::new(word.to_owned()));
            }
        }
        self.commands = self.commands.max(before + 1);
    }

    /// Looks at what has come since it was looked at last.
    pub fn look(&mut self, pattern: &Regex) -> Step {
        self.look_by(pattern, &|text| pattern.is_match(text))
    }

    /// The same, by another way to find the pattern in a text.
    pub fn look_by(&mut self, pattern: &Regex, is_in: &dyn Fn(&[u8]) -> bool) -> Step {
        // A property of the pattern, which may be long: not looked for in each line.
        let of_code = expects_a_code(pattern);
        let mut cannot = None;
        while let Some(end) = self.end_of_line() {
            let line = trimmed(&self.received[self.line_at..end]);
            let is_matched = is_in(line);
            let line = line.to_vec();
            let is_last = !self.is_within_line() && self.is_last_answer(&line, of_code);
            if is_matched {
                return self.matched(self.line_at..self.line_at + line.len(), end + 1);
            }
            self.line_at = end + 1;
            self.searched = self.line_at;
            if is_last {
                cannot = Some(line);
            }
        }
        if let Some(matched) = self.look_at_unfinished((pattern, of_code), is_in) {
            return matched;
        }
        cannot.map_or(Step::More, Step::Cannot)
    }

    /// `a1 OK`, `a1 NO`, `a1 BAD`: the answer to the IMAP command that was sent as `a1`.
    fn is_tagged(&self, line: &[u8]) -> bool {
        let mut words = line.split(|b| *b == b' ');
        let (tag, state) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        [&b"OK"[..], b"NO", b"BAD"].contains(&state)
            && self.words.iter().any(|word| word.as_bytes() == tag)
    }

    fn end_of_line(&mut self) -> Option<usize> {
        let found = self
            .received
            .get(self.searched..)?
            .iter()
            .position(|b| *b == b'\n')
            .map(|at| self.searched + at);
        self.searched = found.unwrap_or(self.received.len());
        found
    }

    fn look_at_unfinished(
        &mut self,
        (pattern, of_code): (&Regex, ExpectsCode),
        is_in: &dyn Fn(&[u8]) -> bool,
    ) -> Option<Step> {
        let partial = trimmed(&self.received[self.line_at..]);
        self.scanned += self.received.len();
        if self.scanned > SCAN_BUDGET {
            return None;
        }
        if !partial.is_empty() && is_in(partial) {
            let line = partial.to_vec();
            if !self.is_within_line() {
                self.is_last_answer(&line, of_code);
            }
            return Some(
                self.matched(self.line_at..self.line_at + line.len(), self.received.len()),
            );
        }
        // Over several lines, or over a byte of a binary greeting that happens to be a line feed.
        if self.line_at == 0 || !is_in(&self.received) {
            return None;
        }
        // In a long text, to ask where would be another search, and one without a limit.
        if self.received.len() > FOUND_WITHIN {
            let end = self.lines_until_match(is_in);
            let text = trimmed(&self.received[..end]).len();
            return Some(self.matched(0..text, end));
        }
        let found = pattern.find(&self.received)?.range();
        let rest = &self.received[found.end..];
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .map_or(self.received.len(), |at| found.end + at + 1);
        let from = begin_of_line(&self.received[..found.start]);
        let text = trimmed(&self.received[from..found.end]);
        Some(self.matched(from..from + text.len(), end))
    }

    /// The end of the first line up to which the pattern matches.
    fn lines_until_match(&self, is_in: &dyn Fn(&[u8]) -> bool) -> usize {
        let line_feeds = self
            .received
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'\n');
        let ends: Vec<usize> = line_feeds
            .map(|(at, _)| at + 1)
            .chain([self.received.len()])
            .collect();
        let before = ends.partition_point(|end| !is_in(&self.received[..*end]));
        ends.get(before).copied().unwrap_or(self.received.len())
    }

    /// Whether the line that is looked at is the rest of one that has matched already.
    fn is_within_line(&self) -> bool {
        self.line_at == 0 && !self.begun.is_empty()
    }

    /// The text is shown from the beginning of its line on.
    fn matched(&mut self, text: std::ops::Range<usize>, end: usize) -> Step {
        let begun = if text.start == 0 {
            std::mem::take(&mut self.begun)
        } else {
            Vec::new()
        };
        let text = [&*begun, &self.received[text]].concat();
        let from = begin_of_line(&self.received[..end]);
        self.begun = if from == 0 { begun } else { Vec::new() };
        self.begun.extend_from_slice(&self.received[from..end]);
        self.begun.truncate(BEGUN_LIMIT);
        self.received.drain(..end);
        self.line_at = 0;
        self.searched = 0;
        self.has_matched = true;
        Step::Matched(text)
    }

    /// Counts a line as an answer if it ends one; true where none of those that are due is left.
    fn is_last_answer(&mut self, line: &[u8], of_code: ExpectsCode) -> bool {
        if !self.ends_a_reply(line, of_code) {
            return false;
        }
        let was_greeted = std::mem::replace(&mut self.is_greeted, true);
        if self.answered == self.commands {
            return true;
        }
        // Commands were sent before the greeting was there.
        if !was_greeted
            && [&b"220"[..], b"200", b"201", b"* OK", b"* PREAUTH", b"+OK"]
                .iter()
                .any(|start| line.starts_with(start))
        {
            return false;
        }
        self.answered += 1;
        self.answered == self.commands
    }

    /// In doubt it does not: a healthy peer of a protocol that is not known here must not be taken
    /// for one that has refused.
    fn ends_a_reply(&mut self, line: &[u8], of_code: ExpectsCode) -> bool {
        self.is_http |= line.starts_with(b"HTTP/");
        if self.is_http {
            return false;
        }
        if let Some(code) = self.open_reply {
            let is_end = line.starts_with(&code) && matches!(line.get(3), None | Some(b' '));
            if is_end {
                self.open_reply = None;
            }
            return is_end;
        }
        if let [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line
            && of_code == ExpectsCode::Yes
        {
            return match rest {
                [b'-', ..] => {
                    self.open_reply = Some([*a, *b, *c]);
                    false
                }
                // A preliminary reply (1yz) is followed by another.
                [] | [b' ', ..] => *a != b'1',
                _ => false,
            };
        }
        match self.commands {
            0 => is_greeting(line),
            _ => is_error(line) || self.is_tagged(line),
        }
    }
}

/// Where the last line of these begins.
fn begin_of_line(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1)
}

/// Without the end of a line.
fn trimmed(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|b| !matches!(b, b'\r' | b'\n'))
        .map_or(0, |at| at + 1);
    &line[..end]
}

/// `-ERR ...` of POP3 and Redis, and what memcached answers.
fn is_error(line: &[u8]) -> bool {
    let is_coded = line.strip_prefix(b"-").is_some_and(|rest| {
        let word = rest.iter().take_while(|b| b.is_ascii_uppercase()).count();
        word >= 3 && matches!(rest.get(word), None | Some(b' '))
    });
    is_coded
        || line == b"ERROR"
        || line.starts_with(b"CLIENT_ERROR ")
        || line.starts_with(b"SERVER_ERROR ")
}

/// Whether a pattern speaks of a reply's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExpectsCode {
    Yes,
    No,
}

/// As `^220` and `^2\\d\\d` do.
fn expects_a_code(pattern: &Regex) -> ExpectsCode {
    let text = pattern.as_str();
    if text.bytes().any(|b| b.is_ascii_digit()) || text.contains("\\d") {
        ExpectsCode::Yes
    } else {
        ExpectsCode::No
    }
}

fn is_greeting(line: &[u8]) -> bool {
    [
        &b"* OK"[..],
        b"* PREAUTH",
        b"* BYE",
        b"+OK",
        b"-ERR",
        b"SSH-",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(dialogue: &mut Dialogue, bytes: &[u8], pattern: &str) -> Step {
        dialogue.buffer().extend_from_slice(bytes);
        dialogue.look(&Regex::new(pattern).expect("a pattern"))
    }

    fn matched(text: &[u8]) -> Step {
        Step::Matched(text.to_vec())
    }

    fn cannot(text: &[u8]) -> Step {
        Step::Cannot(text.to_vec())
    }

    #[test]
    fn what_follows_a_match_over_several_lines_of_a_long_text_is_kept() {
        let banner = "a line of the banner\r\n".repeat(150);
        assert!(banner.len() > FOUND_WITHIN);
        let mut dialogue = Dialogue::default();
        let all = format!("{banner}Welcome\r\nEND\r\nlogin: ");
        let step = looks(&mut dialogue, all.as_bytes(), r"(?s)Welcome.*\nEND");
        let Step::Matched(text) = step else {
            panic!("{step:?}")
        };
        assert!(text.ends_with(b"Welcome\r\nEND"));
        assert_eq!(looks(&mut dialogue, b"", "login:"), matched(b"login: "));
    }

    #[test]
    fn what_has_arrived_is_matched_without_a_line_feed() {
        let mut mariadb = Dialogue::default();
        assert_eq!(
            looks(
                &mut mariadb,
                b"n\0\0\0\x0a5.5.5-10.11.6-MariaDB\0\x01",
                "MariaDB"
            ),
            matched(b"5.5.5-10.11.6-MariaDB\0\x01")
        );
        let mut spanning = Dialogue::default();
        assert_eq!(
            looks(
                &mut spanning,
                b"n\0\0\0\x0a8.0.36\0",
                "(?s-u)^.\\x00\\x00\\x00\\n8\\."
            ),
            matched(b"n\0\0\0\x0a8.")
        );
        let mut telnet = Dialogue::default();
        assert_eq!(looks(&mut telnet, b"log", "login: $"), Step::More);
        assert_eq!(looks(&mut telnet, b"in: ", "login: $"), matched(b"login: "));
    }

    #[test]
    fn the_rest_of_a_line_that_matched_early_is_no_answer() {
        let mut smtp = Dialogue::default();
        assert_eq!(looks(&mut smtp, b"220 ma", "^220 "), matched(b"220 ma"));
        smtp.sent("QUIT\r\n");
        assert_eq!(looks(&mut smtp, b"il 554 x\r\n", "^221"), Step::More);
        assert_eq!(
            looks(&mut smtp, b"221 bye\r\n", "^221"),
            matched(b"221 bye")
        );
    }

    #[test]
    fn what_is_shown_of_a_line_is_shown_from_its_beginning() {
        let mut echo = Dialogue::default();
        assert_eq!(
            looks(&mut echo, b"220 hello sec", "^220 "),
            matched(b"220 hello sec")
        );
        assert!(echo.said().is_empty());
        assert_eq!(looks(&mut echo, b"r", "^221"), Step::More);
        assert_eq!(
            (echo.received(), echo.said()),
            (&b"r"[..], b"220 hello secr".to_vec())
        );
        assert_eq!(
            looks(&mut echo, b"et", "ret$"),
            matched(b"220 hello secret")
        );
        assert_eq!(
            looks(&mut echo, b" it is\nnext\n", "^next"),
            matched(b"next")
        );
        assert!(echo.begun.is_empty());
        assert_eq!(
            looks(&mut echo, b"a\nb secret", "a\nb s"),
            matched(b"a\nb s")
        );
        assert_eq!(looks(&mut echo, b"!\n", "!"), matched(b"b secret!"));
        assert_eq!(
            (looks(&mut echo, &[b'x'; 5000], "x"), echo.begun.len()),
            (matched(&[b'x'; 5000]), BEGUN_LIMIT)
        );
    }

    #[test]
    fn a_last_answer_that_does_not_match_ends_the_dialogue() {
        for (line, pattern) in [
            (&b"554 5.7.1 no\r\n"[..], "^220"),
            (b"-ERR [SYS/TEMP] later\r\n", "^\\+OK"),
            (b"* BYE too many\r\n", "^\\* OK"),
            (b"SSH-2.0-x\r\n", "^220"),
            (b"421\r\n", "^220"),
            (b"554-no\r\n and no\r\n554 no\r\n", "^220"),
        ] {
            assert!(
                matches!(
                    looks(&mut Dialogue::default(), line, pattern),
                    Step::Cannot(_)
                ),
                "{pattern}"
            );
        }
        for (command, line, pattern) in [
            (
                "PING\r\n",
                &b"-NOAUTH Authentication required.\r\n"[..],
                "^\\+PONG",
            ),
            ("a1 NOOP\r\n", b"a1 BAD what\r\n", "^a1 OK"),
            ("version\r\n", b"ERROR\r\n", "^VERSION"),
            (
                "EHLO x\r\n",
                b"502 5.5.1 Error: command not implemented\r\n",
                "^250 ",
            ),
        ] {
            let mut dialogue = Dialogue::default();
            dialogue.sent(command);
            assert_eq!(
                looks(&mut dialogue, line, pattern),
                cannot(trimmed(line)),
                "{command}"
            );
        }
    }

    #[test]
    fn while_an_answer_can_still_come_the_dialogue_goes_on() {
        // Lines of one reply.
        let mut smtp = Dialogue::default();
        assert_eq!(looks(&mut smtp, b"220-first\r\n", "^220 "), Step::More);
        assert_eq!(looks(&mut smtp, b"220-554 second\r\n", "^220 "), Step::More);
        assert_eq!(
            looks(&mut smtp, b"220 last\r\n", "^220 "),
            matched(b"220 last")
        );
        let mut ftp = Dialogue::default();
        assert_eq!(
            looks(
                &mut ftp,
                b"230-welcome\r\n550 is a number in its text\r\n",
                "^230 "
            ),
            Step::More
        );
        // The greeting was not waited for, and two commands went out together.
        let mut early = Dialogue::default();
        early.sent("EHLO x\r\nQUIT\r\n");
        assert_eq!(looks(&mut early, b"220 mail\r\n", "^221"), Step::More);
        assert_eq!(
            looks(&mut early, b"250-mail\r\n250 HELP\r\n", "^221"),
            Step::More
        );
        assert_eq!(
            looks(&mut early, b"221 bye\r\n", "^221"),
            matched(b"221 bye")
        );
        // Preliminary replies, untagged answers, the BYE before the answer to LOGOUT, lines behind
        // +OK.
        for (command, line, pattern) in [
            ("LIST\r\n", &b"150 here it comes\r\n"[..], "^226"),
            ("a1 LOGOUT\r\n", b"* BYE\r\n", "^a1 OK"),
            ("CAPA\r\n", b"+OK\r\n", "^STLS"),
            (
                "GET / HTTP/1.0\r\n\r\n",
                b"HTTP/1.0 404 Not Found\r\n",
                "ready",
            ),
        ] {
            let mut dialogue = Dialogue::default();
            dialogue.sent(command);
            assert_eq!(looks(&mut dialogue, line, pattern), Step::More, "{command}");
        }
    }

    #[test]
    fn a_peer_of_an_unknown_protocol_is_not_taken_for_one_that_refuses() {
        for text in [
            &b"Welcome\r\n450 users\r\n"[..],
            b"2001 a space\r\n",
            b"db OK\r\ncache OK\r\n",
            b"ERROR\r\n",
            b"-TEST suite\r\n",
            b"HTTP/1.0 200 OK\r\n\r\n500 items\r\n",
        ] {
            let mut peer = Dialogue::default();
            assert_eq!(
                looks(&mut peer, text, "^ready"),
                Step::More,
                "{:?}",
                String::from_utf8_lossy(text)
            );
            assert_eq!(looks(&mut peer, b"ready\r\n", "^ready"), matched(b"ready"));
        }
        let mut http = Dialogue::default();
        http.sent("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(
            looks(
                &mut http,
                b"HTTP/1.0 200 OK\r\n\r\n500 items\r\n",
                "^501 items"
            ),
            Step::More
        );
        let mut imap = Dialogue::default();
        imap.sent("a1 NOOP\r\n");
        assert_eq!(
            looks(&mut imap, b"b7 BAD x\r\n", "^a1 OK"),
            Step::More,
            "to nothing that was sent"
        );
    }

    #[test]
    fn a_line_of_a_reply_that_matched_leaves_the_rest_of_it_in_place() {
        let mut smtp = Dialogue::default();
        assert_eq!(
            looks(&mut smtp, b"220-first\r\n220 last\r\n", "^220"),
            matched(b"220-first")
        );
        smtp.sent("QUIT\r\n");
        assert_eq!(looks(&mut smtp, b"", "^221"), Step::More);
        assert_eq!(
            looks(&mut smtp, b"221 bye\r\n", "^221"),
            matched(b"221 bye")
        );
    }

    #[test]
    fn bytes_that_trickle_in_are_not_scanned_without_end() {
        let pattern = Regex::new("ready$").expect("a pattern");
        let mut dialogue = Dialogue::default();
        for _ in 0..REPLY_LIMIT {
            dialogue.buffer().push(b'x');
            assert_eq!(dialogue.look(&pattern), Step::More);
        }
        assert!(dialogue.scanned > SCAN_BUDGET && !dialogue.is_full());
    }
}
