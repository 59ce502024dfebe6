#!/bin/sh
# Package:   monitoring-plugins-basic 2.3.3-5+deb12u2 (Debian 12, amd64).
# Behaviour: RFC 4253 section 4.2 lets an SSH server send other lines before its version line, and
#            says that clients must be able to process them. check_ssh takes the first line for
#            the version and is critical.
# Why it matters: a notice before the version line turns a working server red.
# Seen:      version line: exit 0, SSH OK - Test_1.0 (protocol 2.0)
#            notice, version line: exit 2, Server answer: Notice: maintenance on Sunday
# Needs:     Debian's apt-get, python3.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download monitoring-plugins-basic=2.3.3-5+deb12u2
dpkg -x monitoring-plugins-basic_*.deb root
cat > run.py <<'PY'
import socket, subprocess, threading

state = {}


def serve(listener):
    while True:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(state["greeting"])
            try:
                while peer.recv(4096):
                    pass
            except OSError:
                pass


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=serve, args=(listener,), daemon=True).start()
command = ["root/usr/lib/nagios/plugins/check_ssh", "-H", "127.0.0.1", "-p", str(listener.getsockname()[1]), "-t", "5"]
version, notice = b"SSH-2.0-Test_1.0\r\n", b"Notice: maintenance on Sunday\r\n"
for label, state["greeting"] in (("version line", version), ("notice, version line", notice + version)):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    print("%s: exit %d, %s" % (label, done.returncode, done.stdout.splitlines()[0].split("|")[0].strip()))
PY
python3 run.py | tee seen
cat > expected <<'END'
version line: exit 0, SSH OK - Test_1.0 (protocol 2.0)
notice, version line: exit 2, Server answer: Notice: maintenance on Sunday
END
diff expected seen
