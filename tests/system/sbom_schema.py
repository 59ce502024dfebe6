#!/usr/bin/env python3
"""Whether the lists of what the binary is made of keep the schema of CycloneDX.

    tests/system/sbom_schema.py FILE ...

Needs cyclonedx-python-lib, as tests/system/requirements.txt has it: the schema is in there.
"""

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main() -> None:
    assert sys.argv[1:], "no file is named"
    for path in sys.argv[1:]:
        fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(path).read_text())
        if fault:
            raise SystemExit("%s: %s" % (path, fault))
        print("ok   %s keeps the schema of CycloneDX 1.6" % path)


main()
