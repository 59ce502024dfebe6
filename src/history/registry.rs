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

/// Finds each endpoint's number. One that is new gets its row here; what has changed of a known one
/// goes into the batch whose events tell of it, so that no kill can part the two.
pub fn register(
    transaction: &Transaction,
    list: &[Registration],
) -> Result<Vec<Registered>, HistoryError> {
    let mut registered = Vec::with_capacity(list.len());
    let mut taken = std::collections::HashSet::new();
    let mut find = transaction.prepare(
        "SELECT e.id, e.digest, e.in_service, e.component, e.kind, e.target, d.sha256 FROM \
            endpoint e LEFT JOIN definition d ON d.endpoint = e.id WHERE e.name = ?1",
    )?;
    let mut define = transaction.prepare(DEFINE)?;
    let mut put = transaction.prepare(
        "INSERT INTO endpoint (name, component, kind, target, \
        digest, in_service) VALUES (?1, ?2, ?3, ?4, ?5, 1)",
    )?;
    for r in list {
        let known = |row: &rusqlite::Row| {
            let (short, component, kind, target): (i64, String, String, String) =
                (row.get(1)?, row.get(3)?, row.get(4)?, row.get(5)?);
            let whole = row
                .get::<_, Option<[u8; 32]>>(6)?
                .map(Digest::new)
                .filter(|whole| whole.short() == short as u64);
            // Of an earlier build only the short form is there.
            let is_short = whole.is_none();
            let digest = whole.unwrap_or_else(|| {
                if short as u64 == r.digest.short() {
                    r.digest
                } else {
                    Digest::from_short(short as u64)
                }
            });
            let is_same = component == r.component.as_str()
                && kind == r.kind
                && target == r.target
                && digest == r.digest;
            let component_before = (component != r.component.as_str()).then_some(component);
            Ok((
                row.get::<_, i64>(0)?,
                (digest, is_short),
                row.get::<_, bool>(2)?,
                is_same,
                component_before,
            ))
        };
        let mut found = find.query_row([r.name.as_str()], known).optional()?;
        let mut renamed = false;
        if let (None, Some(old)) = (&found, &r.renamed_from) {
            found = find
                .query_row([old.as_str()], known)
                .optional()?
                .filter(|(id, ..)| !taken.contains(id));
            renamed = found.is_some();
        }
        let one = match found {
            Some((id, (digest, is_short), was_in_service, is_same, component_before)) => {
                if is_short && is_same {
                    define.execute(params![id, r.digest.bytes()])?;
                }
                let news = (renamed || !was_in_service || !is_same).then(|| r.clone());
                Registered {
                    id,
                    digest_before: Some(digest),
                    was_in_service,
                    renamed,
                    component_before,
                    news,
                }
            }
            None => {
                put.execute(params![
                    r.name.as_str(),
                    r.component.as_str(),
                    r.kind,
                    r.target.as_str(),
                    r.digest.short() as i64
                ])?;
                let id = transaction.last_insert_rowid();
                define.execute(params![id, r.digest.bytes()])?;
                Registered {
                    id,
                    digest_before: None,
                    was_in_service: false,
                    renamed: false,
                    component_before: None,
                    news: None,
                }
            }
        };
        taken.insert(one.id);
        registered.push(one);
    }
    Ok(registered)
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
        transaction
            .prepare_cached(DEFINE)?
            .execute(params![id, r.digest.bytes()])?;
    }
    Ok(())
}
