//! The real inputs of a config: files, environment, credentials, host name.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{bounded, guarded, sys, zone_data};
use crate::config::ConfigInputs;
use crate::judgement::zones::Zones;
use crate::words::people;

/// Larger files are no config of ours.
pub const FILE_LIMIT: u64 = 64 << 20;

pub struct Files;

/// Which secrets of a config are left unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// All: commands that send none and sign nothing.
    All,
    /// All but the key that signs.
    AllButKey,
    /// Credentials, where the service manager gave none: for a look at a config from a shell.
    MissingCredentials,
}

/// What was met on the way to a plan, and is no fault.
#[derive(Debug, Default)]
struct Met {
    /// Names of credentials that were not there.
    missing_credentials: BTreeSet<String>,
    /// Patterns of `include` without a file.
    empty_patterns: BTreeSet<PathBuf>,
    /// Files that root alone can read, in a process of root.
    of_root_alone: BTreeSet<PathBuf>,
}

/// The same without some of the secrets.
pub struct WithoutSecrets {
    unread: Unread,
    met: RefCell<Met>,
}

impl WithoutSecrets {
    pub fn new(unread: Unread) -> Self {
        Self {
            unread,
            met: RefCell::default(),
        }
    }

    /// What a person should know of the config.
    pub fn notes(&self) -> Vec<String> {
        let met = self.met.borrow();
        let mut notes = Vec::new();
        if !met.missing_credentials.is_empty() {
            let names: Vec<&str> = met.missing_credentials.iter().map(String::as_str).collect();
            notes.push(format!(
                "not checked, as only the service manager has them: the credentials {}; \
                    LoadCredential= of the unit must name each",
                people::listed(&names, "and")
            ));
        }
        let patterns = met.empty_patterns.iter();
        notes.extend(
            patterns.map(|pattern| format!("include: no file matches `{}`", pattern.display())),
        );
        notes
    }

    /// What a person should know of its files, which may be others on another host.
    pub fn notes_of_this_host(&self) -> Vec<String> {
        let met = self.met.borrow();
        let note = |path: &PathBuf| {
            format!(
                "only root can read {}: a daemon that runs as another user cannot. Run check as \
                    the service's user, or let that user read the file",
                path.display()
            )
        };
        met.of_root_alone.iter().map(note).collect()
    }

    fn look(&self, path: &Path) {
        let Ok(found) = std::fs::metadata(path) else {
            return;
        };
        let is_of_root_alone = found.is_file() && found.uid() == 0 && found.mode() & 0o044 == 0;
        if is_of_root_alone && sys::effective_user() == 0 {
            self.met.borrow_mut().of_root_alone.insert(path.to_owned());
        }
    }
}

impl ConfigInputs for WithoutSecrets {
    fn read(&self, path: &Path) -> Result<String, String> {
        self.look(path);
        Files.read(path)
    }

    fn read_secret(&self, path: &Path) -> Result<String, String> {
        self.look(path);
        Files.read_secret(path)
    }

    fn leaves_unread(&self, key: &str, (source, name): (&str, &str)) -> bool {
        match self.unread {
            Unread::All => true,
            Unread::AllButKey => key != "history.key",
            Unread::MissingCredentials => {
                let is_missing = source == "credential" && self.credentials().is_none();
                if is_missing {
                    let mut met = self.met.borrow_mut();
                    met.missing_credentials.insert(name.to_owned());
                }
                is_missing
            }
        }
    }

    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let found = Files.matching(pattern)?;
        if found.is_empty() {
            let mut met = self.met.borrow_mut();
            met.empty_patterns.insert(pattern.to_owned());
        }
        Ok(found)
    }

    fn system_zones(&self) -> Result<Zones, String> {
        Files.system_zones()
    }

    fn environment(&self, name: &str) -> Option<String> {
        Files.environment(name)
    }

    fn credentials(&self) -> Option<PathBuf> {
        Files.credentials()
    }

    fn host_name(&self) -> String {
        Files.host_name()
    }
}

impl ConfigInputs for Files {
    fn read(&self, path: &Path) -> Result<String, String> {
        text(path, |_| ())
    }

    fn read_secret(&self, path: &Path) -> Result<String, String> {
        text(path, |opened| guarded::note_readers(path, opened))
    }

    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let name = pattern
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let directories = pattern
            .parent()
            .map(|p| p.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.matches('*').count() > 1
            || name.contains(['?', '[', '{'])
            || directories.contains('*')
        {
            return Err(
                "a pattern has one * in its last part and no other wildcard; list several patterns"
                    .into(),
            );
        }
        let Some((before, after)) = name.split_once('*') else {
            return Ok(vec![pattern.to_owned()]);
        };
        let directory = pattern.parent().unwrap_or(Path::new("."));
        let directory = if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        };
        guarded::included_folder(directory)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(|e| e.to_string())? {
            let entry = entry.map_err(|e| e.to_string())?;
            let file = entry.file_name();
            let file = file.to_string_lossy();
            let fits = file.len() >= before.len() + after.len()
                && file.starts_with(before)
                && file.ends_with(after)
                && !file.starts_with('.');
            if fits {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    fn system_zones(&self) -> Result<Zones, String> {
        zone_data::system()
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn credentials(&self) -> Option<PathBuf> {
        std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
    }

    fn host_name(&self) -> String {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        if name.trim().is_empty() {
            "localhost".into()
        } else {
            name.trim().to_owned()
        }
    }
}

/// The text of a file that nobody else can change; `look` sees what was opened.
fn text(path: &Path, look: impl FnOnce(&Metadata)) -> Result<String, String> {
    let file = guarded::open(path)?;
    let opened = file.metadata().map_err(|e| e.to_string())?;
    guarded::file(path, &opened)?;
    look(&opened);
    let bytes = bounded::bytes(&file, FILE_LIMIT).map_err(|e| e.to_string())?;
    let text = String::from_utf8(bytes)
        .map_err(|error| no_text(error.as_bytes(), error.utf8_error().valid_up_to()))?;
    match text.find('\0') {
        // Told here: the parser would look for names in all that follows.
        Some(at) => Err(format!("not a text file: zero byte at offset {at}")),
        None => Ok(text),
    }
}

/// Where a file ceases to be UTF-8; without its bytes, which may be a secret's.
fn no_text(bytes: &[u8], valid: usize) -> String {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return "it is UTF-16 text; save it as UTF-8".into();
    }
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let (line, column) = (
        before.matches('\n').count() + 1,
        before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1,
    );
    format!("invalid UTF-8 at line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_refused() {
        assert_eq!(
            Files.read(Path::new("/dev/zero")),
            Err("it is a device, not a file".into())
        );
    }

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        assert_eq!(
            no_text(b"a = 1\n\xc3\xa4 = \"\xff", 12),
            "invalid UTF-8 at line 2, column 6"
        );
        assert_eq!(
            no_text(b"\xff\xfea\0", 0),
            "it is UTF-16 text; save it as UTF-8"
        );
    }
}
