//! What resolv.conf and hosts say, read as glibc reads them (resolv/res_init.c, nss/nss_files):
//! what cannot be read costs its line only.
//!
//! Parsing is pure; [`System`] reads the files again, apart from the probing thread, when that was
//! some seconds ago. Never asks anybody.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{apart, bounded, sys};

/// How often resolv.conf and hosts are looked at for changes.
const REREAD_AFTER: Duration = Duration::from_secs(5);
/// How long a probe waits for what has changed, before it goes on with what was read before.
const PATIENCE: Duration = Duration::from_millis(100);
/// glibc asks three servers (MAXNS) and counts fifteen dots (RES_MAXNDOTS) at most.
const SERVER_LIMIT: usize = 3;
const NDOTS_LIMIT: i64 = 15;
const DNS_PORT: u16 = 53;

/// Where the system's resolver files are; tests have their own.
#[derive(Debug, Clone)]
pub struct Paths {
    pub resolv_conf: PathBuf,
    pub hosts: PathBuf,
    /// Where name servers of a resolv.conf listen.
    pub port: u16,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            resolv_conf: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
            port: DNS_PORT,
        }
    }
}

/// What a resolv.conf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    pub servers: Vec<SocketAddr>,
    pub search: Vec<Name>,
    pub ndots: usize,
    /// `nameserver` lines that name no server: line number, and what stands there.
    pub unusable: Vec<(usize, String)>,
}

/// Reads a resolv.conf. `interface` gives the index of a network interface by its name.
pub fn parse_resolv_conf(bytes: &[u8], interface: impl Fn(&str) -> Option<u32>) -> ResolvConf {
    let mut found = ResolvConf {
        servers: Vec::new(),
        search: Vec::new(),
        ndots: 1,
        unusable: Vec::new(),
    };
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if matches!(line.first(), Some(b';' | b'#')) {
            continue;
        }
        let line = String::from_utf8_lossy(line);
        // A keyword stands at the very begin of its line, before a blank or a tab.
        let Some((keyword, rest)) = line.split_once([' ', '\t']) else {
            continue;
        };
        let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
        match keyword {
            "nameserver" => {
                let Some(word) = words.next() else { continue };
                match server(word, &interface) {
                    Some(_) if found.servers.len() >= SERVER_LIMIT => {}
                    Some(address) => found.servers.push(address),
                    None => found.unusable.push((number + 1, word.to_owned())),
                }
            }
            "domain" => {
                if let Some(word) = words.next() {
                    found.search = domain(word).into_iter().collect();
                }
            }
            "search" => {
                let mut words = words.peekable();
                if words.peek().is_some() {
                    found.search = words.filter_map(domain).collect();
                }
            }
            "options" => words
                .filter_map(|word| word.strip_prefix("ndots:"))
                .for_each(|value| found.ndots = ndots(value)),
            _ => {}
        }
    }
    found
}

/// As atoi() reads it: digits as far as they go, nothing is zero.
fn ndots(text: &str) -> usize {
    let digits: String = text
        .chars()
        .take_while(char::is_ascii_digit)
        .take(6)
        .collect();
    digits.parse::<i64>().unwrap_or(0).min(NDOTS_LIMIT) as usize
}

fn domain(word: &str) -> Option<Name> {
    let mut name = if word == "." {
        Name::root()
    } else {
        Name::from_ascii(word).ok()?
    };
    name.set_fqdn(true);
    Some(name)
}

fn server(word: &str, interface: &impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    if let Some(address) = inet_aton(word) {
        return Some(SocketAddr::new(address.into(), DNS_PORT));
    }
    let (address, zone) = word
        .split_once('%')
        .map_or((word, None), |(address, zone)| (address, Some(zone)));
    let address: Ipv6Addr = address.parse().ok()?;
    let scope = match zone {
        None => 0,
        // An interface that is not there, or not yet, leaves the address without one.
        Some(zone) => zone.parse().ok().or_else(|| interface(zone)).unwrap_or(0),
    };
    Some(SocketAddrV6::new(address, DNS_PORT, 0, scope).into())
}

/// inet_aton(3): one to four numbers, each decimal, octal (0) or hexadecimal (0x); the last fills
/// what is left.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    let number = |part: &str| -> Option<u64> {
        let (digits, radix) = match part.as_bytes() {
            [b'0', b'x' | b'X', _, ..] => (&part[2..], 16),
            [b'0', _, ..] => (&part[1..], 8),
            _ => (part, 10),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u64::from_str_radix(digits, radix).ok()
    };
    let (last, first) = parts.split_last()?;
    let mut value: u64 = 0;
    for part in first {
        value = value << 8 | number(part).filter(|n| *n <= 0xff)?;
    }
    let rest_bits = 8 * (4 - first.len() as u32);
    let rest = number(last).filter(|n| *n < 1 << rest_bits)?;
    Some(Ipv4Addr::from((value << rest_bits | rest) as u32))
}

/// The addresses of each name of a hosts file, in the order of their lines. Names in lower case.
pub fn parse_hosts(bytes: &[u8]) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in bytes.split(|b| *b == b'\n') {
        let line = line.split(|b| *b == b'#').next().unwrap_or_default();
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let address = words
            .next()
            .and_then(|word| std::str::from_utf8(word).ok())
            .and_then(|word| word.parse::<IpAddr>().ok());
        let Some(address) = address else { continue };
        for name in words {
            let list = hosts
                .entry(String::from_utf8_lossy(name).to_ascii_lowercase())
                .or_default();
            if !list.contains(&address) {
                list.push(address);
            }
        }
    }
    hosts
}

/// A file as far as its metadata tells: device, inode, length, times of change; nothing where it is
/// not there.
type Look = Option<(u64, u64, u64, i64, i64, i64, i64)>;

fn look_at(path: &Path) -> Look {
    let m = std::fs::metadata(path).ok()?;
    Some((
        m.dev(),
        m.ino(),
        m.len(),
        m.mtime(),
        m.mtime_nsec(),
        m.ctime(),
        m.ctime_nsec(),
    ))
}

/// A file that is not there is empty. That it cannot be read now (no descriptor is left, say) tells
/// nothing of what is in it.
fn read_if_there(path: &Path) -> Result<Vec<u8>, String> {
    match bounded::of_this_host(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// What the system's files said when they were read last.
#[derive(Default)]
pub struct ResolverFiles {
    pub servers: Vec<SocketAddr>,
    pub search: Vec<Name>,
    pub ndots: usize,
    pub hosts: HashMap<String, Vec<IpAddr>>,
    /// What the files looked like then.
    looked: Option<(Look, Look)>,
    lines: ServerLines,
}

/// What one look at the files brought.
#[derive(Default)]
struct Known {
    /// The last that could be read.
    files: Option<ResolverFiles>,
    /// When that was known to be so. A look that failed is repeated by the next probe.
    at: Option<Instant>,
    /// Why the last look failed.
    error: Option<String>,
    is_looking: bool,
}

/// A look under way. However it ends, another may begin.
struct Looking {
    known: Arc<watch::Sender<Known>>,
    /// It has told its end: what is under way since then is another look.
    has_ended: bool,
}

impl Drop for Looking {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        self.known.send_modify(|known| {
            known.is_looking = false;
            known.error = Some("the look at them ended by itself".into());
        });
    }
}

/// The system's files. A hosts file of megabytes takes longer than a probing thread has for one
/// probe, so they are read apart from it.
pub struct System {
    paths: Paths,
    known: Arc<watch::Sender<Known>>,
}

impl System {
    pub fn new(paths: Paths) -> Self {
        Self {
            paths,
            known: Arc::new(watch::Sender::new(Known::default())),
        }
    }

    /// Looks at the files again if that is due, and waits for it: for as long as `PATIENCE` where
    /// older contents are there to go on with, else until `deadline`. The error: the files were
    /// never read, and cannot be read now.
    pub async fn refresh(&self, deadline: Instant) -> Result<(), String> {
        self.refresh_within(PATIENCE, deadline).await
    }

    async fn refresh_within(&self, patience: Duration, deadline: Instant) -> Result<(), String> {
        let mut known = self.known.subscribe();
        let has_files = {
            let known = known.borrow_and_update();
            if known.at.is_some_and(|at| at.elapsed() < REREAD_AFTER) {
                return Ok(());
            }
            known.files.is_some()
        };
        self.look();
        let until = if has_files {
            deadline.min(Instant::now() + patience)
        } else {
            deadline
        };
        let looked = timeout_at(until, known.wait_for(|known| !known.is_looking)).await;
        match looked {
            Err(_) if has_files => Ok(()),
            Err(_) => Err("reading them took longer than this probe may".into()),
            Ok(known) => match known.map_err(|e| e.to_string())?.deref() {
                Known { files: Some(_), .. } => Ok(()),
                Known { error, .. } => Err(error.clone().unwrap_or_default()),
            },
        }
    }

    /// Begins a look unless one is under way.
    fn look(&self) {
        let is_begun = self
            .known
            .send_if_modified(|known| !std::mem::replace(&mut known.is_looking, true));
        if !is_begun {
            return;
        }
        let (paths, sender) = (self.paths.clone(), self.known.clone());
        // Where there is no thread for it, this ends here, and the next probe tries again.
        let looking = Looking {
            known: sender.clone(),
            has_ended: false,
        };
        let begun = apart::begin(move || {
            let mut looking = looking;
            let before = sender.borrow().files.as_ref().map(|files| Before {
                looked: files.looked,
                lines: files.lines.clone(),
            });
            let read = read(&paths, before.as_ref());
            let mut old = None;
            sender.send_modify(|known| {
                known.is_looking = false;
                known.error = read.as_ref().err().cloned();
                if let Ok(read) = read {
                    known.at = Some(Instant::now());
                    old = read.and_then(|read| known.files.replace(read));
                }
            });
            looking.has_ended = true;
            // A large file is forgotten here, where nobody waits.
            drop(old);
        });
        if let Err(error) = begun {
            self.known
                .send_modify(|known| known.error = Some(error.to_string()));
        }
    }

    /// What is known; the files must have been read once.
    pub fn with<R>(&self, of: impl FnOnce(&ResolverFiles) -> R) -> Option<R> {
        self.known.borrow().files.as_ref().map(of)
    }
}

/// What is known of the files that were read last.
struct Before {
    looked: Option<(Look, Look)>,
    lines: ServerLines,
}

/// What the lines of name servers came to.
#[derive(Clone, Default, PartialEq, Eq)]
struct ServerLines {
    /// By the number of the line.
    unusable: Vec<(usize, String)>,
    is_one_left: bool,
}

/// Reads the files, or nothing where they look as they did before.
fn read(paths: &Paths, before: Option<&Before>) -> Result<Option<ResolverFiles>, String> {
    let looked = Some((look_at(&paths.resolv_conf), look_at(&paths.hosts)));
    if before.is_some_and(|before| before.looked == looked) {
        return Ok(None);
    }
    let (conf, hosts) = (
        read_if_there(&paths.resolv_conf)?,
        read_if_there(&paths.hosts)?,
    );
    let found = parse_resolv_conf(&conf, sys::interface_index);
    let mut servers = found.servers;
    let lines = ServerLines {
        unusable: found.unusable,
        is_one_left: !servers.is_empty(),
    };
    if before.is_none_or(|before| before.lines != lines) {
        lines.say(paths);
    }
    if servers.is_empty() {
        servers = vec![(Ipv4Addr::LOCALHOST, DNS_PORT).into()];
    }
    servers
        .iter_mut()
        .for_each(|server| server.set_port(paths.port));
    Ok(Some(ResolverFiles {
        servers,
        search: found.search,
        ndots: found.ndots,
        hosts: parse_hosts(&hosts),
        looked,
        lines,
    }))
}

impl ServerLines {
    /// Once for each state of the file.
    fn say(&self, paths: &Paths) {
        let path = paths.resolv_conf.display();
        if !self.is_one_left && self.unusable.is_empty() {
            tracing::warn!("{path}: no name server is configured, so 127.0.0.1 is asked");
        }
        for (line, word) in &self.unusable {
            let what = format!(
                "{path}:{line}: invalid address of a name server: `{}`",
                word.escape_debug()
            );
            if self.is_one_left {
                tracing::info!("{what}; the line is ignored");
            } else {
                tracing::warn!("{what}; no other server is configured, so 127.0.0.1 is asked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ResolvConf {
        parse_resolv_conf(text.as_bytes(), |name| (name == "eth0").then_some(7))
    }

    fn servers(text: &str) -> Vec<String> {
        parsed(text)
            .servers
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_cannot_be_read_costs_its_line_only() {
        let text = "\u{feff}nameserver 192.0.2.9\nnameservers 192.0.2.8\n nameserver \
            192.0.2.7\nfoo bar\nnameserver\nnameserver 300.1.1.1\nnameserver 192.0.2.1 # first\n\
                    options ndots:x nonsense:5 rotate\nnameserver\t2001:db8::1\n";
        assert_eq!(servers(text), ["192.0.2.1:53", "[2001:db8::1]:53"]);
        assert_eq!(parsed(text).unusable, [(6, "300.1.1.1".to_owned())]);
        assert_eq!(parsed(text).ndots, 0, "atoi() reads nothing as 0");
    }

    #[test]
    fn addresses_are_those_of_inet_aton_and_a_zone_is_kept() {
        assert_eq!(
            servers("nameserver 127.1\nnameserver 0x7f000001\nnameserver 010.0.0.1\n"),
            ["127.0.0.1:53", "127.0.0.1:53", "8.0.0.1:53"]
        );
        assert_eq!(
            servers("nameserver fe80::1%eth0\nnameserver fe80::1%3\nnameserver fe80::2%gone\n"),
            ["[fe80::1%7]:53", "[fe80::1%3]:53", "[fe80::2]:53"]
        );
        for word in [
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.65536",
            "4294967296",
            "0x",
            "1..2",
            "08.0.0.1",
            "::g",
        ] {
            assert_eq!(servers(&format!("nameserver {word}\n")), [""; 0], "{word}");
        }
    }

    #[test]
    fn three_servers_are_asked_and_the_last_of_domain_and_search_counts() {
        assert_eq!(
            servers(
                "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver \
            192.0.2.3\nnameserver 192.0.2.4\n"
            )
            .len(),
            3
        );
        let search = |text: &str| {
            parsed(text)
                .search
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            search("domain a.example\nsearch b.example c.example\n"),
            ["b.example.", "c.example."]
        );
        assert_eq!(
            search("search b.example c.example\ndomain a.example x\n"),
            ["a.example."]
        );
        assert_eq!(
            search("search b.example\nsearch\nsearch   \n"),
            ["b.example."]
        );
        assert_eq!(
            (
                parsed("options ndots:5 ndots:2\n").ndots,
                parsed("options ndots:99\n").ndots,
                parsed("options ndots:3x\n").ndots
            ),
            (2, 15, 3)
        );
    }

    #[test]
    fn lines_that_name_no_server_are_logged_once_and_so_is_a_file_without_any() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = Paths {
            resolv_conf: directory.path().join("resolv.conf"),
            hosts: directory.path().join("hosts"),
            port: 53,
        };
        let log = directory.path().join("log");
        let mut before: Option<Before> = None;
        let mut logged = |text: &str| {
            std::fs::write(&paths.resolv_conf, text).expect("written");
            let file = Arc::new(std::fs::File::create(&log).expect("made"));
            let subscriber = tracing_subscriber::fmt()
                .with_writer(file)
                .with_ansi(false)
                .without_time()
                .with_target(false)
                .finish();
            let files = tracing::subscriber::with_default(subscriber, || {
                read(&paths, before.as_ref()).expect("read").expect("new")
            });
            before = Some(Before {
                looked: None,
                lines: files.lines,
            });
            let place = paths.resolv_conf.display().to_string();
            std::fs::read_to_string(&log)
                .expect("a log")
                .replace(&place, "FILE")
        };
        let none = " WARN FILE: no name server is configured, so 127.0.0.1 is asked\n";
        assert_eq!(logged("search a.example\n"), none);
        assert_eq!(logged("search b.example\n"), "", "once");
        let bad = "# by hand\nnameserver 300.1.1.1\nnameserver \u{7}x\n";
        assert_eq!(
            logged(bad),
            " WARN FILE:2: invalid address of a name server: `300.1.1.1`; no other server is \
                configured, so 127.0.0.1 is asked\n WARN FILE:3: invalid address of a name \
                server: `\\u{7}x`; no other server is configured, so 127.0.0.1 is asked\n"
        );
        assert_eq!(
            logged("nameserver 192.0.2.1\nnameserver 300.1.1.1\n"),
            " INFO FILE:2: invalid address of a name server: `300.1.1.1`; the line is ignored\n"
        );
        assert_eq!(logged("nameserver 192.0.2.1\n"), "");
        assert_eq!(logged(""), none);
    }

    /// As if the last look had been five seconds ago.
    fn age(system: &System) {
        system
            .known
            .send_modify(|known| known.at = known.at.and_then(|at| at.checked_sub(REREAD_AFTER)));
    }

    fn hosts_of(system: &System) -> Vec<String> {
        let mut names: Vec<String> = system
            .with(|files| files.hosts.keys().cloned().collect())
            .unwrap_or_default();
        names.sort();
        names
    }

    fn fifo(path: &Path) {
        let _ = std::fs::remove_file(path);
        assert!(
            std::process::Command::new("mkfifo")
                .arg(path)
                .status()
                .expect("coreutils")
                .success()
        );
    }

    #[tokio::test]
    async fn what_has_changed_is_seen_by_the_probe_that_looks_and_a_slow_file_keeps_nobody() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = Paths {
            resolv_conf: directory.path().join("resolv.conf"),
            hosts: directory.path().join("hosts"),
            port: 53,
        };
        let soon = || Instant::now() + Duration::from_secs(60);
        std::fs::write(&paths.hosts, "127.0.0.1 one\n").expect("written");
        let system = System::new(paths.clone());
        assert!(system.with(|_| ()).is_none());
        system.refresh(soon()).await.expect("read");
        std::fs::write(&paths.hosts, "127.0.0.1 one two\n").expect("written");
        system.refresh(soon()).await.expect("known");
        assert_eq!(hosts_of(&system), ["one"], "not due yet");
        age(&system);
        // A busy machine may have no thread for the look for longer than a probe waits for it.
        system
            .refresh_within(Duration::from_secs(60), soon())
            .await
            .expect("read");
        assert_eq!(hosts_of(&system), ["one", "two"]);
        // Nobody writes into it: reading it takes until somebody does.
        fifo(&paths.hosts);
        age(&system);
        let (began, deadline) = (Instant::now(), soon());
        system.refresh(deadline).await.expect("known");
        assert!(began.elapsed() >= PATIENCE, "{:?}", began.elapsed());
        assert!(
            Instant::now() < deadline && system.known.borrow().is_looking,
            "it went on while the look was under way"
        );
        assert_eq!(
            hosts_of(&system),
            ["one", "two"],
            "what was read before counts on"
        );
        std::fs::write(&paths.hosts, "127.0.0.1 three\n").expect("written");
        let mut known = system.known.subscribe();
        drop(known.wait_for(|known| !known.is_looking).await);
        assert_eq!(
            hosts_of(&system),
            ["three"],
            "read by the look that was under way"
        );
    }

    #[test]
    fn a_look_that_has_told_its_end_does_not_end_the_next_one() {
        for has_ended in [true, false] {
            let known = Arc::new(watch::Sender::new(Known {
                is_looking: true,
                ..Known::default()
            }));
            drop(Looking {
                known: known.clone(),
                has_ended,
            });
            assert_eq!(known.borrow().is_looking, has_ended);
        }
    }

    #[test]
    fn a_moment_without_threads_ends_no_look_for_ever() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = Paths {
            resolv_conf: directory.path().join("resolv.conf"),
            hosts: directory.path().join("hosts"),
            port: 53,
        };
        std::fs::write(&paths.hosts, "127.0.0.1 one\n").expect("written");
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
        };
        let system = Arc::new(System::new(paths));
        let (other, soon) = (system.clone(), Duration::from_secs(20));
        let failed = apart::without_threads(move || {
            runtime().block_on(async { other.refresh(Instant::now() + soon).await })
        });
        assert!(
            failed.as_ref().is_err_and(|why| why.contains("no thread")),
            "{failed:?}"
        );
        runtime()
            .block_on(async { system.refresh(Instant::now() + soon).await })
            .expect("read by the next probe");
        assert_eq!(hosts_of(&system), ["one"]);
    }

    #[tokio::test]
    async fn files_that_were_never_read_are_waited_for_until_the_deadline() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = Paths {
            resolv_conf: directory.path().join("resolv.conf"),
            hosts: directory.path().join("hosts"),
            port: 53,
        };
        fifo(&paths.hosts);
        let system = System::new(paths.clone());
        let why = system
            .refresh(Instant::now() + Duration::from_millis(50))
            .await
            .expect_err("nothing is known");
        assert!(why.contains("longer than this probe may"), "{why}");
        let writing = std::thread::spawn(move || std::fs::write(&paths.hosts, "127.0.0.1 one\n"));
        system
            .refresh(Instant::now() + Duration::from_secs(60))
            .await
            .expect("read");
        assert_eq!(hosts_of(&system), ["one"]);
        writing.join().expect("no panic").expect("written");
    }

    #[test]
    fn bytes_beyond_utf_8_cost_nothing_in_hosts() {
        let hosts = parse_hosts(
            b"192.0.2.1 one \xff\xfe two\n# 192.0.2.2 three\n192.0.2.3\tThree.Example # \
                four\n\xff\xff five\n300.0.0.1 six\n::1 one\n192.0.2.1 one\n",
        );
        let of = |name: &str| {
            hosts
                .get(name)
                .map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>())
                .unwrap_or_default()
        };
        assert_eq!(
            (of("one"), of("two"), of("three.example")),
            (
                vec!["192.0.2.1".into(), "::1".into()],
                vec!["192.0.2.1".into()],
                vec!["192.0.2.3".into()]
            )
        );
        assert!(
            of("three").is_empty()
                && of("four").is_empty()
                && of("five").is_empty()
                && of("six").is_empty()
        );
    }
}
