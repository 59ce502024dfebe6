#!/usr/bin/env python3
"""What the binary is made of, for people and for scanners of vulnerabilities.

Usage: sbom.py TARGET SBOM AUDIT

SBOM becomes a CycloneDX document (JSON, version 1.6). AUDIT becomes the content of the section
`.dep-v0` that `cargo auditable` defines: the same crates, as JSON compressed with zlib, which
scanners read in the binary itself. Both have the same bytes for the same commit, compiler and C
library: the time is that of SOURCE_DATE_EPOCH.
"""

import json
import os
import re
import subprocess
import sys
import time
import uuid
import zlib
from pathlib import Path
from typing import Any

import crates
from crates import Crate

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"

# C libraries that crates bring along: the crate, the header with the version, its pattern, and the
# vendor by which databases of vulnerabilities (CPE) know the library.
BROUGHT = [
    (
        "libsqlite3-sys",
        "sqlite3/sqlite3.h",
        r'define SQLITE_VERSION +"([^"]+)"',
        "sqlite",
        "sqlite",
    ),
    (
        "aws-lc-sys",
        "aws-lc/include/openssl/base.h",
        r'define AWSLC_VERSION_NUMBER_STRING "([^"]+)"',
        "amazon",
        "aws-lc",
    ),
    (
        "libmimalloc-sys",
        "c_src/mimalloc/v2/include/mimalloc.h",
        r"define MI_MALLOC_VERSION (\d+)",
        "microsoft",
        "mimalloc",
    ),
]


def purl(crate: Crate) -> str:
    return f"pkg:cargo/{crate.name}@{crate.version.replace('+', '%2B')}"


def component(crate: Crate) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl(crate),
        "name": crate.name,
        "version": crate.version,
        # Excluded: at work while the program is built, and not part of it.
        "scope": "required" if crate.is_linked else "excluded",
        "purl": purl(crate),
    }
    if crate.checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": crate.checksum}]
    if crate.facts["license"]:
        # An older spelling of "or", which is no expression of SPDX.
        spdx = re.sub(r"\s*/\s*", " OR ", crate.facts["license"])
        described["licenses"] = [{"expression": spdx}]
    if crate.facts["repository"]:
        described["externalReferences"] = [{"type": "vcs", "url": crate.facts["repository"]}]
    return described


def library(vendor: str, name: str, version: str) -> dict[str, Any]:
    """One that is no crate."""
    return {
        "type": "library",
        "bom-ref": f"pkg:generic/{name}@{version}",
        "name": name,
        "version": version,
        "scope": "required",
        "cpe": f"cpe:2.3:a:{vendor}:{name}:{version}:*:*:*:*:*:*:*",
        "purl": f"pkg:generic/{name}@{version}",
    }


def said(*argv: str) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def of_mimalloc(number: str) -> str:
    """2.3.2 of 20302."""
    return ".".join(str(int(part)) for part in (number[:-4], number[-4:-2], number[-2:]))


def libraries(others: list[Crate]) -> dict[str, dict[str, Any]]:
    """Libraries that are no crates, by the name of the crate that brings each."""
    by_name = {crate.name: crate for crate in others}
    found = {}
    for name, header, pattern, vendor, library_name in BROUGHT:
        text = (by_name[name].folder / header).read_text(errors="replace")
        version = re.search(pattern, text)
        assert version, f"no version in {header} of {name}"
        is_number = library_name == "mimalloc"
        shown = of_mimalloc(version[1]) if is_number else version[1]
        found[name] = library(vendor, library_name, shown)
    return found


def of_system() -> list[dict[str, Any]]:
    """The standard library, and the C library that is linked statically."""
    rust = re.search(r"(?m)^release: (\S+)", said("rustc", "-vV"))
    libc = re.match(r"glibc (\S+)", said("getconf", "GNU_LIBC_VERSION"))
    assert rust and libc
    return [library("rust-lang", "rust", rust[1]), library("gnu", "glibc", libc[1])]


def cyclonedx(target: str, program: Crate, others: list[Crate]) -> dict[str, Any]:
    brought, system = libraries(others), of_system()
    by_key = {crate.key: crate for crate in [program, *others]}
    needs = {
        purl(crate): [purl(by_key[key]) for key in sorted(crate.needs)] for crate in by_key.values()
    }
    for crate in others:
        if crate.name in brought:
            needs[purl(crate)].append(brought[crate.name]["bom-ref"])
    needs[purl(program)] += [one["bom-ref"] for one in system]
    extra = [*brought.values(), *system]
    needs.update({one["bom-ref"]: [] for one in extra})
    described = component(program) | {"type": "application"}
    del described["scope"]
    properties = [{"name": "probity:target", "value": target}]
    components = [component(crate) for crate in others] + extra
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    content: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "lifecycles": [{"phase": "build"}],
            "component": described,
            "properties": properties,
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": on} for ref, on in sorted(needs.items())],
    }
    # Of the content, so that the same content has the same number.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content, sort_keys=True))
    return content | {"serialNumber": f"urn:uuid:{number}"}


def audited(program: Crate, others: list[Crate]) -> dict[str, Any]:
    """The list of `cargo auditable`, in its format 1: crates that only build are marked."""
    every = sorted([program, *others], key=lambda crate: crate.key)
    place = {crate.key: n for n, crate in enumerate(every)}
    packages = []
    for crate in every:
        source = crate.facts["source"]
        package: dict[str, Any] = {"name": crate.name, "version": crate.version}
        package["source"] = {CRATES_IO: "crates.io", None: "local"}.get(source, "registry")
        if not crate.is_linked:
            package["kind"] = "build"
        if crate.needs:
            package["dependencies"] = sorted(place[key] for key in crate.needs)
        if crate is program:
            package["root"] = True
        packages.append(package)
    return {"packages": packages, "format": 1}


def main() -> None:
    target, sbom, audit = sys.argv[1:]
    program, others = crates.of_binary(target)
    document = json.dumps(cyclonedx(target, program, others), indent=1, sort_keys=True)
    Path(sbom).write_text(document + "\n")
    compact = json.dumps(audited(program, others), separators=(",", ":"))
    Path(audit).write_bytes(zlib.compress(compact.encode(), 9))


main()
