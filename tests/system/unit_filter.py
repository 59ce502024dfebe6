#!/usr/bin/python3
"""Runs a program under the system call filter of deploy/systemd/probity.service, as systemd would.

    tests/system/unit_filter.py PROGRAM [ARGUMENT...]
    tests/system/unit_filter.py --list

PROBITY_CALLS names a file with what --list prints, which takes a moment to find out.
PROBITY_STARTED names a file that gets a line for each program.

The allow-list is what `SystemCallFilter=` names and systemd's own @default group; everything else
gives EPERM. Needs python3-seccomp and systemd-analyze. No service manager has to run.

It starts each program of a suite: it imports little, and nothing of harness.py.
"""

import contextlib
import errno
import os
import re
import subprocess
import sys

import seccomp

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = os.path.join(HERE, "..", "..", "deploy", "systemd", "probity.service")


def read(path):
    with open(path) as f:
        return f.read()


def group(name):
    argv = ["systemd-analyze", "syscall-filter", name]
    told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    lines = [line.strip() for line in told.splitlines()[1:]]
    words = [line.split()[0] for line in lines if line and not line.startswith("#")]
    return [call for word in words for call in (group(word) if word.startswith("@") else [word])]


def allowed():
    text = read(UNIT).replace("\\\n", " ")
    calls = set(group("@default"))
    lines = re.findall(r"^SystemCallFilter=(.*)$", text, re.M)
    assert lines, "the unit has no filter"
    for line in lines:
        is_taken_away = line.startswith("~")
        for word in line.lstrip("~").split():
            named = group(word) if word.startswith("@") else [word]
            calls = calls - set(named) if is_taken_away else calls | set(named)
    return calls


def main():
    if sys.argv[1] == "--list":
        print("\n".join(sorted(allowed())))
        return
    known = os.environ.get("PROBITY_CALLS")
    calls = read(known).split() if known else sorted(allowed())
    started = os.environ.get("PROBITY_STARTED")
    if started:
        with open(started, "a") as f:
            f.write(" ".join(sys.argv[2:3]) + "\n")
    kernel = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    for call in calls:
        # One of another architecture is not there.
        with contextlib.suppress(RuntimeError):
            kernel.add_rule(seccomp.ALLOW, call)
    kernel.load()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
