#!/usr/bin/env python3
"""The documents as a site: every page is there, can be found, and leads where it should.

    tests/system/site.py [NAME ...]

Needs mdbook, of the version that .ci/run installs.
"""

import os
import sys
from pathlib import Path

import harness
from harness import ROOT, sh

sys.path.append(os.path.join(ROOT, "deploy", "site"))
import build


def test_the_site_has_every_page_and_a_search(d: str) -> str:
    said = sh(os.path.join(ROOT, "deploy/site/build.py"), d).stdout
    html = Path(d) / "html"
    pages = [*Path(ROOT, "docs").glob("*.md"), *Path(ROOT, "docs/decisions").glob("*.md")]
    for page in pages:
        name = page.relative_to(ROOT).with_suffix(".html")
        at = html / ("docs/index.html" if name.stem == "README" else name)
        assert at.exists(), at
        heading = build.title(page.read_text(), str(page))
        assert heading.split(":")[0] in at.read_text().replace("&#x27;", "'"), (at, heading)
    index = "".join(path.read_text() for path in html.glob("searchindex*.js"))
    # Of the first page, of a table, of a decision.
    for word in ("tamper", "trust_store", "SCHED_RR".lower()):
        assert word in index.lower(), word
    # Nothing is fetched from elsewhere.
    first = build.Page((html / "index.html").read_text())
    assert not [link for link in first.links if "://" in link and link.endswith((".js", ".css"))]
    return said.split("\n")[-2]


def test_links_that_lead_nowhere_are_found(d: str) -> None:
    site = Path(d)
    (site / "docs" / "full").mkdir(parents=True)
    (site / "docs" / "empty").mkdir()
    (site / "docs" / "full" / "index.html").write_text("<p>")
    (site / "docs" / "a.html").write_text('<h2 id="there">A</h2><a href="#there">a</a>')
    good = ["docs/a.html#there", "docs/full", "https://elsewhere.example/x", "docs/a.html"]
    dead = ["docs/a.html#gone", "docs/empty", "docs/none.html", "#gone"]
    links = "".join('<a href="%s">x</a>' % link for link in [*good, *dead])
    (site / "index.html").write_text(links)
    found = build.dead_links(site)
    assert found == ["index.html: " + link for link in dead], found


def test_a_page_that_the_index_lacks_is_an_error(d: str) -> None:
    docs = Path(d) / "docs"
    docs.mkdir()
    (docs / "README.md").write_text("# Index\n[a](a.md)\n")
    (docs / "a.md").write_text("# A\n")
    before, build.ROOT = build.ROOT, Path(d)
    try:
        assert build.indexed() == ["docs/a.md"]
        (docs / "b.md").write_text("# B\n")
        try:
            build.indexed()
        except AssertionError as missing:
            assert "docs/b.md" in str(missing), missing
        else:
            raise AssertionError("docs/b.md was not missed")
    finally:
        build.ROOT = before


if __name__ == "__main__":
    harness.run_tests([sys.modules[__name__]], "probity-site-")
