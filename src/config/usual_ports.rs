//! Which server is usual on a port, and whether it speaks first: what a silence there means, as a
//! rule. Words only, never a verdict.

/// Who begins, once a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    Server,
    Client,
    /// The client, with a TLS handshake.
    Tls,
}

/// Port, protocol, who begins.
const SERVERS: [(u16, &str, First); 36] = [
    (21, "FTP", First::Server),
    (22, "SSH", First::Server),
    (25, "SMTP", First::Server),
    (80, "HTTP", First::Client),
    (110, "POP3", First::Server),
    (119, "NNTP", First::Server),
    (143, "IMAP", First::Server),
    (389, "LDAP", First::Client),
    (443, "HTTPS", First::Tls),
    (445, "SMB", First::Client),
    (465, "SMTP over TLS", First::Tls),
    (587, "SMTP", First::Server),
    (636, "LDAP over TLS", First::Tls),
    (853, "DNS over TLS", First::Tls),
    (873, "rsync", First::Server),
    (990, "FTP over TLS", First::Tls),
    (993, "IMAP over TLS", First::Tls),
    (995, "POP3 over TLS", First::Tls),
    (1433, "SQL Server", First::Client),
    (1883, "MQTT", First::Client),
    (2181, "ZooKeeper", First::Client),
    (2379, "etcd", First::Client),
    (3306, "MySQL", First::Server),
    (3389, "RDP", First::Client),
    (4222, "NATS", First::Server),
    (5432, "PostgreSQL", First::Client),
    (5671, "AMQP over TLS", First::Tls),
    (5672, "AMQP", First::Client),
    (5900, "VNC", First::Server),
    (6379, "Redis", First::Client),
    (8080, "HTTP", First::Client),
    (8443, "HTTPS", First::Tls),
    (8883, "MQTT over TLS", First::Tls),
    (9092, "Kafka", First::Client),
    (11211, "memcached", First::Client),
    (27017, "MongoDB", First::Client),
];

/// Other names of protocols, and schemes.
const ALIASES: [(&str, &str); 16] = [
    ("smtps", "SMTP over TLS"),
    ("submission", "SMTP"),
    ("imaps", "IMAP over TLS"),
    ("pop3s", "POP3 over TLS"),
    ("pop", "POP3"),
    ("ldaps", "LDAP over TLS"),
    ("ftps", "FTP over TLS"),
    ("sftp", "SSH"),
    ("mqtts", "MQTT over TLS"),
    ("amqps", "AMQP over TLS"),
    ("postgres", "PostgreSQL"),
    ("mariadb", "MySQL"),
    ("mongo", "MongoDB"),
    ("mssql", "SQL Server"),
    ("sqlserver", "SQL Server"),
    ("memcache", "memcached"),
];

/// How a protocol is probed that is no kind of its own, where it is known by this name: `smtp`,
/// `imaps`, `postgres`. `rest`: what follows its scheme in an address, if there is one.
pub fn of_protocol(name: &str, rest: &str) -> Option<String> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let wanted = alias.map_or(name, |(_, protocol)| protocol);
    let (port, protocol, first) = SERVERS
        .iter()
        .find(|(_, protocol, _)| protocol.eq_ignore_ascii_case(wanted))?;
    let kind = match first {
        First::Tls => "tls",
        First::Server | First::Client => "tcp",
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = match authority {
        "" => format!("HOST:{port}"),
        _ if has_port && !authority.ends_with(']') => authority.to_owned(),
        _ => format!("{authority}:{port}"),
    };
    let how = match kind {
        "tls" => "The handshake and the certificate are checked",
        _ => "A dialogue in probe.tcp checks what the server says (docs/probes.md)",
    };
    Some(if rest.is_empty() {
        format!("{protocol} is probed by probe.{kind}.address = \"{address}\". {how}.")
    } else {
        format!("{protocol} is probed as {kind}://{address}. {how}.")
    })
}

/// The protocol that is usual on a port, and who begins.
pub fn usual(port: u16) -> Option<(&'static str, First)> {
    SERVERS
        .iter()
        .find(|(known, ..)| *known == port)
        .map(|(_, protocol, first)| (*protocol, *first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_that_is_no_kind_is_led_to_the_kind_that_probes_it() {
        for (name, rest, starts) in [
            (
                "smtp",
                "mail.example",
                "SMTP is probed as tcp://mail.example:25. A dialogue",
            ),
            (
                "smtp",
                "mail.example:587/x",
                "SMTP is probed as tcp://mail.example:587.",
            ),
            (
                "imaps",
                "[::1]",
                "IMAP over TLS is probed as tls://[::1]:993. The handshake",
            ),
            (
                "postgres",
                "",
                "PostgreSQL is probed by probe.tcp.address = \"HOST:5432\".",
            ),
        ] {
            let said = of_protocol(name, rest).expect("known");
            assert!(said.starts_with(starts), "{said}");
        }
        assert_eq!(of_protocol("gopher", "x"), None);
    }
}
