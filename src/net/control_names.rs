//! What control questions are about: names of the config that resolved lately, one of each zone.
//!
//! The resolver remembers them, and asks about them when a name server fails at another name. Where
//! a redirect leads is a server's word: such names are not remembered, else a target could choose
//! what the resolver is tested with. Nothing is asked here.

use std::collections::VecDeque;

use hickory_proto::rr::Name;

use super::public_suffix::registrable_domain;

const NAMES_REMEMBERED: usize = 8;

/// A name to resolve, and whose word it is.
#[derive(Clone, Copy)]
pub struct Sought<'h> {
    pub host: &'h str,
    /// The config's host, where a redirect of it led to this one.
    pub led_from: Option<&'h str>,
}

impl<'h> From<&'h str> for Sought<'h> {
    /// A name of the config.
    fn from(host: &'h str) -> Self {
        Self {
            host,
            led_from: None,
        }
    }
}

/// Names with their zones, the newest last.
#[derive(Default)]
pub struct ControlNames(VecDeque<(Name, String)>);

impl ControlNames {
    pub fn remember(&mut self, name: &Name) {
        if self.0.back().is_some_and(|(known, _)| known == name) {
            return;
        }
        let known = self
            .0
            .iter()
            .position(|(known, _)| known == name)
            .and_then(|at| self.0.remove(at));
        let (name, zone) = known.unwrap_or_else(|| (name.clone(), zone(&name.to_ascii())));
        self.0.retain(|(_, known)| *known != zone);
        self.0.push_back((name, zone));
        if self.0.len() > NAMES_REMEMBERED {
            self.0.pop_front();
        }
    }

    /// Those that say something about the resolver when it fails at `name`, the newest first: none
    /// of its zone, and none of the zone whose redirect led there.
    pub fn beside(&self, name: &Name, led_from: Option<&str>) -> Vec<Name> {
        let (of_name, of_config) = (zone(&name.to_ascii()), led_from.map(zone));
        // A short name of the config became a longer one by the search list.
        let begin =
            led_from.map(|host| format!("{}.", host.trim_end_matches('.').to_ascii_lowercase()));
        let is_beside = |known: &Name, zone: &String| {
            *zone != of_name
                && of_config.as_ref() != Some(zone)
                && !begin
                    .as_ref()
                    .is_some_and(|begin| known.to_ascii().to_ascii_lowercase().starts_with(begin))
        };
        self.0
            .iter()
            .rev()
            .filter(|(known, zone)| is_beside(known, zone))
            .map(|(known, _)| known.clone())
            .collect()
    }
}

/// The registrable domain, by the public suffix list: names that differ in it have other servers as
/// a rule. A public suffix is its own.
fn zone(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    registrable_domain(&name).map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    fn knowing(names: &[&str]) -> ControlNames {
        let mut known = ControlNames::default();
        names.iter().for_each(|text| known.remember(&name(text)));
        known
    }

    fn beside(known: &ControlNames, silent: &str, led_from: Option<&str>) -> Vec<String> {
        known
            .beside(&name(silent), led_from)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_zone_is_a_registrable_domain() {
        for (text, wanted) in [
            ("www.Shop-a.co.uk.", "shop-a.co.uk"),
            ("a.b.shop.com.au", "shop.com.au"),
            ("www.shop.example.", "shop.example"),
            ("a.github.io", "a.github.io"),
            ("github.io", "github.io"),
            ("www.shop.com", "shop.com"),
            ("com", "com"),
            ("localhost", "localhost"),
            (".", ""),
        ] {
            assert_eq!(zone(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_newest_of_each_zone_is_remembered_and_a_bounded_number_of_them() {
        let known = knowing(&[
            "a.one.example.",
            "b.two.example.",
            "c.one.example.",
            "b.two.example.",
        ]);
        assert_eq!(
            beside(&known, "x.test.", None),
            ["b.two.example.", "c.one.example."]
        );
        assert_eq!(beside(&known, "x.ONE.example.", None), ["b.two.example."]);
        let many: Vec<String> = (0..20).map(|n| format!("www.zone{n}.example.")).collect();
        let known = knowing(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(beside(&known, "x.test.", None).len(), NAMES_REMEMBERED);
    }

    #[test]
    fn a_redirect_is_not_judged_by_the_zone_that_led_there() {
        let known = knowing(&[
            "good.other.example.",
            "web.corp.example.",
            "own.shop.example.",
        ]);
        assert_eq!(
            beside(&known, "dead.evil.test.", Some("www.shop.example")),
            ["web.corp.example.", "good.other.example."]
        );
        assert_eq!(
            beside(&known, "dead.evil.test.", Some("Web")),
            ["own.shop.example.", "good.other.example."],
            "by the search list"
        );
    }
}
