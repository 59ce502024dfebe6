#!/bin/sh
# Package:   crate cron =0.15.0 (with chrono =0.4.42), beside croniter ==6.0.0 from PyPI.
# Behaviour: in the cron crate the weekday 1 is Sunday and 7 is Saturday, and 0 is an error. In
#            crontab(5) and in croniter 1 is Monday, and 0 and 7 are Sunday. The names Mon and
#            Sun mean the same in both. A restricted day of the month and a restricted weekday
#            must both hold in the crate; in crontab(5) and croniter one of them is enough.
# Why it matters: a maintenance window that moves from a crontab runs on another day, silently.
# Seen:      weekday 1: cron Sun 29 Nov 2026, croniter Mon 30 Nov 2026
#            weekday 7: cron Sat 28 Nov 2026, croniter Sun 29 Nov 2026
#            weekday 0: cron error, croniter Sun 29 Nov 2026
#            weekday Mon: cron Mon 30 Nov 2026, croniter Mon 30 Nov 2026
#            the 13th and weekday Fri: cron Fri 13 Aug 2027, croniter Fri 04 Dec 2026
# Needs:     cargo, python3 with pip.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
chrono = { version = "=0.4.42", default-features = false, features = ["std"] }
cron = "=0.15.0"
END
cat > src/main.rs <<'END'
use chrono::{TimeZone, Utc};
use std::str::FromStr;

fn main() {
    // Saturday, 28 November 2026.
    let start = Utc.with_ymd_and_hms(2026, 11, 28, 0, 0, 0).single().expect("an instant");
    for days in ["* * 1", "* * 7", "* * 0", "* * Mon", "13 * Fri"] {
        let first = match cron::Schedule::from_str(&format!("0 0 9 {days}")) {
            Ok(schedule) => schedule.after(&start).next().map(|t| t.format("%a %d %b %Y").to_string()),
            Err(_) => None,
        };
        println!("{}", first.unwrap_or_else(|| "error".to_owned()));
    }
}
END
CARGO_TARGET_DIR=$work/target cargo run -q > rust
python3 -m pip install -q --target py croniter==6.0.0 python-dateutil==2.9.0.post0 pytz==2025.2 2>/dev/null
cat > run.py <<'PY'
import datetime, croniter

start = datetime.datetime(2026, 11, 28, tzinfo=datetime.timezone.utc)
days = ("* * 1", "* * 7", "* * 0", "* * Mon", "13 * Fri")
for ours, cron in zip(days, open("rust")):
    first = croniter.croniter("0 9 " + ours, start).get_next(datetime.datetime)
    label = ("the 13th and " if ours.startswith("13") else "") + "weekday " + ours.split()[-1]
    print("%s: cron %s, croniter %s" % (label, cron.strip(), first.strftime("%a %d %b %Y")))
PY
PYTHONPATH=py python3 run.py | tee seen
cat > expected <<'END'
weekday 1: cron Sun 29 Nov 2026, croniter Mon 30 Nov 2026
weekday 7: cron Sat 28 Nov 2026, croniter Sun 29 Nov 2026
weekday 0: cron error, croniter Sun 29 Nov 2026
weekday Mon: cron Mon 30 Nov 2026, croniter Mon 30 Nov 2026
the 13th and weekday Fri: cron Fri 13 Aug 2027, croniter Fri 04 Dec 2026
END
diff expected seen
