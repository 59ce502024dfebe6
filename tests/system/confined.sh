#!/usr/bin/env bash
# All tests, or the end-to-end tests that FILTER names, with their daemons and commands under the system call filter of the unit.
# Usage: tests/system/confined.sh [FILTER...]
set -euo pipefail
cd "$(dirname "$0")/../.."
loader=$PWD/tests/system/unit_filter.py
# The filter is there: what it does not name is refused, what it names is not.
"$loader" true
if "$loader" unshare --user true 2>/dev/null; then
  echo "the filter of the unit lets unshare pass" >&2
  exit 1
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$loader" --list >"$place/calls"
tests=(cargo test --locked)
if (($#)); then tests+=(--test e2e -- "$@"); fi
PROBITY_LOADER=$loader PROBITY_CALLS=$place/calls PROBITY_STARTED=$place/started "${tests[@]}" || failed=$?
echo "under the filter: $(grep -c '^run$' "$place/started") daemons, $(grep -vc '^run$' "$place/started") other commands"
exit "${failed:-0}"
