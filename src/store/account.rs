//! Accounts: their names, and the removal of everything that is theirs.

use super::tx::{Result, Tx, all};
use super::{StoreError, import};
use crate::model::{AccountId, CheckpointRow, FeedKind};
use rusqlite::Connection;

/// The account of this name, made if it is new; `me` is noted when it is known.
pub(super) fn ensure(tx: &mut Tx<'_>, name: &str, protocol: &str, me: Option<&str>) -> Result<AccountId> {
    let known = tx.one("SELECT id, protocol FROM account WHERE name = ?1", [name], |row| {
        Ok((AccountId(row.get(0)?), row.get::<_, String>(1)?))
    })?;
    let id = match known {
        Some((id, before)) if before == protocol => id,
        Some((_, before)) => {
            return Err(StoreError::Invalid(format!(
                "the account {name} was a {before} account; remove it with its messages before it becomes {protocol}"
            )));
        }
        None => {
            tx.run("INSERT INTO account(name, protocol) VALUES (?1, ?2)", (name, protocol))?;
            AccountId(tx.conn.last_insert_rowid())
        }
    };
    if let Some(me) = me {
        tx.run("UPDATE account SET me = ?2 WHERE id = ?1 AND me IS NOT ?2", (id.0, me))?;
    }
    Ok(id)
}

pub(super) fn list(conn: &Connection) -> Result<Vec<(AccountId, String)>> {
    all(conn, "SELECT id, name FROM account ORDER BY name", [], |row| Ok((AccountId(row.get(0)?), row.get(1)?)))
}

/// Deletes what an account knows of its server and wants of it. Before any message goes, so that a purge which is cut
/// short leaves an account that sends nothing, claims no history and catches up from nothing.
pub(super) fn unlearn(tx: &mut Tx<'_>, account: AccountId) -> Result<()> {
    let waits = "SELECT message FROM outbox WHERE account = ?1 AND kind = 'send' AND state IN (0, 1)";
    tx.run(&format!("DELETE FROM message WHERE account = ?1 AND id IN ({waits})"), [account.0])?;
    for table in ["checkpoint", "span", "outbox", "orphan", "banner"] {
        tx.run(&format!("DELETE FROM {table} WHERE account = ?1"), [account.0])?;
    }
    tx.run("DELETE FROM thrown WHERE archive IN (SELECT key FROM archive WHERE account = ?1)", [account.0])?;
    tx.run("UPDATE conversation SET unread_below = 0 WHERE account = ?1", [account.0])?;
    import::forget(tx)?;
    tx.ring(account);
    Ok(())
}

/// Deletes some of its messages; `false`: there were none. So that the writer is free for others in between.
pub(super) fn purge_some(tx: &mut Tx<'_>, account: AccountId) -> Result<bool> {
    let some = "DELETE FROM message WHERE position IN (SELECT position FROM message WHERE account = ?1 LIMIT 1000)";
    let any = tx.run(some, [account.0])? > 0;
    tx.run(
        "UPDATE conversation SET unread = (SELECT count(*) FROM message m WHERE m.conversation = key AND m.state = 0)
         WHERE account = ?1 AND unread > 0",
        [account.0],
    )?;
    Ok(any)
}

/// Deletes everything of an account.
pub(super) fn purge(tx: &mut Tx<'_>, account: AccountId) -> Result<()> {
    unlearn(tx, account)?;
    for table in ["message", "conversation"] {
        tx.run(&format!("DELETE FROM {table} WHERE account = ?1"), [account.0])?;
    }
    if tx.run("DELETE FROM account WHERE id = ?1", [account.0])? == 0 {
        return Err(StoreError::not_found(format!("account {account}")));
    }
    tx.change(account, FeedKind::Removed, None, None)?;
    tx.ring(account);
    Ok(())
}

/// The protocol's rows as last committed.
pub(super) fn checkpoint(conn: &Connection, account: AccountId) -> Result<Vec<CheckpointRow>> {
    all(conn, "SELECT key, value FROM checkpoint WHERE account = ?1 ORDER BY key", [account.0], |row| {
        Ok(CheckpointRow { key: row.get(0)?, value: Some(row.get(1)?) })
    })
}
