"""The crates that the binary is made of, as cargo itself resolves them for a target.

`cargo metadata` alone lists crates that no build uses: it joins the features of all platforms and
of the tests. `cargo tree` knows the features of the build; the facts of each crate come from
`cargo metadata`, and the checksums from Cargo.lock. Nothing here needs the network.
"""

import dataclasses
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Crate:
    """One crate, and which of the others it needs. `facts` are those of `cargo metadata`."""

    name: str
    version: str
    facts: Any
    checksum: str | None
    is_linked: bool = False
    needs: set[tuple[str, str]] = dataclasses.field(default_factory=set)

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.version

    @property
    def folder(self) -> Path:
        return Path(self.facts["manifest_path"]).parent


def cargo(*argv: str) -> str:
    command = ["cargo", argv[0], "--locked", "--offline", *argv[1:]]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def tree(target: str, edges: str) -> list[tuple[int, tuple[str, str]]]:
    """The rows of `cargo tree`: how deep, and which crate."""
    argv = ["--target", target, "--edges", edges, "--prefix", "depth", "--format", " {p}"]
    rows = []
    for line in cargo("tree", *argv).splitlines():
        row = re.match(r"(\d+) (\S+) v(\S+)", line)
        assert row, line
        rows.append((int(row[1]), (row[2], row[3])))
    return rows


def of_binary(target: str) -> tuple[Crate, list[Crate]]:
    """The program itself, and all others by name: those that are linked, and those that only
    build it (build scripts, procedural macros and what they need)."""
    told = json.loads(cargo("metadata", "--format-version=1", "--filter-platform", target))
    facts = {(p["name"], p["version"]): p for p in told["packages"]}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    sums = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
    found: dict[tuple[str, str], Crate] = {}
    above: list[tuple[str, str]] = []
    # A crate that was shown before is shown without what it needs: the sets grow, whatever the row.
    for depth, key in tree(target, "no-dev"):
        found.setdefault(key, Crate(*key, facts[key], sums[key]))
        above[depth:] = [key]
        if depth:
            found[above[depth - 1]].needs.add(key)
    for _, key in tree(target, "no-dev,no-build,no-proc-macro"):
        found[key].is_linked = True
    program = found.pop(above[0])
    return program, [found[key] for key in sorted(found)]
