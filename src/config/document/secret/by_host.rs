//! The secrets of one plan by the host that they are sent to.
//!
//! `config::build` makes them; `net::masks_in_force` keeps them while a daemon runs. Hosts are
//! compared by name.

use std::borrow::Cow;
use std::collections::HashMap;

use super::mask::Mask;
use crate::words::Ms;

/// What is masked in the texts of a host, for each host that is sent a secret.
#[derive(Debug, Clone, Default)]
pub struct HostMasks {
    of: HashMap<String, HostMask>,
    /// The longest timeout of the plan's probes: so long may one run on without the plan.
    pub longest_timeout: Ms,
}

#[derive(Debug, Clone)]
pub struct HostMask {
    /// All secrets of the host, within the bounds of [`Mask::joined`].
    pub joined: Mask,
    /// Each in all its forms.
    pub specs: Vec<Mask>,
}

impl HostMasks {
    /// `sent`: what is sent to each host, in the order of the config.
    pub fn of(sent: impl IntoIterator<Item = (String, Mask)>, longest_timeout: Ms) -> Self {
        let mut of_hosts: HashMap<String, Vec<Mask>> = HashMap::new();
        for (host, mask) in sent {
            let masks = of_hosts.entry(host_key(&host).into_owned()).or_default();
            // The targets of a group have one spec, and follow each other.
            if !masks.last().is_some_and(|last| last.is_same(&mask)) {
                masks.push(mask);
            }
        }
        let of = of_hosts.into_iter().map(|(host, specs)| {
            let joined = match &*specs {
                [only] => only.clone(),
                several => Mask::joined(several),
            };
            (host, HostMask { joined, specs })
        });
        Self {
            of: of.collect(),
            longest_timeout,
        }
    }

    pub fn get(&self, key: &str) -> Option<&HostMask> {
        self.of.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &HostMask)> {
        self.of.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

/// A host as it is looked up: in small letters, without the brackets of IPv6 and without the dot
/// at the end of a name.
pub fn host_key(host: &str) -> Cow<'_, str> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    if bare.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(bare.to_ascii_lowercase())
    } else {
        Cow::Borrowed(bare)
    }
}
