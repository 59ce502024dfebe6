#!/bin/sh
# Package:   SQLite 3.45.3 and 3.51.0, by PyPI apsw ==3.45.3.0 and ==3.51.0.0.
# Behaviour: a partial index (an index with WHERE) has an entry for a row that does not meet its
#            condition any more, as after a damaged page. SQLite 3.45 says so in PRAGMA
#            integrity_check ("wrong # of entries"). SQLite 3.46 and later say "ok", and a query
#            that uses the index still returns the row: the condition is not tested again.
# Why it matters: "integrity_check says ok" does not mean that queries agree with the table.
# Seen:      3.45.3 integrity_check: wrong # of entries in index red
#            3.45.3 with the index: [(1,)], without: []
#            3.51.0 integrity_check: ok
#            3.51.0 with the index: [(1,)], without: []
# Needs:     python3 with pip.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > look.py <<'EOF'
import apsw

db = apsw.Connection(":memory:")
db.execute("CREATE TABLE car (id INTEGER PRIMARY KEY, colour TEXT)")
db.execute("CREATE INDEX red ON car (id) WHERE colour = 'red'")
db.execute("INSERT INTO car VALUES (1, 'red'), (2, 'blue')")
# The entry of car 1 stays, and the condition becomes one that no car meets.
db.execute("PRAGMA writable_schema = ON")
db.execute("UPDATE sqlite_schema SET sql = replace(sql, '''red''', '''green''') WHERE name = 'red'")
db.execute("PRAGMA writable_schema = RESET")
version = apsw.sqlite_lib_version()
print(version, "integrity_check:", db.execute("PRAGMA integrity_check").fetchall()[0][0])
rows = [db.execute("SELECT id FROM car %s WHERE colour = 'green'" % how).fetchall() for how in ("INDEXED BY red", "NOT INDEXED")]
print("%s with the index: %s, without: %s" % (version, *rows))
EOF
for version in 3.45.3.0 3.51.0.0; do
  python3 -m pip install -q --target "py-$version" "apsw==$version" 2>/dev/null
  PYTHONPATH="py-$version" python3 look.py
done | tee seen
cat > expected <<'EOF'
3.45.3 integrity_check: wrong # of entries in index red
3.45.3 with the index: [(1,)], without: []
3.51.0 integrity_check: ok
3.51.0 with the index: [(1,)], without: []
EOF
diff expected seen
