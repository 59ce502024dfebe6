#!/bin/sh
# Package:   PyPI requests ==2.32.5, urllib3 ==2.5.0, httpx ==0.28.1, aiohttp ==3.13.2.
# Behaviour: RFC 6874 writes a link-local address with its zone as http://[fe80::77%25lo]/. Of
#            four clients only urllib3 reaches it. requests, which sends through urllib3, fails
#            for both spellings: it hands the host on with %25, and that is looked up as a name.
#            httpx and aiohttp need the spelling %lo and then send the zone in the Host header,
#            although it means something on the client only.
# Why it matters: no spelling works in all of them, and a server that checks Host refuses the zone.
# Seen:      %25lo urllib3: Host [fe80::77]
#            %25lo requests: no connection
#            %25lo httpx: no connection
#            %25lo aiohttp: no connection
#            %lo urllib3: Host [fe80::77]
#            %lo requests: no connection
#            %lo httpx: Host [fe80::77%lo]
#            %lo aiohttp: Host [fe80::77%lo]
# Needs:     python3 with pip, iproute2, unshare (as root, or with user namespaces).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m pip install -q --target py requests==2.32.5 urllib3==2.5.0 httpx==0.28.1 aiohttp==3.13.2 2>/dev/null
cat > run.py <<'PY'
import asyncio, socket, subprocess, threading

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "addr", "add", "fe80::77/64", "dev", "lo", "nodad"], check=True)
# urllib3 decides at its import whether the host has IPv6.
import aiohttp, httpx, requests, urllib3

listener = socket.socket(socket.AF_INET6)
listener.bind(("fe80::77", 0, 0, socket.if_nametoindex("lo")))
listener.listen()
port = listener.getsockname()[1]
hosts = []


def serve():
    while True:
        peer, _ = listener.accept()
        with peer:
            request = b""
            while b"\r\n\r\n" not in request:
                request += peer.recv(4096)
            for line in request.decode().split("\r\n"):
                if line.lower().startswith("host:"):
                    hosts.append(line.split(None, 1)[1])
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as reply:
            return reply.status


threading.Thread(target=serve, daemon=True).start()
clients = (("urllib3", lambda url: urllib3.PoolManager().request("GET", url, timeout=5, retries=False)),
           ("requests", lambda url: requests.get(url, timeout=5)),
           ("httpx", lambda url: httpx.get(url, timeout=5)),
           ("aiohttp", lambda url: asyncio.run(with_aiohttp(url))))
failures = (OSError, httpx.ConnectError, aiohttp.ClientConnectionError)
for zone in ("%25lo", "%lo"):
    for name, get in clients:
        hosts.clear()
        try:
            get("http://[fe80::77%s]:%d/" % (zone, port))
            seen = "Host " + hosts[0].removesuffix(":%d" % port)
        except failures:
            seen = "no connection"
        print("%s %s: %s" % (zone, name, seen))
PY
env -u http_proxy -u HTTP_PROXY -u all_proxy -u ALL_PROXY PYTHONPATH=py \
    unshare --net --map-root-user python3 run.py | tee seen
cat > expected <<'END'
%25lo urllib3: Host [fe80::77]
%25lo requests: no connection
%25lo httpx: no connection
%25lo aiohttp: no connection
%lo urllib3: Host [fe80::77]
%lo requests: no connection
%lo httpx: Host [fe80::77%lo]
%lo aiohttp: Host [fe80::77%lo]
END
diff expected seen
