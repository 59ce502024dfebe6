#!/bin/sh
# Package:   curl and libcurl4 7.88.1-10+deb12u15 (Debian 12, amd64), crate httparse =1.10.1,
#            beside Python's http.client.
# Behaviour: RFC 9112 section 7.1 defines a chunk size as one or more hexadecimal digits, without
#            a limit. curl and httparse count digits and not the value: sixteen zeros before a 5
#            are one digit too many for both. Python reads the page.
# Why it matters: a server that pads its chunk sizes to a fixed width works up to a width of 16.
# Seen:      16 digits: curl 0, httparse 5, Python hello
#            17 digits: curl 56, httparse error, Python hello
# Needs:     Debian's apt-get, cargo, python3.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in curl libcurl4; do
    apt-get -qq -o APT::Sandbox::User=root download "$package=7.88.1-10+deb12u15"
    dpkg -x "$package"_*.deb root
done
mkdir src
cat > Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
httparse = "=1.10.1"
END
cat > src/main.rs <<'END'
fn main() {
    for digits in [16, 17] {
        let line = format!("{:0>digits$}\r\n", 5);
        match httparse::parse_chunk_size(line.as_bytes()) {
            Ok(httparse::Status::Complete((_, size))) => println!("{digits} {size}"),
            Ok(httparse::Status::Partial) => println!("{digits} partial"),
            Err(_) => println!("{digits} error"),
        }
    }
}
END
CARGO_TARGET_DIR=$work/target cargo run -q > rust
cat > run.py <<'PY'
import http.client, os, socket, subprocess, threading

state = {"digits": 16}


def serve(listener):
    while True:
        peer, _ = listener.accept()
        with peer:
            while b"\r\n\r\n" not in peer.recv(65536):
                pass
            size = b"5".rjust(state["digits"], b"0")
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello\r\n0\r\n\r\n")


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=serve, args=(listener,), daemon=True).start()
target = "127.0.0.1:%d" % listener.getsockname()[1]
environment = dict(os.environ, LD_LIBRARY_PATH=os.path.abspath("root/usr/lib/x86_64-linux-gnu"))
for line in open("rust"):
    digits, httparse = line.split()
    state["digits"] = int(digits)
    curl = subprocess.run(["root/usr/bin/curl", "-q", "-s", "--noproxy", "*", "-m", "10", "-o", "page", "http://%s/" % target], env=environment)
    connection = http.client.HTTPConnection(target, timeout=10)
    connection.request("GET", "/")
    page = connection.getresponse().read().decode()
    print("%s digits: curl %d, httparse %s, Python %s" % (digits, curl.returncode, httparse, page))
PY
python3 run.py | tee seen
cat > expected <<'END'
16 digits: curl 0, httparse 5, Python hello
17 digits: curl 56, httparse error, Python hello
END
diff expected seen
