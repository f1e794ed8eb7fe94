//! Users, their devices, and the devices' tokens: 256 random bits each, kept only as SHA-256.

use super::desk::{Desk, Origin, positive};
use super::{Fixed, Stop};
use crate::hub::ask::{Hint, Identity};
use crate::model::Secret;
use crate::proto::hub::wire::client::{Dev, DevOp as DevVerb};
use crate::proto::hub::wire::event::{self, DevOp};
use crate::proto::hub::wire::server::Ok as WireOk;
use crate::proto::hub::wire::{Device, ErrorCode, Token};
use crate::world::Entropy;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

/// How long an old token still counts after a rotation, milliseconds.
const GRACE: i64 = 600_000;
/// Devices that one user may have.
const DEVICES_MOST: i64 = 64;

/// A user in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// Their id.
    pub name: String,
    /// Devices with a valid token.
    pub devices: u64,
    /// When a device of theirs last connected, Unix milliseconds; 0: never.
    pub last_seen: i64,
}

/// A device that was just given its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevice {
    /// The token. It can be read only now.
    pub token: Secret,
    /// The device's id.
    pub device: String,
    /// The user was there before.
    pub existed: bool,
}

impl Desk<'_> {
    pub(super) fn authenticate(&self, token: &str) -> Result<Option<Identity>, Stop> {
        let sql = "SELECT u.id, u.name, d.id, d.name FROM device d JOIN user u ON u.id = d.user
            WHERE d.token = ?1 OR (d.former = ?1 AND d.former_until > ?2 AND d.token IS NOT NULL)";
        let found = self.conn.prepare_cached(sql)?.query_row(params![hash(token), self.at], |row| {
            Ok(Identity { user: row.get(0)?, user_name: row.get(1)?, device: row.get(2)?, device_name: row.get(3)? })
        });
        Ok(found.optional()?)
    }

    pub(super) fn rotate(&self) -> Result<WireOk, Stop> {
        let token = new_token(&self.fixed.entropy);
        let sql = "UPDATE device SET former = token, former_until = ?2, token = ?3 WHERE id = ?1 AND token IS NOT NULL";
        let until = self.at.saturating_add(GRACE);
        let changed = self.conn.prepare_cached(sql)?.execute(params![self.who.device, until, hash(token.expose())])?;
        if changed == 0 {
            return Err(Stop::refuse(ErrorCode::Unauthenticated, "this device's token was revoked"));
        }
        let token = Token(token.expose().to_owned());
        Ok(WireOk { token: Some(token), grace_ms: Some(positive(GRACE)), ..WireOk::default() })
    }

    pub(super) fn dev(&mut self, frame: &Dev) -> Result<WireOk, Stop> {
        match frame.op {
            DevVerb::List => Ok(WireOk { devices: Some(self.devices()?), ..WireOk::default() }),
            DevVerb::Rename => {
                let label = frame.name.clone().ok_or_else(|| Stop::no_user("", "name"))?;
                let device = self.device(frame)?;
                let sql = "UPDATE device SET label = ?2 WHERE id = ?1";
                self.conn.prepare_cached(sql)?.execute(params![device.0, label])?;
                self.tell_device(DevOp::Renamed, &device.1, Some(label))?;
                Ok(WireOk::default())
            }
            DevVerb::Revoke => {
                let device = self.device(frame)?;
                let sql = "UPDATE device SET token = NULL, former = NULL WHERE id = ?1 AND token IS NOT NULL";
                if self.conn.prepare_cached(sql)?.execute([device.0])? == 0 {
                    return Ok(WireOk { noop: Some(true), ..WireOk::default() });
                }
                self.hint(Hint::Revoked { device: device.0 });
                self.tell_device(DevOp::Revoked, &device.1, None)?;
                Ok(WireOk::default())
            }
        }
    }

    fn devices(&self) -> Result<Vec<Device>, Stop> {
        let sql = "SELECT name, label, app, created, last_seen, id = ?2 FROM device
            WHERE user = ?1 AND token IS NOT NULL ORDER BY id";
        let mut select = self.conn.prepare_cached(sql)?;
        let devices = select.query_map([self.who.user, self.who.device], |row| {
            Ok(Device {
                device: row.get(0)?,
                name: row.get(1)?,
                platform: None,
                app: Some(row.get(2)?),
                created: Some(positive(row.get(3)?)),
                last_seen: Some(positive(row.get(4)?)),
                current: row.get::<_, bool>(5)?.then_some(true),
            })
        })?;
        Ok(devices.collect::<Result<_, _>>()?)
    }

    fn device(&self, frame: &Dev) -> Result<(i64, String), Stop> {
        let name = frame.device.as_deref().unwrap_or(&self.who.device_name);
        let sql = "SELECT id, name FROM device WHERE user = ?1 AND name = ?2";
        let found = self
            .conn
            .prepare_cached(sql)?
            .query_row(params![self.who.user, name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        found.ok_or_else(|| Stop::refuse(ErrorCode::NotFound, "you have no such device").field("device"))
    }

    fn tell_device(&mut self, op: DevOp, device: &str, name: Option<String>) -> Result<(), Stop> {
        let event = event::Dev { op, device: device.to_owned(), ts: positive(self.at), name };
        self.announce(&[self.who.user], event, Origin::default())
    }
}

/// Adds a user, or another device to one who is there. Without a name the device gets the next free one.
pub(super) fn add_user(
    conn: &Connection,
    fixed: &Fixed,
    name: &str,
    device: Option<&str>,
    at: i64,
) -> Result<(NewDevice, Vec<Hint>), Stop> {
    let found: Option<i64> =
        conn.query_row("SELECT id FROM user WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    let user = match found {
        Some(user) => user,
        None => {
            conn.execute("INSERT INTO user(name, created) VALUES (?1, ?2)", params![name, at])?;
            conn.last_insert_rowid()
        }
    };
    let count: i64 = conn.query_row("SELECT count(*) FROM device WHERE user = ?1", [user], |row| row.get(0))?;
    if count >= DEVICES_MOST {
        return Err(Stop::refuse(ErrorCode::Limit, format!("{name} has {DEVICES_MOST} devices already")));
    }
    let device = device.map_or_else(|| format!("d{}", count + 1), str::to_owned);
    let token = new_token(&fixed.entropy);
    let sql = "INSERT INTO device(user, name, label, token, created) VALUES (?1, ?2, ?2, ?3, ?4)
        ON CONFLICT(user, name) DO UPDATE SET token = ?3, former = NULL WHERE token IS NULL";
    if conn.execute(sql, params![user, device, hash(token.expose()), at])? == 0 {
        let words = format!("{name} has a device `{device}` already: choose another name with --device");
        return Err(Stop::refuse(ErrorCode::Conflict, words));
    }
    let who = Identity { user, user_name: name.to_owned(), device: 0, device_name: device.clone() };
    let mut desk = Desk::new(conn, fixed, &who, at);
    if found.is_some() {
        desk.tell_device(DevOp::Added, &device, Some(device.clone()))?;
    }
    Ok((NewDevice { token, device, existed: found.is_some() }, desk.into_hints()))
}

/// All users by name.
pub(super) fn users(conn: &Connection) -> Result<Vec<UserEntry>, Stop> {
    let sql = "SELECT u.name, count(d.token), coalesce(max(d.last_seen), 0)
        FROM user u LEFT JOIN device d ON d.user = u.id GROUP BY u.id ORDER BY u.name";
    let mut select = conn.prepare(sql)?;
    let users = select.query_map([], |row| {
        Ok(UserEntry { name: row.get(0)?, devices: positive(row.get(1)?), last_seen: row.get(2)? })
    })?;
    Ok(users.collect::<Result<_, _>>()?)
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

fn new_token(entropy: &Entropy) -> Secret {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    Secret::new(URL_SAFE_NO_PAD.encode(bytes))
}
