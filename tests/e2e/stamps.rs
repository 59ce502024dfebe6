//! What the probing thread has to do while an answer waits in the kernel is not the endpoint's
//! latency.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use probity::kind::run::run;
use probity::net::clock::Clock;
use probity::net::shared::Net;

use super::authority::{Authority, acceptor, https};
use super::serve::*;

/// How long the answer waits for the thread that probes.
const HELD_NS: u64 = 200_000_000;
/// How long the endpoint takes at least.
const SERVICE_NS: u64 = 30_000_000;

/// What a server on another thread does: it says that it was asked, and how long it took once its
/// answer is out.
struct Served {
    port: u16,
    asked: Receiver<()>,
    took_ns: Arc<AtomicU64>,
}

struct Course {
    asked: Sender<()>,
    took_ns: Arc<AtomicU64>,
}

fn course(port: u16) -> (Served, Course) {
    let (sender, asked) = channel();
    let took_ns = Arc::new(AtomicU64::new(0));
    (
        Served {
            port,
            asked,
            took_ns: took_ns.clone(),
        },
        Course {
            asked: sender,
            took_ns,
        },
    )
}

impl Course {
    /// Answers the request that has just been read.
    fn answer(&self, write: impl FnOnce()) {
        let read_ns = Clock::Real.boot_ns();
        self.asked.send(()).expect("the test waits");
        spin_until(read_ns + SERVICE_NS);
        let took_ns = Clock::Real.boot_ns() - read_ns;
        write();
        self.took_ns.store(took_ns, Ordering::Release);
    }
}

fn spin_until(boot_ns: u64) {
    while Clock::Real.boot_ns() < boot_ns {
        std::thread::yield_now();
    }
}

/// Passes one connection on to a server; the first that comes back is its answer.
fn relayed(to: u16) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let (served, course) = course(listener.local_addr().expect("bound").port());
    std::thread::spawn(move || {
        let (mut near, _) = listener.accept().expect("a probe");
        let mut far = TcpStream::connect(("127.0.0.1", to)).expect("the server");
        let mut piece = [0; 16_384];
        let mut pass = |from: &mut TcpStream, to: &mut TcpStream| {
            let n = from.read(&mut piece).unwrap_or(0);
            to.write_all(&piece[..n]).expect("open");
        };
        pass(&mut near, &mut far);
        course.answer(|| pass(&mut far, &mut near));
        let (mut near_too, mut far_too) = (
            near.try_clone().expect("a socket"),
            far.try_clone().expect("a socket"),
        );
        std::thread::spawn(move || std::io::copy(&mut near_too, &mut far_too));
        let _ = std::io::copy(&mut far, &mut near);
    });
    served
}

/// Probes; from when the server has answered this thread does something else for a while.
async fn held(lines: &str, served: Served) {
    let endpoint = endpoint(lines);
    let net = Net::default();
    let began_ns = Clock::Real.boot_ns();
    let busy = async {
        while served.asked.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        while served.took_ns.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        spin_until(Clock::Real.boot_ns() + HELD_NS);
    };
    let (report, ()) = tokio::task::LocalSet::new()
        .run_until(async { tokio::join!(run(&net, &endpoint), busy) })
        .await;
    let wall_ns = Clock::Real.boot_ns() - began_ns;
    assert_up(&report);
    let (reported_ns, took_ns) = (
        report.duration_us * 1000,
        served.took_ns.load(Ordering::Acquire),
    );
    assert!(
        reported_ns + HELD_NS <= wall_ns + 1000,
        "{lines}: {reported_ns} ns were reported of {wall_ns}, and {HELD_NS} were ours"
    );
    assert!(
        reported_ns + 1000 >= took_ns,
        "{lines}: {reported_ns} ns were reported, and the server took {took_ns}"
    );
    let in_phases_ns: u64 = probity::words::Phase::ALL
        .into_iter()
        .filter_map(|phase| report.phases.us(phase))
        .map(|us| u64::from(us) * 1000)
        .sum();
    assert!(
        in_phases_ns.abs_diff(reported_ns) <= 10_000,
        "{lines}: the phases are {in_phases_ns} ns of {reported_ns}"
    );
}

#[tokio::test]
async fn an_answer_that_waits_for_our_thread_is_as_old_as_the_kernel_says() {
    // The kernel begins to stamp a moment after the first socket has asked for it.
    let _stamping = Net::default();
    let (sender, port) = channel();
    let authority = Authority::new();
    let accept = acceptor(authority.leaf(|_| {}), &[]);
    // A runtime of its own: this thread is the one that is held.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            sender
                .send((answering(ok("", b"hello")).await, https(accept).await))
                .expect("the test waits");
            std::future::pending::<()>().await;
        });
    });
    let (plain, tls) = port.recv().expect("both listen");
    let served = relayed(plain);
    held(
        &format!("probe.http.url = \"http://127.0.0.1:{}/\"", served.port),
        served,
    )
    .await;
    let served = relayed(plain);
    held(
        &format!(
            "probe.tcp = {{ address = \"127.0.0.1:{}\", dialogue = [{{ send = \"GET / \
            HTTP/1.1\\r\\n\\r\\n\" }}, {{ expect = \"200\" }}] }}",
            served.port
        ),
        served,
    )
    .await;
    let served = relayed(tls);
    held(
        &format!(
            "probe.http.url = \"https://127.0.0.1:{}/\"\nprobe.http.tls.ca_file = {:?}",
            served.port,
            authority.ca_file()
        ),
        served,
    )
    .await;
}

#[tokio::test]
async fn a_datagram_that_waits_for_our_thread_is_as_old_as_the_kernel_says() {
    let _stamping = Net::default();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let (served, course) = course(socket.local_addr().expect("bound").port());
    std::thread::spawn(move || {
        let mut message = [0; 512];
        let (length, from) = socket.recv_from(&mut message).expect("a question");
        // The question again, marked as an answer.
        message[2] |= 0x80;
        course.answer(|| {
            assert_eq!(
                socket.send_to(&message[..length], from).expect("sent"),
                length
            )
        });
    });
    held(
        &format!(
            "probe.dns = {{ server = \"127.0.0.1:{}\", query = \"www.example\", type \
        = \"A\", expect.at_least = 0 }}",
            served.port
        ),
        served,
    )
    .await;
}

/// Lets this thread do nothing else for so long, as a stall of the prober does.
fn stand_still(ms: u64) {
    let until = Clock::Real.boot_ns() + ms * 1_000_000;
    while Clock::Real.boot_ns() < until {
        std::hint::spin_loop();
    }
}

#[tokio::test]
async fn after_a_stall_what_came_later_than_the_timeout_is_late_and_what_came_in_time_is_not() {
    // Servers of their own threads, which go on while this one stands still.
    let server = |after_ms: u64| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stand_still(after_ms);
            let _ = stream.write_all(&ok("", b"ok"));
            let _ = stream.read_to_end(&mut Vec::new());
        });
        port
    };
    for (after_ms, is_late) in [(50, false), (600, true)] {
        let endpoint = endpoint(&format!(
            "timeout = \"400ms\"\nprobe.http = \"http://127.0.0.1:{}/\"",
            server(after_ms)
        ));
        let report = tokio::task::LocalSet::new()
            .run_until(async move {
                let net = Net::default();
                let probe = run(&net, &endpoint);
                tokio::pin!(probe);
                // The request goes out, then nothing is looked at until long after the timeout.
                assert!(
                    tokio::time::timeout(std::time::Duration::from_millis(20), &mut probe)
                        .await
                        .is_err()
                );
                stand_still(900);
                probe.await
            })
            .await;
        if is_late {
            assert!(
                cause(&report).is_timeout(),
                "late, whatever was ready first: {:?}",
                report.outcome
            );
        } else {
            assert_up(&report);
        }
    }
}
