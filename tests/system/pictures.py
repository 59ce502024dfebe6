#!/usr/bin/env python3
"""The pictures of the README, from the demo: pages as PNG, by Debian's chromium.

    PROBITY=target/release/probity tests/system/pictures.py [DIR]     (default: docs/pictures)
    PROBITY=target/release/probity tests/system/pictures.py --looks DIR

It waits until the demo has had an outage that is over and one that is not. `--looks` takes every
page in light, dark and forced colours, on a phone and printed, of a config with components and a
contract: to be looked at after a change of the style."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import (
    PROBITY,
    ROOT,
    Daemon,
    Server,
    endpoint,
    free_port,
    get,
    say,
    spawn,
    stop,
    until,
)

SIZE = "1280,620"
CHROMIUM = (
    "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --hide-scrollbars"
)


def browse(url, work, flags):
    profile = "--user-data-dir=" + os.path.join(work, "profile")
    argv = [*CHROMIUM.split(), profile, *flags, url]
    subprocess.run(argv, check=True, capture_output=True, timeout=120)


def taken(url, path, work, size=SIZE, flags=()):
    browse(url, work, ["--window-size=" + size, "--screenshot=" + path, *flags])
    assert os.path.getsize(path) > 10_000, path
    say(picture=os.path.relpath(path, ROOT), bytes=os.path.getsize(path))


PAGES = {"page": "", "endpoint": "endpoints/checkout", "contracts": "contracts", "prober": "prober"}
LOOKS = {
    "light": ("1440,1400", []),
    "dark": ("1440,1400", ["--blink-settings=preferredColorScheme=0"]),
    "contrast": ("1440,1400", ["--force-high-contrast"]),
    "phone": ("500,1800", []),
}
CONFIG = """
[metrics]
phases = true
[component.shop]
title = "Shop"
[component.mail]
[sla.gold]
objective = "99.9"
components = ["shop", "mail"]
[defaults]
interval = "1s"
timeout = "500ms"
retry_interval = "200ms"
"""


def looks(target):
    """Every page in every look."""
    os.makedirs(target, exist_ok=True)
    work = tempfile.mkdtemp(prefix="probity-pictures-")
    server, flaky = Server(), Server()
    text = CONFIG
    for name, component, port in [
        ("checkout", "shop", flaky.port),
        ("search", "shop", server.port),
        ("an-endpoint-with-a-long-name.of-a-host.in-a-region.example", "shop", server.port),
        ("mail-1", "mail", free_port()),
    ]:
        text += endpoint(name, port) + 'component = "%s"\n' % component
    daemon = Daemon(work, text + endpoint("status", server.port)).begin().must_be_ready()
    try:
        until(lambda: daemon.endpoint("checkout")["state"] == "up")
        time.sleep(30)
        flaky.status = 503
        until(lambda: daemon.endpoint("checkout")["state"] == "down")
        time.sleep(10)
        flaky.status = 200
        until(lambda: daemon.endpoint("checkout")["state"] == "up")
        until(lambda: '<svg class="burn"' in get(daemon.url("/contracts")))
        time.sleep(6)
        for page, path in PAGES.items():
            for look, (size, flags) in LOOKS.items():
                file = os.path.join(target, "%s-%s.png" % (page, look))
                taken(daemon.url("/" + path), file, work, size, flags)
            file = os.path.join(target, page + ".pdf")
            printed = ["--no-pdf-header-footer", "--print-to-pdf=" + file]
            browse(daemon.url("/" + path), work, printed)
            say(printed=file, bytes=os.path.getsize(file))
        daemon.end()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main():
    if sys.argv[1:2] == ["--looks"]:
        looks(sys.argv[2])
        return
    target = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "docs", "pictures")
    os.makedirs(target, exist_ok=True)
    work = tempfile.mkdtemp(prefix="probity-pictures-")
    log = os.path.join(work, "log")
    with open(log, "w") as out:
        demo = spawn(PROBITY, "demo", stdout=out, stderr=out)
    try:

        def address():
            with open(log) as lines:
                found = re.search(r"listening.* address=(\S+)", lines.read())
            return found and found[1]

        until(address, seconds=30)
        url = "http://%s/" % address()

        def outages():
            page = get(url)
            return page.count("connect_refused") + page.count(">status<"), "still down" in page

        # One that is over and one that goes on: the demo fails for 20 s in each minute.
        until(lambda: outages()[0] >= 2 and outages()[1], seconds=150)
        time.sleep(5)
        taken(url, os.path.join(target, "page.png"), work)
        taken(url + "endpoints/checkout", os.path.join(target, "endpoint.png"), work, "1280,760")
    finally:
        stop(demo)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
