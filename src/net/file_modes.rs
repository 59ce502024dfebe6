//! Modes of files and folders: what some bits mean, and how they are written for a person.
//!
//! `guarded` and `above` decide by them who could change what the daemon believes.

use std::path::Path;

/// In such a folder, a file is replaced by its owner only.
pub const STICKY: u32 = 0o1000;

/// Kubernetes mounts configs read-only, at folders of mode 0777. That a path cannot be written to
/// from here is not enough: a service manager shows the host's /etc like that, in which others go
/// on writing.
pub fn is_mounted_read_only(folder: &Path) -> bool {
    let Ok(real) = folder.canonicalize() else {
        return false;
    };
    std::fs::read_to_string("/proc/self/mountinfo")
        .is_ok_and(|mounts| is_read_only_mount(&mounts, &real))
}

/// Of the mounts at one place, the last covers the others.
fn is_read_only_mount(mounts: &str, place: &Path) -> bool {
    let place = place
        .display()
        .to_string()
        .replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
        .replace('\n', "\\012");
    let mut fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let own = fields.rfind(|fields| fields.get(4).is_some_and(|at| *at == place));
    own.and_then(|fields| {
        fields
            .get(5)
            .map(|options| options.split(',').any(|option| option == "ro"))
    })
    .unwrap_or(false)
}

/// As `mode 0755`.
pub fn shown(mode: u32) -> String {
    format!("mode {:04o}", mode & 0o7777)
}

/// As a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/._-+:,@%".contains(&b));
    if is_plain {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_mounted_read_only_where_it_is_the_mount_itself() {
        let mounts = "22 1 254:1 / / ro,relatime - ext4 /dev/vda ro\n\
                      30 22 254:1 /pods/1 /config ro,relatime - ext4 /dev/vda rw\n\
                      31 22 254:1 /pods/2 /the\\040config ro - ext4 /dev/vda rw\n\
                      32 22 254:1 /pods/3 /data rw - ext4 /dev/vda rw\n\
                      33 30 254:1 /pods/4 /covered ro - ext4 /dev/vda rw\n\
                      34 33 254:1 /pods/5 /covered rw - ext4 /dev/vda rw\n";
        for (place, expected) in [
            ("/config", true),
            ("/the config", true),
            ("/data", false),
            ("/covered", false),
            ("/etc/probity", false),
            ("/config/deeper", false),
        ] {
            assert_eq!(
                is_read_only_mount(mounts, Path::new(place)),
                expected,
                "{place}"
            );
        }
    }
}
