//! The binary of this build as a command. Every test starts it from here, so that the whole suite
//! can run under a filter of system calls.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The binary; after the program that PROBITY_LOADER names, where it does
/// (tests/system/confined.sh).
fn words() -> Vec<OsString> {
    let binary = OsString::from(env!("CARGO_BIN_EXE_probity"));
    std::env::var_os("PROBITY_LOADER")
        .into_iter()
        .chain([binary])
        .collect()
}

pub fn program() -> Command {
    let words = words();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// A command that root gives at a shell, where no unit confines it: it may act as another user.
pub fn program_of_root() -> Command {
    Command::new(env!("CARGO_BIN_EXE_probity"))
}

/// The same as another user, who may not reach the folder of this build: a copy in a folder of the
/// test.
pub fn program_of_user(folder: &Path, user: u32) -> Command {
    let copy = folder.join("probity");
    if !copy.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_probity"), &copy).expect("copied");
    }
    let mut command = Command::new(copy);
    command.uid(user).gid(user);
    command
}

/// The binary in place of a shell that does something first.
pub fn program_after(script: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{script}; exec \"$@\""))
        .arg("sh")
        .args(words());
    command
}

#[test]
fn no_test_starts_the_binary_otherwise() {
    for entry in std::fs::read_dir("tests/e2e").expect("readable") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        let is_here = path.ends_with("program.rs");
        // In two parts, so that this line is not one.
        assert_eq!(
            text.contains(concat!("CARGO_BIN", "_EXE")),
            is_here,
            "{}: use program()",
            path.display()
        );
    }
}
