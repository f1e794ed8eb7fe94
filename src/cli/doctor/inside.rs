//! What stands on the disk: the configuration, who may read what, room, the clock, and the store's own agreement.

use super::super::Global;
use super::Check;
use crate::config::Config;
use crate::model::{HoleCause, Timestamp};
use crate::store::{StoreError, Viewer};
use crate::world::Clock;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Less than this is too little for a daemon to go on for long, bytes.
const ROOM: u64 = 64 << 20;
/// A message that is further ahead of this machine's clock shows that one of the two clocks is wrong, milliseconds.
const AHEAD: i64 = 5 * 60_000;
/// Nobody ran this program before, Unix milliseconds (2026-01-01).
const RELEASED: i64 = 1_767_225_600_000;

pub(super) fn checks(global: &Global, thorough: bool) -> Vec<Check> {
    let now = Clock::system().wall();
    let mut checks = vec![configuration(global), permissions(global), room(global.paths.state_dir())];
    match Viewer::open(global.paths.state_dir()) {
        Ok(viewer) => {
            checks.push(integrity(&viewer, thorough));
            let looks = [holes(&viewer, now), agreement(&viewer), quarantine(&viewer), clock(&viewer, now)];
            checks.extend(looks.into_iter().map(|look| look.unwrap_or_else(|error| damaged(&viewer, &error))));
        }
        Err(StoreError::NotFound { what }) => {
            checks.push(Check::note("database", format!("no {what}"), "`wakeful start` makes it"));
        }
        Err(error @ StoreError::Newer { .. }) => {
            checks.push(Check::bad("database", error.to_string(), "install the newer wakeful again"));
        }
        Err(error) => checks.push(unreadable(&error)),
    }
    checks
}

/// The daemon reads a file through only after a kill: that this one is damaged is noted for its next start.
fn damaged(viewer: &Viewer, error: &StoreError) -> Check {
    if let StoreError::Corrupt { cause, .. } = error
        && let Err(failed) = viewer.condemn(cause)
    {
        let aside = format!("stop the daemon and move {} aside (that is not noted: {failed})", viewer.path().display());
        return Check::bad("database", error.to_string(), aside);
    }
    unreadable(error)
}

fn unreadable(error: &StoreError) -> Check {
    let remedy = match error {
        StoreError::Corrupt { .. } => "restart the daemon: it moves the file aside and rebuilds it from the servers",
        _ => "see that the disk is there and that the file belongs to you",
    };
    Check::bad("database", error.to_string(), remedy)
}

fn configuration(global: &Global) -> Check {
    match Config::load(&global.paths.config_file()) {
        Ok(config) if config.accounts.is_empty() => {
            Check::note("configuration", "it has no account", "`wakeful account add` adds one")
        }
        Ok(config) => Check::good("configuration", format!("{} accounts", config.accounts.len())),
        Err(error) => Check::bad("configuration", error.to_string(), "mend the file, then `wakeful reload`"),
    }
}

/// What others could read or change.
fn permissions(global: &Global) -> Check {
    let paths = &global.paths;
    let state = paths.state_dir();
    let mut private = vec![state.to_path_buf(), paths.secrets_dir()];
    private.extend(["wakeful.db", "wakeful.db-wal", "wakeful.db-shm"].map(|name| state.join(name)));
    private.extend(std::fs::read_dir(paths.secrets_dir()).into_iter().flatten().flatten().map(|entry| entry.path()));
    let open: Vec<PathBuf> = private.into_iter().filter(|path| mode(path) & 0o077 != 0).collect();
    if let Some(path) = open.first() {
        let text = format!("{} may be read by others (mode {:o})", path.display(), mode(path));
        return Check::bad("permissions", text, format!("chmod go-rwx {}", path.display()));
    }
    let written = [paths.config_dir().to_path_buf(), paths.config_file()];
    match written.iter().find(|path| mode(path) & 0o022 != 0) {
        Some(path) => {
            let text = format!("{} may be changed by others (mode {:o})", path.display(), mode(path));
            Check::bad("permissions", text, format!("chmod go-w {}", path.display()))
        }
        None => Check::good("permissions", "nobody else reads the messages or changes the configuration"),
    }
}

/// 0 for what is not there.
fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).map_or(0, |found| found.permissions().mode() & 0o777)
}

fn room(dir: &Path) -> Check {
    let Some(dir) = dir.ancestors().find(|dir| dir.exists()) else {
        return Check::good("room", "nothing is there yet");
    };
    match rustix::fs::statvfs(dir) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let text = format!("{} MiB are free at {}", free >> 20, dir.display());
            if found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
                return Check::bad("room", format!("{} is read-only", dir.display()), "mount it for writing");
            }
            if free < ROOM { Check::bad("room", text, "free some space") } else { Check::good("room", text) }
        }
        Err(error) => Check::bad("room", format!("{}: {error}", dir.display()), "see that the disk is there"),
    }
}

fn integrity(viewer: &Viewer, thorough: bool) -> Check {
    match viewer.integrity(thorough).and_then(|()| viewer.spare()) {
        Ok(spare) => {
            let spare = match spare >> 20 {
                0 => String::new(),
                spare => format!(", {spare} MiB of them empty and used for what comes"),
            };
            let size = (viewer.size() >> 20).max(1);
            Check::good("database", format!("sound, {size} MiB read through{spare}"))
        }
        Err(error) => damaged(viewer, &error),
    }
}

/// Every hole has its cause; what the server would give is no fault.
fn holes(viewer: &Viewer, now: Timestamp) -> Result<Check, StoreError> {
    let holes = viewer.holes(now)?;
    let thin = viewer.ranges()?.into_iter().next();
    let of = |cause| holes.iter().filter(|hole| hole.cause == cause).count();
    let text = format!(
        "{} {} older than what was fetched, {} missed, {} thrown away; {}",
        if holes.len() < Viewer::HOLES {
            format!("{} in the history:", holes.len())
        } else {
            format!("{0} or more in the history; of the oldest {0}:", Viewer::HOLES)
        },
        of(HoleCause::NotFetched),
        of(HoleCause::Missed),
        of(HoleCause::Retention),
        thin.as_deref().unwrap_or("none unexplained")
    );
    if thin.is_some() {
        let remedy = "so it is where you were not in the group for a time, or deleted messages for yourself only; \
                      else please report it";
        return Ok(Check::note("holes", text, remedy));
    }
    if of(HoleCause::Missed) > 0 {
        return Ok(Check::note("holes", text, "`wakeful history --fetch` asks the server for them"));
    }
    Ok(Check::good("holes", text))
}

fn agreement(viewer: &Viewer) -> Result<Check, StoreError> {
    let remedy = "please report it, with `wakeful doctor --json`";
    let wrong = viewer.counts()?.into_iter().chain(viewer.outbox()?).next();
    Ok(match wrong {
        Some(first) => Check::bad("counts", first, remedy),
        None => Check::good("counts", "unread counts, outbox and search index agree with the messages"),
    })
}

fn quarantine(viewer: &Viewer) -> Result<Check, StoreError> {
    Ok(match viewer.quarantined()? {
        Some(found) => {
            let text = format!("a damaged one was moved to {} on {} ({})", found.file, found.at, found.why);
            Check::note("quarantine", text, "delete that file when you no longer need it")
        }
        None => Check::good("quarantine", "no damaged file stands aside"),
    })
}

fn clock(viewer: &Viewer, now: Timestamp) -> Result<Check, StoreError> {
    let newest = viewer.newest_message()?.unwrap_or_default();
    if now.ms() < RELEASED {
        return Ok(Check::bad(
            "clock",
            format!("it says {now}"),
            "set the clock, or let NTP do it: `timedatectl set-ntp true`",
        ));
    }
    if newest.ms() > now.ms() + AHEAD {
        let text = format!("it says {now}, the newest message is of {newest}");
        return Ok(Check::bad("clock", text, "set the clock, or let NTP do it: `timedatectl set-ntp true`"));
    }
    Ok(Check::good("clock", "no message is of the future"))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::{holes, integrity};
    use crate::model::{Arrival, Checkpoint, ConversationKey, Event, Origin, Span, SpanEdge, Timestamp};
    use crate::store::{Batch, Settings, Store, Viewer};
    use crate::world::{Clock, Entropy};
    use std::path::Path;

    const T0: i64 = 1_700_000_000_000;

    fn edge(order: u64) -> SpanEdge {
        SpanEdge { id: order.to_string(), at: Timestamp(T0 + i64::try_from(order).unwrap()) }
    }

    fn came(order: u64, text: &str) -> Event {
        Event::Message(Box::new(Arrival {
            origin: Origin::History,
            ..Arrival::live("team", order, text, edge(order).at)
        }))
    }

    /// From `lo` to `hi` nothing is missing.
    fn whole(lo: u64, hi: u64) -> Event {
        Event::Span(Span {
            archive: "e1/team".into(),
            conversation: Some(ConversationKey::server("team")),
            lo: Some(edge(lo)),
            hi: Some(edge(hi)),
            after: Some((lo - 1).to_string()),
            before: None,
            at_start: lo == 1,
            at_end: false,
        })
    }

    fn open(dir: &Path) -> Store {
        Store::open_or_rebuild(dir, Settings::default(), Clock::simulated(Timestamp(T0)), Entropy::seeded(7)).unwrap()
    }

    /// A store in which this has come.
    async fn with(events: Vec<Event>) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let account = store.account("ann", "hub", Some("ann")).await.unwrap();
        let batch = Batch { events, checkpoint: Checkpoint::default(), at: Timestamp(T0) };
        store.apply(account, batch).await.unwrap();
        (dir, store)
    }

    /// Away from 11 to 24, or deleted for oneself: the hub gives none of these, and its page is whole all the same.
    #[tokio::test]
    async fn what_the_hub_never_gives_to_this_user_is_no_fault_of_the_store() {
        let (dir, _store) = with(vec![came(9, "nine"), came(10, "ten"), came(25, "back"), whole(9, 25)]).await;
        let found = holes(&Viewer::open(dir.path()).unwrap(), Timestamp(T0)).unwrap();
        assert_eq!(found.state, State::Note, "{found:?}");
        assert!(found.text.contains("from 9 to 25, which is 17 messages; 3 are here"), "{found:?}");
        assert!(!found.remedy.as_ref().unwrap().contains("reconnect"), "that fetches nothing anew: {found:?}");
    }

    #[tokio::test]
    async fn more_holes_than_are_listed_are_not_given_as_a_sum() {
        let every_other = (1..=1_002).flat_map(|n| [came(2 * n, "one"), whole(2 * n, 2 * n)]);
        let (dir, _store) = with(every_other.collect()).await;
        let found = holes(&Viewer::open(dir.path()).unwrap(), Timestamp(T0)).unwrap();
        assert!(found.text.starts_with("1000 or more in the history; of the oldest 1000: 1 older"), "{found:?}");
    }

    #[tokio::test]
    async fn after_its_advice_is_followed_the_damage_is_gone() {
        let (dir, store) = with((1..=400).map(|order| came(order, &"word ".repeat(100))).collect()).await;
        store.close().await;
        let path = dir.path().join("wakeful.db");
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 3 * 4096;
        bytes[end..].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let found = integrity(&Viewer::open(dir.path()).unwrap(), false);
        assert!(found.state == State::Bad && found.remedy.as_ref().unwrap().contains("restart"), "{found:?}");
        let store = open(dir.path());
        assert!(store.health().borrow().quarantined.is_some(), "it was moved aside");
        store.close().await;
        assert_eq!(integrity(&Viewer::open(dir.path()).unwrap(), true).state, State::Good);
    }
}
