#!/bin/sh
# Package:   crate cookie_store =0.22.1 (features: preserve_order) with url =2.5.8, beside curl
#            7.88.1-10+deb12u15 (Debian 12).
# Behaviour: a site sets two cookies of one name, first with Path=/ and then with Path=/shop.
#            RFC 6265 section 5.4 lists the longer path first. cookie_store gives them in the
#            order in which they were set, curl and browsers give the longer path first.
# Why it matters: most servers read the first cookie of a name. The client that uses
#            cookie_store is then in another session than a browser.
# Seen:      cookie_store: id=root; id=shop
#            curl: id=shop; id=root
# Needs:     cargo, Debian's apt-get, python3.
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
cookie_store = { version = "=0.22.1", default-features = false, features = ["preserve_order"] }
url = "=2.5.8"
END
cat > src/main.rs <<'END'
fn main() {
    let page = url::Url::parse("http://127.0.0.1/shop/cart").expect("a URL");
    let mut store = cookie_store::CookieStore::default();
    store.parse("id=root; Path=/", &page).expect("stored");
    store.parse("id=shop; Path=/shop", &page).expect("stored");
    let pairs: Vec<String> = store.get_request_values(&page).map(|(n, v)| format!("{n}={v}")).collect();
    println!("cookie_store: {}", pairs.join("; "));
}
END
CARGO_TARGET_DIR=$work/target cargo run -q | tee seen
cat > run.py <<'PY'
import http.server, os, subprocess, threading

sent = []


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sent.append(self.headers.get("Cookie"))
        self.send_response(200)
        self.send_header("Set-Cookie", "id=root; Path=/")
        self.send_header("Set-Cookie", "id=shop; Path=/shop")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Site)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://127.0.0.1:%d/shop/cart" % server.server_address[1]
library = os.path.abspath("root/usr/lib/x86_64-linux-gnu")
subprocess.run(["root/usr/bin/curl", "-q", "-s", "--noproxy", "*", "-m", "10", "-b", "", url, url],
               check=True, env=dict(os.environ, LD_LIBRARY_PATH=library))
print("curl: " + sent[1])
PY
python3 run.py | tee -a seen
cat > expected <<'END'
cookie_store: id=root; id=shop
curl: id=shop; id=root
END
diff expected seen
