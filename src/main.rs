//! The binary: everything is in the library.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    probity::daemon::sighup::watch();
    probity::net::sys::decline_huge_pages();
    probity::net::sys::return_freed_memory();
    probity::cli::main().into()
}
