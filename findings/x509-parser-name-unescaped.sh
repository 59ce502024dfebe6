#!/bin/sh
# Package:   crate x509-parser =0.18.1 (no features), beside the host's openssl.
# Behaviour: X509Name implements Display without escaping. A subject whose organisation is
#            "Example, Inc." becomes "C=FI, O=Example, Inc., CN=a.test". RFC 4514 writes
#            "CN=a.test,O=Example\, Inc.,C=FI", and that is what OpenSSL prints.
# Why it matters: many organisations have a comma in their name. A program that splits the text at
#            commas finds a part "Inc." without a type, and a pattern written from OpenSSL's text
#            does not match, as the order is the other way round.
# Seen:      x509-parser: C=FI, O=Example, Inc., CN=a.test
#            openssl: CN=a.test,O=Example\, Inc.,C=FI
# Needs:     cargo, openssl.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -days 2 \
    -subj '/C=FI/O=Example, Inc./CN=a.test' -outform DER -out cert.der 2>/dev/null
mkdir src
cat > Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
x509-parser = { version = "=0.18.1", default-features = false }
END
cat > src/main.rs <<'END'
fn main() {
    let der = std::fs::read("cert.der").expect("readable");
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).expect("a certificate");
    println!("x509-parser: {}", certificate.subject());
}
END
CARGO_TARGET_DIR=$work/target cargo run -q | tee seen
openssl x509 -inform DER -in cert.der -noout -subject -nameopt RFC2253 | sed 's/^subject=/openssl: /' | tee -a seen
cat > expected <<'END'
x509-parser: C=FI, O=Example, Inc., CN=a.test
openssl: CN=a.test,O=Example\, Inc.,C=FI
END
diff expected seen
