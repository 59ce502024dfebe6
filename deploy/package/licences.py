#!/usr/bin/env python3
"""The licences of all crates that the binary contains: the name of each, and its text.

Usage: licences.py TARGET, such as x86_64-unknown-linux-gnu. Needs the sources of the crates, as a
build leaves them.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

NAMES = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def metadata(target: str) -> Any:
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--offline"]
    asked = subprocess.run(
        [*command, "--filter-platform", target], check=True, capture_output=True, text=True
    )
    return json.loads(asked.stdout)


def in_binary(told: Any) -> list[Any]:
    """What the root needs when it runs or is built, without what only its tests need."""
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    root = told["resolve"]["root"]
    found, waiting = {root}, [root]
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            is_for_tests = all(kind["kind"] == "dev" for kind in dependency["dep_kinds"])
            if dependency["pkg"] not in found and not is_for_tests:
                found.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    found.remove(root)
    packages = [package for package in told["packages"] if package["id"] in found]
    return sorted(packages, key=lambda package: (package["name"], package["version"]))


def texts(package: Any) -> list[str]:
    folder = Path(package["manifest_path"]).parent
    files = sorted(f for f in folder.iterdir() if f.is_file() and NAMES.search(f.name))
    return [file.read_text(encoding="utf-8", errors="replace").strip() for file in files]


def main() -> None:
    packages = in_binary(metadata(sys.argv[1]))
    print(f"The binary of Probity contains {len(packages)} crates of others.")
    seen: dict[str, str] = {}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        print(f"\n{'=' * 78}\n{name}: {package['license'] or 'see the text'}")
        if package["authors"]:
            print(f"by {', '.join(package['authors'])}")
        for text in texts(package):
            first = seen.setdefault(text, name)
            print(f"\n{text}" if first == name else f"\nThe text is that of {first}.")


main()
