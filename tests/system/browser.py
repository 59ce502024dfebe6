"""The operator's pages in Debian's chromium: a part of the system suite (run.py)."""

import http.server
import os
import threading

from harness import QUICK, Daemon, Server, endpoint, get, sh, until


def chromium(d, *argv):
    """What chromium has made of a page."""
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    quiet = ["--disable-background-networking", "--disable-component-update"]
    profile = "--user-data-dir=" + os.path.join(d, "profile")
    return sh("chromium", *flags.split(), *quiet, profile, *argv, "--dump-dom").stdout


def begun(d):
    daemon = Daemon(d, QUICK + endpoint("shop", Server().port)).begin().must_be_ready()
    until(lambda: daemon.endpoint("shop")["state"] == "up")
    return daemon


def test_the_page_renders_in_a_browser(d):
    daemon = begun(d)
    chromium(d, "--screenshot=" + os.path.join(d, "page.png"), daemon.url("/"))
    dom = chromium(d, daemon.url("/"))
    assert "The endpoint is up" in dom and "shop" in dom, dom
    daemon.end()


class Front(http.server.BaseHTTPRequestHandler):
    """Gives the daemon's files, and one page after the other."""

    files: dict[str, str]
    pages: list[str]
    given = 0

    def do_GET(self):
        text = self.files.get(self.path.split("?")[0])
        if text is None:
            text = self.pages[min(Front.given, len(self.pages) - 1)]
            Front.given += 1
        kind = {".js": "text/javascript", "css": "text/css"}.get(
            self.path.split("?")[0][-3:], "text/html"
        )
        self.send_response(200)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def test_the_script_shows_the_newest_page_and_nothing_that_is_none(d):
    daemon = begun(d)
    page = get(daemon.url("/"))
    assert "The endpoint is up" in page, page
    Front.files = {name: get(daemon.url(name)) for name in ("/page.js", "/page.css")}
    daemon.end()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:%d/" % server.server_port
    newest = page.replace("The endpoint is up", "The newest headline")
    foreign = "<!DOCTYPE html><title>Sign in</title><p>Sign in"
    for second, expected in ((newest, "The newest headline"), (foreign, "The endpoint is up")):
        Front.pages, Front.given = [page, second], 0
        # Its time runs ahead wherever it would wait.
        dom = chromium(d, "--virtual-time-budget=25000", url)
        assert Front.given >= 2, "the page was not asked for again"
        assert expected in dom and "Sign in" not in dom, dom
    server.shutdown()
