//! The folders above a file: a user who can write to one of them can put another file, or another
//! folder, in its place.
//!
//! [`super::guarded`] calls it for everything that the daemon believes. It looks at each folder
//! that the kernel goes through when it opens the path, those of symbolic links among them, as sshd
//! does with StrictModes. docs/decisions/037-who-may-ask.md has the reasons.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::file_modes::{STICKY, is_mounted_read_only, quoted, shown};

const WRITTEN_BY_ALL: u32 = 0o002;
/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Mode and owner of a folder or link.
type Access = (u32, u32);

/// Why what stands under this path can be replaced by others. `owners`: users that may own the
/// folders above it.
pub fn refused(path: &Path, owners: &[u32]) -> Result<(), String> {
    let mut walk = Walk::of(path);
    let mut seen = HashSet::new();
    while let Some(name) = walk.next() {
        let folder = walk.at.clone();
        let Ok(found) = std::fs::metadata(&folder) else {
            return Ok(());
        };
        if seen.insert(folder.clone()) {
            held(&folder, (found.mode(), found.uid()), owners)?;
        }
        let entry = folder.join(name);
        let Ok(link) = std::fs::symlink_metadata(&entry) else {
            return Ok(());
        };
        if link.is_symlink() {
            if is_shared(&found) {
                of_link(&entry, link.uid(), owners)?;
            }
            let Ok(target) = std::fs::read_link(&entry) else {
                return Ok(());
            };
            walk.goes_to(&target);
        } else {
            walk.at = entry;
        }
        if walk.links > MOST_LINKS {
            return Ok(());
        }
    }
    Ok(())
}

/// Everybody can add a name to it.
fn is_shared(folder: &Metadata) -> bool {
    folder.mode() & WRITTEN_BY_ALL != 0
}

fn held(folder: &Path, (mode, owner): Access, owners: &[u32]) -> Result<(), String> {
    if mode & WRITTEN_BY_ALL != 0 && mode & STICKY == 0 && !is_mounted_read_only(folder) {
        return Err(format!(
            "{} of `{}` lets every user replace what is in it; run: chmod o-w {}",
            shown(mode),
            folder.display(),
            quoted(folder)
        ));
    }
    if owners.contains(&owner) {
        return Ok(());
    }
    let path = quoted(folder);
    Err(format!(
        "user {owner} owns `{}` and can replace what is in it; run: chown root {path}, or use \
            another folder",
        folder.display()
    ))
}

/// A link in a folder to which every user can add one.
fn of_link(link: &Path, owner: u32, owners: &[u32]) -> Result<(), String> {
    if owners.contains(&owner) {
        return Ok(());
    }
    Err(format!(
        "user {owner} owns the link `{}` and can lead it elsewhere; name what it leads to",
        link.display()
    ))
}

/// What of a path is still to be gone, last part first.
struct Walk {
    at: PathBuf,
    left: Vec<OsString>,
    links: usize,
}

impl Walk {
    fn of(path: &Path) -> Self {
        let mut walk = Self {
            at: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            left: Vec::new(),
            links: 0,
        };
        walk.push(path);
        // Of a relative path, the folders above the working directory count, too.
        let from = walk.at.clone();
        if path.is_relative() {
            walk.push(&from);
        }
        walk
    }

    fn push(&mut self, path: &Path) {
        self.left.extend(
            path.components()
                .rev()
                .map(|part| part.as_os_str().to_owned()),
        );
    }

    fn goes_to(&mut self, target: &Path) {
        self.links += 1;
        self.push(target);
    }

    /// The next name in the folder that has been reached.
    fn next(&mut self) -> Option<OsString> {
        while let Some(name) = self.left.pop() {
            match Path::new(&name).components().next() {
                Some(Component::RootDir) => self.at = PathBuf::from("/"),
                Some(Component::ParentDir) => drop(self.at.pop()),
                Some(Component::Normal(_)) => return Some(name),
                Some(Component::CurDir | Component::Prefix(_)) | None => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::net::sys;

    #[test]
    fn a_folder_above_is_held_by_root_or_one_of_ours_and_not_by_everybody() {
        let folder = Path::new("/not/there/the folder");
        for (access, expected) in [
            ((0o40755, 0), Ok(())),
            ((0o40755, 7), Ok(())),
            ((0o40775, 0), Ok(())),
            ((0o41777, 0), Ok(())),
            (
                (0o40755, 8),
                Err(
                    "user 8 owns `/not/there/the folder` and can replace what is in it; run: \
                        chown root '/not/there/the folder', or use another folder",
                ),
            ),
            (
                (0o40777, 0),
                Err(
                    "mode 0777 of `/not/there/the folder` lets every user replace what is in it; \
                        run: chmod o-w '/not/there/the folder'",
                ),
            ),
            (
                (0o40777, 7),
                Err(
                    "mode 0777 of `/not/there/the folder` lets every user replace what is in it; \
                        run: chmod o-w '/not/there/the folder'",
                ),
            ),
        ] {
            assert_eq!(
                held(folder, access, &[0, 7]),
                expected.map_err(str::to_owned),
                "{access:?}"
            );
        }
    }

    #[test]
    fn every_folder_on_the_way_is_looked_at_also_those_of_links() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        for name in ["a", "a/b", "links", "links/more", "c"] {
            std::fs::create_dir(at(name)).expect("made");
        }
        std::fs::write(at("a/b/file"), "").expect("written");
        // links/one -> more/two -> ../../c/../a/b
        symlink("more/two", at("links/one")).expect("linked");
        symlink("../../c/../a/b", at("links/more/two")).expect("linked");
        let path = at("links/one/file");
        let owners = [0, sys::effective_user()];
        let set = |name: &str, mode| {
            std::fs::set_permissions(at(name), Permissions::from_mode(mode)).expect("set")
        };
        assert_eq!(refused(&path, &owners), Ok(()));
        for (name, counts) in [
            ("a", true),
            ("a/b", true),
            ("links", true),
            ("links/more", true),
            ("c", false),
            (".", true),
        ] {
            set(name, 0o777);
            let found = refused(&path, &owners);
            assert_eq!(
                found.is_err_and(|why| why.contains("chmod o-w")),
                counts,
                "{name}"
            );
            set(name, 0o1777);
            assert_eq!(refused(&path, &owners), Ok(()), "{name} is sticky");
            set(name, 0o755);
        }
        let mine = sys::effective_user();
        assert!(
            refused(&path, &[mine + 1]).is_err_and(|why| why.contains("owns `/`") || mine != 0)
        );
        set("links", 0o1777);
        assert_eq!(
            of_link(&at("links/one"), 12, &owners)
                .map_err(|why| why.contains("user 12 owns the link")),
            Err(true)
        );
        // A circle ends.
        symlink("circle", at("circle")).expect("linked");
        assert_eq!(refused(&at("circle/file"), &owners), Ok(()));
    }
}
