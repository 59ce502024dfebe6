"""The servers that the benches probe: nginx for http and https, knot for dns."""

import os
import time

from harness import Process, fetch, sh, until, write

HTTP, HTTPS, DNS = 29080, 29443, 29053


def certificates(work):
    ca, key, leaf = (os.path.join(work, n) for n in ("ca.pem", "leaf.key", "leaf.pem"))
    request = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
    signer = "-CAkey ca.key -CAcreateserial -days 30 -extfile ext"
    write(os.path.join(work, "ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for line in (
        request + "-x509 -keyout ca.key -out ca.pem -subj /CN=bench -days 30",
        request + "-keyout leaf.key -out leaf.csr -subj /CN=localhost",
        "openssl x509 -req -in leaf.csr -CA ca.pem -out leaf.pem " + signer,
    ):
        sh(*line.split(), cwd=work)
    return ca, key, leaf


def nginx(work):
    ca, key, leaf = certificates(work)
    addresses = ["listen 127.0.0.%d:%d backlog=65535;" % (n, HTTP) for n in range(1, 9)]
    values = {"all": " ".join(addresses), "port": HTTPS, "leaf": leaf, "key": key}
    server = """server { %(all)s
  listen 127.0.0.1:%(port)d ssl backlog=65535;
  ssl_certificate %(leaf)s; ssl_certificate_key %(key)s;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
  location / { return 200 "ok\\n"; } location /status { stub_status; } }
"""
    p = nginx_of(work, server % values, cpus="1")
    ready("http://127.0.0.1:%d/" % HTTP)
    return p, ca


def nginx_of(work, servers, cpus=None):
    """An nginx of one worker with these servers; all that it writes is in the directory."""
    conf = """daemon off; pid %(work)s/nginx.pid; error_log %(work)s/nginx.log crit;
worker_processes 1; worker_rlimit_nofile 200000;
events { worker_connections 100000; multi_accept on; }
http { access_log off; types { application/json json; }
 client_body_temp_path %(work)s/b; proxy_temp_path %(work)s/p; fastcgi_temp_path %(work)s/f;
 uwsgi_temp_path %(work)s/u; scgi_temp_path %(work)s/s;
 %(servers)s }
""" % {"work": work, "servers": servers}
    path = write(os.path.join(work, "nginx.conf"), conf)
    return Process(["nginx", "-p", work, "-c", path], cpus=cpus)


def ready(url):
    until(lambda: fetch(url), 60, url, every=0.02)


def requests():
    page = fetch("http://127.0.0.1:%d/status" % HTTP).decode()
    return [int(x) for x in page.split("\n")[2].split()]


def knot(work):
    zone = write(
        os.path.join(work, "bench.zone"),
        "$ORIGIN bench.\n@ 60 SOA ns 1 2 3 4 5 6\n@ NS ns\nns A 127.0.0.1\nwww A 127.0.0.1\n",
    )
    conf = write(
        os.path.join(work, "knot.conf"),
        "server:\n  listen: 127.0.0.1@%d\n  rundir: %s\n  udp-workers: 1\n"
        "database:\n  storage: %s\nzone:\n- domain: bench\n  file: %s\n" % (DNS, work, work, zone),
    )
    p = Process(["knotd", "-c", conf], cpus="1", log=os.path.join(work, "knot.log"))
    time.sleep(1.5)
    return p
