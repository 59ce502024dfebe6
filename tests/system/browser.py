"""The operator's pages and the status page in Debian's chromium: a part of the system suite
(run.py)."""

import http.server
import json
import os
import re
import threading

from harness import QUICK, Daemon, Server, endpoint, free_port, get, read, sh, until

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
AXE = os.environ.get("PROBITY_AXE") or os.path.join(
    CACHE, "probity-ci/axe-0.1.8/axe_playwright_python/axe.min.js"
)
PAGES = ("/", "/endpoints/shop?span=day", "/contracts", "/prober")
STATUS_PAGES = ("/", "/components/checkout")
LOOKS: dict[str, list[str]] = {
    "light": [],
    "dark": ["--blink-settings=preferredColorScheme=0"],
    "phone": ["--window-size=500,900"],
}


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


def many(d):
    """The pages of a daemon with one endpoint that is up, one that is down, a component and a
    contract, and of its status page; and the files that they load."""
    port = free_port()
    config = (
        QUICK
        + '[status_page]\nlisten = "127.0.0.1:%d"\n' % port
        + "[metrics]\nphases = true\n"
        + '[component.checkout]\ntitle = "Checkout"\n'
        + '[sla.gold]\nobjective = "99.9"\ncomponents = ["checkout"]\n'
        + endpoint("shop", Server().port)
        + 'component = "checkout"\n'
        + endpoint("paid", free_port())
        + 'component = "checkout"\n'
    )
    daemon = Daemon(d, config).begin().must_be_ready()
    until(lambda: daemon.endpoint("paid")["state"] == "down")
    until(lambda: "gold" in get(daemon.url("/contracts")))
    public = "http://127.0.0.1:%d" % port
    until(lambda: "has been down since" in get(public + "/"))
    pages = {path: get(daemon.url(path)) for path in PAGES}
    pages |= {"status page " + path: get(public + path) for path in STATUS_PAGES}
    files = {name: get(daemon.url(name)) for name in ("/page.js", "/page.css")}
    files |= {name: get(public + name) for name in ("/status.js", "/status.css", "/badge.svg")}
    daemon.end()
    return pages, files


class Front(http.server.BaseHTTPRequestHandler):
    """Gives the daemon's files, and one page after the other."""

    files: dict[str, str]
    pages: list[str]
    given = 0
    policy = ""

    def do_GET(self):
        if self.path == "/favicon.ico":
            self.send_error(404)
            return
        text = self.files.get(self.path.split("?")[0])
        if text is None:
            text = self.pages[min(Front.given, len(self.pages) - 1)]
            Front.given += 1
        kind = {".js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}.get(
            self.path.split("?")[0][-3:], "text/html"
        )
        self.send_response(200)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        if self.policy:
            self.send_header("Content-Security-Policy", self.policy)
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


RUN_AXE = """
addEventListener("load", () => axe.run().then((found) => {
  const shown = document.createElement("pre");
  shown.id = "axe";
  const of = (list) => list.map((v) => [v.id, v.nodes.map((n) => n.html)]);
  const passes = found.passes.length;
  shown.textContent = JSON.stringify({ violations: of(found.violations), passes });
  document.body.append(shown);
}));
"""


def test_axe_finds_nothing_on_the_pages(d):
    assert os.path.exists(AXE), "axe-core is not at %s: .ci/run installs it there" % AXE
    pages, Front.files = many(d)
    Front.files["/axe.js"] = read(AXE) + RUN_AXE
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:%d/" % server.server_port
    # That it sees what is wrong: a picture without words, and grey on grey.
    wrong = '<img src="/page.css"><p style="color:#999;background:#aaa">Grey</p></main>'
    pages["wrong"] = pages["/"].replace("</main>", wrong)
    for path, page in pages.items():
        Front.pages = [page.replace("</body>", '<script src="/axe.js"></script></body>')]
        for look, flags in LOOKS.items():
            Front.given = 0
            dom = chromium(d, *flags, "--virtual-time-budget=9000", url)
            shown = re.search(r'<pre id="axe">(.*?)</pre>', dom, re.S)
            assert shown, (path, look, dom)
            found = json.loads(
                shown[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            )
            rules = {rule for rule, _ in found["violations"]}
            if path == "wrong":
                assert {"image-alt", "color-contrast"} <= rules, found
            else:
                assert not rules and found["passes"] > 10, (path, look, found)
    server.shutdown()


def test_the_pages_are_complete_without_a_script(d):
    pages, Front.files = many(d)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:%d/" % server.server_port
    # A browser without scripts at all shows no DOM to a test.
    Front.policy = "script-src 'none'"
    for path, page in pages.items():
        Front.pages, Front.given = [page], 0
        plain = chromium(d, "--virtual-time-budget=25000", url)
        assert Front.given == 1, "a script has asked for the page again"
        headings = re.findall(r"<h[12][^>]*>([^<]+)", page)
        assert headings and all(h in plain for h in headings), (path, headings, plain)
        without_table = ("/prober", "status page /")
        assert page.count("<tr") == plain.count("<tr") > 0 or path in without_table, path
    Front.policy = ""
    server.shutdown()
