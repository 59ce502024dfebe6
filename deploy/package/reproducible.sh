#!/usr/bin/env bash
# Builds all files of a release twice from the same commit, and compares their bytes. The two builds differ in what may not matter: the folder
# of the clone, the folder of the build, and the folder of cargo with the sources of the crates.
# Usage: deploy/package/reproducible.sh [COMMIT]   (default: HEAD)
# Two builds from nothing: ten minutes on two quiet cores. Needs what build.sh needs, and the crates of the build on this machine. With KEEP set,
# the clones and what was built are left there.
set -euo pipefail
cd "$(dirname "$0")/../.."
repository=$PWD
commit=$(git rev-parse --verify "${1:-HEAD}^{commit}")
home=${CARGO_HOME:-$HOME/.cargo}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/probity-reproducible-XXXXXX")
keep() { trap - EXIT; echo "kept: $work"; }
trap 'rm -rf "$work"' EXIT
cargo fetch --locked --quiet --target "$(rustc -vV | sed -n 's/^host: //p')"
# The same crates by another path.
mkdir -p "$work/cargo-of-others"
ln -s "$home/registry" "$work/cargo-of-others/registry"

# One build: the folder of the clone, that of cargo, that of the build.
built() {
  git clone --quiet --no-checkout "$repository" "$1"
  git -C "$1" checkout --quiet --detach "$commit"
  SECONDS=0
  (cd "$1" && CARGO_HOME=$2 CARGO_TARGET_DIR=$3 CARGO_TERM_COLOR=never deploy/package/build.sh "$4") >"$4.log" 2>&1 || { tail -n 40 "$4.log"; exit 1; }
  echo "built in $SECONDS s"
  [ -n "${KEEP:-}" ] || rm -rf "$3"
}
built "$work/one" "$home" "$work/one/target" "$work/first"
built "$work/another/much/deeper" "$work/cargo-of-others" "$work/elsewhere" "$work/second"

echo "commit $commit, $(rustc --version), $(cc --version | head -n 1)"
if diff "$work/first/SHA256SUMS" "$work/second/SHA256SUMS"; then
  cat "$work/first/SHA256SUMS"
  echo "both builds have the same bytes"
  [ -z "${KEEP:-}" ] || keep
  exit 0
fi
keep
echo "the two builds differ: compare the folders first and second" >&2
exit 1
