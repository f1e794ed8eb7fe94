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
            checks.extend(looks.into_iter().map(|look| look.unwrap_or_else(|error| unreadable(&error))));
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
        Err(error) => unreadable(&error),
    }
}

/// Every hole has its cause; what the server would give is no fault.
fn holes(viewer: &Viewer, now: Timestamp) -> Result<Check, StoreError> {
    let holes = viewer.holes(now)?;
    let false_ranges = viewer.ranges()?;
    if let Some(first) = false_ranges.first() {
        return Ok(Check::bad("holes", first.clone(), "`wakeful reconnect` fetches anew; please report it"));
    }
    let of = |cause| holes.iter().filter(|hole| hole.cause == cause).count();
    let text = format!(
        "{} in the history: {} older than what was fetched, {} missed, {} thrown away; none unexplained",
        holes.len(),
        of(HoleCause::NotFetched),
        of(HoleCause::Missed),
        of(HoleCause::Retention)
    );
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
