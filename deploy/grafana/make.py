#!/usr/bin/env python3
"""Writes the dashboards of this folder: fleet.json, endpoint.json and contract.json.

    deploy/grafana/make.py            writes them
    deploy/grafana/make.py --check    says whether they are what it would write

Each query names metrics of docs/metrics.md alone, and no recording rule, so that a dashboard works
without any rules. tests/system/recipes.py asks a Prometheus each of them.
"""

import json
import os
import sys

from contract import contract
from endpoint import endpoint
from fleet import fleet

HERE = os.path.dirname(os.path.abspath(__file__))
DASHBOARDS = {"fleet": fleet, "endpoint": endpoint, "contract": contract}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("unknown arguments; write nothing, or --check", file=sys.stderr)
        return 2
    wrong = 0
    for name, make in DASHBOARDS.items():
        path = os.path.join(HERE, name + ".json")
        text = json.dumps(make(), indent=2) + "\n"
        if not arguments:
            with open(path, "w") as f:
                f.write(text)
            continue
        with open(path) as f:
            if f.read() != text:
                print("%s is not what make.py writes: run it" % path, file=sys.stderr)
                wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
