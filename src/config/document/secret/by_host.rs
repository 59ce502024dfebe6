//! The secrets of one plan by the host that they are sent to.
//!
//! `config::build` makes them; `net::masks_in_force` keeps them while a daemon runs. Hosts are
//! compared by name.

use std::borrow::Cow;
use std::collections::HashMap;

use super::mask::Mask;
use crate::config::document::zone;
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
/// at the end of a name. An address has many spellings and may have a zone: it is looked up by what
/// it is, and an IPv4 address within IPv6 as that.
pub fn host_key(host: &str) -> Cow<'_, str> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    if let Some((address, _)) = zone::address(bare) {
        return Cow::Owned(address.to_canonical().to_string());
    }
    if bare.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(bare.to_ascii_lowercase())
    } else {
        Cow::Borrowed(bare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_or_a_name_is_one_host() {
        for (spellings, key) in [
            (
                &["::1", "[::1]", "[0:0:0:0:0:0:0:1]", "::1%lo", "[::1%1]"][..],
                "::1",
            ),
            (
                &["127.0.0.1", "[::ffff:127.0.0.1]", "::ffff:7f00:1"],
                "127.0.0.1",
            ),
            (&["fe80::1%eth0", "[FE80::1]", "fe80:0::1"], "fe80::1"),
            (&["shop.example", "Shop.Example."], "shop.example"),
        ] {
            for host in spellings {
                assert_eq!(host_key(host), key, "{host}");
            }
        }
    }
}
