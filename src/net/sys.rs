//! The one place with unsafe code: thin, checked wrappers of system calls that no safe crate gives
//! us.
//!
//! Clocks, timerfd, TCP_INFO, receive time stamps, the limit of open files, an option of the
//! allocator. Each function states what it relies on.
#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; everything else in the crate denies unsafe code"
)]

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, ReadBuf};

/// A clock of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelClock {
    /// Since boot, running while suspended; never set.
    Boottime,
    /// Since boot, standing while suspended; never set.
    Monotonic,
    /// The calendar; may be set.
    Realtime,
    /// What the calling thread has used of a processor.
    ThreadCpu,
}

impl KernelClock {
    fn id(self) -> libc::clockid_t {
        match self {
            KernelClock::Boottime => libc::CLOCK_BOOTTIME,
            KernelClock::Monotonic => libc::CLOCK_MONOTONIC,
            KernelClock::Realtime => libc::CLOCK_REALTIME,
            KernelClock::ThreadCpu => libc::CLOCK_THREAD_CPUTIME_ID,
        }
    }

    /// Nanoseconds.
    pub fn now_ns(self) -> u64 {
        let mut ts = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `ts` is a valid timespec to write to; these clock ids exist on every Linux that
        // this runs on.
        unsafe { libc::clock_gettime(self.id(), &raw mut ts) };
        ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
    }
}

/// What the kernel says of its calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelSync {
    /// Something disciplines it, and it is the clock that we read.
    Synchronised,
    Unsynchronised,
    /// It may not be asked here.
    Unavailable,
}

/// The state of synchronisation (adjtimex(2), which changes nothing when no mode is set).
pub fn kernel_sync() -> KernelSync {
    // SAFETY: all zero is a valid timex, and no mode asks for a change.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `timex` is valid to read and to write.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return KernelSync::Unavailable;
    }
    let per_second = if timex.status & libc::STA_NANO == 0 {
        1_000_000
    } else {
        1_000_000_000
    };
    let kernel_ns = timex.time.tv_sec as u64 * 1_000_000_000
        + timex.time.tv_usec as u64 * (1_000_000_000 / per_second);
    // A clock that something between us and the kernel has moved is not the one it vouches for.
    let is_ours = kernel_ns.abs_diff(KernelClock::Realtime.now_ns()) < 1_000_000_000;
    let is_synchronised = state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0;
    if is_synchronised && is_ours {
        KernelSync::Synchronised
    } else {
        KernelSync::Unsynchronised
    }
}

/// The index of a network interface of this name.
pub fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: `name` is a string with its end, which lives until the call is over.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index > 0).then_some(index)
}

/// A timer on CLOCK_BOOTTIME whose descriptor becomes readable when it is due.
pub struct TimerFd(OwnedFd);

impl AsRawFd for TimerFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl TimerFd {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed; the result is checked before it is owned.
        let fd = unsafe {
            libc::timerfd_create(libc::CLOCK_BOOTTIME, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` is a fresh descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Due at this absolute time; at once when it has passed.
    pub fn arm(&self, at_ns: u64) -> io::Result<()> {
        let at_ns = at_ns.max(1);
        let spec = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: (at_ns / 1_000_000_000) as libc::time_t,
                tv_nsec: (at_ns % 1_000_000_000) as libc::c_long,
            },
        };
        // SAFETY: `spec` outlives the call; a null old value is allowed.
        let rc = unsafe {
            libc::timerfd_settime(
                self.0.as_raw_fd(),
                libc::TFD_TIMER_ABSTIME,
                &raw const spec,
                std::ptr::null_mut(),
            )
        };
        if rc < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Takes the count of expirations, so that the descriptor is no longer readable.
    pub fn drain(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: the buffer has the eight bytes that a timerfd writes.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// An owner of one descriptor that stays open and the same for as long as the owner lives.
///
/// # Safety
///
/// `as_raw_fd` gives the same descriptor in every call, and the descriptor is closed by the drop of
/// its owner and by nothing else, not even through a shared reference: the runtime goes on to watch
/// its number, which the kernel would give to somebody else.
pub unsafe trait KeepsItsDescriptor: AsFd + AsRawFd {}
// SAFETY: the one field is never exchanged, and its drop closes it.
unsafe impl KeepsItsDescriptor for TimerFd {}
// SAFETY: a socket2::Socket owns one descriptor; no method of it closes or exchanges that, and its
// drop closes it.
unsafe impl KeepsItsDescriptor for socket2::Socket {}

/// Registers with the runtime that this is called in.
pub fn watch<T: KeepsItsDescriptor>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: what the trait promises is what is asked for here.
    unsafe { AsyncFd::register_with_interest(owner, interest) }.map_err(io::Error::from)
}

/// What the kernel measured of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpFacts {
    pub rtt_us: u32,
    pub retransmits: u32,
    /// Segments that came in so far; 0 where the kernel does not say it.
    pub segments_in: u32,
    /// Both ends have said that they are there, and neither has taken it back.
    pub is_open: bool,
}

/// The states of an open connection (include/net/tcp_states.h): ESTABLISHED, and CLOSE_WAIT where
/// the other end has nothing more to send.
const OPEN_STATES: [u8; 2] = [1, 8];

pub fn tcp_facts(fd: BorrowedFd) -> Option<TcpFacts> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which is zeroed and plain data.
    let info = unsafe {
        if libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        ) < 0
        {
            return None;
        }
        info.assume_init()
    };
    Some(TcpFacts {
        rtt_us: info.tcpi_rtt,
        retransmits: info.tcpi_total_retrans,
        segments_in: info.tcpi_segs_in,
        is_open: OPEN_STATES.contains(&info.tcpi_state),
    })
}

/// Asks the kernel to stamp what this socket receives with the time of arrival (SO_TIMESTAMPNS).
pub fn stamp_arrivals(fd: BorrowedFd) {
    switch_on(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS);
}

/// One datagram: its length, its sender, its arrival (CLOCK_REALTIME, ns).
#[derive(Debug, Clone, Copy)]
pub struct Received {
    pub length: usize,
    pub from: Option<SocketAddr>,
    pub arrived_ns: Option<u64>,
    /// The IP time to live or hop limit, where the socket was asked to tell.
    pub hop_limit: Option<u8>,
}

/// Receives without waiting; `WouldBlock` when nothing is there.
pub fn receive(fd: BorrowedFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = [0_u64; 16];
    let mut address = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut iov = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: msghdr is plain data; every pointer in it outlives the call and its length is given
    // beside it.
    let (length, message) = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = address.as_mut_ptr().cast();
        message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        message.msg_iov = &raw mut iov;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        (
            libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT),
            message,
        )
    };
    if length < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has filled the control buffer of this message, which is still there.
    let (arrived_ns, hop_limit) = unsafe { ancillary_data(&message) };
    // SAFETY: the storage is zeroed plain data; the family says which of its layouts the kernel
    // wrote.
    let from = unsafe {
        let storage = address.assume_init();
        match i32::from(storage.ss_family) {
            libc::AF_INET => {
                let v4: libc::sockaddr_in = std::ptr::read((&raw const storage).cast());
                let address = IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some((address, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let v6: libc::sockaddr_in6 = std::ptr::read((&raw const storage).cast());
                let address = IpAddr::from(v6.sin6_addr.s6_addr);
                Some((address, u16::from_be(v6.sin6_port)).into())
            }
            _ => None,
        }
    };
    Ok(Received {
        length: length as usize,
        from,
        arrived_ns,
        hop_limit,
    })
}

/// Reads from a stream without waiting; the arrival (CLOCK_REALTIME, ns) of the last of what was
/// read, if the kernel stamped it.
pub fn read_stamped(fd: BorrowedFd, buffer: &mut ReadBuf<'_>) -> io::Result<Option<u64>> {
    let mut control = [0_u64; 8];
    // SAFETY: msghdr is plain data; every pointer in it outlives the call and its length is given
    // beside it. The kernel writes only initialised bytes into the unfilled part, and says how
    // many.
    unsafe {
        let unfilled = buffer.unfilled_mut();
        let mut iov = libc::iovec {
            iov_base: unfilled.as_mut_ptr().cast(),
            iov_len: unfilled.len(),
        };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut iov;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let length = libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT);
        if length < 0 {
            return Err(io::Error::last_os_error());
        }
        buffer.assume_init(length as usize);
        buffer.advance(length as usize);
        Ok(ancillary_data(&message).0)
    }
}

/// Arrival and hop limit, as the control messages of a received message tell them.
///
/// # Safety
///
/// The message's control buffer must be valid for `msg_controllen` bytes that the kernel has
/// filled.
unsafe fn ancillary_data(message: &libc::msghdr) -> (Option<u64>, Option<u8>) {
    let (mut arrived_ns, mut hop_limit) = (None, None);
    // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR walk the control buffer within msg_controllen; payloads
    // are read unaligned, and only where the message holds one of the size of its type.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            // The kernel cuts a message that does not fit, down to its header.
            let holds = |size: usize| {
                (*header).cmsg_len as usize >= libc::CMSG_LEN(size as libc::c_uint) as usize
            };
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) if holds(size_of::<libc::timespec>()) => {
                    let ts: libc::timespec = std::ptr::read_unaligned(data.cast());
                    arrived_ns = Some(ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64);
                }
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)
                    if holds(size_of::<libc::c_int>()) =>
                {
                    let hops: libc::c_int = std::ptr::read_unaligned(data.cast());
                    hop_limit = u8::try_from(hops).ok();
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    (arrived_ns, hop_limit)
}

/// Asks for the time to live of what this IPv4 socket receives.
pub fn receive_ttl(fd: BorrowedFd) {
    switch_on(fd, libc::IPPROTO_IP, libc::IP_RECVTTL);
}

/// Asks for the hop limit of what this IPv6 socket receives.
pub fn receive_hop_limit(fd: BorrowedFd) {
    switch_on(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT);
}

fn switch_on(fd: BorrowedFd, level: libc::c_int, option: libc::c_int) {
    let on: libc::c_int = 1;
    // SAFETY: `on` is a c_int that outlives the call.
    unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
}

/// Lowers the priority of the calling thread (on Linux nice(2) is about one thread): others of this
/// process come first.
pub fn yield_to_other_threads() {
    // SAFETY: no pointers are passed; where it fails, the priority stays as it is.
    unsafe { libc::nice(5) };
}

/// The priority of all real-time threads of this program: the lowest.
const REAL_TIME: libc::sched_param = libc::sched_param { sched_priority: 1 };
const AS_OTHERS: libc::sched_param = libc::sched_param { sched_priority: 0 };

/// Whether RLIMIT_RTPRIO permits real-time priority. Root could take it without: then nobody has
/// asked for it.
pub fn may_run_in_real_time() -> bool {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid to write; where it fails, it stays 0.
    unsafe { libc::getrlimit(libc::RLIMIT_RTPRIO, &raw mut limit) };
    limit.rlim_cur >= 1
}

/// Gives the calling thread real-time priority (sched(7), SCHED_RR). Threads that it starts do not
/// inherit it.
pub fn run_in_real_time() -> io::Result<()> {
    scheduled(libc::SCHED_RR, &REAL_TIME)
}

/// Takes it back.
pub fn run_as_others() -> io::Result<()> {
    scheduled(libc::SCHED_OTHER, &AS_OTHERS)
}

fn scheduled(policy: libc::c_int, param: &libc::sched_param) -> io::Result<()> {
    // Without privileges the flag can be set and never cleared, so it is always given.
    let policy = policy | libc::SCHED_RESET_ON_FORK;
    // SAFETY: `param` is valid to read; 0 is the calling thread.
    if unsafe { libc::sched_setscheduler(0, policy, param) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Nobody reads this process's memory: no core is dumped, and no process of the same user may
/// attach (PR_SET_DUMPABLE).
pub fn close_memory() {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `none` is valid to read, and no other pointer is passed; where one fails, the other
    // still holds.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

/// The user that this process acts as.
pub fn effective_user() -> u32 {
    // SAFETY: no pointers are passed; it cannot fail.
    unsafe { libc::geteuid() }
}

/// From here on this process reads and writes files as this user and group, without others. For
/// root, who would leave files of its own otherwise.
pub fn act_as(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: no group is read behind the null pointer, and no other pointer is passed.
    let failed = unsafe {
        libc::setgroups(0, std::ptr::null()) < 0
            || libc::setegid(group) < 0
            || libc::seteuid(user) < 0
    };
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether this process may read and write a file, whatever it does with it later.
pub fn may_read_and_write(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let wanted = libc::R_OK | libc::W_OK;
    // SAFETY: `name` is a string with its end, which lives until the call is over.
    let answer =
        unsafe { libc::faccessat(libc::AT_FDCWD, name.as_ptr(), wanted, libc::AT_EACCESS) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard one; returns the limit then in force.
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid to read and write; failures leave the old limit in force, which is
    // then returned.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) < 0 {
            return 1024;
        }
        let wanted = libc::rlimit {
            rlim_cur: limit.rlim_max.min(1 << 20),
            rlim_max: limit.rlim_max,
        };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) == 0 {
            limit = wanted;
        }
    }
    limit.rlim_cur
}

/// `mi_option_purge_delay` of mimalloc.h, the same in its versions 2 and 3; the crate has no name
/// for it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Freed memory goes back to the kernel at once. By default the allocator keeps it for a second and
/// more, in which bodies of a megabyte leave tens of them.
pub fn return_freed_memory() {
    // SAFETY: sets a number inside the allocator, which takes it at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 0) };
}

/// No huge pages for this process (prctl(2), PR_SET_THP_DISABLE). The allocator asks for them, and
/// a small part of each is in use: of 1,000 endpoints' 11 MiB they made 25.
pub fn decline_huge_pages() {
    // SAFETY: numbers only; where the kernel does not know it, nothing changes.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Gives back what this thread has freed, and what threads left that have ended: the allocator
/// keeps pages that are in use in part, and looks at those of others when it needs some.
pub fn collect_freed_memory() {
    // SAFETY: no pointers are passed; it looks through the allocator's own lists.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_armed_timer_becomes_readable_and_drains() {
        let timer = TimerFd::new().expect("a timerfd");
        timer.arm(KernelClock::Boottime.now_ns()).expect("armed");
        let mut poll = libc::pollfd {
            fd: timer.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd that outlives the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 1000) };
        assert_eq!(ready, 1);
        timer.drain();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 0) }, 0);
    }

    #[test]
    fn a_stamped_datagram_tells_its_sender_and_arrival() {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        stamp_arrivals(receiver.as_fd());
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        let before = KernelClock::Realtime.now_ns();
        sender
            .send_to(b"hello", receiver.local_addr().expect("bound"))
            .expect("sent");
        let mut buffer = [0; 16];
        let got = receive(receiver.as_fd(), &mut buffer).expect("there");
        assert_eq!((got.length, got.from), (5, sender.local_addr().ok()));
        let arrived = got.arrived_ns.expect("stamped");
        assert!(arrived + 1_000_000 >= before && arrived <= KernelClock::Realtime.now_ns());
        assert_eq!(
            receive(receiver.as_fd(), &mut buffer)
                .expect_err("empty")
                .kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn the_kernel_tells_the_round_trip_of_a_connection() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let stream =
            std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let facts = tcp_facts(stream.as_fd()).expect("TCP_INFO");
        assert_eq!(facts.retransmits, 0);
    }

    #[test]
    fn memory_that_is_closed_is_not_dumped() {
        close_memory();
        let mut limit = libc::rlimit {
            rlim_cur: 1,
            rlim_max: 1,
        };
        // SAFETY: `limit` is valid to write; the other call passes no pointer.
        let dumpable = unsafe {
            assert_eq!(libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit), 0);
            libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0)
        };
        assert_eq!((dumpable, limit.rlim_cur, limit.rlim_max), (0, 0, 0));
    }

    #[test]
    fn the_option_of_the_allocator_is_the_one_meant() {
        // SAFETY: reads a number inside the allocator.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(
            delay(),
            1000,
            "mimalloc's own default, and no other option's"
        );
        return_freed_memory();
        assert_eq!(delay(), 0);
    }

    #[test]
    fn huge_pages_are_declined_for_the_whole_process() {
        decline_huge_pages();
        let status = std::fs::read_to_string("/proc/self/status").expect("readable");
        let thp = status.lines().find(|line| line.starts_with("THP_enabled:"));
        assert_eq!(thp, Some("THP_enabled:\t0"));
    }

    #[test]
    fn clocks_go_forward_and_each_has_its_own_origin() {
        for clock in [
            KernelClock::Boottime,
            KernelClock::Monotonic,
            KernelClock::Realtime,
            KernelClock::ThreadCpu,
        ] {
            let first = clock.now_ns();
            assert!(clock.now_ns() >= first, "{clock:?}");
        }
        assert!(KernelClock::Realtime.now_ns() > KernelClock::Boottime.now_ns());
        assert!(KernelClock::ThreadCpu.now_ns() < KernelClock::Boottime.now_ns());
    }

    #[test]
    fn the_calendar_of_the_kernel_is_ours_or_nothing_is_said_of_it() {
        // Which of the three it is depends on the host; that it is the same twice does not.
        assert_eq!(kernel_sync(), kernel_sync());
    }

    #[test]
    fn interfaces_are_known_by_name() {
        assert!(interface_index("lo").is_some_and(|index| index > 0));
        for name in [
            "",
            "no-such-name",
            "lo\0",
            "a-name-that-is-longer-than-any-interface",
        ] {
            assert_eq!(interface_index(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_stream_says_when_what_was_read_had_come() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let mut sender =
            std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (receiver, _) = listener.accept().expect("accepted");
        stamp_arrivals(receiver.as_fd());
        let mut room = [MaybeUninit::uninit(); 4];
        let mut buffer = ReadBuf::uninit(&mut room);
        assert_eq!(
            read_stamped(receiver.as_fd(), &mut buffer)
                .expect_err("empty")
                .kind(),
            io::ErrorKind::WouldBlock
        );
        assert_eq!(buffer.filled().len(), 0);
        // The kernel begins to stamp some moments after the first socket of the host asks for it,
        // and nothing before.
        let (before, stamp) = (0..10_000)
            .find_map(|_| {
                buffer.clear();
                let before = KernelClock::Realtime.now_ns();
                io::Write::write_all(&mut sender, b"hell").expect("sent");
                read_stamped(receiver.as_fd(), &mut buffer)
                    .expect("read")
                    .map(|stamp| (before, stamp))
            })
            .expect("stamped at last");
        assert_eq!(buffer.filled(), b"hell");
        io::Write::write_all(&mut sender, b"hello").expect("sent");
        buffer.clear();
        read_stamped(receiver.as_fd(), &mut buffer).expect("read");
        assert_eq!(buffer.filled(), b"hell", "no more than there is room for");
        assert!(stamp + 1_000_000 >= before && stamp <= KernelClock::Realtime.now_ns());
        drop(sender);
        let mut rest = ReadBuf::uninit(&mut room);
        read_stamped(receiver.as_fd(), &mut rest).expect("the rest");
        assert_eq!(rest.filled(), b"o");
        let mut end = ReadBuf::uninit(&mut room);
        assert_eq!(
            (
                read_stamped(receiver.as_fd(), &mut end).expect("the end"),
                end.filled().len()
            ),
            (None, 0)
        );
    }

    #[test]
    fn a_control_message_that_was_cut_to_its_header_says_nothing() {
        let stamp = [5_i64, 7];
        let cut = |bytes: usize| {
            #[repr(C, align(8))]
            struct Room([u8; 64]);
            let mut room = Room([0; 64]);
            // SAFETY: a msghdr of zeros is valid, and its control buffer is that of `room`, which
            // outlives it.
            let (message, header) = unsafe {
                let mut message: libc::msghdr = std::mem::zeroed();
                message.msg_control = room.0.as_mut_ptr().cast();
                message.msg_controllen = 64;
                let header = libc::CMSG_FIRSTHDR(&raw const message);
                ((message), header)
            };
            // SAFETY: the first header lies at the start of 64 bytes, with room for a timespec.
            unsafe {
                (*header).cmsg_level = libc::SOL_SOCKET;
                (*header).cmsg_type = libc::SCM_TIMESTAMPNS;
                (*header).cmsg_len = libc::CMSG_LEN(bytes as libc::c_uint) as _;
                std::ptr::copy_nonoverlapping(
                    stamp.as_ptr().cast::<u8>(),
                    libc::CMSG_DATA(header),
                    16,
                );
                ancillary_data(&message).0
            }
        };
        assert_eq!(cut(16), Some(5_000_000_007));
        assert_eq!(cut(0), None);
        assert_eq!(cut(8), None);
    }

    #[test]
    fn a_datagram_tells_its_time_to_live() {
        for (address, tell) in [
            ("127.0.0.1:0", receive_ttl as fn(BorrowedFd)),
            ("[::1]:0", receive_hop_limit),
        ] {
            // A host may have no IPv6.
            let Ok(receiver) = std::net::UdpSocket::bind(address) else {
                continue;
            };
            tell(receiver.as_fd());
            let sender = std::net::UdpSocket::bind(address).expect("bound");
            sender
                .send_to(&[7; 300], receiver.local_addr().expect("bound"))
                .expect("sent");
            let mut buffer = [0; 16];
            let got = receive(receiver.as_fd(), &mut buffer).expect("there");
            assert_eq!((got.length, got.from), (16, sender.local_addr().ok()));
            assert!(got.hop_limit.is_some_and(|hops| hops > 0), "{address}");
        }
    }

    #[tokio::test]
    async fn a_watched_timer_wakes_who_waits() {
        let watched =
            watch(TimerFd::new().expect("a timerfd"), Interest::READABLE).expect("registered");
        watched
            .get_ref()
            .arm(KernelClock::Boottime.now_ns() + 1_000_000)
            .expect("armed");
        watched.readable().await.expect("due").clear_ready();
        watched.get_ref().drain();
    }

    #[tokio::test]
    async fn what_is_watched_is_closed_with_its_owner() {
        let (ours, theirs) =
            socket2::Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None)
                .expect("a pair");
        ours.set_nonblocking(true).expect("set");
        let watched = watch(ours, Interest::READABLE).expect("registered");
        theirs.send(b"x").expect("sent");
        watched.readable().await.expect("there").clear_ready();
        drop(watched);
        assert_eq!(
            theirs.send(b"x").expect_err("nobody is there").kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn the_limit_of_open_files_is_raised_and_never_lowered() {
        let raised = raise_open_files();
        assert_eq!(raise_open_files(), raised);
        assert!(raised >= 256);
    }
}
