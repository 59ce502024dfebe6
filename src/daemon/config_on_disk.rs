//! Whether the files of the config still say what is in force: an edit without a reload is easily
//! forgotten, until the next start takes it.
//!
//! A task of the outer thread looks every few seconds. It compares texts: a file that was written
//! anew with the same text is the same. A file with the size and times of before is not read again.
//! Files of secrets and of authorities are no part of it.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::config::ConfigInputs;
use crate::config::plan::ConfigFiles;
use crate::engine::board::Board;
use crate::net::apart;
use crate::net::config_files::Files;

const EVERY: Duration = Duration::from_secs(5);

/// Size, times and number of a file: as long as they stay, so does its text.
type FileMark = (u64, [i64; 4], u64);

/// Texts that were read before, by their SHA-256.
#[derive(Default)]
struct ReadTexts(HashMap<PathBuf, (FileMark, [u8; 32])>);

/// Looks again and again, until it is aborted.
pub async fn look_often(board: Arc<Board>) {
    let mut known = ReadTexts::default();
    loop {
        tokio::time::sleep(EVERY).await;
        let plan = board.plan.load_full();
        let looked = apart::run(move || {
            let differs = known.differ_from(&plan.read_from);
            (known, plan, differs)
        });
        known = match looked.await {
            Ok((known, plan, differs)) => {
                // A reload meanwhile has said its own.
                if Arc::ptr_eq(&plan, &board.plan.load()) {
                    let before = board.health.config_differs.swap(differs, Ordering::Relaxed);
                    if differs && !before {
                        tracing::info!(
                            "the config on disk differs from the one in force: it counts after \
                                `probity reload`"
                        );
                    }
                }
                known
            }
            Err(_) => ReadTexts::default(),
        };
    }
}

impl ReadTexts {
    /// What cannot be read is not what is in force, either.
    fn differ_from(&mut self, in_force: &ConfigFiles) -> bool {
        let Some((main, _)) = in_force.files.first() else {
            return false;
        };
        let mut paths = vec![main.clone()];
        for pattern in &in_force.patterns {
            match Files.matching(pattern) {
                Ok(found) => paths.extend(found),
                Err(_) => return true,
            }
        }
        let before = in_force.files.iter();
        let is_same = paths.len() == before.len()
            && paths.iter().zip(before).all(|(path, (named, digest))| {
                path == named && self.digest(path).as_ref() == Some(digest)
            });
        !is_same
    }

    fn digest(&mut self, path: &Path) -> Option<[u8; 32]> {
        let mark = mark(path)?;
        if let Some((of, digest)) = self.0.get(path)
            && *of == mark
        {
            return Some(*digest);
        }
        let text = Files.read(path).ok()?;
        let digest = Sha256::digest(text.as_bytes()).into();
        self.0.insert(path.to_owned(), (mark, digest));
        Some(digest)
    }
}

fn mark(path: &Path) -> Option<FileMark> {
    let found = std::fs::metadata(path).ok()?;
    let times = [
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ];
    Some((found.len(), times, found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    const ENDPOINT: &str = "[[endpoint]]\nname = \"a\"\nprobe.tcp = \"127.0.0.1:1\"\n";

    #[test]
    fn only_another_text_or_another_file_differs() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).expect("written");
        std::fs::create_dir(at("conf.d")).expect("made");
        let main = "include = [\"conf.d/*.toml\"]\n";
        write("c.toml", main);
        write("conf.d/a.toml", ENDPOINT);
        let plan = load(&at("c.toml"), &Files).expect("a plan");
        let mut known = ReadTexts::default();
        let mut differs = || known.differ_from(&plan.read_from);
        assert!(!differs());
        write("conf.d/a.toml", ENDPOINT);
        assert!(!differs(), "the same text, written again");
        write("conf.d/a.toml", &ENDPOINT.replace(":1", ":2"));
        assert!(differs(), "an included file of the same length");
        write("conf.d/a.toml", ENDPOINT);
        assert!(!differs(), "taken back");
        write("conf.d/b.toml", "");
        assert!(differs(), "one more file");
        std::fs::remove_file(at("conf.d/b.toml")).expect("removed");
        assert!(!differs());
        write("c.toml", &format!("{main}# a note\n"));
        assert!(differs(), "the main file");
        std::fs::remove_file(at("c.toml")).expect("removed");
        assert!(differs(), "no file");
    }
}
