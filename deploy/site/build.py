#!/usr/bin/env python3
"""The documents as a site with a search, by mdBook: docs/decisions/049-site.md.

    deploy/site/build.py [DIR]      (default: target/site; the site is in DIR/html)

Needs `mdbook`, of the version that .ci/run installs. The Markdown is that of the repository, at the
same places, so that links lead to where they lead there. Folders that pages link to get a page with
a list of their files. A page without a place in the index of docs/README.md is an error, and so is
a link within the site that leads nowhere.
"""

import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FIRST = ["README.md", "docs/README.md"]
LAST = ["CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def without_code(text: str) -> str:
    return re.sub(r"(?ms)^```.*?^```", "", text)


def linked(page: str) -> list[str]:
    """What a page of the repository links to there, as paths from its root."""
    text = without_code((ROOT / page).read_text())
    found = []
    for link in LINK.findall(text):
        path = link.split("#")[0]
        if path and not urllib.parse.urlsplit(link).scheme:
            found.append(os.path.normpath(os.path.join(os.path.dirname(page), path)))
    return list(dict.fromkeys(found))


def title(text: str, path: str) -> str:
    found = re.search(r"(?m)^# (.+)$", text)
    assert found, f"{path} has no title"
    return found[1].replace("`", "")


def indexed() -> list[str]:
    """The pages of docs in the order of the index, which must name each of them."""
    there = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - set(FIRST)
    named = [path for path in linked("docs/README.md") if path in there]
    missing = sorted(there - set(named))
    assert not missing, f"docs/README.md does not name {', '.join(missing)}"
    return named


def listed(folder: str) -> str:
    """A page of a folder that has none: its files, those of Markdown by their titles."""
    lines = [f"# {folder}", ""]
    for path in sorted((ROOT / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = str(path.relative_to(ROOT / folder))
            shown = title(path.read_text(), name) if path.suffix == ".md" else name
            lines.append(f"- [{shown}]({name})")
    return "\n".join(lines) + "\n"


def gathered(pages: Path) -> None:
    """Lays out what mdBook reads: pages, files that they link to, and the list of chapters."""
    decisions = [f"docs/decisions/{p.name}" for p in sorted((ROOT / "docs/decisions").glob("*.md"))]
    of_docs = indexed()
    chapters = [*FIRST, *of_docs, *LAST, *decisions]
    others = {path for page in chapters for path in linked(page)} - set(chapters)
    made: dict[str, str] = {}
    for path in sorted(others):
        source, copy = ROOT / path, pages / path
        assert source.exists(), f"there is no {path}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not source.is_dir():
            shutil.copy(source, copy)
            continue
        shutil.copytree(
            source, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
        page = f"{path}/README.md"
        has_page = (ROOT / page).exists()
        made[page] = (ROOT / page).read_text() if has_page else listed(path)
    for path in chapters:
        (pages / path).parent.mkdir(parents=True, exist_ok=True)
        made[path] = (ROOT / path).read_text()
    for path, text in made.items():
        (pages / path).write_text(text)

    def row(path: str, depth: int = 0) -> str:
        return f"{'  ' * depth}- [{title(made[path], path)}]({path})"

    folders = sorted(set(made) - set(chapters) - {"docs/decisions/README.md"})
    rows = ["# Summary", "", *map(row, [*FIRST, *of_docs])]
    rows += ["", "# Files", "", *map(row, folders)]
    rows += ["", "# Development", "", *map(row, LAST), row("docs/decisions/README.md")]
    rows += [row(path, 1) for path in decisions]
    (pages / "SUMMARY.md").write_text("\n".join(rows) + "\n")


class Page(HTMLParser):
    """The links of a page, and the names of its places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name in ("id", "name") and value:
                self.places.add(value)


def dead_links(site: Path) -> list[str]:
    """Links within the site that lead nowhere, and those that would fetch from elsewhere."""
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    dead = []
    for path, page in pages.items():
        # The one page of all chapters has their links as they are, from other folders.
        if path.name in ("print.html", "toc.html", "404.html"):
            continue
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            at = path
            if parts.path:
                at = Path(os.path.normpath(path.parent / urllib.parse.unquote(parts.path)))
            if at.is_dir():
                at = at / "index.html"
            is_there = at.exists()
            if is_there and parts.fragment and at in pages:
                is_there = urllib.parse.unquote(parts.fragment) in pages[at].places
            if not is_there:
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead


def main() -> None:
    out = Path(sys.argv[1] if sys.argv[1:] else ROOT / "target" / "site").resolve()
    shutil.rmtree(out, ignore_errors=True)
    (out / "pages").mkdir(parents=True)
    shutil.copy(HERE / "book.toml", out)
    gathered(out / "pages")
    subprocess.run(["mdbook", "build", str(out)], check=True)
    # mdBook writes a README.md as index.html, and leaves links to it as they are.
    for page in (out / "pages").rglob("README.md"):
        folder = out / "html" / page.parent.relative_to(out / "pages")
        shutil.copy(folder / "index.html", folder / "README.html")
    dead = dead_links(out / "html")
    if dead:
        raise SystemExit("links that lead nowhere:\n" + "\n".join(dead))
    print(f"{len(list((out / 'html').rglob('*.html')))} pages are in {out / 'html'}")


if __name__ == "__main__":
    main()
