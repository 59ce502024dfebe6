"""Odd HTTP/1 answers: what Probity, curl and blackbox_exporter make of each, held against the rows
here. A part of the system suite (run.py). docs/compatibility.md shows the same rows;
`tests/system/odd_http.py --table` prints them."""

import contextlib
import gzip
import os
import re
import socket
import sys
import threading
import urllib.parse

from harness import (
    QUIET,
    ROOT,
    blackbox_exporter,
    free_port,
    get,
    probe,
    read,
    sh,
    spawn,
    until,
    write,
)

CODED = gzip.compress(b"hello", mtime=0)
CODED_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CODED), CODED)


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
# What blackbox_exporter refuses: the header section (it has no status code), or the body after it.
HEAD = "down (head)"
BODY = "down (body)"
# input, answer, Probity (up, or a cause), whether it notes something odd, exit code of curl (0: it
# got the page), blackbox_exporter (UP, HEAD or BODY), why Probity and curl differ
# fmt: off
ROWS = [
    ("a plain answer", head(LENGTH), UP, False, 0, UP, ""),
    ("a folded header", head(b"X-A: one", b" two", LENGTH), UP, True, 0, UP, ""),
    ("a fold that holds only a space", head(b"X-A: one", b" ", LENGTH), UP, True, 0, UP, ""),
    ("a folded Content-Length", head(b"Content-Length:", b" 5"),
     UP, True, 8, UP, "RFC 9112 5.2: a fold is a space"),
    ("a space before the first header name", head(b" X-A: one", LENGTH),
     UP, True, 43, HEAD, "browsers read it"),
    ("two equal Content-Length headers", head(LENGTH, LENGTH), UP, True, 0, UP, ""),
    ("`Content-Length: 5, 5`", head(b"Content-Length: 5, 5"), UP, True, 0, HEAD, ""),
    ("`Content-Length: 5` and `05`", head(LENGTH, b"Content-Length: 05"), UP, True, 0, HEAD, ""),
    ("two differing Content-Length headers", head(LENGTH, b"Content-Length: 6"),
     MALFORMED, False, 18, HEAD, ""),
    ("two differing Content-Length headers, the last one right", head(b"Content-Length: 6", LENGTH),
     MALFORMED, False, 0, HEAD, "RFC 9112 6.3: unrecoverable"),
    ("chunked and a Content-Length", chunks(b"Content-Length: 99", CHUNKED), UP, True, 0, UP, ""),
    ("chunked and two differing Content-Length headers",
     chunks(b"Content-Length: 99", b"Content-Length: 9", CHUNKED),
     UP, True, 0, UP, ""),
    ("chunked and `Content-Length: abc`", chunks(b"Content-Length: abc", CHUNKED),
     UP, True, 8, UP, "RFC 9112 6.3: the coding overrides"),
    ("`Content-Length : 5`", head(b"Content-Length : 5"), UP, True, 0, UP, ""),
    ("a tab before a colon", head(b"Content-Length\t: 5"), UP, True, 0, UP, ""),
    ("`Transfer-Encoding : chunked`", chunks(b"Transfer-Encoding : chunked"),
     UP, True, 0, UP, "curl shows the chunk sizes as text"),
    ("a space in a header name", head(b"X A: b", LENGTH), UP, True, 0, UP, ""),
    ("a header name that is not a token", head(b"X(A): b", b"\xc3\xa4: b", LENGTH),
     UP, True, 0, UP, ""),
    ("an empty header name", head(b": b", LENGTH), UP, True, 0, UP, ""),
    ("a header line without a colon", head(b"nonsense", LENGTH),
     UP, True, 8, HEAD, "browsers ignore the line"),
    ("a lone CR in a value", head(b"X-A: a\rb", LENGTH), UP, True, 0, UP, ""),
    ("CR CR LF as line ends", b"HTTP/1.1 200 OK\r\nX-A: a\r\r\nContent-Length: 5\r\r\n\r\r\nhello",
     UP, True, 0, HEAD, ""),
    ("CR as line ends", b"HTTP/1.1 200 OK\rContent-Length: 5\r\rhello",
     TRUNCATED, False, 52, HEAD, ""),
    ("LF as line ends", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", UP, False, 0, UP, ""),
    ("control characters in a value", head(b"X-A: a\x01\x7fb", LENGTH), UP, True, 0, UP, ""),
    ("ISO-8859-1 in a value", head(b"X-A: a\xe4b", LENGTH), UP, False, 0, UP, ""),
    ("NUL in a value", head(b"X-A: a\0b", LENGTH), MALFORMED, False, 8, UP, ""),
    ("NUL in the reason phrase", status(b"HTTP/1.1 200 O\0K"), MALFORMED, False, 8, UP, ""),
    ("`http/1.1 200 OK`", status(b"http/1.1 200 OK"), UP, True, 0, HEAD, ""),
    ("`Http/1.1 200 OK`", status(b"Http/1.1 200 OK"), UP, True, 0, HEAD, ""),
    ("two spaces in the status line", status(b"HTTP/1.1  200  OK"), UP, True, 0, UP, ""),
    ("tabs in the status line", status(b"HTTP/1.1\t200\tOK"),
     UP, True, 1, HEAD, "browsers read it"),
    ("no reason phrase", status(b"HTTP/1.1 200"), UP, False, 0, UP, ""),
    ("`HTTP/1.1 200OK`", status(b"HTTP/1.1 200OK"), UP, True, 0, HEAD, ""),
    ("control characters in the reason phrase", status(b"HTTP/1.1 200 O\x01K"),
     UP, True, 0, UP, ""),
    ("`HTTP/1.2 200 OK`", status(b"HTTP/1.2 200 OK"),
     UP, True, 1, UP, "RFC 9110 2.5: read as HTTP/1.1"),
    ("CR LF and a space before the status line", status(b"\r\n HTTP/1.1 200 OK"),
     UP, True, 1, HEAD, "Chromium skips up to four bytes"),
    ("`HTTP/1.10 200 OK`", status(b"HTTP/1.10 200 OK"), MALFORMED, False, 1, HEAD, ""),
    ("`HTTP/1 200 OK`", status(b"HTTP/1 200 OK"), MALFORMED, False, 1, HEAD, ""),
    ("a status code of four digits", status(b"HTTP/1.1 2000 OK"), MALFORMED, False, 1, HEAD, ""),
    ("a status code of two digits", status(b"HTTP/1.1 20 OK"), MALFORMED, False, 1, HEAD, ""),
    ("status code 000", status(b"HTTP/1.1 000 OK"), MALFORMED, False, 1, HEAD, ""),
    ("`ICY 200 OK`", status(b"ICY 200 OK"), MALFORMED, False, 1, HEAD, ""),
    ("no status line", b"hello", MALFORMED, False, 1, HEAD, ""),
    ("`Transfer-Encoding: gzip, chunked`",
     chunks(b"Transfer-Encoding: gzip, chunked", body=CODED_CHUNKS),
     UP, True, 0, HEAD, ""),
    ("`Transfer-Encoding: gzip`", head(b"Transfer-Encoding: gzip", body=CODED),
     UP, True, 0, HEAD, ""),
    ("`Transfer-Encoding: identity`", head(b"Transfer-Encoding: identity", LENGTH),
     UP, True, 0, HEAD, ""),
    ("`Transfer-Encoding: chunked`, twice", chunks(CHUNKED, CHUNKED), UP, True, 0, HEAD, ""),
    ("an unknown transfer coding", head(b"Transfer-Encoding: foo"), MALFORMED, False, 61, HEAD, ""),
    ("`Transfer-Encoding: chunked, gzip`", chunks(b"Transfer-Encoding: chunked, gzip"),
     MALFORMED, False, 61, HEAD, ""),
    ("chunked over HTTP/1.0",
     b"HTTP/1.0 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     UP, False, 0, UP, ""),
    ("an empty Content-Length", head(b"Content-Length:"), MALFORMED, False, 8, UP, ""),
    ("`Content-Length: abc`", head(b"Content-Length: abc"), MALFORMED, False, 8, HEAD, ""),
    ("`Content-Length: -1`", head(b"Content-Length: -1"), MALFORMED, False, 8, HEAD, ""),
    ("`Content-Length: +5`", head(b"Content-Length: +5"),
     MALFORMED, False, 0, HEAD, "RFC 9112 6.3: unrecoverable"),
    ("`Content-Length: 5 bytes`", head(b"Content-Length: 5 bytes"),
     MALFORMED, False, 0, HEAD, "RFC 9112 6.3: unrecoverable"),
    ("a Content-Length beyond 64 bits", head(b"Content-Length: 99999999999999999999"),
     MALFORMED, False, 0, HEAD, "no body is that long"),
    ("a Content-Length with leading zeros", head(b"Content-Length: 000000000000000000000005"),
     UP, False, 0, UP, ""),
    ("a chunk size with leading zeros", chunks(CHUNKED, body=b"00000005\r\nhello\r\n000\r\n\r\n"),
     UP, False, 0, UP, ""),
    ("a chunk size with 26 leading zeros",
     chunks(CHUNKED, body=b"0" * 26 + b"5\r\nhello\r\n0\r\n\r\n"),
     UP, False, 56, BODY, "RFC 9112 7.1: any number of digits"),
    ("spaces after a chunk size", chunks(CHUNKED, body=b"5  \r\nhello\r\n0\r\n\r\n"),
     UP, False, 0, UP, ""),
    ("a space before a chunk size", chunks(CHUNKED, body=b" 5\r\nhello\r\n0\r\n\r\n"),
     MALFORMED, False, 56, BODY, ""),
    ("a chunk size with 0x", chunks(CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n"),
     MALFORMED, False, 43, BODY, ""),
    ("a chunk size of letters", chunks(CHUNKED, body=b"zz\r\nhello\r\n0\r\n\r\n"),
     MALFORMED, False, 56, BODY, ""),
    ("a chunk longer than its size", chunks(CHUNKED, body=b"2\r\nhello\r\n0\r\n\r\n"),
     MALFORMED, False, 56, BODY, ""),
    ("no last chunk", chunks(CHUNKED, body=b"5\r\nhello\r\n"), TRUNCATED, False, 18, BODY, ""),
    ("no line end after the last chunk", chunks(CHUNKED, body=b"5\r\nhello\r\n0\r\n"),
     TRUNCATED, False, 18, BODY, ""),
    ("a body shorter than its Content-Length", head(b"Content-Length: 9"),
     TRUNCATED, False, 18, BODY, ""),
    ("more bytes than the Content-Length", head(LENGTH, body=b"hello and more"),
     UP, False, 0, UP, ""),
    ("a header section without its end", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
     TRUNCATED, False, 0, HEAD, "RFC 9112 8: incomplete"),
    ("no byte at all", b"", TRUNCATED, False, 52, HEAD, ""),
    ("`Content-Encoding: UTF-8`", head(b"Content-Encoding: UTF-8", LENGTH), UP, True, 0, UP, ""),
    ("`Content-Encoding: binary`", head(b"Content-Encoding: binary", LENGTH), UP, True, 0, UP, ""),
    ("`Content-Encoding: aws-chunked`", head(b"Content-Encoding: aws-chunked", LENGTH),
     UP, True, 0, UP, ""),
    ("`Content-Encoding: gzip, aws-chunked`",
     head(b"Content-Encoding: gzip, aws-chunked", b"Content-Length: %d" % len(CODED), body=CODED),
     UP, True, 0, BODY, ""),
]
# fmt: on


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
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
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

    threading.Thread(target=run, daemon=True).start()
    return listener


def of_curl(url, out):
    return sh("curl", "-sS", "-m", "5", "-o", out, url, ok=False).returncode


def of_probity(url, d):
    text = '[[endpoint]]\nname = "odd"\ntimeout = "3s"\nprobe.http.url = "%s"\n' % url
    text += 'probe.http.expect.body.contains = "hello"\n'
    report = probe("odd", "--config", write(os.path.join(d, "odd.toml"), text))
    odd = [f["found"] for f in report.get("findings", []) if "oddities" in f["expectation"]]
    return UP if report["result"] == "success" else report["cause"], odd


class Blackbox:
    """Debian's blackbox_exporter with one module that expects the page."""

    def __init__(self, d):
        module = '{prober: http, timeout: 3s, http: {fail_if_body_not_matches_regexp: ["hello"]}}'
        config = write(os.path.join(d, "blackbox.yml"), "modules: {page: %s}\n" % module)
        port = free_port()
        self.at = "http://127.0.0.1:%d" % port
        self.process = spawn(*blackbox_exporter(config, port), **QUIET)

    def __enter__(self):
        healthy = self.at + "/-/healthy"
        until(lambda: get(healthy), what="blackbox_exporter", process=self.process)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def of(self, url):
        target = urllib.parse.quote(url, safe="")
        text = get("%s/probe?module=page&target=%s" % (self.at, target))
        figures = dict(re.findall(r"^(\w+) (\d+)$", text, re.M))
        if figures["probe_success"] != "0":
            return UP
        return BODY if figures["probe_http_status_code"] != "0" else HEAD


def held(d):
    with Blackbox(d) as blackbox:
        for name, answer, expected, is_odd, curl, peer, why in ROWS:
            listener = serve(answer)
            url = "http://127.0.0.1:%d/" % listener.getsockname()[1]
            found, odd = of_probity(url, d)
            yield (
                (name, expected, is_odd, curl, peer, why),
                found,
                odd,
                of_curl(url, os.path.join(d, "page")),
                blackbox.of(url),
            )
            listener.close()


def test_odd_http_is_read_as_curl_reads_it(d):
    wrong = []
    for (name, expected, is_odd, curl, peer, why), found, odd, code, other in held(d):
        if (found, bool(odd), code, other) != (expected, is_odd, curl, peer):
            wrong.append(
                "%s: %s, odd %s, curl %d, blackbox_exporter %s; written are %s, %s, %d, %s"
                % (name, found, odd, code, other, expected, is_odd, curl, peer)
            )
        if (found == UP) != (code == 0) and not why:
            wrong.append("%s: Probity and curl differ, and nothing says why" % name)
    assert not wrong, "\n".join(wrong)


def table():
    """The rows as docs/compatibility.md shows them."""
    for name, _, expected, is_odd, curl, peer, why in ROWS:
        shown = "up" + (", odd" if is_odd else "") if expected == UP else "down (`%s`)" % expected
        yield "| %s | %s | exit %d | %s | %s |" % (name, shown, curl, peer, why)


def test_the_table_of_odd_http_in_the_docs_is_that_of_this_suite(_):
    page = read(os.path.join(ROOT, "docs", "compatibility.md"))
    section = page.split("\n## HTTP answers\n")[1].split("\n## ")[0]
    documented = [line for line in section.split("\n") if line.startswith("|")][2:]
    rows = list(table())
    assert len(rows) == len({row.split(" | ")[0] for row in rows}), "an input appears twice"
    wrong = ["missing: " + row for row in rows if row not in documented] + [
        "not a row of the suite: " + line for line in documented if line not in rows
    ]
    assert not wrong, "\n".join(wrong)
    assert documented == rows, "the rows are in another order"


if __name__ == "__main__" and "--table" in sys.argv:
    print("\n".join(table()))
