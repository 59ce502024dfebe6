//! Addresses that the command line gives for a host, in place of those that the resolver would
//! find. The daemon has none.

use std::cell::RefCell;
use std::net::IpAddr;

#[derive(Default)]
pub struct Pins(RefCell<Vec<Pin>>);

struct Pin {
    host: String,
    /// Any, where there is none.
    port: Option<u16>,
    addresses: Vec<IpAddr>,
}

impl Pins {
    /// From now on the host has these addresses; what was given for it before counts no more.
    pub fn put(&self, host: &str, port: Option<u16>, addresses: Vec<IpAddr>) {
        let host = comparable(host);
        let mut pins = self.0.borrow_mut();
        pins.retain(|pin| pin.host != host || port.is_some() && pin.port != port);
        pins.push(Pin {
            host,
            port,
            addresses,
        });
    }

    pub fn of(&self, host: &str, port: u16) -> Option<Vec<IpAddr>> {
        let host = comparable(host);
        self.0
            .borrow()
            .iter()
            .find(|pin| pin.host == host && pin.port.is_none_or(|of| of == port))
            .map(|pin| pin.addresses.clone())
    }
}

fn comparable(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_of_its_host_and_port_and_the_last_one_counts() {
        let (pins, [a, b]) = (
            Pins::default(),
            [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from),
        );
        pins.put("Shop.example", Some(443), vec![a]);
        pins.put("shop.example", Some(80), vec![b]);
        assert_eq!(pins.of("shop.example.", 443), Some(vec![a]));
        assert_eq!(pins.of("SHOP.example", 80), Some(vec![b]));
        assert_eq!(pins.of("shop.example", 81), None);
        assert_eq!(pins.of("www.shop.example", 443), None);
        pins.put("shop.example", None, vec![b]);
        assert_eq!(pins.of("shop.example", 443), Some(vec![b]));
        assert_eq!(pins.of("shop.example", 81), Some(vec![b]));
    }
}
