#!/bin/sh
# Package:   crate hickory-proto =0.26.3 (features: std), beside dnspython ==2.7.0 from PyPI.
# Behaviour: RFC 1035 section 5.1 says that \DDD in a name is the octet in decimal. hickory-proto
#            writes and reads octal. The same text is another name in each of the two libraries,
#            and the text that hickory-proto writes for a name with a blank cannot be read back.
# Why it matters: DNS-SD names have blanks. A name copied from dig or a zone file changes its
#            meaning without an error.
# Seen:      hickory-proto writes the label "Web Server" as Web\040Server
#            dnspython writes the label "Web Server" as Web\032Server
#            hickory-proto reads a\101b as a 41 b
#            dnspython reads a\101b as a 65 b
#            hickory-proto reads its own Web\040Server: error
# Needs:     cargo, python3 with pip.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
hickory-proto = { version = "=0.26.3", default-features = false, features = ["std"] }
END
cat > src/main.rs <<'END'
use hickory_proto::rr::Name;

fn main() {
    let name = Name::from_labels([b"Web Server".as_slice(), b"test"]).expect("a valid name");
    let text = name.to_ascii();
    let label = text.split(".test").next().unwrap_or_default();
    println!("hickory-proto writes the label \"Web Server\" as {label}");
    let read = Name::from_ascii("a\\101b.test.").expect("a valid name");
    let octets = read.iter().next().expect("a label");
    println!("hickory-proto reads a\\101b as a {:x} b", octets[1]);
    let again = if Name::from_ascii(&text).is_ok() { "ok" } else { "error" };
    println!("hickory-proto reads its own {label}: {again}");
}
END
CARGO_TARGET_DIR=$work/target cargo run -q | tee seen
python3 -m pip install -q --target py dnspython==2.7.0 2>/dev/null
cat > run.py <<'PY'
import dns.name

print('dnspython writes the label "Web Server" as ' + dns.name.Name([b"Web Server"]).to_text())
print("dnspython reads a\\101b as a %x b" % dns.name.from_text("a\\101b.").labels[0][1])
PY
PYTHONPATH=py python3 run.py | tee -a seen
cat > expected <<'END'
hickory-proto writes the label "Web Server" as Web\040Server
hickory-proto reads a\101b as a 41 b
hickory-proto reads its own Web\040Server: error
dnspython writes the label "Web Server" as Web\032Server
dnspython reads a\101b as a 65 b
END
diff expected seen
