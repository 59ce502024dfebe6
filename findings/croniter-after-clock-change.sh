#!/bin/sh
# Package:   PyPI croniter ==6.0.0 (python-dateutil ==2.9.0.post0, pytz ==2025.2,
#            tzdata ==2025.2), with Python's zoneinfo.
# Behaviour: the first run after a change of the clock comes at a wrong hour when the start is an
#            aware datetime with a ZoneInfo. "0 9 * * *" gives 10:00 after the clock goes back.
#            After it goes forward it gives two runs, 08:00 and 09:00. A monthly "0 0 1 * *"
#            gives an extra run on the last day of the month before.
# Why it matters: a maintenance window that is computed this way is an hour off, or on another day,
#            twice a year.
# Seen:      0 9 * * * in October: 10:00 on 31 Oct, 09:00 on 01 Nov, 09:00 on 02 Nov
#            0 9 * * * in March: 08:00 on 28 Mar, 09:00 on 28 Mar, 09:00 on 29 Mar
#            0 0 1 * * in March: 23:00 on 31 Mar, 00:00 on 01 Apr, 00:00 on 01 May
# Needs:     python3 with pip.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m pip install -q --target py croniter==6.0.0 python-dateutil==2.9.0.post0 pytz==2025.2 tzdata==2025.2 2>/dev/null
cat > run.py <<'PY'
import datetime, zoneinfo, croniter

zone = zoneinfo.ZoneInfo("Europe/Berlin")
starts = (("0 9 * * *", "October", datetime.datetime(2027, 10, 30, 10, tzinfo=zone)),
          ("0 9 * * *", "March", datetime.datetime(2027, 3, 27, 10, tzinfo=zone)),
          ("0 0 1 * *", "March", datetime.datetime(2027, 3, 1, tzinfo=zone)))
for schedule, month, start in starts:
    runs = croniter.croniter(schedule, start)
    shown = [runs.get_next(datetime.datetime).strftime("%H:%M on %d %b") for _ in range(3)]
    print("%s in %s: %s" % (schedule, month, ", ".join(shown)))
PY
PYTHONTZPATH='' PYTHONPATH=py python3 run.py | tee seen
cat > expected <<'END'
0 9 * * * in October: 10:00 on 31 Oct, 09:00 on 01 Nov, 09:00 on 02 Nov
0 9 * * * in March: 08:00 on 28 Mar, 09:00 on 28 Mar, 09:00 on 29 Mar
0 0 1 * * in March: 23:00 on 31 Mar, 00:00 on 01 Apr, 00:00 on 01 May
END
diff expected seen
