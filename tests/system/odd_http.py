"""Odd HTTP/1 answers: what Probity and curl make of each, held against what is written here. A part of the system suite
(run.py); `tests/system/odd_http.py --table` prints the rows for docs/compatibility.md."""
import gzip
import json
import os
import socket
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROBITY = os.environ.get("PROBITY", os.path.join(ROOT, "target", "release", "probity"))
CODED = gzip.compress(b"hello", mtime=0)


def head(*lines, body=b"hello"):
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""]) + body


def chunks(*lines, body=b"5\r\nhello\r\n0\r\n\r\n"):
    return head(*lines, body=body)


def status(line):
    return line + b"\r\nContent-Length: 5\r\n\r\nhello"


LENGTH = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"
UP = "up"
MALFORMED = "http_malformed"
TRUNCATED = "http_truncated"
# name, answer, Probity (up, or a cause), whether it notes something odd, exit code of curl (0: it got the page), why they differ
ROWS = [
    ("a plain answer", head(LENGTH), UP, False, 0, ""),
    ("a folded header", head(b"X-A: one", b" two", LENGTH), UP, True, 0, ""),
    ("a fold of nothing", head(b"X-A: one", b" ", LENGTH), UP, True, 0, ""),
    ("a folded length", head(b"Content-Length:", b" 5"), UP, True, 8, "RFC 9112 5.2: a fold is a blank; browsers read it"),
    ("a blank before the first name", head(b" X-A: one", LENGTH), UP, True, 43, "browsers read it"),
    ("two equal lengths", head(LENGTH, LENGTH), UP, True, 0, ""),
    ("a list of equal lengths", head(b"Content-Length: 5, 5"), UP, True, 0, ""),
    ("equal lengths, one with a zero", head(LENGTH, b"Content-Length: 05"), UP, True, 0, ""),
    ("two differing lengths", head(LENGTH, b"Content-Length: 6"), MALFORMED, False, 18, ""),
    ("two differing lengths, the last fits", head(b"Content-Length: 6", LENGTH), MALFORMED, False, 0, "RFC 9112 6.3: unrecoverable"),
    ("chunked beside a length", chunks(b"Content-Length: 99", CHUNKED), UP, True, 0, ""),
    ("chunked beside differing lengths", chunks(b"Content-Length: 99", b"Content-Length: 9", CHUNKED), UP, True, 0, ""),
    ("chunked beside an invalid length", chunks(b"Content-Length: abc", CHUNKED), UP, True, 8, "RFC 9112 6.3: the coding overrides"),
    ("a blank before a colon", head(b"Content-Length : 5"), UP, True, 0, ""),
    ("a tab before a colon", head(b"Content-Length\t: 5"), UP, True, 0, ""),
    ("a blank before the colon of Transfer-Encoding", chunks(b"Transfer-Encoding : chunked"), UP, True, 0, "curl shows the chunks' sizes as a part of the page"),
    ("a blank in a name", head(b"X A: b", LENGTH), UP, True, 0, ""),
    ("a name that is not a token", head(b"X(A): b", b"\xc3\xa4: b", LENGTH), UP, True, 0, ""),
    ("an empty name", head(b": b", LENGTH), UP, True, 0, ""),
    ("a line without a colon", head(b"nonsense", LENGTH), UP, True, 8, "browsers leave it out"),
    ("a lone CR in a value", head(b"X-A: a\rb", LENGTH), UP, True, 0, ""),
    ("two CRs at the ends of lines", b"HTTP/1.1 200 OK\r\nX-A: a\r\r\nContent-Length: 5\r\r\n\r\r\nhello", UP, True, 0, ""),
    ("lone CRs as line ends", b"HTTP/1.1 200 OK\rContent-Length: 5\r\rhello", TRUNCATED, False, 52, ""),
    ("LF as line ends", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", UP, False, 0, ""),
    ("control characters in a value", head(b"X-A: a\x01\x7fb", LENGTH), UP, True, 0, ""),
    ("ISO-8859-1 in a value", head(b"X-A: a\xe4b", LENGTH), UP, False, 0, ""),
    ("NUL in a value", head(b"X-A: a\0b", LENGTH), MALFORMED, False, 8, ""),
    ("NUL in the reason", status(b"HTTP/1.1 200 O\0K"), MALFORMED, False, 8, ""),
    ("http in small letters", status(b"http/1.1 200 OK"), UP, True, 0, ""),
    ("Http", status(b"Http/1.1 200 OK"), UP, True, 0, ""),
    ("double blanks in the status line", status(b"HTTP/1.1  200  OK"), UP, True, 0, ""),
    ("tabs in the status line", status(b"HTTP/1.1\t200\tOK"), UP, True, 1, "browsers read it"),
    ("no reason", status(b"HTTP/1.1 200"), UP, False, 0, ""),
    ("no blank before the reason", status(b"HTTP/1.1 200OK"), UP, True, 0, ""),
    ("control characters in the reason", status(b"HTTP/1.1 200 O\x01K"), UP, True, 0, ""),
    ("HTTP/1.2", status(b"HTTP/1.2 200 OK"), UP, True, 1, "RFC 9110 2.5: read as the highest minor version that is known"),
    ("blanks before the status line", status(b"\r\n HTTP/1.1 200 OK"), UP, True, 1, "Chromium skips up to four"),
    ("HTTP/1.10", status(b"HTTP/1.10 200 OK"), MALFORMED, False, 1, ""),
    ("HTTP/1", status(b"HTTP/1 200 OK"), MALFORMED, False, 1, ""),
    ("a status of four digits", status(b"HTTP/1.1 2000 OK"), MALFORMED, False, 1, ""),
    ("a status of two digits", status(b"HTTP/1.1 20 OK"), MALFORMED, False, 1, ""),
    ("status 000", status(b"HTTP/1.1 000 OK"), MALFORMED, False, 1, ""),
    ("ICY", status(b"ICY 200 OK"), MALFORMED, False, 1, ""),
    ("no status line", b"hello", MALFORMED, False, 1, ""),
    ("gzip, chunked", chunks(b"Transfer-Encoding: gzip, chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(CODED), CODED)), UP, True, 0, ""),
    ("gzip as the transfer coding", head(b"Transfer-Encoding: gzip", body=CODED), UP, True, 0, ""),
    ("identity as the transfer coding", head(b"Transfer-Encoding: identity", LENGTH), UP, True, 0, ""),
    ("chunked given twice", chunks(CHUNKED, CHUNKED), UP, True, 0, ""),
    ("an unknown transfer coding", head(b"Transfer-Encoding: foo"), MALFORMED, False, 61, ""),
    ("chunked, gzip", chunks(b"Transfer-Encoding: chunked, gzip"), MALFORMED, False, 61, ""),
    ("chunked over HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", UP, False, 0, ""),
    ("an empty length", head(b"Content-Length:"), MALFORMED, False, 8, ""),
    ("a length of letters", head(b"Content-Length: abc"), MALFORMED, False, 8, ""),
    ("a length below zero", head(b"Content-Length: -1"), MALFORMED, False, 8, ""),
    ("a length with a sign", head(b"Content-Length: +5"), MALFORMED, False, 0, "RFC 9112 6.3: an invalid length is unrecoverable"),
    ("a length with a unit", head(b"Content-Length: 5 bytes"), MALFORMED, False, 0, "RFC 9112 6.3: an invalid length is unrecoverable"),
    ("a length beyond 64 bits", head(b"Content-Length: 99999999999999999999"), MALFORMED, False, 0, "no body can be that long"),
    ("a length with leading zeros", head(b"Content-Length: 000000000000000000000005"), UP, False, 0, ""),
    ("a chunk size with leading zeros", chunks(CHUNKED, body=b"00000005\r\nhello\r\n000\r\n\r\n"), UP, False, 0, ""),
    ("a chunk size with 26 leading zeros", chunks(CHUNKED, body=b"0" * 26 + b"5\r\nhello\r\n0\r\n\r\n"), UP, False, 56, "RFC 9112 7.1 has no limit of digits"),
    ("blanks behind a chunk size", chunks(CHUNKED, body=b"5  \r\nhello\r\n0\r\n\r\n"), UP, False, 0, ""),
    ("a blank before a chunk size", chunks(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n"), MALFORMED, False, 56, ""),
    ("a chunk size with 0x", chunks(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"), MALFORMED, False, 43, ""),
    ("a chunk size of letters", chunks(CHUNKED, body=b"zz\r\nhello\r\n0\r\n\r\n"), MALFORMED, False, 56, ""),
    ("a chunk longer than its size", chunks(CHUNKED, body=b"2\r\nhello\r\n0\r\n\r\n"), MALFORMED, False, 56, ""),
    ("no last chunk", chunks(CHUNKED, body=b"5\r\nhello\r\n"), TRUNCATED, False, 18, ""),
    ("no line end after the last chunk", chunks(CHUNKED, body=b"5\r\nhello\r\n0\r\n"), TRUNCATED, False, 18, ""),
    ("a body shorter than its length", head(b"Content-Length: 9"), TRUNCATED, False, 18, ""),
    ("more than the length says", head(LENGTH, body=b"hello and more"), UP, False, 0, ""),
    ("a head without its end", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", TRUNCATED, False, 0, "RFC 9112 8: an incomplete answer"),
    ("nothing", b"", TRUNCATED, False, 52, ""),
    ("an unknown content coding", head(b"Content-Encoding: UTF-8", LENGTH), UP, True, 0, ""),
    ("an unknown content coding beside gzip", head(b"Content-Encoding: gzip, aws-chunked", b"Content-Length: %d" % len(CODED), body=CODED), UP, True, 0, ""),
]


def serve(answer):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def run():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection):
        with connection:
            connection.settimeout(5)
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    piece = connection.recv(4096)
                    if not piece:
                        return
                    request += piece
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError:
                pass

    threading.Thread(target=run, daemon=True).start()
    return listener


def of_curl(url, out):
    r = subprocess.run(["curl", "-sS", "-m", "5", "-o", out, url], capture_output=True, text=True)
    return r.returncode


def of_probity(url, d):
    config = os.path.join(d, "odd.toml")
    with open(config, "w") as f:
        f.write('[[endpoint]]\nname = "odd"\ntimeout = "3s"\nprobe.http.url = "%s"\nprobe.http.expect.body.contains = "hello"\n' % url)
    r = subprocess.run([PROBITY, "probe", "odd", "--json", "--config", config], capture_output=True, text=True)
    report = json.loads(r.stdout)
    odd = [f["found"] for f in report.get("findings", []) if "oddities" in f["expectation"]]
    return UP if report["result"] == "success" else report["cause"], odd


def held(d):
    for name, answer, expected, is_odd, curl, why in ROWS:
        listener = serve(answer)
        url = "http://127.0.0.1:%d/" % listener.getsockname()[1]
        found, odd = of_probity(url, d)
        yield (name, expected, is_odd, curl, why), found, odd, of_curl(url, os.path.join(d, "page"))
        listener.close()


def test_odd_http_is_read_as_curl_reads_it(d):
    wrong = []
    for (name, expected, is_odd, curl, why), found, odd, code in held(d):
        if (found, bool(odd), code) != (expected, is_odd, curl):
            wrong.append("%s: %s, odd %s, curl %d; written are %s, %s, %d" % (name, found, odd, code, expected, is_odd, curl))
        if (found == UP) != (code == 0) and not why:
            wrong.append("%s: Probity and curl differ, and nothing says why" % name)
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__" and "--table" in sys.argv:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        for (name, _, _, _, why), found, odd, code in held(directory):
            shown = "up" + (", odd" if odd else "") if found == UP else "down (`%s`)" % found
            print("| %s%s | %s | %s | not run |" % (name, " (%s)" % why if why else "", shown, "gets it" if code == 0 else "error %d" % code))
