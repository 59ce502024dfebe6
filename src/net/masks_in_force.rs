//! The secrets that are masked now, by host: those of the plan in force, and for some time those
//! of the plans before it.
//!
//! A probe looks here when it ends (`kind::run`), as the server may have been sent more since it
//! began: a reload brings the new secrets here before the first probe sends one. A server may
//! also show later what it was sent before, so a secret that was replaced is kept for an hour.
//! The memory of secrets is wiped when they leave (docs/security.md).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::config::document::secret::by_host::{HostMask, HostMasks, host_key};
use crate::config::document::secret::mask::Mask;
use crate::words::Ms;

/// How long a secret that was replaced is masked. docs/security.md has this figure.
const REPLACED_MS: Ms = 3_600_000;
/// How much longer than its timeout a probe may run at most, with the time until a reload is
/// carried out.
const BEYOND_TIMEOUT_MS: Ms = 5000;

/// Shared by the threads that probe and that reload.
#[derive(Default)]
pub struct MasksInForce {
    now: ArcSwap<MaskSets>,
    /// Held while a change is made.
    changing: Mutex<()>,
}

#[derive(Default, Clone)]
struct MaskSets {
    plan: Arc<HostMasks>,
    /// Newest first.
    earlier: HashMap<String, Vec<EarlierMask>>,
}

/// What a plan before this one had at a host, and this one has not.
#[derive(Clone)]
struct EarlierMask {
    mask: Mask,
    until_ms: Ms,
}

impl MasksInForce {
    /// Takes the secrets of a plan into force, before anything of it is probed. Blocks.
    pub fn take_over(&self, plan: &Arc<HostMasks>, now_ms: Ms) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.now.load().followed_by(plan, now_ms);
        self.now.store(Arc::new(next));
    }

    /// Wipes the earlier secrets whose time is over.
    pub fn forget(&self, now_ms: Ms) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |mask: &EarlierMask| mask.until_ms <= now_ms;
        let in_force = self.now.load();
        if in_force.earlier.values().flatten().any(is_over) {
            let mut next = MaskSets::clone(&in_force);
            next.earlier.retain(|_, masks| {
                masks.retain(|mask| !is_over(mask));
                !masks.is_empty()
            });
            self.now.store(Arc::new(next));
        }
    }

    /// The mask that a probe began with, and what is in force now for the hosts that it came to.
    /// Where that is the same, it is a copy that shares everything.
    pub fn also_of<'h>(&self, began_with: &Mask, hosts: impl Iterator<Item = &'h str>) -> Mask {
        let now = self.now.load();
        let mut more: Vec<Mask> = Vec::new();
        if !now.is_empty() {
            for host in hosts {
                for mask in now.of(&host_key(host)) {
                    let is_known = |known: &Mask| known.includes(mask);
                    if !is_known(began_with) && !more.iter().any(is_known) {
                        more.push(mask.clone());
                    }
                }
            }
        }
        began_with.and(more)
    }
}

impl MaskSets {
    fn is_empty(&self) -> bool {
        self.plan.is_empty() && self.earlier.is_empty()
    }

    fn of(&self, key: &str) -> impl Iterator<Item = &Mask> {
        let earlier = self.earlier.get(key).into_iter().flatten();
        let joined = self.plan.get(key).map(|of_host| &of_host.joined);
        joined
            .into_iter()
            .chain(earlier.map(|earlier| &earlier.mask))
    }

    fn followed_by(&self, plan: &Arc<HostMasks>, now_ms: Ms) -> Self {
        // Hosts of one group have the same secrets, and share what is made of them.
        let mut made: HashMap<Vec<usize>, Vec<EarlierMask>> = HashMap::new();
        let mut earlier = HashMap::new();
        let still_probed_ms = self.plan.longest_timeout + BEYOND_TIMEOUT_MS;
        let only_earlier = self.earlier.keys();
        let only_earlier = only_earlier.filter(|host| self.plan.get(host).is_none());
        let hosts = self.plan.iter().map(|(host, _)| host).chain(only_earlier);
        for host in hosts {
            let (before, after) = (self.plan.get(host), plan.get(host));
            let known = self.earlier.get(host).map_or(&[][..], Vec::as_slice);
            // At a host that is sent no secret any more, there is none that was replaced.
            let until_ms = now_ms + after.map_or(still_probed_ms, |_| REPLACED_MS);
            let masks = made
                .entry(key(before, after, known))
                .or_insert_with(|| carried(before, after, known, until_ms));
            if !masks.is_empty() {
                earlier.insert(host.clone(), masks.clone());
            }
        }
        let plan = plan.clone();
        Self { plan, earlier }
    }
}

/// What `carried` depends on.
fn key(before: Option<&HostMask>, after: Option<&HostMask>, known: &[EarlierMask]) -> Vec<usize> {
    let of_host = |host: Option<&HostMask>| {
        let ids = host.into_iter().flat_map(|host| &host.specs).map(Mask::id);
        ids.chain([0]).collect::<Vec<_>>()
    };
    let mut key = of_host(before);
    key.extend(of_host(after));
    key.extend(
        known
            .iter()
            .flat_map(|k| [k.mask.id(), k.until_ms as usize]),
    );
    key
}

/// The earlier masks of one host, newest first, as many as the bounds allow.
fn carried(
    before: Option<&HostMask>,
    after: Option<&HostMask>,
    known: &[EarlierMask],
    until_ms: Ms,
) -> Vec<EarlierMask> {
    let specs = |host: Option<&HostMask>| host.map_or(Vec::new(), |host| host.specs.clone());
    let left = Mask::left_of(&specs(before), &specs(after));
    let mut earlier: Vec<EarlierMask> = Vec::with_capacity(known.len() + 1);
    if !left.is_empty() {
        earlier.push(EarlierMask {
            mask: left,
            until_ms,
        });
    }
    for known in known {
        let newer: Vec<Mask> = earlier.iter().map(|newer| newer.mask.clone()).collect();
        let known_mask = std::slice::from_ref(&known.mask);
        if !Mask::left_of(known_mask, &newer).is_empty() {
            earlier.push(EarlierMask {
                mask: known.mask.clone(),
                until_ms: known.until_ms.min(until_ms),
            });
        }
    }
    let bounded = Mask::bounded(earlier.iter().map(|earlier| &earlier.mask));
    let times = earlier.iter().map(|earlier| earlier.until_ms);
    bounded
        .into_iter()
        .zip(times)
        .map(|(mask, until_ms)| EarlierMask { mask, until_ms })
        .filter(|earlier| !earlier.mask.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::secret::{MASK, Secret};

    const TIMEOUT: Ms = 10_000;

    fn mask(secret: &str) -> Mask {
        Mask::of(vec![Secret::new(secret)])
    }

    fn plan(sent: &[(&str, &str)]) -> Arc<HostMasks> {
        let sent = sent.iter().map(|(host, s)| ((*host).to_owned(), mask(s)));
        Arc::new(HostMasks::of(sent, TIMEOUT))
    }

    /// What is shown of a text at this host by a probe that began without a mask.
    fn shown(masks: &MasksInForce, host: &str, text: &str) -> String {
        let mask = masks.also_of(&Mask::default(), [host].into_iter());
        mask.apply(text.to_owned())
    }

    #[test]
    fn a_secret_that_was_replaced_is_masked_for_an_hour_at_its_host() {
        let masks = MasksInForce::default();
        masks.take_over(&plan(&[("Shop.example.", "zebra-one")]), 0);
        masks.take_over(&plan(&[("shop.example", "zebra-two")]), 1000);
        masks.take_over(&plan(&[("shop.example", "zebra-three")]), 2000);
        let text = "zebra-one zebra-two zebra-three";
        let all = format!("{MASK} {MASK} {MASK}");
        for host in ["shop.example", "SHOP.example."] {
            assert_eq!(shown(&masks, host, text), all);
        }
        assert_eq!(shown(&masks, "other.example", text), text);
        masks.forget(1000 + REPLACED_MS - 1);
        assert_eq!(shown(&masks, "shop.example", text), all);
        masks.forget(1000 + REPLACED_MS);
        let two = format!("zebra-one {MASK} {MASK}");
        assert_eq!(shown(&masks, "shop.example", text), two);
        masks.forget(2000 + REPLACED_MS);
        let one = format!("zebra-one zebra-two {MASK}");
        assert_eq!(shown(&masks, "shop.example", text), one);
    }

    #[test]
    fn the_secrets_of_a_host_that_is_sent_none_any_more_go_when_its_probes_have_ended() {
        let masks = MasksInForce::default();
        masks.take_over(&plan(&[("[::1]", "zebra-one")]), 0);
        masks.take_over(&plan(&[("::1", "zebra-two")]), 0);
        masks.take_over(&plan(&[]), 1000);
        let text = "zebra-one zebra-two";
        masks.forget(1000 + TIMEOUT);
        assert_eq!(shown(&masks, "::1", text), format!("{MASK} {MASK}"));
        masks.forget(1000 + TIMEOUT + BEYOND_TIMEOUT_MS);
        assert_eq!(shown(&masks, "::1", text), text);
        assert!(masks.now.load().is_empty(), "nothing is kept");
    }

    #[test]
    fn the_secrets_of_earlier_plans_are_bounded_and_the_newest_are_kept() {
        let masks = MasksInForce::default();
        let token = |n: usize| format!("zebra-{n}-NqVwYS81VP7Hb1dx8pPd5kHX");
        for n in 0..40 {
            masks.take_over(&plan(&[("a", &token(n))]), 0);
        }
        for n in 30..40 {
            assert_eq!(shown(&masks, "a", &token(n)), MASK);
        }
        let in_force = masks.now.load();
        let earlier = in_force.earlier["a"].iter().map(|earlier| &earlier.mask);
        let text = "x".repeat(100);
        let of_one = Mask::of((0..40).map(|n| Secret::new(token(n))).collect());
        let cost: u64 = earlier.map(|mask| mask.cost_ns(&text)).sum();
        assert!(cost <= of_one.cost_ns(&text), "as many forms as one spec");
    }

    #[test]
    fn a_reload_that_changes_nothing_keeps_nothing_and_hosts_of_a_group_share_it() {
        let masks = MasksInForce::default();
        let of_group = |secret: &str| {
            let mask = mask(secret);
            let sent = ["a", "b"].map(|host| (host.to_owned(), mask.clone()));
            Arc::new(HostMasks::of(sent, TIMEOUT))
        };
        masks.take_over(&of_group("zebra-one"), 0);
        masks.take_over(&of_group("zebra-one"), 0);
        assert!(masks.now.load().earlier.is_empty());
        masks.take_over(&of_group("zebra-two"), 0);
        let in_force = masks.now.load();
        let id = |host: &str| in_force.earlier[host][0].mask.id();
        assert_eq!(id("a"), id("b"));
        // Back and forth: each is there once.
        masks.take_over(&of_group("zebra-one"), 0);
        masks.take_over(&of_group("zebra-two"), 0);
        masks.take_over(&of_group("zebra-one"), 0);
        assert_eq!(masks.now.load().earlier["a"].len(), 2);
    }

    #[test]
    fn a_probe_whose_masks_are_those_in_force_looks_for_nothing_twice() {
        let masks = MasksInForce::default();
        let plan = plan(&[("a", "zebra-one"), ("b", "zebra-two")]);
        masks.take_over(&plan, 0);
        let own = &plan.get("a").expect("a host").joined;
        let text = "x".repeat(100);
        let same = masks.also_of(own, ["a", "c"].into_iter());
        assert_eq!(same.cost_ns(&text), own.cost_ns(&text));
        let more = masks.also_of(own, ["a", "b", "b"].into_iter());
        let other = &plan.get("b").expect("a host").joined;
        assert_eq!(
            more.cost_ns(&text),
            own.cost_ns(&text) + other.cost_ns(&text)
        );
        let nothing = masks.also_of(&Mask::default(), ["c"].into_iter());
        assert!(nothing.is_empty());
    }
}
