#!/usr/bin/env bash
# The tests of the one file with unsafe code under valgrind: no invalid access, no use of what nobody wrote, nothing lost.
# Usage: tests/system/memory.sh. Needs valgrind.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$(cargo test --lib --no-run --locked --message-format=json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! valgrind --quiet --suppressions=tests/system/valgrind.supp --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect --fair-sched=yes "$binary" net::sys:: --test-threads=1 >"$log" 2>&1; then
  cat "$log"
  exit 1
fi
# A filter that meets nothing would pass, too.
grep -E '^test result: ok. ([1-9][0-9]+) passed; 0 failed; 0 ignored' "$log" || { cat "$log"; exit 1; }
