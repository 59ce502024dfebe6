//! Answers each HTTP/1.1 request a known time after it was read, and writes down how long each
//! answer took.
//!
//!     paced_server DELAY_US RECORDS
//!
//! Prints its port; it listens there on 127.0.0.1 to 127.0.0.8. A request of `/t/N` or `/b/N` is
//! answered and recorded, `/end` writes the file RECORDS and ends. One line per answer: t or b, N,
//! Unix time in microseconds at which the request was read, nanoseconds from then to the write of
//! the answer. The answer carries the same nanoseconds as its body.
//!
//! One thread over epoll, because a thread per request would itself be what is measured at 12,000
//! requests a second. Standard library only; the three calls of epoll come from the C library that
//! it is linked with anyway.

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
#[derive(Clone, Copy)]
struct EpollEvent {
    events: u32,
    data: u64,
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn epoll_create1(flags: i32) -> i32;
    fn epoll_ctl(epoll: i32, operation: i32, fd: i32, event: *mut EpollEvent) -> i32;
    fn epoll_pwait2(
        epoll: i32,
        events: *mut EpollEvent,
        max: i32,
        timeout: *const Timespec,
        signals: *const u8,
    ) -> i32;
    fn listen(fd: i32, backlog: i32) -> i32;
}

const ADD: i32 = 1;
const READABLE: u32 = 1;
const ADDRESSES: u8 = 8;

struct Asked {
    stream: TcpStream,
    read_at: Instant,
    unix_us: u128,
    kind: char,
    number: u32,
}

struct Answered {
    unix_us: u128,
    service_ns: u128,
    kind: char,
    number: u32,
}

fn watch(epoll: i32, fd: i32) {
    let mut event = EpollEvent {
        events: READABLE,
        data: fd as u64,
    };
    // SAFETY: the event lives through the call, both descriptors are open.
    assert_eq!(
        unsafe { epoll_ctl(epoll, ADD, fd, &mut event) },
        0,
        "epoll_ctl"
    );
}

/// Listeners on one port of all addresses.
fn listeners() -> Vec<TcpListener> {
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = first.local_addr().expect("bound").port();
        let others: Result<Vec<_>, _> = (2..=ADDRESSES)
            .map(|n| TcpListener::bind(format!("127.0.0.{n}:{port}")))
            .collect();
        if let Ok(others) = others {
            let all: Vec<TcpListener> = std::iter::once(first).chain(others).collect();
            for listener in &all {
                listener.set_nonblocking(true).expect("a socket");
                // SAFETY: a second listen on a listening socket only changes its backlog.
                assert_eq!(unsafe { listen(listener.as_raw_fd(), 65_535) }, 0, "listen");
            }
            return all;
        }
    }
    panic!("no port is free on all addresses");
}

/// `/t/12` of the request line as ('t', 12).
fn named(head: &[u8]) -> Option<(char, u32)> {
    let text = std::str::from_utf8(head).ok()?;
    let mut parts = text.split(' ').nth(1)?.split('/').skip(1);
    let kind = parts.next()?;
    if kind == "end" {
        return Some(('e', 0));
    }
    Some((kind.chars().next()?, parts.next()?.parse().ok()?))
}

fn answer(mut asked: Asked, answered: &mut Vec<Answered>) {
    // The clock is read before the write: loopback delivers within that call.
    let service_ns = asked.read_at.elapsed().as_nanos();
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: \
        25\r\nconnection: close\r\n\r\n{service_ns:020}\nend\n"
    );
    let _ = asked.stream.write_all(text.as_bytes());
    answered.push(Answered {
        unix_us: asked.unix_us,
        service_ns,
        kind: asked.kind,
        number: asked.number,
    });
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let delay = Duration::from_micros(
        arguments
            .next()
            .and_then(|a| a.parse().ok())
            .expect("DELAY_US"),
    );
    let records = arguments.next().expect("RECORDS");
    // SAFETY: takes no pointer.
    let epoll = unsafe { epoll_create1(0) };
    let listeners = listeners();
    listeners.iter().for_each(|l| watch(epoll, l.as_raw_fd()));
    println!("{}", listeners[0].local_addr().expect("bound").port());

    let mut open: HashMap<i32, TcpStream> = HashMap::new();
    let mut waiting: VecDeque<Asked> = VecDeque::new();
    let mut answered = Vec::with_capacity(1 << 20);
    let mut events = [EpollEvent { events: 0, data: 0 }; 256];
    let mut buffer = [0; 4096];
    loop {
        let wait = waiting.front().map_or(Duration::from_secs(1), |a| {
            (a.read_at + delay).saturating_duration_since(Instant::now())
        });
        let timeout = Timespec {
            seconds: wait.as_secs() as i64,
            nanoseconds: i64::from(wait.subsec_nanos()),
        };
        // SAFETY: the kernel writes at most as many events as the array has.
        let count = unsafe {
            epoll_pwait2(
                epoll,
                events.as_mut_ptr(),
                events.len() as i32,
                &timeout,
                std::ptr::null(),
            )
        };
        for event in &events[..count.max(0) as usize] {
            let fd = event.data as i32;
            if let Some(listener) = listeners.iter().find(|l| l.as_raw_fd() == fd) {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).expect("a socket");
                    watch(epoll, stream.as_raw_fd());
                    open.insert(stream.as_raw_fd(), stream);
                }
                continue;
            }
            let Some(stream) = open.get_mut(&fd) else {
                continue;
            };
            // Requests are small and come in one write: one read has all of it.
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => {
                    let (read_at, unix) = (
                        Instant::now(),
                        SystemTime::now()
                            .duration_since(UNIX_EPOCH)
                            .expect("after 1970"),
                    );
                    let Some(stream) = open.remove(&fd) else {
                        continue;
                    };
                    match named(&buffer[..count]) {
                        Some(('e', _)) => return write(&records, &answered),
                        Some((kind, number)) => waiting.push_back(Asked {
                            stream,
                            read_at,
                            unix_us: unix.as_micros(),
                            kind,
                            number,
                        }),
                        None => {}
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => drop(open.remove(&fd)),
            }
            while waiting
                .front()
                .is_some_and(|a| a.read_at.elapsed() >= delay)
            {
                waiting
                    .pop_front()
                    .into_iter()
                    .for_each(|a| answer(a, &mut answered));
            }
        }
        while waiting
            .front()
            .is_some_and(|a| a.read_at.elapsed() >= delay)
        {
            waiting
                .pop_front()
                .into_iter()
                .for_each(|a| answer(a, &mut answered));
        }
    }
}

fn write(path: &str, answered: &[Answered]) {
    let mut text = String::with_capacity(answered.len() * 40);
    for a in answered {
        text.push_str(&format!(
            "{} {} {} {}\n",
            a.kind, a.number, a.unix_us, a.service_ns
        ));
    }
    std::fs::write(path, text).expect("the records are written");
}
