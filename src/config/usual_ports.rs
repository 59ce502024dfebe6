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

/// The protocol that is usual on a port, and who begins.
pub fn usual(port: u16) -> Option<(&'static str, First)> {
    SERVERS
        .iter()
        .find(|(known, ..)| *known == port)
        .map(|(_, protocol, first)| (*protocol, *first))
}
