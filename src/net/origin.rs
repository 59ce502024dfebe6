//! What the origin of a request is to that of the config, and which TLS settings go with it.

use std::borrow::Cow;

use url::Url;

use crate::config::plan::probe::{Tls, Verify};

/// What the origin of a hop is to that of the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HopOrigin {
    /// The origin of the config: scheme, host and port.
    Own,
    /// The same host, from http on port 80 to https on port 443.
    Upgraded,
    /// Somebody else.
    Foreign,
}

impl HopOrigin {
    pub fn of(config: &Url, at: &Url) -> Self {
        let is = |url: &Url, scheme: &str, port: u16| {
            url.scheme() == scheme && url.port_or_known_default() == Some(port)
        };
        if at.origin() == config.origin() {
            HopOrigin::Own
        } else if config.host() == at.host() && is(config, "http", 80) && is(at, "https", 443) {
            HopOrigin::Upgraded
        } else {
            HopOrigin::Foreign
        }
    }

    /// How TLS is spoken with such an origin. What the config demands of a handshake it demands of
    /// each; what it lends stays.
    pub fn tls(self, spec: &Tls) -> Cow<'_, Tls> {
        let lent = match self {
            HopOrigin::Own => return Cow::Borrowed(spec),
            HopOrigin::Upgraded => (spec.ca.clone(), spec.server_name.clone()),
            HopOrigin::Foreign => (None, None),
        };
        Cow::Owned(Tls {
            ca: lent.0,
            server_name: lent.1,
            client: None,
            verify: Verify::Full,
            min_version: spec.min_version,
            groups: spec.groups.clone(),
            expiring_within: spec.expiring_within,
            expect: spec.expect.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn only_the_origin_is_its_own_and_only_the_usual_upgrade_keeps_the_host() {
        use HopOrigin::*;
        for (config, at, origin) in [
            ("https://x.example/a", "https://x.example:443/b", Own),
            ("http://x.example/a", "http://X.EXAMPLE:80/b", Own),
            ("http://x.example/", "https://x.example/login", Upgraded),
            ("http://x.example:80/", "https://x.example:443/", Upgraded),
            ("http://x.example/", "https://www.x.example/", Foreign),
            ("http://x.example/", "https://x.example:8443/", Foreign),
            ("http://x.example:8080/", "https://x.example/", Foreign),
            ("https://x.example/", "http://x.example/", Foreign),
            ("https://x.example/", "https://x.example:8443/", Foreign),
            ("https://x.example/", "https://y.example/", Foreign),
            ("http://x.example/", "http://x.example:81/", Foreign),
        ] {
            assert_eq!(
                HopOrigin::of(&url(config), &url(at)),
                origin,
                "{config} -> {at}"
            );
        }
    }

    #[test]
    fn an_upgrade_keeps_authorities_and_name_a_stranger_nothing_and_neither_the_identity() {
        use crate::config::document::secret::Secret;
        use crate::config::plan::probe::{CaFile, ClientCertificate};
        let ca = CaFile {
            path: "/ca".into(),
            pem: "pem".into(),
        };
        let client = ClientCertificate {
            chain_pem: "chain".into(),
            key_pem: Secret::new("key"),
        };
        let spec = Tls {
            ca: Some(ca),
            server_name: Some("name".into()),
            client: Some(client),
            verify: Verify::None,
            ..Tls::default()
        };
        for (origin, keeps_ca, keeps_client, verify) in [
            (HopOrigin::Own, true, true, Verify::None),
            (HopOrigin::Upgraded, true, false, Verify::Full),
            (HopOrigin::Foreign, false, false, Verify::Full),
        ] {
            let tls = origin.tls(&spec);
            assert_eq!(
                (tls.ca.is_some(), tls.server_name.is_some()),
                (keeps_ca, keeps_ca),
                "{origin:?}"
            );
            assert_eq!(
                (tls.client.is_some(), tls.verify),
                (keeps_client, verify),
                "{origin:?}"
            );
        }
    }
}
