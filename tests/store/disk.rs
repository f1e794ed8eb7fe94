//! A disk under SQLite that fails, tears and forgets. It stands between SQLite and the system: every write, sync,
//! truncation and deletion of a folder's database files is counted, one of them goes wrong, and after a power cut
//! only what was synced is sure to be there.
//!
//! It copies the system's table of file functions and replaces four of them; reading, locking and shared memory stay
//! the system's own. Folders without a [`Disk`] are not touched.
#![allow(unsafe_code, reason = "SQLite calls a file system through C function pointers")]

use super::survival::Shadow;
use rusqlite::ffi;
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, OnceLock, Weak};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No room: this one operation fails and does nothing.
    Full,
    /// The device reports an error: this one operation fails and does nothing.
    Io,
    /// The process dies in the middle of it: half of a write is there, and nothing comes after it.
    Torn,
    /// The power goes: nothing comes after it, and of what was not synced any part may be missing.
    Cut,
}

/// A disk of its own for the databases of one folder.
pub struct Disk {
    dir: PathBuf,
    state: Mutex<State>,
    closed: Condvar,
}

#[derive(Default)]
struct State {
    operations: u64,
    plan: Option<(u64, Fault)>,
    dead: bool,
    open: usize,
    files: BTreeMap<PathBuf, Shadow>,
}

/// What becomes of an operation.
enum Turn {
    Done,
    Fails(c_int),
    Half,
}

impl Disk {
    /// Puts a disk under every database that is opened in `dir` from now on.
    pub fn under(dir: &Path) -> Arc<Self> {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(install);
        let disk = Arc::new(Self { dir: dir.to_owned(), state: Mutex::default(), closed: Condvar::new() });
        let mut disks = disks();
        disks.retain(|disk| disk.strong_count() > 0);
        disks.push(Arc::downgrade(&disk));
        disk
    }

    /// The `at`-th operation from now on goes wrong.
    pub fn plan(&self, at: u64, fault: Fault) {
        let mut state = self.state();
        (state.operations, state.plan) = (0, Some((at, fault)));
    }

    /// Operations since the plan was made, or since the beginning.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Nothing works any more.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Waits until everybody has closed the files, then makes the disk work again. After a power cut the files are
    /// what `dice` let survive.
    pub fn revive(&self, dice: &mut fastrand::Rng) {
        let mut state = self.state();
        while state.open > 0 {
            state = self.closed.wait(state).unwrap();
        }
        let files = std::mem::take(&mut state.files);
        if state.dead && matches!(state.plan, Some((_, Fault::Cut))) {
            for (path, file) in files {
                std::fs::write(&path, file.survives(dice)).unwrap();
            }
        }
        (state.plan, state.dead) = (None, false);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One operation on a file; `done` notes it where it is carried out.
    fn turn(&self, path: &Path, error: c_int, done: impl FnOnce(&mut Shadow)) -> Turn {
        let mut state = self.state();
        if state.dead {
            return Turn::Fails(error);
        }
        state.operations += 1;
        let fault = state.plan.filter(|(at, _)| *at == state.operations).map(|(_, fault)| fault);
        state.dead = matches!(fault, Some(Fault::Torn | Fault::Cut));
        let synced = error == ffi::SQLITE_IOERR_FSYNC;
        if fault.is_none() || (fault == Some(Fault::Cut) && !synced) {
            done(state.files.entry(path.to_owned()).or_default());
        }
        match fault {
            None => Turn::Done,
            Some(Fault::Full) => Turn::Fails(ffi::SQLITE_FULL),
            Some(Fault::Io | Fault::Cut) => Turn::Fails(error),
            Some(Fault::Torn) => Turn::Half,
        }
    }
}

fn disks() -> MutexGuard<'static, Vec<Weak<Disk>>> {
    static DISKS: Mutex<Vec<Weak<Disk>>> = Mutex::new(Vec::new());
    DISKS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    disks().iter().filter_map(Weak::upgrade).find(|disk| path.parent() == Some(&disk.dir))
}

/// The system's own file system.
struct System(*mut ffi::sqlite3_vfs);
// SAFETY: SQLite's table is written once at start and only read.
unsafe impl Send for System {}
// SAFETY: as above.
unsafe impl Sync for System {}
static SYSTEM: OnceLock<System> = OnceLock::new();

fn system() -> *mut ffi::sqlite3_vfs {
    SYSTEM.get().unwrap().0
}

fn install() {
    // SAFETY: the default VFS exists for as long as the process; our copy of it is never freed.
    unsafe {
        ffi::sqlite3_initialize();
        let below = ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(!below.is_null());
        SYSTEM.get_or_init(|| System(below));
        let mut ours = *below;
        ours.pNext = std::ptr::null_mut();
        ours.zName = c"failing-disk".as_ptr();
        ours.szOsFile = tail_at() + c_int::try_from(size_of::<Tail>()).unwrap();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1), ffi::SQLITE_OK);
    }
}

/// What we keep behind the system's own part of an open file.
#[derive(Clone, Copy)]
struct Tail {
    below: *const ffi::sqlite3_io_methods,
    ours: *mut Opened,
}

struct Opened {
    disk: Arc<Disk>,
    path: PathBuf,
}

fn tail_at() -> c_int {
    // SAFETY: set before any file is opened.
    (unsafe { (*system()).szOsFile } + 15) & !15
}

/// # Safety
/// `file` was opened by [`open`] with our methods.
unsafe fn tail(file: *mut ffi::sqlite3_file) -> *mut Tail {
    unsafe { file.cast::<u8>().add(usize::try_from(tail_at()).unwrap()).cast() }
}

/// # Safety
/// As [`tail`].
unsafe fn parts<'a>(file: *mut ffi::sqlite3_file) -> (&'a ffi::sqlite3_io_methods, &'a Opened) {
    unsafe {
        let tail = *tail(file);
        (&*tail.below, &*tail.ours)
    }
}

unsafe fn path_of(name: *const std::ffi::c_char) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()))
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: called by SQLite with room for `szOsFile` bytes at `file`; the system's part comes first.
    unsafe {
        let rc = (*system()).xOpen.unwrap()(system(), name, file, flags, out);
        if rc != ffi::SQLITE_OK || name.is_null() || (*file).pMethods.is_null() {
            return rc;
        }
        let path = path_of(name);
        let Some(disk) = disk_of(&path) else { return rc };
        let mut state = disk.state();
        state.open += 1;
        state.files.entry(path.clone()).or_insert_with(|| Shadow::of(std::fs::read(&path).unwrap_or_default()));
        drop(state);
        let below = (*file).pMethods;
        let ours = Box::into_raw(Box::new(Opened { disk, path }));
        tail(file).write(Tail { below, ours });
        (*file).pMethods = methods(below);
        rc
    }
}

/// The system's functions with four of ours, made once for each of its tables.
unsafe fn methods(below: *const ffi::sqlite3_io_methods) -> *const ffi::sqlite3_io_methods {
    static MADE: Mutex<BTreeMap<usize, &'static ffi::sqlite3_io_methods>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap();
    *made.entry(below as usize).or_insert_with(|| {
        // SAFETY: the system's tables are static.
        let mut ours = unsafe { *below };
        ours.xClose = Some(close);
        ours.xWrite = Some(write);
        ours.xTruncate = Some(truncate);
        ours.xSync = Some(sync);
        Box::leak(Box::new(ours))
    })
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: one of our files, closed once.
    unsafe {
        let tail = *tail(file);
        (*file).pMethods = tail.below;
        let rc = (*tail.below).xClose.unwrap()(file);
        let opened = Box::from_raw(tail.ours);
        opened.disk.state().open -= 1;
        opened.disk.closed.notify_all();
        rc
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, bytes: *const c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: one of our files; SQLite hands `length` readable bytes.
    unsafe {
        let (below, opened) = parts(file);
        let content = std::slice::from_raw_parts(bytes.cast::<u8>(), usize::try_from(length).unwrap());
        let turn = opened.disk.turn(&opened.path, ffi::SQLITE_IOERR_WRITE, |shadow| {
            shadow.write(usize::try_from(at).unwrap(), content);
        });
        match turn {
            Turn::Done => below.xWrite.unwrap()(file, bytes, length, at),
            Turn::Fails(error) => error,
            Turn::Half => {
                below.xWrite.unwrap()(file, bytes, length / 2, at);
                ffi::SQLITE_IOERR_WRITE
            }
        }
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: one of our files.
    unsafe {
        let (below, opened) = parts(file);
        let turn = opened.disk.turn(&opened.path, ffi::SQLITE_IOERR_TRUNCATE, |shadow| {
            shadow.truncate(usize::try_from(length).unwrap());
        });
        match turn {
            Turn::Done => below.xTruncate.unwrap()(file, length),
            Turn::Fails(error) => error,
            Turn::Half => ffi::SQLITE_IOERR_TRUNCATE,
        }
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: one of our files.
    unsafe {
        let (below, opened) = parts(file);
        match opened.disk.turn(&opened.path, ffi::SQLITE_IOERR_FSYNC, Shadow::sync) {
            Turn::Done => below.xSync.unwrap()(file, flags),
            Turn::Fails(error) => error,
            Turn::Half => ffi::SQLITE_IOERR_FSYNC,
        }
    }
}

unsafe extern "C" fn delete(_vfs: *mut ffi::sqlite3_vfs, name: *const std::ffi::c_char, sync: c_int) -> c_int {
    // SAFETY: called by SQLite with a file's name.
    unsafe {
        let path = path_of(name);
        if let Some(disk) = disk_of(&path) {
            match disk.turn(&path, ffi::SQLITE_IOERR_DELETE, |_| ()) {
                Turn::Done => drop(disk.state().files.remove(&path)),
                Turn::Fails(error) => return error,
                Turn::Half => return ffi::SQLITE_IOERR_DELETE,
            }
        }
        (*system()).xDelete.unwrap()(system(), name, sync)
    }
}
