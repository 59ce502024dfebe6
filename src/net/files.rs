//! Files and folders that this program makes: always new ones, never through a link that somebody
//! has put in their place.
//!
//! A file is written under a name of its own beside its place (O_CREAT with O_EXCL, which follows
//! no link), synced, and renamed. A rename replaces a link, and not what it points to.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Names that are tried until one is free.
const TRIES: usize = 16;

/// Who may read a file, as far as the process' umask lets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// It holds a secret or details of the history.
    Owner,
    /// It is made to be handed on.
    All,
}

impl Readers {
    fn mode(self) -> u32 {
        match self {
            Readers::Owner => 0o600,
            Readers::All => 0o644,
        }
    }
}

/// Puts a whole new file in this place, for whatever was there.
pub fn put(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    let open = |path: &Path| {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .custom_flags(libc::O_NOFOLLOW)
            .mode(readers.mode())
            .open(path)
    };
    let (part, mut file) = fresh(folder_of(path), &hidden(name), open)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written?;
    File::open(folder_of(path)).and_then(|folder| folder.sync_all())
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// A folder of our own that nobody else can enter; it goes with what it holds.
#[derive(Debug)]
pub struct OwnFolder(PathBuf);

impl OwnFolder {
    pub fn new(within: &Path, prefix: &OsStr) -> io::Result<Self> {
        fresh(within, prefix, |path| {
            DirBuilder::new().mode(0o700).create(path)
        })
        .map(|(path, ())| Self(path))
    }

    /// Beside a file, for what becomes that file.
    pub fn beside(path: &Path) -> io::Result<Self> {
        Self::new(
            folder_of(path),
            &hidden(path.file_name().ok_or(ErrorKind::InvalidInput)?),
        )
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn hidden(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden
}

/// Makes something under a name that nothing has yet.
fn fresh<T>(
    within: &Path,
    prefix: &OsStr,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    for _ in 0..TRIES {
        let mut name = prefix.to_owned();
        name.push(format!("-{:016x}", fastrand::u64(..)));
        let path = within.join(name);
        match make(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|made| (path, made)),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced_and_what_it_points_to_is_left() {
        let directory = tempfile::tempdir().expect("a directory");
        let (victim, path) = (
            directory.path().join("victim"),
            directory.path().join("report"),
        );
        std::fs::write(&victim, "kept").expect("written");
        symlink(&victim, &path).expect("linked");
        put(&path, b"new", Readers::Owner).expect("put");
        assert_eq!(std::fs::read_to_string(&victim).expect("there"), "kept");
        let found = std::fs::symlink_metadata(&path).expect("there");
        assert!(found.is_file());
        assert_eq!(
            (
                std::fs::read_to_string(&path).expect("there").as_str(),
                found.mode() & 0o777
            ),
            ("new", 0o600)
        );
        put(&path, b"newer", Readers::All).expect("put again");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "newer");
        assert_eq!(
            std::fs::metadata(&path).expect("there").mode() & 0o044 & !0o600,
            0o044 & !umask()
        );
        assert_eq!(
            std::fs::read_dir(directory.path())
                .expect("readable")
                .count(),
            2,
            "nothing is left beside it"
        );
    }

    /// What the process takes from every mode.
    fn umask() -> u32 {
        let text = std::fs::read_to_string("/proc/self/status").expect("readable");
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("Umask:"))
            .expect("a umask");
        u32::from_str_radix(line.trim(), 8).expect("octal")
    }

    #[test]
    fn a_folder_of_our_own_is_new_and_goes_with_what_it_holds() {
        let directory = tempfile::tempdir().expect("a directory");
        let own = OwnFolder::new(directory.path(), OsStr::new("own")).expect("made");
        assert_eq!(
            std::fs::metadata(own.path()).expect("there").mode() & 0o777,
            0o700
        );
        std::fs::write(own.path().join("a"), "b").expect("written");
        let other = OwnFolder::beside(&own.path().join("a")).expect("made");
        assert_eq!(other.path().parent(), Some(own.path()));
        let path = own.path().to_owned();
        drop((other, own));
        assert!(!path.exists());
    }
}
