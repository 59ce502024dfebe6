#!/usr/bin/env python3
"""The pictures of the README, from the demo: pages as PNG, by Debian's chromium.

    PROBITY=target/release/probity tests/system/pictures.py [DIR]     (default: docs/pictures)

It waits until the demo has had an outage that is over and one that is not."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import PROBITY, ROOT, get, say, spawn, stop, until

SIZE = "1280,620"
CHROMIUM = (
    "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --hide-scrollbars"
)


def taken(url, path, work, size=SIZE):
    profile = "--user-data-dir=" + os.path.join(work, "profile")
    argv = [*CHROMIUM.split(), profile, "--window-size=" + size, "--screenshot=" + path, url]
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    assert os.path.getsize(path) > 10_000, path
    say(picture=os.path.relpath(path, ROOT), bytes=os.path.getsize(path))


def main():
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
