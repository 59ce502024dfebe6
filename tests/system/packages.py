#!/usr/bin/env python3
"""What a release consists of, installed and run as its users would.

    deploy/package/build.sh && tests/system/packages.py [NAME ...]

DIST is the folder that build.sh has filled (default: target/packages). The packages are installed
in a bare Debian with systemd, booted by systemd-nspawn; its files are kept in ~/.cache/probity-ci,
so that only the first run downloads them. Needs root, and Debian's mmdebstrap, systemd-container,
lintian, rpm, cpio, curl and binutils, and cargo with the crates of the build.
"""

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import sys
import time
import tomllib
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import harness
from harness import QUICK, QUIET, ROOT, Server, children, free_port, get, read, sh, spawn, until

DIST = os.environ.get("DIST", os.path.join(ROOT, "target", "packages"))
CACHE = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")) + "/probity-ci"
METRICS = "http://127.0.0.1:9847/metrics"
MOST_BINARY, MOST_IMAGE = 30_000_000, 30_000_000


def made(pattern: str) -> str:
    found = glob.glob(os.path.join(DIST, pattern))
    assert len(found) == 1, "%s in %s: %s" % (pattern, DIST, found)
    return found[0]


def root_of(directory: str, suite: str, packages: str) -> str:
    """A bare system, as debootstrap makes it."""
    key = hashlib.sha256(packages.encode()).hexdigest()[:12]
    kept = "%s/%s-%s.tar" % (CACHE, suite, key)
    if not os.path.exists(kept):
        os.makedirs(CACHE, exist_ok=True)
        part = kept.replace(".tar", ".%d.tar" % os.getpid())
        include = ["--include=" + packages] if packages else []
        sh("mmdebstrap", "--quiet", "--variant=minbase", *include, suite, part)
        os.rename(part, kept)
    root = os.path.join(directory, suite)
    os.mkdir(root)
    sh("tar", "--extract", "--file", kept, "--directory", root, "--numeric-owner")
    return root


class Machine:
    """A system that was booted."""

    def __init__(self, root: str):
        argv = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network"]
        self.p = spawn(*argv, "--directory", root, "--boot", **QUIET)
        until(lambda: children(self.p.pid), 20, "the first process")
        self.enter = ["nsenter", "--target", str(children(self.p.pid)[0])]
        until(self.is_running, 60, "systemd has started")

    def is_running(self) -> bool:
        said = self.sh("systemctl", "is-system-running", ok=False).stdout
        return said.strip() in ("running", "degraded")

    def sh(self, *argv: str, ok: bool = True) -> Any:
        """A command of that system."""
        return sh(*self.enter, "--all", "--", *argv, ok=ok)

    def metrics(self) -> str:
        curl = ["curl", "--silent", "--max-time", "5", METRICS]
        return str(sh(*self.enter, "--net", "--", *curl, ok=False).stdout)

    def pid(self, unit: str) -> str:
        return str(self.sh("systemctl", "show", "--property=MainPID", unit).stdout)

    def state(self, name: str, state: str) -> bool:
        line = 'probity_endpoint_state{endpoint="%s",state="%s"} 1' % (name, state)
        return line in self.metrics()

    def end(self) -> None:
        self.p.terminate()
        self.p.wait(30)


@contextlib.contextmanager
def booted(root: str) -> Iterator[Machine]:
    machine = Machine(root)
    try:
        yield machine
    finally:
        machine.end()


def older(deb: str, directory: str) -> str:
    """The same package under a smaller version: there is no release before this one."""
    place, out = os.path.join(directory, "older"), os.path.join(directory, "older.deb")
    sh("dpkg-deb", "--raw-extract", deb, place)
    control = os.path.join(place, "DEBIAN", "control")
    text = re.sub(r"(?m)^Version: .*$", "Version: 0.0.9-1", read(control))
    harness.write(control, text)
    sh("dpkg-deb", "--root-owner-group", "--build", place, out)
    return out


CONFIG = QUICK + (
    '[[endpoint]]\nname = "refused"\nprobe.tcp = "127.0.0.1:1"\n'
    '[[endpoint]]\nname = "echo"\nprobe.icmp = "127.0.0.1"\n'
)


def outages(machine: Machine) -> list[dict[str, Any]]:
    """As root, without a flag."""
    said = machine.sh("probity", "history", "list", "--json").stdout
    return list(json.loads(said)["outages"])


CONTRACT = (
    '[sla.test]\nobjective = "99"\nperiod = "calendar_month"\ntime_zone = "UTC"\n'
    'components = ["refused"]\n'
)


def reports_are_the_owners(machine: Machine, configure: Callable[[str], None]) -> None:
    """The unit of the reports leaves the history to its owner, and its own files, too."""
    configure(CONFIG + CONTRACT)
    machine.sh("systemctl", "reload", "probity")
    drop_in = "/run/systemd/system/probity-report.service.d"
    machine.sh("mkdir", "--parents", drop_in)
    # There is no settled period yet.
    now = (
        "[Service]\nExecStart=\nExecStart=/usr/bin/probity sla report --provisional --period=%s "
        "--config /etc/probity/probity.toml --output /var/lib/probity-reports\n"
        % time.strftime("%Y-%m", time.gmtime())
    )
    machine.sh("sh", "-c", 'printf %s "$1" > "$2/now.conf"', "sh", now, drop_in)
    machine.sh("systemctl", "daemon-reload")
    machine.sh("systemctl", "start", "probity-report.service")
    states = ["/var/lib/probity", "/var/lib/probity-reports"]
    modes = machine.sh("stat", "--dereference", "--format", "%n %a %U", *states).stdout
    assert modes.split("\n")[:2] == [state + " 700 probity" for state in states], modes
    reports = machine.sh(
        "find", "/var/lib/probity-reports/", "-type", "f", "-printf", "%m\n"
    ).stdout
    assert reports.split() and set(reports.split()) == {"600"}, reports
    machine.sh("rm", "--recursive", drop_in)
    machine.sh("systemctl", "daemon-reload")
    configure(CONFIG)


def test_the_debian_package_is_clean(d: str) -> str:
    argv = ["lintian", "--allow-root", "--tag-display-limit", "0", made("*.deb")]
    said = sh(*argv, ok=False)
    assert said.returncode == 0 and not said.stdout.strip(), said.stdout + said.stderr
    return "lintian says nothing"


def test_every_link_of_the_packaged_documents_leads_to_a_file(d: str) -> str:
    sh("dpkg-deb", "--extract", made("*.deb"), d)
    docs = os.path.join(d, "usr/share/doc/probity")
    pages = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(docs)
        for name in names
        if name.endswith(".md")
    ]
    links = 0
    for page in pages:
        prose = re.sub(r"(?ms)^```.*?^```", "", read(page))
        for link in re.findall(r"\]\(([^)\s#]+)", prose):
            if "://" not in link:
                target = os.path.join(os.path.dirname(page), link)
                assert os.path.exists(target), (page, link)
                links += 1
    assert "README.md" in os.listdir(docs) and links > 100, (pages, links)
    for name in ("example.toml", "prometheus.yml", "alertmanager.yml", "grafana/fleet.json"):
        assert read(os.path.join(docs, "examples", name)), name
    return "%d links of %d pages" % (links, len(pages))


def test_installed_upgraded_in_an_outage_removed_and_purged(d: str) -> str:
    deb = made("*.deb")
    root = root_of(d, "bookworm", "systemd,systemd-sysv,dbus,procps")
    shutil.copy(older(deb, d), os.path.join(root, "root", "older.deb"))
    shutil.copy(deb, os.path.join(root, "root", "new.deb"))
    with booted(root) as machine:
        machine.sh("dpkg", "--install", "/root/older.deb")
        began = time.monotonic()
        until(lambda: "probity_endpoint_state{" in machine.metrics(), 10, "the first metric")
        first_s = time.monotonic() - began
        owners = machine.sh(
            "stat", "--format", "%n %a %U %G", "/var/lib/probity", "/etc/probity/probity.toml"
        ).stdout.splitlines()
        assert owners == [
            "/var/lib/probity 700 probity probity",
            "/etc/probity/probity.toml 640 root probity",
        ], owners
        until(lambda: machine.state("itself", "up"), 10, "the endpoint of the shipped config")
        assert outages(machine) == [], "a new user's record begins with no outage"
        config = os.path.join(root, "etc/probity/probity.toml")

        def configure(text: str) -> None:
            """Owner and mode stay."""
            with open(config, "r+") as file:
                file.truncate()
                file.write(text)

        def reload() -> tuple[int, str]:
            """Whether systemd says that it succeeded, and its line on the service."""
            code = machine.sh("systemctl", "reload", "probity", ok=False).returncode
            asked = machine.sh("systemctl", "show", "--property=StatusText", "probity")
            return code, asked.stdout

        configure(CONFIG + "nonsense = 1\n")
        code, status = reload()
        assert code != 0 and "refused" in status, (code, status)
        configure(CONFIG)
        code, status = reload()
        assert code == 0 and "refused" not in status, (code, status)
        until(lambda: machine.state("refused", "down"), 20, "down")
        until(lambda: machine.state("echo", "up"), 20, "an echo without any setting")
        before = outages(machine)
        assert len(before) == 1 and before[0]["to"] is None, before
        machine.sh("dpkg", "--install", "/root/new.deb")
        assert read(config) == CONFIG, "the config is the operator's"
        until(lambda: machine.state("refused", "down"), 20, "down after the upgrade")
        after = outages(machine)
        assert [o["id"] for o in after] == [o["id"] for o in before], (before, after)
        assert after[0]["to"] is None, after
        machine.sh("probity", "history", "verify")
        reports_are_the_owners(machine, configure)
        machine.sh("dpkg", "--remove", "probity")
        assert not machine.metrics()
        assert os.path.exists(os.path.join(root, "var/lib/probity/history.sqlite"))
        machine.sh("dpkg", "--install", "/root/new.deb")
        until(lambda: machine.state("refused", "down"), 20, "down after another installation")
        # Exit code 1: there is none.
        masked = machine.sh(
            "systemctl", "list-unit-files", "--state=masked", "probity*", ok=False
        ).stdout
        assert "0 unit files listed" in masked, masked
        machine.sh("dpkg", "--purge", "probity")
        left = machine.sh(
            *["find", "/etc", "/usr", "/var", "/run", "-iname", "*probity*"],
            *["-not", "-path", "/var/log/*", "-not", "-path", "/var/cache/*"],
        ).stdout.split()
        assert not left, left
        user = machine.sh("getent", "passwd", "probity", ok=False)
        assert user.returncode == 2, user.stdout
    return "first metric %.1f s after the installation" % first_s


def test_the_rpm_has_the_same_files(d: str) -> str:
    rpm, deb = os.path.join(d, "rpm"), os.path.join(d, "deb")
    os.mkdir(rpm)
    sh("sh", "-c", "rpm2cpio '%s' | cpio --quiet -idm --directory '%s'" % (made("*.rpm"), rpm))
    sh("dpkg-deb", "--extract", made("*.deb"), deb)

    def files(root: str) -> dict[str, str]:
        found = {}
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, root)] = hashlib.sha256(file.read()).hexdigest()
        return found

    of_debian = re.compile(r"lintian|changelog\.Debian")
    expected = {}
    for path, digest in files(deb).items():
        if not of_debian.search(path):
            in_rpm = re.sub("^lib/systemd", "usr/lib/systemd", path)
            in_rpm = in_rpm.replace("vendor-completions", "site-functions")
            expected[in_rpm] = digest
    found = {p: digest for p, digest in files(rpm).items() if "build-id" not in p}
    assert found == expected, set(found.items()) ^ set(expected.items())
    scripts = sh("rpm", "--query", "--package", "--scripts", made("*.rpm")).stdout
    assert "useradd" in scripts and "try-restart" in scripts, scripts
    return "%d files" % len(found)


def test_the_rpm_installs_upgrades_and_leaves_the_state(d: str) -> str:
    """By rpm itself, in a Debian: there is no registry of another system to take one from."""
    root = root_of(d, "bookworm", "systemd,systemd-sysv,dbus,procps,passwd,rpm")
    shutil.copy(made("*.rpm"), os.path.join(root, "root", "probity.rpm"))
    with booted(root) as machine:
        # What it requires has the names of another system's packages.
        machine.sh("rpm", "--install", "--nodeps", "/root/probity.rpm")
        began = time.monotonic()
        until(lambda: "probity_endpoint_state{" in machine.metrics(), 10, "the first metric")
        first_s = time.monotonic() - began
        config = "/etc/probity/probity.toml"
        owners = machine.sh("stat", "--format", "%n %a %U %G", "/var/lib/probity", config).stdout
        assert owners.splitlines() == [
            "/var/lib/probity 700 probity probity",
            config + " 640 root probity",
        ], owners
        with open(root + config, "r+") as file:
            file.truncate()
            file.write(CONFIG)
        machine.sh("systemctl", "reload", "probity")
        until(lambda: machine.state("refused", "down"), 20, "down")
        until(lambda: machine.state("echo", "up"), 20, "an echo without any setting")
        before = machine.pid("probity")
        machine.sh("rpm", "--upgrade", "--nodeps", "--force", "/root/probity.rpm")
        assert read(root + config) == CONFIG, "the config is the operator's"
        until(lambda: machine.state("refused", "down"), 20, "down after the upgrade")
        assert machine.pid("probity") != before, "an upgrade starts the new program"
        machine.sh("probity", "history", "verify")
        verified = machine.sh("rpm", "--verify", "--nodeps", "probity", ok=False).stdout
        assert [line.split()[-1] for line in verified.splitlines()] == [config], verified
        machine.sh("rpm", "--erase", "probity")
        assert not machine.metrics()
        left = machine.sh("find", "/etc", "/usr", "/var/lib", "-iname", "*probity*").stdout.split()
        state = [path for path in left if not path.startswith("/etc/probity")]
        assert state == ["/var/lib/probity"], left
        # As rpm does with what was edited.
        assert read(root + config + ".rpmsave") == CONFIG, left
    return "first metric %.1f s after the installation" % first_s


def runs_alone(root: str, directory: str) -> None:
    """The binary of the archive in a root of its own: probes, and calls a receiver by name."""
    told = Server()
    shutil.copy(made("probity-*-linux"), os.path.join(root, "probity"))
    os.makedirs(os.path.join(root, "etc"), exist_ok=True)
    harness.write(os.path.join(root, "etc/hosts"), "127.0.0.1 hook.internal\n")
    port, at = free_port(), "127.0.0.1:%d" % free_port()
    text = harness.daemon_table("alone", at, "/state") + QUICK
    text += '[[endpoint]]\nname = "web"\nprobe.http = "http://hook.internal:%d/"\n' % told.port
    text += '[[endpoint]]\nname = "refused"\nprobe.tcp = "127.0.0.1:%d"\n' % port
    text += '[[notify]]\nname = "ops"\nafter = "0s"\n'
    text += 'webhook.url = { file = "/etc/hook" }\n'
    harness.write(os.path.join(root, "etc/hook"), "http://hook.internal:%d/told" % told.port)
    harness.write(os.path.join(root, "probity.toml"), text)
    log = os.path.join(directory, "log")
    with open(log, "w") as out:
        p = spawn("chroot", root, "/probity", "run", "--config", "/probity.toml", stderr=out)

    def states() -> dict[str, str]:
        with contextlib.suppress(OSError):
            said = json.loads(get("http://%s/api/v1/endpoints" % at))["endpoints"]
            return {e["name"]: e["state"] for e in said}
        return {}

    wanted = {"web": "up", "refused": "down"}
    until(lambda: states() == wanted, 20, "%s, not %s\n%s" % (wanted, states(), read(log)))
    until(lambda: told.posted, 20, "a notification, to a receiver by its name\n" + read(log))
    p.terminate()
    assert p.wait(15) == 0, read(log)


def test_the_static_binary_runs_in_an_empty_root(d: str) -> str:
    binary = made("probity-*-linux")
    assert os.path.getsize(binary) <= MOST_BINARY, os.path.getsize(binary)
    root = os.path.join(d, "root")
    os.mkdir(root)
    runs_alone(root, d)
    return "%.1f MB" % (os.path.getsize(binary) / 1e6)


def test_the_static_binary_runs_in_an_older_debian(d: str) -> str:
    root = root_of(d, "bullseye", "")
    runs_alone(root, d)
    return read(os.path.join(root, "etc/debian_version")).strip()


def unpacked(image: str, directory: str) -> tuple[str, dict[str, Any]]:
    """The files of an image, and how it is to be run."""
    parts, root = os.path.join(directory, "image"), os.path.join(directory, "root")
    os.mkdir(parts)
    os.mkdir(root)
    sh("tar", "--extract", "--file", image, "--directory", parts)
    manifest = json.loads(read(os.path.join(parts, "manifest.json")))[0]
    for layer in manifest["Layers"]:
        tar = os.path.join(parts, layer)
        sh("tar", "--extract", "--file", tar, "--directory", root, "--numeric-owner")
    return root, json.loads(read(os.path.join(parts, manifest["Config"])))["config"]


# A root that cannot be written to, a volume for the state, and a user without any right. Not every
# kernel that tests this lets podman or docker run a container.
CONTAINED = """
mount --bind "$1" "$1"
mount --options remount,ro,bind "$1"
mount --types tmpfs --options uid=65532,gid=65532,mode=700 state "$1/var/lib/probity"
root=$1
shift
exec setpriv --no-new-privs chroot --userspec=65532:65532 "$root" "$@"
"""


def test_the_image_runs_without_any_right(d: str) -> str:
    """By its own user, entry point and health check, with its own config."""
    root, config = unpacked(made("*.image.tar"), d)
    assert config["User"] == "65532:65532" and config["Volumes"] == {"/var/lib/probity": {}}, config
    size = sum(os.path.getsize(os.path.join(at, n)) for at, _, ns in os.walk(root) for n in ns)
    assert size <= MOST_IMAGE, size
    inside = ["unshare", "--mount", "sh", "-ec", CONTAINED, "sh", root]
    log = os.path.join(d, "log")
    with open(log, "w") as out:
        p = spawn(*inside, *config["Entrypoint"], *config["Cmd"], stderr=out)
    line = 'probity_endpoint_state{endpoint="itself",state="up"} 1'

    def is_up() -> bool:
        with contextlib.suppress(OSError):
            return line in get(METRICS)
        return False

    until(is_up, 20, "up\n" + read(log))
    status = read("/proc/%d/status" % p.pid)
    told = [re.search(r"(?m)^%s:\s+(\w+)" % key, status) for key in ("Uid", "CapEff", "NoNewPrivs")]
    assert [t and t[1] for t in told] == ["65532", "0" * 16, "1"], status
    check = config["Healthcheck"]["Test"]
    assert check[0] == "CMD", check
    sh(*inside, *check[1:])
    p.terminate()
    assert p.wait(15) == 0, read(log)
    assert sh(*inside, *check[1:], ok=False).returncode == 69
    return "%.1f MB" % (size / 1e6)


def crates_of_cargo(edges: str) -> set[tuple[str, str]]:
    """What cargo builds for this machine, by name and version, without the program itself."""
    host = re.search(r"(?m)^host: (\S+)", sh("rustc", "-vV").stdout)
    assert host
    argv = ["tree", "--locked", "--offline", "--target", host[1], "--edges", edges]
    said = sh("cargo", *argv, "--prefix", "none", "--format", "{p}", cwd=ROOT).stdout
    found = set(re.findall(r"(?m)^(\S+) v(\S+)", said))
    return {(name, version) for name, version in found if name != "probity"}


def listed(components: list[dict[str, Any]], scope: str) -> set[tuple[str, str]]:
    return {
        (c["name"], c["version"])
        for c in components
        if c["scope"] == scope and c["purl"].startswith("pkg:cargo/")
    }


LINKED = "no-dev,no-build,no-proc-macro"


def test_the_list_of_crates_is_that_of_the_build(d: str) -> str:
    """SBOM, Cargo.lock and cargo agree; and what the binary itself names is listed."""
    path = made("*.cdx.json")
    sbom = json.loads(read(path))
    components = sbom["components"]
    linked = crates_of_cargo(LINKED)
    assert listed(components, "required") == linked, listed(components, "required") ^ linked
    builds = crates_of_cargo("no-dev") - linked
    assert listed(components, "excluded") == builds, listed(components, "excluded") ^ builds
    with open(os.path.join(ROOT, "Cargo.lock"), "rb") as file:
        locked = {(p["name"], p["version"]): p for p in tomllib.load(file)["package"]}
    for one in components:
        if one["purl"].startswith("pkg:cargo/"):
            wanted = locked[one["name"], one["version"]]["checksum"]
            assert one["hashes"] == [{"alg": "SHA-256", "content": wanted}], one
    others = {c["name"]: c["version"] for c in components if c["purl"].startswith("pkg:generic/")}
    assert set(others) == {"sqlite", "aws-lc", "mimalloc", "rust", "glibc"}, others
    with open(made("probity-*-linux"), "rb") as file:
        binary = file.read()
    # Where a crate can panic, its path is in the binary; SQLite has its version there.
    folders = {f.decode() for f in re.findall(rb"crates/[\w.-]+/([\w.+-]+)/src/", binary)}
    assert len(folders) > 50, folders
    unlisted = folders - {"%s-%s" % crate for crate in linked}
    assert not unlisted, unlisted
    assert others["sqlite"].encode() in binary, others
    refs = {c["bom-ref"] for c in [*components, sbom["metadata"]["component"]]}
    assert {d["ref"] for d in sbom["dependencies"]} == refs
    assert all(set(d["dependsOn"]) <= refs for d in sbom["dependencies"])
    sh("dpkg-deb", "--extract", made("*.deb"), d)
    assert read(os.path.join(d, "usr/share/doc/probity/sbom.cdx.json")) == read(path)
    return "%d crates linked, %d more build it" % (len(linked), len(builds))


def audit_of(binary: str, directory: str) -> list[dict[str, Any]]:
    """What `cargo auditable` would have put into a binary."""
    content, copy = os.path.join(directory, "dep-v0"), os.path.join(directory, "copy")
    sh("objcopy", "--dump-section", ".dep-v0=" + content, binary, copy)
    with open(content, "rb") as file:
        told = json.loads(zlib.decompress(file.read()))
    assert told["format"] == 1, told
    return list(told["packages"])


def test_the_binary_says_what_it_is_made_of(d: str) -> str:
    """In the section that scanners read, in each form of the release."""
    packages = audit_of(made("probity-*-linux"), d)
    linked = crates_of_cargo(LINKED)
    told = {(p["name"], p["version"]) for p in packages if p.get("kind") != "build"}
    roots = [p for p in packages if p.get("root")]
    assert [p["name"] for p in roots] == ["probity"] and roots[0]["source"] == "local", roots
    assert told - {("probity", roots[0]["version"])} == linked, told ^ linked
    direct = {packages[n]["name"] for n in roots[0]["dependencies"]}
    with open(os.path.join(ROOT, "Cargo.toml"), "rb") as file:
        asked = tomllib.load(file)["dependencies"]
    wanted = {one.get("package", n) if isinstance(one, dict) else n for n, one in asked.items()}
    assert direct == wanted, direct ^ wanted
    deb, image = os.path.join(d, "deb"), os.path.join(d, "of-image")
    sh("dpkg-deb", "--extract", made("*.deb"), deb)
    os.mkdir(image)
    root, _ = unpacked(made("*.image.tar"), image)
    for place in (deb, root):
        assert audit_of(os.path.join(place, "usr/bin/probity"), d) == packages, place
    return "%d crates" % len(packages)


def test_packed_again_every_file_has_the_same_bytes(d: str) -> str:
    """The same binary: deploy/package/reproducible.sh builds it anew, which takes long."""
    sh(os.path.join(ROOT, "deploy/package/build.sh"), os.path.join(d, "again"))
    first, again = read(os.path.join(DIST, "SHA256SUMS")), read(d + "/again/SHA256SUMS")
    assert first == again, "%s\n%s" % (first, again)
    return "%d files" % len(first.splitlines())


def test_the_sums_are_those_of_the_files(d: str) -> None:
    sh("sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS", cwd=DIST)
    listed = {line.split()[1] for line in read(os.path.join(DIST, "SHA256SUMS")).splitlines()}
    assert listed == set(os.listdir(DIST)) - {"SHA256SUMS"}, listed


if __name__ == "__main__":
    harness.run_tests([sys.modules[__name__]], "probity-packages-")
