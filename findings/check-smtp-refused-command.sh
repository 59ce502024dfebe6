#!/bin/sh
# Package:   monitoring-plugins-basic 2.3.3-5+deb12u2 (Debian 12, amd64).
# Behaviour: check_smtp sends a greeting command (HELO) and does not look at the code of the reply.
#            A mail server that greets with 220 and refuses the command with 554 is "SMTP OK" with
#            exit code 0. A 554 in place of the 220 is a warning.
# Why it matters: a server that refuses every client after its greeting takes no mail and is green.
# Seen:      220, then 250: exit 0, SMTP OK
#            220, then 554: exit 0, SMTP OK
#            554: exit 1, Invalid SMTP response
# Needs:     Debian's apt-get, OpenSSL 3, python3.
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
            try:
                peer.sendall(state["greeting"])
                for line in peer.makefile("rb"):
                    peer.sendall(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else state["reply"])
            except OSError:
                pass


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
threading.Thread(target=serve, args=(listener,), daemon=True).start()
command = ["root/usr/lib/nagios/plugins/check_smtp", "-H", "127.0.0.1", "-p", str(listener.getsockname()[1]), "-t", "5"]
good, refused = b"250 mail.test\r\n", b"554 5.7.1 no mail is accepted here\r\n"
for label, state["greeting"], state["reply"] in (("220, then 250", b"220 mail.test ESMTP\r\n", good),
                                                 ("220, then 554", b"220 mail.test ESMTP\r\n", refused),
                                                 ("554", refused, refused)):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    said = done.stdout.split(" received")[0].split(" - ")[0]
    print("%s: exit %d, %s" % (label, done.returncode, said))
PY
python3 run.py | tee seen
cat > expected <<'END'
220, then 250: exit 0, SMTP OK
220, then 554: exit 0, SMTP OK
554: exit 1, Invalid SMTP response
END
diff expected seen
