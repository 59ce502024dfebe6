//! What a running daemon can never do again: start a program, reach into another process, leave the
//! filter of system calls by way of io_uring.
//!
//! The unit's `SystemCallFilter=` cannot refuse execve: systemd applies it first and executes the
//! daemon under it. So the daemon does it itself, and where no service manager is at work, too. Not
//! inherited away: a filter holds for all threads and what they make.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};

const NEVER: [i64; 9] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// A kernel with x32 takes the calls of x86-64 under numbers with this bit, and some under others:
/// execve, ptrace, process_vm_readv, process_vm_writev, execveat (syscall_64.tbl). To a filter, the
/// two are one architecture.
const X32_BIT: i64 = 0x4000_0000;
const X32_OWN: [i64; 5] = [520, 521, 539, 540, 545];

/// Every number under which a call can be reached that is never made.
fn never() -> impl Iterator<Item = i64> {
    let is_x32 = cfg!(target_arch = "x86_64");
    let x32 = NEVER.into_iter().chain(X32_OWN);
    let x32 = x32.map(|call| call | X32_BIT).filter(move |_| is_x32);
    NEVER.into_iter().chain(x32)
}

/// From here on those calls are refused with EPERM, in every thread. The error says why a kernel
/// does not take the filter.
pub fn to_probing() -> Result<(), String> {
    apply_filter_all_threads(&filter()?).map_err(|e| e.to_string())
}

fn filter() -> Result<BpfProgram, String> {
    let refused = never()
        .map(|call| (call, Vec::new()))
        .collect::<BTreeMap<_, _>>();
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(|e: seccompiler::BackendError| e.to_string())?;
    let filter = SeccompFilter::new(
        refused,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        arch,
    );
    filter
        .and_then(TryInto::try_into)
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_names_execve_under_each_number_of_it() {
        let filter = filter().expect("a filter");
        let names = |number: i64| filter.iter().any(|step| i64::from(step.k) == number);
        assert!(names(libc::SYS_execve));
        if cfg!(target_arch = "x86_64") {
            for number in [520, 545, 59, 322, 521, 539, 540, 425] {
                assert!(names(0x4000_0000 | number), "{number}");
            }
        }
    }

    #[test]
    fn a_confined_thread_starts_no_program_and_still_opens_files_and_sockets() {
        let confined = || {
            // Of this thread alone: the other tests go on.
            seccompiler::apply_filter(&filter().expect("a filter")).expect("applied");
            let started = std::process::Command::new("/bin/true")
                .status()
                .map_err(|e| e.kind());
            let file = std::fs::read("/proc/self/status").is_ok();
            let socket = std::net::TcpListener::bind("127.0.0.1:0").is_ok();
            (started.map(|s| s.success()), file, socket)
        };
        let (started, file, socket) = std::thread::spawn(confined).join().expect("ended");
        assert_eq!(
            (started, file, socket),
            (Err(std::io::ErrorKind::PermissionDenied), true, true)
        );
    }
}
