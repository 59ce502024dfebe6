//! The table of endpoints: who is known under which number and definition.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{HistoryError, Registration, Service};
use crate::words::Digest;

const DEFINE: &str = "INSERT OR REPLACE INTO definition (endpoint, sha256) VALUES (?1, ?2)";

/// What registration found of an endpoint.
#[derive(Debug, Clone)]
pub struct Registered {
    pub id: i64,
    /// The digest it had before, if it was known.
    pub digest_before: Option<Digest>,
    pub was_in_service: bool,
    pub renamed: bool,
    /// The component it had before, if it is another now.
    pub component_before: Option<String>,
    /// What the history must yet be told of it, together with the event that says so.
    pub news: Option<Registration>,
}

/// An endpoint as the table has it, held against how it is configured now.
struct KnownEndpoint {
    id: i64,
    digest: Digest,
    /// Of an earlier build only the short form of the digest is there.
    is_short: bool,
    was_in_service: bool,
    is_same: bool,
    component_before: Option<String>,
}

const FIND: &str = "SELECT e.id, e.digest, e.in_service, e.component, e.kind, e.target, d.sha256 \
    FROM endpoint e LEFT JOIN definition d ON d.endpoint = e.id WHERE e.name = ?1";

impl KnownEndpoint {
    /// A row of [`FIND`].
    fn read(row: &rusqlite::Row, now: &Registration) -> rusqlite::Result<Self> {
        let (short, component, kind, target): (i64, String, String, String) =
            (row.get(1)?, row.get(3)?, row.get(4)?, row.get(5)?);
        let whole = row
            .get::<_, Option<[u8; 32]>>(6)?
            .map(Digest::new)
            .filter(|whole| whole.short() == short as u64);
        let is_short = whole.is_none();
        let digest = whole.unwrap_or_else(|| {
            if short as u64 == now.digest.short() {
                now.digest
            } else {
                Digest::from_short(short as u64)
            }
        });
        let is_same = component == now.component.as_str()
            && kind == now.kind
            && target == now.target
            && digest == now.digest;
        Ok(Self {
            id: row.get(0)?,
            digest,
            is_short,
            was_in_service: row.get(2)?,
            is_same,
            component_before: (component != now.component.as_str()).then_some(component),
        })
    }
}

/// Finds each endpoint's number. One that is new gets its row here; what has changed of a known one
/// goes into the batch whose events tell of it, so that no kill can part the two.
pub fn register(
    transaction: &Transaction,
    list: &[Registration],
) -> Result<Vec<Registered>, HistoryError> {
    let mut registered = Vec::with_capacity(list.len());
    let mut taken = std::collections::HashSet::new();
    let mut find = transaction.prepare(FIND)?;
    for r in list {
        let mut known = |name: &str| {
            find.query_row([name], |row| KnownEndpoint::read(row, r))
                .optional()
        };
        let mut found = known(r.name.as_str())?;
        let mut renamed = false;
        if let (None, Some(old)) = (&found, &r.renamed_from) {
            found = known(old.as_str())?.filter(|row| !taken.contains(&row.id));
            renamed = found.is_some();
        }
        let one = match found {
            Some(row) => {
                if row.is_short && row.is_same {
                    define(transaction, row.id, r)?;
                }
                let news = (renamed || !row.was_in_service || !row.is_same).then(|| r.clone());
                Registered {
                    id: row.id,
                    digest_before: Some(row.digest),
                    was_in_service: row.was_in_service,
                    renamed,
                    component_before: row.component_before,
                    news,
                }
            }
            None => Registered {
                id: put(transaction, r)?,
                digest_before: None,
                was_in_service: false,
                renamed: false,
                component_before: None,
                news: None,
            },
        };
        taken.insert(one.id);
        registered.push(one);
    }
    Ok(registered)
}

/// Puts a new endpoint into the table; its number.
fn put(transaction: &Transaction, r: &Registration) -> Result<i64, HistoryError> {
    transaction
        .prepare_cached(
            "INSERT INTO endpoint (name, component, kind, target, digest, in_service) VALUES (?1, \
                ?2, ?3, ?4, ?5, 1)",
        )?
        .execute(params![
            r.name.as_str(),
            r.component.as_str(),
            r.kind,
            r.target.as_str(),
            r.digest.short() as i64
        ])?;
    let id = transaction.last_insert_rowid();
    define(transaction, id, r)?;
    Ok(id)
}

fn define(transaction: &Transaction, id: i64, r: &Registration) -> Result<(), HistoryError> {
    transaction
        .prepare_cached(DEFINE)?
        .execute(params![id, r.digest.bytes()])?;
    Ok(())
}

pub fn serve(transaction: &Transaction, service: &Service) -> Result<(), HistoryError> {
    match service {
        Service::Left(id) => transaction
            .prepare_cached(
                "UPDATE endpoint SET in_service = 0 WHERE \
            id = ?1",
            )?
            .execute([id])?,
        Service::In(id, r) => transaction
            .prepare_cached(
                "UPDATE endpoint SET name = ?2, component = ?3, kind = ?4, target = \
                ?5, digest = ?6, in_service = 1 WHERE id = ?1",
            )?
            .execute(params![
                id,
                r.name.as_str(),
                r.component.as_str(),
                r.kind,
                r.target.as_str(),
                r.digest.short() as i64
            ])?,
    };
    if let Service::In(id, r) = service {
        define(transaction, *id, r)?;
    }
    Ok(())
}
