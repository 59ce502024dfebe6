#!/usr/bin/python3
"""Runs a program under the system call filter of deploy/systemd/probity.service, as systemd would.

    tests/system/unit_filter.py PROGRAM [ARGUMENT...]

The allow-list is what `SystemCallFilter=` names and systemd's own @default group; everything else gives EPERM. Needs python3-seccomp
and systemd-analyze. No service manager has to run.
"""
import errno
import os
import re
import subprocess
import sys

import seccomp

UNIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "systemd", "probity.service")


def group(name):
    told = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True).stdout
    words = [line.split()[0] for line in told.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return [call for word in words for call in (group(word) if word.startswith("@") else [word])]


def allowed():
    with open(UNIT) as f:
        text = f.read().replace("\\\n", " ")
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
    kernel = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    for call in sorted(allowed()):
        try:
            kernel.add_rule(seccomp.ALLOW, call)
        except RuntimeError:
            # A call of another architecture.
            pass
    kernel.load()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
