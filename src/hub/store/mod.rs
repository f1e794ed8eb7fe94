//! The hub's record in SQLite: users, conversations, messages, update streams. The only truth; the bus only hints.
//!
//! Every change is one job of the group-commit writer: its answer leaves, and others are told, after the commit.
//! A database in memory works the same without threads, for simulations.

mod account;
mod change;
mod conv;
mod desk;
mod hist;
mod message;
mod page;
mod receipt;
mod send;
mod stop;
mod stream;
#[cfg(test)]
mod tests;
mod view;

pub use account::{NewDevice, UserEntry};
pub(crate) use stop::Stop;

use super::ask::{Answer, Ask, Done, Hint, Identity};
use crate::db::{self, Checkpointer, DbError, Reader, Writer};
use crate::model::{Secret, Timestamp};
use crate::world::Entropy;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{Connection, OptionalExtension};
use rusqlite_migration::{M, Migrations};
use std::path::Path;
use std::sync::Arc;

const STEPS: [M<'static>; 1] = [M::up(include_str!("schema.sql"))];

thread_local! {
    static MEMORY: db::Memory = const { db::Memory::new() };
}

/// How the store keeps things.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `synchronous=FULL`. `false` is for measurements only.
    pub full_sync: bool,
    /// Page cache of the writer, KiB.
    pub cache_kib: u32,
    /// Threads that read.
    pub readers: usize,
    /// How long a message may be edited, milliseconds; `None`: for ever.
    pub edit_ms: Option<u64>,
    /// Members of a conversation.
    pub members_most: u64,
    /// How long events stay in the update streams, days.
    pub retain_days: u64,
    /// How many events stay in an update stream.
    pub retain_events: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            full_sync: true,
            cache_kib: 2_048,
            readers: 2,
            edit_ms: None,
            members_most: 1_000,
            retain_days: 30,
            retain_events: 100_000,
        }
    }
}

/// What does not change while the store is open.
#[derive(Debug)]
pub(crate) struct Fixed {
    epoch: String,
    page_key: Vec<u8>,
    entropy: Entropy,
    settings: Settings,
}

/// A handle to the record. Clones share it.
#[derive(Clone)]
pub struct Store {
    writer: Writer<Vec<Hint>>,
    /// `None` for a database in memory: the writer's connection reads, too.
    reader: Option<Reader>,
    checkpointer: Option<Checkpointer>,
    fixed: Arc<Fixed>,
}

impl Store {
    /// Opens or makes the record in this file. `announce` gets the hints of each commit, on the writer's thread.
    ///
    /// # Errors
    /// When the file cannot be opened, is damaged, or was written by a newer program.
    pub fn open(
        path: &Path,
        settings: Settings,
        entropy: Entropy,
        announce: impl FnMut(Vec<Hint>) + Send + 'static,
    ) -> Result<Self, DbError> {
        let how = db::Settings { full_sync: settings.full_sync, cache_kib: settings.cache_kib };
        let conn = db::open(path, &how, &Migrations::from_slice(&STEPS))?;
        let readers = settings.readers;
        let fixed = Arc::new(Fixed::read(&conn, settings, entropy)?);
        let checkpointer = Checkpointer::spawn(path)?;
        let writer = Writer::spawn(conn, path.to_owned(), Some(checkpointer.clone()), announce)?;
        let reader = Some(Reader::spawn(path, &how, readers)?);
        Ok(Self { writer, reader, checkpointer: Some(checkpointer), fixed })
    }

    /// A record in memory that works in the caller's own thread.
    ///
    /// # Errors
    /// Only if the schema is wrong.
    pub fn in_memory(
        settings: Settings,
        entropy: Entropy,
        announce: impl FnMut(Vec<Hint>) + Send + 'static,
    ) -> Result<Self, DbError> {
        let conn = MEMORY.with(|memory| memory.open(&db::Settings::default(), &Migrations::from_slice(&STEPS)))?;
        let fixed = Arc::new(Fixed::read(&conn, settings, entropy)?);
        Ok(Self { writer: Writer::inline(conn, announce), reader: None, checkpointer: None, fixed })
    }

    /// Carries out what a session asks. Changes are answered, and others told, after their commit; hints that need
    /// none (typing) come back with the answer. On a record in memory the future is ready at once.
    pub async fn carry_out(&self, who: &Identity, ask: Ask, at: Timestamp) -> Done {
        let ask = Arc::new(ask);
        let (fixed, who, job_ask) = (self.fixed.clone(), who.clone(), ask.clone());
        let job = move |conn: &Connection| desk::carry_out(conn, &fixed, &who, &job_ask, at);
        let done = match &self.reader {
            Some(reader) if !ask.is_write() => reader.call(job).await,
            None if !ask.is_write() => self.writer.read(job).await,
            _ => self.write(job).await.map(Done::from),
        };
        done.unwrap_or_else(|stop| desk::stopped(&ask, stop).into())
    }

    /// Like [`carry_out`](Self::carry_out) on a record in memory, without a runtime.
    #[must_use]
    pub fn carry_out_now(&self, who: &Identity, ask: Ask, at: Timestamp) -> Done {
        let done = futures_util::FutureExt::now_or_never(self.carry_out(who, ask, at));
        done.unwrap_or_else(|| Answer::Failed.into())
    }

    async fn write<F>(&self, job: F) -> Result<Answer, Stop>
    where
        F: FnOnce(&Connection) -> Result<Done, Stop> + Send + 'static,
    {
        if crate::mutant("hub-ok-before-commit") {
            let (early, mut answer) = tokio::sync::oneshot::channel();
            let work = self.writer.call(move |conn| {
                let Done { answer, hints } = job(conn)?;
                let _nobody_waits = early.send(answer.clone());
                Ok((answer, hints))
            });
            return tokio::select! {
                biased;
                committed = work => answer.try_recv().map_or(committed, Ok),
                Ok(answer) = &mut answer => Ok(answer),
            };
        }
        self.writer.call(move |conn| job(conn).map(|Done { answer, hints }| (answer, hints))).await
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// When the database cannot be read: nobody is refused for that.
    pub async fn authenticate(&self, token: Secret, at: Timestamp) -> Result<Option<Identity>, DbError> {
        match self.carry_out(&nobody(), Ask::Authenticate(token), at).await.answer {
            Answer::Identity(found) => Ok(found),
            _ => {
                Err(DbError::Disk { intent: "looking up a token".into(), cause: "the database did not answer".into() })
            }
        }
    }

    /// Adds a user with a device, or a device to a user who is there, and gives the device's token.
    ///
    /// # Errors
    /// In words: the name is not allowed, the device exists, the database cannot be written.
    pub async fn add_user(
        &self,
        name: &str,
        device: Option<&str>,
        at: Timestamp,
    ) -> Result<NewDevice, super::HubError> {
        use crate::proto::hub::wire::is_id;
        let bad = |what: &str, text: &str| {
            super::HubError::Invalid(format!("`{text}` is not a {what}: 1 to 64 letters, digits, `_` or `-`"))
        };
        if !is_id(name) {
            return Err(bad("user's name", name));
        }
        if let Some(device) = device.filter(|device| !is_id(device)) {
            return Err(bad("device's name", device));
        }
        let (fixed, name, device) = (self.fixed.clone(), name.to_owned(), device.map(str::to_owned));
        self.writer
            .call(move |conn| account::add_user(conn, &fixed, &name, device.as_deref(), at.ms()))
            .await
            .map_err(super::HubError::from)
    }

    /// All users.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn users(&self) -> Result<Vec<UserEntry>, super::HubError> {
        let job = |conn: &Connection| Ok::<_, Stop>((account::users(conn)?, Vec::new()));
        self.writer.call(job).await.map_err(super::HubError::from)
    }

    /// Removes a bounded part of what is older than the retention; `true`: there is more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn prune(&self, at: Timestamp) -> Result<bool, DbError> {
        let (days, events) = (self.fixed.settings.retain_days, self.fixed.settings.retain_events);
        self.writer.call(move |conn| Ok((stream::prune(conn, at.ms(), days, events)?, Vec::new()))).await
    }

    /// Commits what is queued and closes the file.
    pub async fn close(&self) {
        self.writer.stop().await;
        if let Some(checkpointer) = self.checkpointer.clone() {
            let finished = tokio::task::spawn_blocking(move || checkpointer.finish()).await;
            if let Ok(Err(error)) = finished {
                tracing::warn!(%error, "the write-ahead log stays beside the database");
            }
        }
    }
}

/// The one who asks while nobody is known yet.
pub(crate) fn nobody() -> Identity {
    Identity { user: 0, user_name: String::new(), device: 0, device_name: String::new() }
}

impl Fixed {
    fn read(conn: &Connection, settings: Settings, entropy: Entropy) -> Result<Self, DbError> {
        let bytes = |key: &str| -> Result<Vec<u8>, DbError> {
            let select = "SELECT value FROM fixed WHERE key = ?1";
            if let Some(found) = conn.query_row(select, [key], |row| row.get(0)).optional()? {
                return Ok(found);
            }
            let mut fresh = vec![0; 32];
            entropy.fill(&mut fresh);
            conn.execute("INSERT INTO fixed(key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING", (key, &fresh))?;
            Ok(conn.query_row(select, [key], |row| row.get(0))?)
        };
        let mut epoch = URL_SAFE_NO_PAD.encode(bytes("epoch")?);
        epoch.truncate(16);
        let page_key = bytes("page key")?;
        Ok(Self { epoch, page_key, entropy, settings })
    }
}
