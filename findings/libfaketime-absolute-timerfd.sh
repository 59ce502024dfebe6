#!/bin/sh
# Package:   libfaketime 0.9.10-2.1 (Debian 12, amd64), with the host's own C library.
# Behaviour: FAKETIME moves the wall clock by one hour, and DONT_FAKE_MONOTONIC=1 asks to leave
#            the monotonic clocks alone. clock_gettime obeys. timerfd_settime with
#            TFD_TIMER_ABSTIME does not: the library moves the deadline by the offset although
#            the timer's clock is CLOCK_MONOTONIC or CLOCK_BOOTTIME. A deadline one second
#            ahead becomes one hour and one second under "-1h", and is already over under "+1h".
#            Relative timers are right.
# Why it matters: event loops use such timers. Under libfaketime they wake an hour late or at once.
# Seen:      offset -1h CLOCK_MONOTONIC clock moved by 0 h, asked for 1 s, 3601 s left
#            offset -1h CLOCK_BOOTTIME clock moved by 0 h, asked for 1 s, 3601 s left
#            offset +1h CLOCK_MONOTONIC clock moved by 0 h, asked for 1 s, 0 s left
#            offset +1h CLOCK_BOOTTIME clock moved by 0 h, asked for 1 s, 0 s left
# Needs:     Debian's apt-get, python3. The script reads the time that is left and never waits.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download libfaketime=0.9.10-2.1
dpkg -x libfaketime_*.deb root
cat > run.py <<'PY'
import ctypes, os, sys

libc = ctypes.CDLL(None)


class Timespec(ctypes.Structure):
    _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]


class Timer(ctypes.Structure):
    _fields_ = [("interval", Timespec), ("value", Timespec)]


# The arguments are the same clocks, read a moment ago without the library.
clocks = (("CLOCK_MONOTONIC", 1, sys.argv[1]), ("CLOCK_BOOTTIME", 7, sys.argv[2]))
for name, clock, real in clocks:
    now, left = Timespec(), Timer()
    libc.clock_gettime(clock, ctypes.byref(now))
    fd = libc.timerfd_create(clock, 0)
    libc.timerfd_settime(fd, 1, ctypes.byref(Timer(Timespec(0, 0), Timespec(now.s + 1, now.ns))), None)
    libc.timerfd_gettime(fd, ctypes.byref(left))
    text = "offset %s %s clock moved by %d h, asked for 1 s, %d s left"
    print(text % (os.environ["FAKETIME"], name, round((now.s - float(real)) / 3600), round(left.value.s + left.value.ns / 1e9)))
PY
python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
library=$work/root/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1
clocks=$("$python" -c 'import time; print(time.clock_gettime(1), time.clock_gettime(7))')
for offset in -1h +1h; do
    LD_PRELOAD=$library FAKETIME=$offset DONT_FAKE_MONOTONIC=1 timeout 20 "$python" run.py $clocks
done | tee seen
cat > expected <<'END'
offset -1h CLOCK_MONOTONIC clock moved by 0 h, asked for 1 s, 3601 s left
offset -1h CLOCK_BOOTTIME clock moved by 0 h, asked for 1 s, 3601 s left
offset +1h CLOCK_MONOTONIC clock moved by 0 h, asked for 1 s, 0 s left
offset +1h CLOCK_BOOTTIME clock moved by 0 h, asked for 1 s, 0 s left
END
diff expected seen
