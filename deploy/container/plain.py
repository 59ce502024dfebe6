#!/usr/bin/env python3
"""Takes out of an image what differs from build to build, in place: the names of containers and of
images that podman made on the way. The layer and how it is run stay as they are.

Usage: plain.py IMAGE.tar, as `podman save --format docker-archive` writes it, with one layer.
"""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path


def member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file, f"{name} is not a file"
    return file.read()


def main() -> None:
    path = Path(sys.argv[1])
    with tarfile.open(path) as archive:
        (manifest,) = json.loads(member(archive, "manifest.json"))
        config = json.loads(member(archive, manifest["Config"]))
        (layer,) = manifest["Layers"]
        files = {layer: member(archive, layer)}
    for key in ("container", "container_config", "parent"):
        config.pop(key, None)
    config["config"].pop("Hostname", None)
    for step in config["history"]:
        step.pop("comment", None)
    text = json.dumps(config, sort_keys=True).encode()
    manifest["Config"] = hashlib.sha256(text).hexdigest() + ".json"
    files[manifest["Config"]] = text
    files["manifest.json"] = json.dumps([manifest], sort_keys=True).encode()
    made = path.with_suffix(".plain")
    with tarfile.open(made, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    made.rename(path)


main()
