//! Files that are read as a whole: no more of one is taken into memory than it may have, and one
//! that says that it is larger is not read at all.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use crate::words::people;

/// Of what this host tells of itself: trust stores, hosts and resolver files.
pub const OF_THIS_HOST: u64 = 16 << 20;

/// Why a file of this length is not read.
pub fn refused(length: u64, limit: u64) -> Option<String> {
    (length > limit).then(|| {
        format!(
            "it has {}, and the limit is {}; put back the right file, or shorten it",
            people::size(length),
            people::size(limit)
        )
    })
}

/// What is in an open file.
pub fn bytes(file: &File, limit: u64) -> Result<Vec<u8>> {
    let too_large = |why| Error::new(ErrorKind::FileTooLarge, why);
    let length = file.metadata()?.len();
    if let Some(why) = refused(length, limit) {
        return Err(too_large(why));
    }
    let mut bytes = Vec::new();
    // A buffer that grows leaves copies behind, and it may be a secret's.
    bytes.reserve_exact(length as usize + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    match refused(bytes.len() as u64, limit) {
        Some(_) => Err(too_large(format!(
            "it has more than {}, which is the limit; put back the right file, or shorten it",
            people::size(limit)
        ))),
        None => Ok(bytes),
    }
}

/// What is in a file of this host.
pub fn of_this_host(path: &Path) -> Result<Vec<u8>> {
    bytes(&File::open(path)?, OF_THIS_HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_a_limit_and_one_that_is_larger_is_refused_unread() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "four").expect("written");
        let open = || File::open(&path).expect("there");
        assert_eq!(bytes(&open(), 4).expect("read"), b"four");
        let why = bytes(&open(), 3).expect_err("too large").to_string();
        assert!(why.contains("the limit is 3 B"), "{why}");
        // It says that it is empty, and has no end.
        let endless = File::open("/dev/zero").expect("there");
        let why = bytes(&endless, 3).expect_err("too large").to_string();
        assert!(why.contains("more than 3 B"), "{why}");
    }
}
