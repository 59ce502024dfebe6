//! The authorities that certificates are verified against: the system's trust store, and every
//! `ca_file` of the config.
//!
//! Both are read again when their files change. The daemon calls [`Authorities::look`] every few
//! seconds and at each reload; probes compare [`Authorities::generation`], which is all that a
//! healthy probe pays. What cannot be read is a problem of this host: [`Roots::problem`] says so,
//! and whoever verifies against them blames no endpoint.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{bounded, guarded};
use crate::config::plan::probe::CaFile;

/// Certificates of one store, ready to verify against.
#[derive(Debug, Default)]
pub struct Roots {
    pub anchors: Vec<TrustAnchor<'static>>,
    /// SHA-256 of each certificate: a leaf that is one of them is trusted as it is.
    whole: HashSet<[u8; 32]>,
    /// The latest end of validity of each key under each name, in seconds of UTC: webpki does not
    /// look at that of its anchors.
    ends: HashMap<[u8; 32], i64>,
    /// Why the store is not what it should be, for a person.
    pub problem: Option<String>,
}

impl Roots {
    fn of(certificates: &[CertificateDer<'static>], mut problems: Vec<String>) -> Self {
        let mut roots = Roots::default();
        for der in certificates {
            match webpki::anchor_from_trusted_cert(der) {
                Ok(anchor) => {
                    if let Ok((_, certificate)) = X509Certificate::from_der(der) {
                        let end = certificate.validity().not_after.timestamp();
                        roots
                            .ends
                            .entry(key_of(&anchor))
                            .and_modify(|known| *known = end.max(*known))
                            .or_insert(end);
                    }
                    roots.whole.insert(Sha256::digest(der.as_ref()).into());
                    roots.anchors.push(anchor.to_owned());
                }
                Err(why) => problems.push(format!("a certificate cannot be parsed: {why}")),
            }
        }
        let count = problems.len();
        roots.problem = problems.into_iter().next().map(|first| match count {
            1 => first,
            _ => format!("{first} (and {} more errors)", count - 1),
        });
        if roots.anchors.is_empty() && roots.problem.is_none() {
            roots.problem = Some("it holds no certificate authority".into());
        }
        roots
    }

    /// From PEM text, as a `ca_file` holds it.
    pub fn from_pem(text: &[u8]) -> Self {
        let (mut certificates, mut problems) = (Vec::new(), Vec::new());
        for one in CertificateDer::pem_slice_iter(text) {
            match one {
                Ok(certificate) => certificates.push(certificate),
                Err(why) => problems.push(format!(
                    "certificate {} is damaged: {why}",
                    certificates.len() + 1
                )),
            }
        }
        Self::of(&certificates, problems)
    }

    pub fn is_one_of_them(&self, leaf: &[u8]) -> bool {
        self.whole.contains(&<[u8; 32]>::from(Sha256::digest(leaf)))
    }

    /// When the authority's certificate ends, in seconds of UTC.
    pub fn end_of(&self, anchor: &TrustAnchor<'_>) -> Option<i64> {
        self.ends.get(&key_of(anchor)).copied()
    }

    /// Whether there is an authority of that name (the DER content of its subject).
    pub fn have_name(&self, subject: &[u8]) -> bool {
        self.anchors
            .iter()
            .any(|anchor| anchor.subject.as_ref() == subject)
    }
}

fn key_of(anchor: &TrustAnchor<'_>) -> [u8; 32] {
    Sha256::new()
        .chain_update(anchor.subject.as_ref())
        .chain_update(anchor.subject_public_key_info.as_ref())
        .finalize()
        .into()
}

/// Where the system keeps its authorities, as OpenSSL would find them.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub file: Option<PathBuf>,
    pub directories: Vec<PathBuf>,
}

impl Places {
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` where one of them is set, else the usual places of Linux
    /// distributions.
    pub fn of_the_system() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let (file, directories) = (set("SSL_CERT_FILE"), set("SSL_CERT_DIR"));
        if file.is_some() || directories.is_some() {
            let directories = directories
                .map(|list| {
                    std::env::split_paths(&list)
                        .filter(|p| !p.as_os_str().is_empty())
                        .collect()
                })
                .unwrap_or_default();
            return Self {
                file: file.map(PathBuf::from),
                directories,
            };
        }
        let found = openssl_probe::probe();
        Self {
            file: found.cert_file,
            directories: found.cert_dir.into_iter().collect(),
        }
    }

    fn shown(&self) -> String {
        let all: Vec<String> = self
            .file
            .iter()
            .chain(&self.directories)
            .map(|p| p.display().to_string())
            .collect();
        if all.is_empty() {
            "no trust store was found on this system".into()
        } else {
            all.join(", ")
        }
    }

    fn load(&self) -> Roots {
        let (mut certificates, mut problems) = (Vec::new(), Vec::new());
        // A bundle and a directory hold the same as a rule: each is read by itself, so that one
        // that is missing does not count where the other is whole.
        let places = self
            .file
            .iter()
            .map(|f| (Some(f.as_path()), None))
            .chain(self.directories.iter().map(|d| (None, Some(d.as_path()))));
        for (file, directory) in places {
            let (readable, too_large) = by_length(file, directory);
            let found = if too_large.is_empty() {
                vec![rustls_native_certs::load_certs_from_paths(file, directory)]
            } else {
                let of =
                    |path: &PathBuf| rustls_native_certs::load_certs_from_paths(Some(path), None);
                readable.iter().map(of).collect()
            };
            for found in found {
                problems.extend(found.errors.iter().map(ToString::to_string));
                certificates.extend(found.certs);
            }
            if file.is_some() {
                problems.extend(too_large);
            } else {
                // What has no place in the directory takes none of its certificates away.
                too_large.iter().for_each(|why| tracing::warn!("{why}"));
            }
        }
        certificates.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        certificates.dedup();
        let mut roots = Roots::of(&certificates, problems);
        roots.problem = roots
            .problem
            .map(|why| format!("the system's trust store ({}): {why}", self.shown()));
        roots
    }
}

/// The files of a place that are no larger than any store, and why each other one is not read.
fn by_length(file: Option<&Path>, directory: Option<&Path>) -> (Vec<PathBuf>, Vec<String>) {
    let inside = directory
        .and_then(|directory| std::fs::read_dir(directory).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let paths = file.map(Path::to_path_buf).into_iter().chain(inside);
    let (mut readable, mut too_large) = (Vec::new(), Vec::new());
    for path in paths {
        let Some(found) = std::fs::metadata(&path).ok().filter(|m| m.is_file()) else {
            continue;
        };
        match bounded::refused(found.len(), bounded::OF_THIS_HOST) {
            Some(why) => too_large.push(format!("{}: {why}", path.display())),
            None => readable.push(path),
        }
    }
    (readable, too_large)
}

/// All stores of one daemon.
pub struct Authorities {
    places: Places,
    system: ArcSwap<Roots>,
    /// `ca_file`s whose content has changed since the config was read.
    files: ArcSwap<HashMap<PathBuf, Arc<Roots>>>,
    /// `ca_file`s as the config has them.
    parsed: Mutex<HashMap<PathBuf, Parsed>>,
    generation: AtomicU64,
    /// What the files looked like when they were last read.
    looked: Mutex<Looked>,
}

/// The text of a `ca_file`, and what it holds.
type Parsed = (Arc<str>, Arc<Roots>);

#[derive(Default)]
struct Looked {
    /// Nothing while the store has a problem.
    system: Option<Vec<Look>>,
    /// The problem that was last said.
    said: Option<String>,
    files: HashMap<PathBuf, Vec<Look>>,
}

/// A file as far as its metadata tells: device, inode, length, and both times of change in
/// nanoseconds.
type Look = (PathBuf, Option<(u64, u64, u64, i128, i128)>);

fn look_at(path: &Path) -> Look {
    let nanoseconds =
        |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let seen = std::fs::metadata(path).ok();
    (
        path.to_owned(),
        seen.map(|m| {
            (
                m.dev(),
                m.ino(),
                m.len(),
                nanoseconds(m.mtime(), m.mtime_nsec()),
                nanoseconds(m.ctime(), m.ctime_nsec()),
            )
        }),
    )
}

impl Authorities {
    /// Reads the store at these places.
    pub fn at(places: Places) -> Self {
        let authorities = Self {
            places,
            system: ArcSwap::default(),
            files: ArcSwap::default(),
            parsed: Mutex::default(),
            generation: AtomicU64::new(0),
            looked: Mutex::default(),
        };
        authorities.look(&[]);
        authorities
    }

    /// Those of this system, read once for each process that only looks once.
    pub fn of_the_system() -> Arc<Self> {
        static SYSTEM: std::sync::OnceLock<Arc<Authorities>> = std::sync::OnceLock::new();
        SYSTEM
            .get_or_init(|| Arc::new(Self::at(Places::of_the_system())))
            .clone()
    }

    pub fn system(&self) -> Arc<Roots> {
        self.system.load_full()
    }

    /// What a `ca_file` holds now: as the config read it, unless it has changed since.
    pub fn of_file(&self, file: &CaFile) -> Arc<Roots> {
        if let Some(changed) = self.files.load().get(&file.path) {
            return changed.clone();
        }
        // As the config read it; parsed once, however many endpoints name it.
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        match parsed.get(&file.path).filter(|(pem, _)| **pem == *file.pem) {
            Some((_, roots)) => roots.clone(),
            None => {
                let roots = Arc::new(Roots::from_pem(file.pem.as_bytes()));
                parsed.insert(file.path.clone(), (file.pem.clone(), roots.clone()));
                roots
            }
        }
    }

    /// Goes up with each change: what was prepared from an earlier one is stale.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Looks whether files have changed, and reads those that have. Blocks; not for the probing
    /// thread.
    pub fn look(&self, ca_files: &[CaFile]) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut has_changed = false;
        let now = self.look_at_system();
        if looked.system.as_ref() != Some(&now) {
            let roots = self.places.load();
            match &roots.problem {
                Some(why) if looked.said.as_ref() == Some(why) => {}
                Some(why) => tracing::error!(
                    "{why}; https and tls endpoints without a ca_file can become unknown \
                        (trust_store)"
                ),
                None if self.generation() > 0 => tracing::info!(
                    authorities = roots.anchors.len(),
                    "the system's trust store has changed and was read again"
                ),
                None => {}
            }
            // What could not be read is tried again, whether its file changes or not.
            looked.system = roots.problem.is_none().then_some(now);
            has_changed |= looked.said != roots.problem || roots.problem.is_none();
            looked.said.clone_from(&roots.problem);
            self.system.store(Arc::new(roots));
        }
        let before = self.files.load_full();
        let mut files = HashMap::new();
        let mut seen = HashMap::new();
        for file in ca_files {
            let now = vec![look_at(&file.path)];
            if looked.files.get(&file.path) == Some(&now) {
                files.extend(
                    before
                        .get(&file.path)
                        .map(|roots| (file.path.clone(), roots.clone())),
                );
            } else if let Some(roots) = read_again(
                file,
                before
                    .get(&file.path)
                    .and_then(|roots| roots.problem.as_deref()),
            ) {
                has_changed |= before
                    .get(&file.path)
                    .is_none_or(|known| known.problem.is_none() || known.problem != roots.problem);
                files.insert(file.path.clone(), Arc::new(roots));
            } else {
                // It holds what the config has read.
                has_changed |= before.contains_key(&file.path);
            }
            if files
                .get(&file.path)
                .is_none_or(|roots| roots.problem.is_none())
            {
                seen.insert(file.path.clone(), now);
            }
        }
        looked.files = seen;
        self.files.store(Arc::new(files));
        if has_changed {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn look_at_system(&self) -> Vec<Look> {
        let mut looks: Vec<Look> = self.places.file.iter().map(|file| look_at(file)).collect();
        for directory in &self.places.directories {
            looks.push(look_at(directory));
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            let mut inside: Vec<Look> = entries.map(|entry| look_at(&entry.path())).collect();
            inside.sort();
            looks.append(&mut inside);
        }
        looks
    }
}

/// What a `ca_file` holds, if that is not what the config has read.
/// `said`: the problem that it had before, which is not said again.
fn read_again(file: &CaFile, said: Option<&str>) -> Option<Roots> {
    let text = match read_guarded(&file.path, file.pem.as_bytes()) {
        Ok(None) => return None,
        Ok(Some(text)) => text,
        Err(why) => {
            let problem = format!("ca_file {}: {why}", file.path.display());
            if said != Some(&problem) {
                tracing::error!("{problem}; its endpoints become unknown (trust_store)");
            }
            return Some(Roots {
                problem: Some(problem),
                ..Roots::default()
            });
        }
    };
    let mut roots = Roots::from_pem(&text);
    match &mut roots.problem {
        Some(why) => {
            *why = format!("ca_file {}: {why}", file.path.display());
            if said != Some(why) {
                tracing::error!("{why}; its endpoints can become unknown (trust_store)");
            }
        }
        None => {
            let (path, authorities) = (file.path.display(), roots.anchors.len());
            tracing::info!(%path, authorities, "ca_file has changed and was read again")
        }
    }
    Some(roots)
}

/// What is in a file now, if that is something else: others must not be able to put it there.
fn read_guarded(path: &Path, before: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let file = guarded::open(path)?;
    let opened = file.metadata().map_err(|why| why.to_string())?;
    let guarded = guarded::file(path, &opened);
    // Of what others can change, no more is read than tells that it is as it was.
    let limit = match &guarded {
        Ok(()) => bounded::OF_THIS_HOST,
        Err(why) if opened.len() != before.len() as u64 => return Err(why.clone()),
        Err(_) => before.len() as u64,
    };
    let text = bounded::bytes(&file, limit).map_err(|why| why.to_string())?;
    if text == before {
        return Ok(None);
    }
    guarded.map(|()| Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    fn authority() -> String {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .self_signed(&KeyPair::generate().expect("a key"))
            .expect("signed")
            .pem()
    }

    fn at(file: &Path) -> Authorities {
        Authorities::at(Places {
            file: Some(file.to_owned()),
            directories: Vec::new(),
        })
    }

    #[test]
    fn a_store_that_is_missing_empty_or_damaged_says_so_and_a_whole_one_does_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ca.pem");
        let problem = |text: Option<String>| {
            match text {
                Some(text) => std::fs::write(&path, text).expect("written"),
                None => drop(std::fs::remove_file(&path)),
            }
            at(&path).system().problem.clone()
        };
        assert_eq!(problem(Some(authority())), None);
        let missing = problem(None).expect("a problem");
        assert!(
            missing.contains("No such file") && missing.contains("ca.pem"),
            "{missing}"
        );
        assert!(
            problem(Some(String::new()))
                .expect("a problem")
                .contains("holds no certificate authority")
        );
        let damaged = format!(
            "{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            authority()
        );
        assert!(problem(Some(damaged)).is_some());
        let cut = authority();
        assert!(
            problem(Some(format!("{}{}", authority(), &cut[..cut.len() / 2]))).is_some(),
            "cut off in the middle"
        );
        let nowhere = Authorities::at(Places::default())
            .system()
            .problem
            .clone()
            .expect("a problem");
        assert!(nowhere.contains("no trust store was found"), "{nowhere}");
    }

    /// With the metadata of the file as it was: as a change that no metadata tells, or a disk that
    /// could not be read and now can.
    fn written_unseen(path: &Path, text: &str, authorities: &Authorities) {
        std::fs::write(path, text).expect("written");
        let mut looked = authorities.looked.lock().expect("not poisoned");
        if looked.system.is_some() {
            looked.system = Some(authorities.look_at_system());
        }
        looked
            .files
            .values_mut()
            .for_each(|looks| *looks = looks.iter().map(|(path, _)| look_at(path)).collect());
    }

    #[test]
    fn a_store_that_could_not_be_read_is_tried_again_although_nothing_tells_of_a_change() {
        let directory = tempfile::tempdir().expect("a directory");
        let (system, own) = (
            directory.path().join("system.pem"),
            directory.path().join("own.pem"),
        );
        let whole = authority();
        let cut = &whole[..whole.len() / 2];
        std::fs::write(&system, cut).expect("written");
        std::fs::write(&own, cut).expect("written");
        let file = CaFile {
            path: own.clone(),
            pem: Arc::from(whole.as_str()),
        };
        let authorities = at(&system);
        authorities.look(std::slice::from_ref(&file));
        let problems = || {
            (
                authorities.system().problem.is_some(),
                authorities.of_file(&file).problem.is_some(),
            )
        };
        assert_eq!(problems(), (true, true));
        let generation = authorities.generation();
        authorities.look(std::slice::from_ref(&file));
        assert_eq!(
            (problems(), authorities.generation()),
            ((true, true), generation),
            "the same problem is no change"
        );
        written_unseen(&system, &whole, &authorities);
        written_unseen(&own, &whole, &authorities);
        authorities.look(std::slice::from_ref(&file));
        assert_eq!(
            (problems(), authorities.generation()),
            ((false, false), generation + 1)
        );
        assert_eq!(
            (
                authorities.system().anchors.len(),
                authorities.of_file(&file).anchors.len()
            ),
            (1, 1)
        );
        // Once it is whole, it is read no more until its metadata change.
        written_unseen(&system, cut, &authorities);
        authorities.look(std::slice::from_ref(&file));
        assert_eq!(
            (problems(), authorities.generation()),
            ((false, false), generation + 1)
        );
    }

    #[test]
    fn a_file_that_others_can_write_to_is_not_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let own = directory.path().join("own.pem");
        let (first, planted) = (authority(), authority());
        std::fs::write(&own, &first).expect("written");
        let file = CaFile {
            path: own.clone(),
            pem: Arc::from(first.as_str()),
        };
        let authorities = at(&own);
        authorities.look(std::slice::from_ref(&file));
        std::fs::write(&own, format!("{first}{planted}")).expect("written");
        std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o646))
            .expect("set");
        authorities.look(std::slice::from_ref(&file));
        let roots = authorities.of_file(&file);
        assert_eq!(roots.anchors.len(), 0);
        assert!(
            roots
                .problem
                .as_ref()
                .is_some_and(|why| why.contains("lets every user change it; run: chmod go-w")),
            "{:?}",
            roots.problem
        );
        std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .expect("set");
        authorities.look(std::slice::from_ref(&file));
        assert_eq!(
            (
                authorities.of_file(&file).anchors.len(),
                &authorities.of_file(&file).problem
            ),
            (2, &None)
        );
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_and_the_modes_are_looked_at_first() {
        let directory = tempfile::tempdir().expect("a directory");
        let own = directory.path().join("own.pem");
        let first = authority();
        std::fs::write(&own, &first).expect("written");
        let file = CaFile {
            path: own.clone(),
            pem: Arc::from(first.as_str()),
        };
        // The same file as the system's bundle, and in its directory.
        let authorities = Authorities::at(Places {
            file: Some(own.clone()),
            directories: vec![directory.path().to_owned()],
        });
        let problems = || {
            authorities.look(std::slice::from_ref(&file));
            (
                authorities.system().problem.clone().unwrap_or_default(),
                authorities
                    .of_file(&file)
                    .problem
                    .clone()
                    .unwrap_or_default(),
            )
        };
        assert_eq!(problems(), Default::default());
        let grown = std::fs::File::options()
            .write(true)
            .open(&own)
            .expect("there");
        // Sparse: it takes no room.
        grown.set_len(300 << 20).expect("grown");
        let (system, of_file) = problems();
        for why in [&system, &of_file] {
            assert!(
                why.contains("own.pem: it has 300 MiB, and the limit is 16 MiB"),
                "{why}"
            );
        }
        let mode = |mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&own, mode).expect("set");
        };
        mode(0o646);
        assert!(problems().1.contains("lets every user change it"));
        mode(0o644);
        grown.set_len(first.len() as u64).expect("shortened");
        assert_eq!(problems(), Default::default());
        // Others could change it, and did not.
        mode(0o646);
        assert_eq!(problems(), Default::default());
    }

    #[test]
    fn a_stray_large_file_takes_no_certificate_of_a_directory_away() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("one.pem"), authority()).expect("written");
        let stray = std::fs::File::create(directory.path().join("stray.tar")).expect("created");
        stray.set_len(300 << 20).expect("grown");
        let authorities = Authorities::at(Places {
            file: None,
            directories: vec![directory.path().to_owned()],
        });
        authorities.look(&[]);
        let system = authorities.system();
        assert_eq!((system.anchors.len(), &system.problem), (1, &None));
    }

    #[test]
    fn files_that_change_are_read_again_and_only_then() {
        let directory = tempfile::tempdir().expect("a directory");
        let (system, own) = (
            directory.path().join("system.pem"),
            directory.path().join("own.pem"),
        );
        let first = authority();
        std::fs::write(&system, format!("{first}{}", authority())).expect("written");
        std::fs::write(&own, &first).expect("written");
        let file = CaFile {
            path: own.clone(),
            pem: Arc::from(first.as_str()),
        };
        let authorities = at(&system);
        let count = || {
            (
                authorities.system().anchors.len(),
                authorities.of_file(&file).anchors.len(),
                authorities.generation(),
            )
        };
        authorities.look(std::slice::from_ref(&file));
        assert_eq!(count(), (2, 1, 1));
        authorities.look(std::slice::from_ref(&file));
        assert_eq!(count(), (2, 1, 1), "nothing has changed");
        // An authority is removed from one, and added to the other.
        std::fs::write(&system, &first).expect("written");
        std::fs::write(&own, format!("{first}{}", authority())).expect("written");
        authorities.look(std::slice::from_ref(&file));
        assert_eq!(count(), (1, 2, 2));
        std::fs::remove_file(&own).expect("removed");
        authorities.look(std::slice::from_ref(&file));
        assert_eq!(count(), (1, 0, 3));
        assert!(
            authorities
                .of_file(&file)
                .problem
                .as_ref()
                .is_some_and(|why| why.contains("own.pem"))
        );
        std::fs::write(&own, &first).expect("written");
        authorities.look(std::slice::from_ref(&file));
        assert_eq!(count(), (1, 1, 4));
        assert_eq!(authorities.of_file(&file).problem, None);
    }
}
