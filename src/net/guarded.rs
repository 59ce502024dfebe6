//! Who else could change what this program believes: the modes and owners of config files, their
//! folders, secrets and the state directory.
//!
//! A file that others can write to is no config of the one who starts the daemon. Each refusal
//! names the command that mends it. docs/decisions/037-who-may-ask.md has the reasons.

use std::collections::BTreeSet;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::file_modes::{STICKY, is_mounted_read_only, quoted, shown};
use super::files::folder_of;
use super::{above, sys};

const WRITTEN_BY_OTHERS: u32 = 0o022;

/// Whether a sticky folder is as good as one that nobody else writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sticky {
    /// For a file in it, which nobody else can replace.
    Keeps,
    /// For a folder whose files are all read: anybody can add one.
    Lets,
}

/// Opens a file, or a pipe that has no name, as a shell makes one for `<(…)`. A pipe with a name is
/// refused: whoever can write to it says what is read, and where nobody does, opening it waits for
/// ever.
pub fn open(path: &Path) -> Result<File, String> {
    let io = |error: std::io::Error| error.to_string();
    let kind = std::fs::metadata(path).map_err(io)?.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        return Err("it is a device, not a file".into());
    }
    if kind.is_socket() {
        return Err("it is a socket, not a file".into());
    }
    if !kind.is_fifo() {
        // What was put in its place since does not make us wait.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(io)?;
        return if opened.metadata().map_err(io)?.file_type().is_fifo() {
            Err("it is a pipe, not a file".into())
        } else {
            Ok(opened)
        };
    }
    // Of a link to somebody else's pipe, the path is another.
    let is_our_own = ["/dev/fd", "/proc/self/fd"]
        .iter()
        .any(|own| path.parent() == Some(Path::new(own)))
        || path == Path::new("/dev/stdin");
    if !is_our_own || path.canonicalize().is_ok() {
        return Err("it is a named pipe or another program's pipe, not a file".into());
    }
    File::open(path).map_err(io)
}

/// Why the file that was opened under this path cannot be trusted.
pub fn file(path: &Path, opened: &Metadata) -> Result<(), String> {
    // What a pipe gives was never in a folder.
    if !opened.is_file() {
        return Ok(());
    }
    writers(path, opened.mode())?;
    folder(folder_of(path), Sticky::Keeps)?;
    // The file that a link leads to may be in another one.
    path.canonicalize()
        .map_or(Ok(()), |real| folder(folder_of(&real), Sticky::Keeps))?;
    // Whom the file belongs to can change it in place. Owners of files are not looked at, so that a
    // user's own config, or one that a container is given, may lie in folders of that user.
    above::refused(path, &[0, sys::effective_user(), opened.uid()])
}

/// Why a folder cannot be trusted whose files are included.
pub fn included_folder(path: &Path) -> Result<(), String> {
    folder(path, Sticky::Lets)?;
    let owner = std::fs::metadata(path).map_or(0, |found| found.uid());
    above::refused(path, &[0, sys::effective_user(), owner])
}

/// Why others could put something else in the place of what this process makes in a folder. In a
/// folder such as /tmp they cannot.
pub fn folder_to_make_in(path: &Path) -> Result<(), String> {
    folder(path, Sticky::Keeps)
        .map_err(|why| format!("{why}, or name a folder inside it, which is made"))?;
    above::refused(&path.join("it"), &[0, sys::effective_user()]).map_err(|why| {
        // To take a folder from its owner is no advice: it may be a home.
        let (what, _) = why.split_once("; run: chown").unwrap_or((&why, ""));
        format!("{what}; name a folder that only this user and root can change")
    })
}

fn folder(path: &Path, sticky: Sticky) -> Result<(), String> {
    let Ok(found) = std::fs::metadata(path) else {
        return Ok(());
    };
    match sticky {
        Sticky::Keeps if found.mode() & STICKY != 0 => Ok(()),
        _ if found.mode() & WRITTEN_BY_OTHERS != 0 && is_mounted_read_only(path) => Ok(()),
        Sticky::Keeps | Sticky::Lets => writers(path, found.mode()),
    }
}

fn writers(path: &Path, mode: u32) -> Result<(), String> {
    if mode & WRITTEN_BY_OTHERS == 0 {
        return Ok(());
    }
    Err(format!(
        "{} of `{}` lets {} change it; run: chmod go-w {}",
        shown(mode),
        path.display(),
        who(mode),
        quoted(path)
    ))
}

fn who(mode: u32) -> &'static str {
    if mode & 0o002 != 0 {
        "every user"
    } else {
        "its group"
    }
}

/// Secrets that every user can read, as far as they were read in this process. Files are read deep
/// inside the building of a plan; the start, a reload and `check` ask afterwards.
static OPEN_SECRETS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
const MOST_OPEN_SECRETS: usize = 100;

/// Remembers a secret that every user can read. It may be meant so, as in a container: it is only
/// said.
pub fn note_readers(path: &Path, opened: &Metadata) {
    if !opened.is_file() || opened.mode() & 0o004 == 0 {
        return;
    }
    let Ok(mut open) = OPEN_SECRETS.lock() else {
        return;
    };
    if open.len() < MOST_OPEN_SECRETS {
        open.insert(path.to_owned());
    }
}

/// What is said of those that were read since this was last asked for.
pub fn open_secrets() -> Vec<String> {
    let Ok(mut open) = OPEN_SECRETS.lock() else {
        return Vec::new();
    };
    std::mem::take(&mut *open)
        .iter()
        .map(|path| {
            format!(
                "every user can read the secret {}; run: chmod o-r {}",
                path.display(),
                quoted(path)
            )
        })
        .collect()
}

/// What is done about a state directory.
#[derive(Debug, PartialEq, Eq)]
enum DirectoryAccess {
    Kept,
    /// Others can look into it.
    Open,
    Refused(String),
}

fn directory_access(path: &Path, (mode, owner): (u32, u32), user: u32) -> DirectoryAccess {
    if owner != user && owner != 0 {
        let own = "or name another `[daemon] state_dir`";
        return DirectoryAccess::Refused(format!(
            "it belongs to user {owner}, and the daemon runs as user {user}; run: chown -R {user} \
                {}, {own}",
            quoted(path)
        ));
    }
    if mode & WRITTEN_BY_OTHERS != 0 {
        let own = "or name a directory inside it, which the daemon makes";
        return DirectoryAccess::Refused(format!(
            "its {} lets {} change it; run: chmod go-w {}, {own}",
            shown(mode),
            who(mode),
            quoted(path)
        ));
    }
    if mode & 0o077 != 0 {
        DirectoryAccess::Open
    } else {
        DirectoryAccess::Kept
    }
}

/// Why a state directory cannot be used, without changing anything. One that is not there is made.
pub fn state_directory_refused(path: &Path) -> Option<String> {
    let user = sys::effective_user();
    let found = std::fs::metadata(path).map_or(DirectoryAccess::Kept, |found| {
        directory_access(path, (found.mode(), found.uid()), user)
    });
    match found {
        DirectoryAccess::Refused(why) => Some(why),
        DirectoryAccess::Kept | DirectoryAccess::Open => above::refused(path, &[0, user]).err(),
    }
}

/// Why a file in the state directory cannot be used, with the command that mends it. One that is
/// not there is made.
pub fn file_refused(path: &Path) -> Option<String> {
    let denied = sys::may_read_and_write(path).err()?;
    let found = std::fs::metadata(path).ok()?;
    let (user, place) = (sys::effective_user(), quoted(path));
    let mends = if denied.kind() != std::io::ErrorKind::PermissionDenied {
        return Some(format!("`{}`: {denied}", path.display()));
    } else if found.uid() == user {
        format!("chmod u+rw {place}")
    } else {
        format!("chown {user}: {place}")
    };
    Some(format!(
        "`{}` belongs to user {} ({}), and this process runs as user {user}; run: {mends}",
        path.display(),
        found.uid(),
        shown(found.mode()),
    ))
}

/// Why this user could not write to a directory, or could not make one that is not there.
pub fn makable(path: &Path) -> Result<(), String> {
    let there = path.ancestors().find(|above| above.exists());
    let place = there.unwrap_or(Path::new("."));
    if !place.is_dir() {
        return Err(format!("{} is not a directory", place.display()));
    }
    sys::may_read_and_write(place).map_err(|why| {
        let user = sys::effective_user();
        format!("{why} for user {user} in {}", place.display())
    })
}

/// Looks at the state directory before anything in it is believed. One of an older version becomes
/// 0700 if it holds nothing that is not known to be the daemon's: `ours` tells that by the name.
pub fn state_directory(path: &Path, ours: impl Fn(&str) -> bool) -> Result<(), String> {
    let found = std::fs::metadata(path).map_err(|e| e.to_string())?;
    let user = sys::effective_user();
    above::refused(path, &[0, user])?;
    match directory_access(path, (found.mode(), found.uid()), user) {
        DirectoryAccess::Kept => return Ok(()),
        DirectoryAccess::Refused(why) => return Err(why),
        DirectoryAccess::Open => {}
    }
    let entries = std::fs::read_dir(path).map_err(|e| e.to_string())?;
    let is_ours = found.uid() == user
        && entries
            .flatten()
            .all(|entry| entry.file_name().to_str().is_some_and(&ours));
    if is_ours && std::fs::set_permissions(path, Permissions::from_mode(0o700)).is_ok() {
        tracing::info!(path = %path.display(), was = shown(found.mode()), "the state directory \
            has mode 0700 now");
    } else {
        tracing::warn!(path = %path.display(), "other users can look into the state directory; \
            run: chmod 0700 {}", quoted(path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_ours_or_roots_and_nobody_else_writes_to_it() {
        let path = Path::new("/var/lib/the state");
        let of = |mode, owner, user| directory_access(path, (mode, owner), user);
        assert_eq!(of(0o40700, 7, 7), DirectoryAccess::Kept);
        assert_eq!(of(0o40700, 0, 7), DirectoryAccess::Kept);
        assert_eq!(of(0o40755, 7, 7), DirectoryAccess::Open);
        for (mode, owner, user, said) in [
            (0o40700, 8, 7, "chown -R 7 '/var/lib/the state'"),
            (0o40700, 8, 0, "chown -R 0 '/var/lib/the state'"),
            (
                0o40770,
                7,
                7,
                "mode 0770 lets its group change it; run: chmod go-w '/var/lib/the state'",
            ),
            (
                0o41777,
                0,
                0,
                "mode 1777 lets every user change it; run: chmod go-w",
            ),
        ] {
            assert!(
                matches!(
                    of(mode, owner, user),
                    DirectoryAccess::Refused(why) if why.contains(said)
                ),
                "{mode:o} {owner} {user}"
            );
        }
    }

    #[test]
    fn a_file_is_trusted_by_its_own_mode_and_that_of_its_folder() {
        let directory = tempfile::tempdir().expect("a directory");
        let (inner, path) = (
            directory.path().join("conf.d"),
            directory.path().join("conf.d/a.toml"),
        );
        std::fs::create_dir(&inner).expect("made");
        std::fs::write(&path, "").expect("written");
        let looked = |folder_mode, file_mode| {
            std::fs::set_permissions(&inner, Permissions::from_mode(folder_mode)).expect("set");
            std::fs::set_permissions(&path, Permissions::from_mode(file_mode)).expect("set");
            (
                file(&path, &std::fs::metadata(&path).expect("there")).is_ok(),
                included_folder(&inner).is_ok(),
            )
        };
        for (folder_mode, file_mode, expected) in [
            (0o755, 0o644, (true, true)),
            (0o755, 0o664, (false, true)),
            (0o755, 0o646, (false, true)),
            (0o775, 0o644, (false, false)),
            (0o1777, 0o644, (true, false)),
            (0o1777, 0o666, (false, false)),
        ] {
            assert_eq!(
                looked(folder_mode, file_mode),
                expected,
                "{folder_mode:o} {file_mode:o}"
            );
        }
        looked(0o755, 0o664);
        let link = directory.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        let why =
            file(&link, &std::fs::metadata(&link).expect("there")).expect_err("the target counts");
        assert!(
            why.ends_with(&format!("run: chmod go-w {}", link.display())),
            "{why}"
        );
        looked(0o777, 0o644);
        assert!(
            file(&link, &std::fs::metadata(&link).expect("there")).is_err(),
            "so does the folder of the target"
        );
    }
}
