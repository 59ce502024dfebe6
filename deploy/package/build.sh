#!/usr/bin/env bash
# Makes what a release consists of, from a clean clone: a statically linked binary that runs on any Linux, its debug information, a list of
# what it is made of, an archive, a Debian package, an RPM, a container image, and their SHA-256 sums.
# Usage: deploy/package/build.sh [DIR]   (default: target/packages)
# Needs Rust, a C compiler, and Debian's binutils, dpkg-dev, rpm, podman, python3 and ca-certificates.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(realpath -m "${1:-target/packages}")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
host=$(rustc -vV | sed -n 's/^host: //p')
case $host in
  x86_64-*) deb_arch=amd64 rpm_arch=x86_64 oci_arch=amd64 ;;
  aarch64-*) deb_arch=arm64 rpm_arch=aarch64 oci_arch=arm64 ;;
  *) echo "no package is made on $host: only on x86_64 and aarch64" >&2; exit 1 ;;
esac
# Of the commit: two builds of one commit are the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

# ---- the binary
# A target must be named, else the flags would count for build scripts and macros, too. No path of this machine stays in the binary.
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
mkdir -p "$sources"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
paths="" remapped=""
# The crates by both paths, where a link leads to them.
for map in "$PWD=." "$target=./target" "$(realpath "$sources")=crates" "$sources=crates"; do
  paths+=" -ffile-prefix-map=$map" remapped+=" --remap-path-prefix=$map"
done
# Relative relocations as a bitmap (DT_RELR): a megabyte less. The C library that is linked in applies them, from glibc 2.36 on.
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p')
compact=""
if [ -n "$libc" ] && printf '2.36\n%s\n' "$libc" | sort --version-sort --check=quiet; then compact=" -C link-arg=-Wl,-z,pack-relative-relocs"; fi
RUSTFLAGS="-C target-feature=+crt-static$compact$remapped" CFLAGS="$paths" CXXFLAGS="$paths" cargo build --profile dist --locked --target "$host"
built=$target/$host/dist/probity
if readelf --program-headers "$built" | grep -q INTERP; then
  echo "$built is not linked statically" >&2
  exit 1
fi
# Only what an earlier run made is taken away.
if [ -e "$out" ] && [ ! -e "$out/SHA256SUMS" ] && [ -n "$(ls -A "$out")" ]; then
  echo "$out holds other files: name another folder" >&2
  exit 1
fi
rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
objcopy --only-keep-debug --compress-debug-sections "$built" "$out/probity-$version-$rpm_arch-linux.debug"
strip -o "$work/probity" "$built"
# What it is made of, beside it and, as `cargo auditable` writes it, in it: docs/decisions/048-supply-chain.md.
sbom=$out/probity-$version-$rpm_arch-linux.cdx.json
python3 deploy/package/sbom.py "$host" "$sbom" "$work/dep-v0"
objcopy --add-gnu-debuglink="$out/probity-$version-$rpm_arch-linux.debug" --add-section .dep-v0="$work/dep-v0" "$work/probity"

# ---- what every form has
root=$work/root
install -D -m 755 "$work/probity" "$root/usr/bin/probity"
install -D -m 644 -t "$root/usr/lib/systemd/system" deploy/systemd/probity.service deploy/systemd/probity-report.service deploy/systemd/probity-report.timer
install -D -m 644 deploy/package/unit.conf "$root/usr/lib/systemd/system/probity.service.d/package.conf"
install -D -m 644 deploy/package/unit.conf "$root/usr/lib/systemd/system/probity-report.service.d/package.conf"
install -D -m 644 deploy/package/sysusers.conf "$root/usr/lib/sysusers.d/probity.conf"
install -D -m 644 deploy/package/sysctl.conf "$root/usr/lib/sysctl.d/60-probity.conf"
install -D -m 644 config/quickstart.toml "$root/etc/probity/probity.toml"
"$root/usr/bin/probity" man --output "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1
shell() { install -d "$root/$(dirname "$2")" && "$root/usr/bin/probity" completions "$1" >"$root/$2"; }
shell bash usr/share/bash-completion/completions/probity
shell zsh usr/share/zsh/vendor-completions/_probity
shell fish usr/share/fish/vendor_completions.d/probity.fish
docs=$root/usr/share/doc/probity
# The documents, and what they link to, at the places that the links name.
git ls-files -z -- ':(glob)*.md' config docs deploy/container deploy/grafana deploy/kubernetes deploy/prometheus ':(exclude)*.py' ':(exclude)*.sh' |
  while IFS= read -r -d '' file; do install -D -m 644 "$file" "$docs/$file"; done
mkdir "$docs/examples"
ln -s ../config/example.toml ../deploy/prometheus/prometheus.yml ../deploy/prometheus/alertmanager.yml ../deploy/grafana "$docs/examples"
install -m 644 deploy/package/copyright "$docs/copyright"
install -m 644 "$sbom" "$docs/sbom.cdx.json"
python3 deploy/package/licences.py "$host" | gzip -9n >"$docs/licences-of-crates.txt.gz"
gzip -9nc CHANGELOG.md >"$docs/changelog.gz"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

# ---- an archive
packed() { tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --format=gnu "$@"; }
packed --directory "$root" --transform "s,^\./,probity-$version/," . | gzip -9n >"$out/probity-$version-$rpm_arch-linux.tar.gz"
install -m 755 "$work/probity" "$out/probity-$version-$rpm_arch-linux"

# ---- a Debian package
deb=$work/deb
cp -a "$root" "$deb"
gzip -9n >"$deb/usr/share/doc/probity/changelog.Debian.gz" <<CHANGES
probity ($version-1) unstable; urgency=medium

  * The changes are in changelog.gz.

 -- The Probity developers <maintainers@probity.example>  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
CHANGES
install -D -m 644 deploy/package/lintian-overrides "$deb/usr/share/lintian/overrides/probity"
# On a system before the merge of / and /usr, units are read below /lib.
install -d "$deb/lib"
mv "$deb/usr/lib/systemd" "$deb/lib/systemd"
install -d "$deb/DEBIAN"
sed "s/@VERSION@/$version-1/; s/@ARCH@/$deb_arch/; s/@SIZE@/$(du -sk --apparent-size "$deb" | cut -f 1)/" deploy/package/control >"$deb/DEBIAN/control"
for script in postinst prerm postrm; do install -m 755 "deploy/package/$script" "$deb/DEBIAN/$script"; done
echo /etc/probity/probity.toml >"$deb/DEBIAN/conffiles"
(cd "$deb" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$deb" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$deb" "$out/probity_$version-1_$deb_arch.deb" >/dev/null

# ---- an RPM
rpmbuild --quiet -bb --target "$rpm_arch" --buildroot "$work/rpm-root" \
  --define "_topdir $work/rpm" --define "_rpmdir $out" --define "_build_name_fmt probity-$version-1.$rpm_arch.rpm" \
  --define "version_of_program $version" --define "root_of_files $root" --define "sources $PWD/deploy/package" \
  --define "_buildhost localhost" --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
  deploy/package/probity.spec

# ---- a container image
deploy/container/build.sh "$work/probity" "$out/probity-$version-$oci_arch.image.tar" "$version" "$oci_arch"

(cd "$out" && sha256sum -- * >"$work/sums" && install -m 644 "$work/sums" SHA256SUMS)
size=$(stat -c %s "$work/probity")
if ((size > 30000000)); then
  echo "the binary has $size bytes, more than 30 MB" >&2
  exit 1
fi
echo "in $out:"
(cd "$out" && du -b -- * | awk '{printf "%10.2f MB  %s\n", $1 / 1e6, $2}')
