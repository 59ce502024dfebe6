#!/usr/bin/env python3
"""The licences of all crates that the binary is made of: the name of each, and its text.

Usage: licences.py TARGET, such as x86_64-unknown-linux-gnu. Needs the sources of the crates, as a
build leaves them.
"""

import re
import sys

import crates

NAMES = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def texts(crate: crates.Crate) -> list[str]:
    files = sorted(f for f in crate.folder.iterdir() if f.is_file() and NAMES.search(f.name))
    return [file.read_text(encoding="utf-8", errors="replace").strip() for file in files]


def main() -> None:
    _, others = crates.of_binary(sys.argv[1])
    print(f"The binary of Probity is made of {len(others)} crates of others.")
    seen: dict[str, str] = {}
    for crate in others:
        name = f"{crate.name} {crate.version}"
        print(f"\n{'=' * 78}\n{name}: {crate.facts['license'] or 'see the text'}")
        if crate.facts["authors"]:
            print(f"by {', '.join(crate.facts['authors'])}")
        for text in texts(crate):
            first = seen.setdefault(text, name)
            print(f"\n{text}" if first == name else f"\nThe text is that of {first}.")


main()
