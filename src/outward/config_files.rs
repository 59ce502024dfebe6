//! The real surroundings of a config: files, environment, credentials, host name.

use std::path::{Path, PathBuf};

use crate::config::Surroundings;

/// Larger files are no config of ours.
const FILE_LIMIT: u64 = 64 << 20;

pub struct Files;

impl Surroundings for Files {
    fn read(&self, path: &Path) -> Result<String, String> {
        let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
        if size > FILE_LIMIT {
            return Err(format!("it has {size} bytes, more than {FILE_LIMIT}"));
        }
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "it is no UTF-8 text; save it as UTF-8".to_owned())?;
        match text.find('\0') {
            // Told here: the parser would look for names in all that follows.
            Some(at) => Err(format!("it is no text: there is a zero byte at {at}")),
            None => Ok(text),
        }
    }

    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let name = pattern.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some((before, after)) = name.split_once('*') else { return Ok(vec![pattern.to_owned()]) };
        let directory = pattern.parent().unwrap_or(Path::new("."));
        let mut found = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(|e| e.to_string())? {
            let entry = entry.map_err(|e| e.to_string())?;
            let file = entry.file_name();
            let file = file.to_string_lossy();
            let fits = file.len() >= before.len() + after.len() && file.starts_with(before) && file.ends_with(after) && !file.starts_with('.');
            if fits {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn credentials(&self) -> Option<PathBuf> {
        std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
    }

    fn host_name(&self) -> String {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        if name.trim().is_empty() { "localhost".into() } else { name.trim().to_owned() }
    }
}
