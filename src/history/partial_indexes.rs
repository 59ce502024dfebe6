//! Whether each index with a condition finds the rows that its table has.
//!
//! SQLite's `integrity_check` looks for the entry of every row, and counts the entries of an index
//! only where it has no condition: an entry too many passes
//! (findings/sqlite-extra-entries-of-partial-index.sh). Verification and the start of a daemon ask
//! here; a reader of such an index would take another row for one of its own.

use rusqlite::Connection;

/// The first index of these tables, or of all, that finds other rows than there are.
pub fn that_misleads(
    connection: &Connection,
    of_tables: Option<&[&str]>,
) -> rusqlite::Result<Option<String>> {
    let mut indexes = connection.prepare(
        "SELECT name, tbl_name, sql FROM sqlite_master WHERE \
        type = 'index' AND sql IS NOT NULL ORDER BY name",
    )?;
    let mut indexes = indexes.query([])?;
    while let Some(row) = indexes.next()? {
        let (index, table, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let Some((_, condition)) = sql.split_once(" WHERE ") else {
            continue;
        };
        if of_tables.is_some_and(|tables| !tables.contains(&table.as_str())) {
            continue;
        }
        let rows = |how: &str| -> rusqlite::Result<Vec<i64>> {
            let mut statement = connection.prepare(&format!(
                "SELECT rowid FROM {table} {how} WHERE {condition} ORDER BY rowid"
            ))?;
            statement.query_map([], |r| r.get(0))?.collect()
        };
        if rows(&format!("INDEXED BY {index}"))? != rows("NOT INDEXED")? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{definitions, schema};

    fn history() -> Connection {
        let connection = schema::in_memory().expect("a database");
        connection
            .execute_batch(definitions::INDEX)
            .expect("indexes");
        connection
    }

    /// Each index with a condition: its table, and a row that it finds.
    const ROWS: [(&str, &str); 7] = [
        (
            "event_of_basis",
            "INSERT INTO event VALUES (1, x'00', '{}', NULL, 'terms', 5)",
        ),
        (
            "event_of_component",
            "INSERT INTO event VALUES (1, x'00', '{}', NULL, 'component', 5)",
        ),
        (
            "event_of_endpoint",
            "INSERT INTO event VALUES (1, x'00', '{}', 3, 'up', 5)",
        ),
        (
            "event_of_move",
            "INSERT INTO event VALUES (1, x'00', '{}', NULL, 'endpoint_component', 5)",
        ),
        (
            "outage_open",
            "INSERT INTO outage (opened, endpoint, cause, confirmed_at, from_at, from_earliest, \
                from_latest) VALUES (1, 1, 'c', 0, 0, 0, 0)",
        ),
        (
            "outbox_waiting",
            "INSERT INTO outbox (id, receiver, key, body, not_before) VALUES (1, 'r', 'k', '{}', \
                0)",
        ),
        (
            "window_of_id",
            "INSERT INTO window (seq, id, body, recorded) VALUES (1, 'w', '{}', 0)",
        ),
    ];

    #[test]
    fn every_index_with_a_condition_is_looked_at() {
        let connection = history();
        let mut names = connection
            .prepare(
                "SELECT name FROM sqlite_master WHERE type = 'index' \
            AND sql LIKE '% WHERE %' ORDER BY name",
            )
            .expect("names");
        let names: Vec<String> = names
            .query_map([], |r| r.get(0))
            .expect("rows")
            .collect::<Result<_, _>>()
            .expect("names");
        assert_eq!(names, ROWS.map(|(index, _)| index));
    }

    #[test]
    fn an_index_misleads_where_it_lacks_a_row_or_has_one_too_many() {
        for (index, row) in ROWS {
            let connection = history();
            connection.execute_batch(row).expect(row);
            assert_eq!(
                that_misleads(&connection, None).expect("readable"),
                None,
                "{index}"
            );
            let sql: String = connection
                .query_row(
                    "SELECT sql FROM sqlite_master WHERE name = ?1",
                    [index],
                    |r| r.get(0),
                )
                .expect("an index");
            let (table, condition) = (
                sql.split_once(" ON ").expect("a table").1,
                sql.split_once(" WHERE ").expect("a condition").1,
            );
            let table = table.split([' ', '(']).next().expect("its name");
            // An index whose stored definition is that of another: what it has entries for and what
            // it should have differ.
            let rewritten = |to: &str| {
                connection
                    .execute_batch("PRAGMA writable_schema = ON")
                    .expect("writable");
                connection
                    .execute(
                        "UPDATE sqlite_master SET sql = replace(sql, ?2, ?3) WHERE name = ?1",
                        rusqlite::params![index, condition, to],
                    )
                    .expect("rewritten");
                connection
                    .execute_batch("PRAGMA writable_schema = RESET")
                    .expect("read anew");
            };
            rewritten(&format!("NOT ({condition})"));
            assert_eq!(
                that_misleads(&connection, None)
                    .expect("readable")
                    .as_deref(),
                Some(index),
                "an entry too many"
            );
            assert_eq!(
                that_misleads(&connection, Some(&[table]))
                    .expect("readable")
                    .as_deref(),
                Some(index)
            );
            assert_eq!(
                that_misleads(&connection, Some(&["meta"])).expect("readable"),
                None,
                "another table"
            );
        }
    }
}
