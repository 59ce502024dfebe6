#!/usr/bin/env bash
# Makes the container image of a binary: nothing else in it but a trust store, a config and the names of its user.
# Usage: deploy/container/build.sh BINARY OUT.tar VERSION ARCHITECTURE
# Needs podman and python3; as root, or with a range of user ids.
set -euo pipefail
cd "$(dirname "$0")"
binary=$1 out=$2 version=$3 architecture=$4
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
files=$place/files
install -D -m 755 "$binary" "$files/usr/bin/probity"
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$files/etc/ssl/certs/ca-certificates.crt"
install -D -m 644 probity.toml "$files/etc/probity/probity.toml"
echo "probity:x:65532:65532::/var/lib/probity:/sbin/nologin" >"$files/etc/passwd"
echo "probity:x:65532:" >"$files/etc/group"
chmod 644 "$files/etc/passwd" "$files/etc/group"
install -d -m 700 -o 65532 -g 65532 "$files/var/lib/probity"
find "$files" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
# A storage of its own, so that nothing of this machine's images is touched.
podman() { command podman --root "$place/storage" --runroot "$place/run" --storage-driver vfs "$@"; }
podman build --quiet --format docker --arch "$architecture" --timestamp "${SOURCE_DATE_EPOCH:-0}" --file Containerfile \
  --label org.opencontainers.image.title=probity --label org.opencontainers.image.version="$version" \
  --label org.opencontainers.image.licenses="MIT OR Apache-2.0" --tag "probity:$version" "$files" >/dev/null
rm -f "$out"
podman save --quiet --format docker-archive --output "$out" "probity:$version"
./plain.py "$out"
podman unmount --all >/dev/null 2>&1 || true
