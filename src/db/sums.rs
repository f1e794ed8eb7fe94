//! A checksum in every page of a database file, written with the page and checked whenever it is read: what rots on
//! disk is refused as damaged, never given as an answer. SQLite itself would not notice a changed letter.
//!
//! SQLite leaves eight bytes at the end of each page free (`SQLITE_FCNTL_RESERVE_BYTES`); a table of file functions
//! copied from the system's, with three of its own, fills and checks them. Locks, shared memory and what stands in the
//! write-ahead log, which has checksums of its own, stay the system's. Any program can still read such a file; one that writes it
//! without this leaves pages that are refused. A file that was made without reserved bytes stays without checks.
#![expect(unsafe_code, reason = "SQLite calls a file system through C function pointers; nothing else can see a page")]

use super::DbError;
use rusqlite::{Connection, ffi};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_int, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The only page size that this program makes.
const PAGE: usize = 4_096;
/// Bytes at the end of each page.
const SUM: usize = 8;
/// Where a file's header says how many bytes each page reserves (file format, section 1.3.4).
const RESERVED_AT: usize = 20;
/// The file system's name.
const NAME: &CStr = c"wakeful-sums";

/// The name under which files are opened with checksums.
///
/// # Errors
/// [`DbError::Statement`] if SQLite has no file system of the machine's.
pub(super) fn vfs() -> Result<&'static CStr, DbError> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    if *INSTALLED.get_or_init(install) {
        return Ok(NAME);
    }
    Err(DbError::Statement { intent: "preparing the database".into(), cause: "SQLite has no file system".into() })
}

/// Makes a file that is still empty leave room for the sums.
pub(super) fn reserve(conn: &Connection) {
    let mut bytes = c_int::try_from(SUM).unwrap_or_default();
    // SAFETY: an open connection, and a number that outlives the call.
    unsafe {
        let number = (&raw mut bytes).cast();
        ffi::sqlite3_file_control(conn.handle(), c"main".as_ptr(), ffi::SQLITE_FCNTL_RESERVE_BYTES, number);
    }
}

/// Any change within one aligned word of eight bytes changes the sum for certain; others do but for 1 in 2^64.
fn sum(page: &[u8]) -> [u8; SUM] {
    let (words, _) = page.as_chunks::<SUM>();
    let words = words.get(..PAGE / SUM - 1).unwrap_or(words);
    let mix = |sum: u64, word: &[u8; SUM]| {
        (sum.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(0x517c_c1b7_2722_0a95)
    };
    words.iter().fold(1, mix).to_le_bytes()
}

/// The sum that stands in a page is that of the page. A page that was made but never written is all zeros.
fn holds(page: &[u8]) -> bool {
    page.last_chunk() == Some(&sum(page)) || page.iter().all(|byte| *byte == 0) || crate::mutant("sums-unchecked")
}

/// What a file is, as far as its first page tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Still empty.
    New,
    /// Every page has its sum.
    Summed,
    /// Made without room for sums, or no database.
    Plain,
    /// It had sums, and the place that says so is damaged.
    Damaged,
}

/// Judges a first page, which may be half old and half new after a power cut: only what never changes is looked at.
fn kind(page: &[u8]) -> Kind {
    let Some(header) = page.get(..100) else { return Kind::New };
    if !header.starts_with(b"SQLite format 3\0") {
        return Kind::Plain;
    }
    let size = header.get(16..18).map(|size| size == [0x10, 0]);
    match (header.get(RESERVED_AT), size) {
        (Some(8), Some(true)) => Kind::Summed,
        (Some(0), _) => {
            let mut mended = page.to_vec();
            if let Some(byte) = mended.get_mut(RESERVED_AT) {
                *byte = 8;
            }
            if mended.len() == PAGE && mended.last_chunk() == Some(&sum(&mended)) { Kind::Damaged } else { Kind::Plain }
        }
        _ => Kind::Damaged,
    }
}

/// The machine's own file system.
struct Machine(*mut ffi::sqlite3_vfs);
// SAFETY: SQLite's table of the machine is made before it is found here, is only read, and is never freed.
unsafe impl Send for Machine {}
// SAFETY: as above.
unsafe impl Sync for Machine {}
static MACHINE: OnceLock<Machine> = OnceLock::new();

fn install() -> bool {
    // SAFETY: the default VFS lives as long as the process, and so does our copy of it.
    unsafe {
        ffi::sqlite3_initialize();
        let machine = ffi::sqlite3_vfs_find(std::ptr::null());
        if machine.is_null() {
            return false;
        }
        MACHINE.get_or_init(|| Machine(machine));
        let mut ours = *machine;
        ours.pNext = std::ptr::null_mut();
        ours.zName = NAME.as_ptr();
        ours.szOsFile = tail_at(machine) + c_int::try_from(size_of::<Tail>()).unwrap_or(c_int::MAX);
        ours.xOpen = Some(open);
        ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 0) == ffi::SQLITE_OK
    }
}

/// What stands behind the machine's own part of an open file.
#[derive(Clone, Copy)]
struct Tail {
    machine: *const ffi::sqlite3_io_methods,
    kind: Kind,
}

/// # Safety
/// `machine` is a VFS.
unsafe fn tail_at(machine: *const ffi::sqlite3_vfs) -> c_int {
    // SAFETY: said above. SQLite hands out memory on eight bytes.
    (unsafe { (*machine).szOsFile } + 7) & !7
}

/// # Safety
/// `file` was opened by [`open`], which left its tail.
unsafe fn tail<'f>(file: *mut ffi::sqlite3_file) -> Option<&'f mut Tail> {
    let machine = MACHINE.get()?;
    // SAFETY: said above: `szOsFile` made room for it, and one connection's thread uses a file at a time.
    unsafe { Some(&mut *file.cast::<u8>().add(usize::try_from(tail_at(machine.0)).ok()?).cast()) }
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let Some(machine) = MACHINE.get() else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: called by SQLite with room for `szOsFile` bytes at `file`; the machine's part comes first.
    unsafe {
        let Some(below) = (*machine.0).xOpen else { return ffi::SQLITE_CANTOPEN };
        let code = below(machine.0, name, file, flags, out);
        let methods = (*file).pMethods;
        let ours_too = flags & (ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL) != 0;
        if code != ffi::SQLITE_OK || !ours_too || methods.is_null() {
            return code;
        }
        let at = usize::try_from(tail_at(machine.0)).unwrap_or_default();
        let tail = file.cast::<u8>().add(at).cast::<Tail>();
        if flags & ffi::SQLITE_OPEN_WAL != 0 {
            tail.write(Tail { machine: methods, kind: Kind::Plain });
            (*file).pMethods = ours(methods);
            return code;
        }
        let Some(xread) = (*methods).xRead else { return code };
        let mut page = vec![0_u8; PAGE];
        let kind = match xread(file, page.as_mut_ptr().cast(), c_int::try_from(PAGE).unwrap_or_default(), 0) {
            ffi::SQLITE_OK => kind(&page),
            ffi::SQLITE_IOERR_SHORT_READ if page.iter().all(|byte| *byte == 0) => Kind::New,
            ffi::SQLITE_IOERR_SHORT_READ => kind(&page),
            _ => Kind::Summed,
        };
        tail.write(Tail { machine: methods, kind });
        (*file).pMethods = ours(methods);
        code
    }
}

/// The machine's functions with three of ours, made once for each of its tables.
///
/// # Safety
/// `machine` is one of the machine's tables, which are static.
unsafe fn ours(machine: *const ffi::sqlite3_io_methods) -> *const ffi::sqlite3_io_methods {
    static MADE: Mutex<BTreeMap<usize, &'static ffi::sqlite3_io_methods>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    *made.entry(machine.addr()).or_insert_with(|| {
        // SAFETY: said above.
        let mut ours = unsafe { *machine };
        // Version 2 has no memory-mapped pages, which nobody would check.
        ours.iVersion = ours.iVersion.min(2);
        ours.xRead = Some(read);
        ours.xWrite = Some(write);
        ours.xDeviceCharacteristics = Some(characteristics);
        Box::leak(Box::new(ours))
    })
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: one of our files; SQLite hands room for `length` bytes.
    unsafe {
        let Some(tail) = tail(file) else { return ffi::SQLITE_IOERR_READ };
        let Some(below) = (*tail.machine).xRead else { return ffi::SQLITE_IOERR_READ };
        let code = below(file, into, length, at);
        if code == ffi::SQLITE_IOERR_CORRUPTFS && !crate::mutant("gone-is-damaged") {
            // One place that the device does not give is damage. If it gives nothing at all, that says nothing about
            // what stands there.
            let mut first = [0_u8; 24];
            return match below(file, first.as_mut_ptr().cast(), 24, 0) {
                ffi::SQLITE_IOERR_CORRUPTFS => ffi::SQLITE_IOERR_READ,
                _ => code,
            };
        }
        if code != ffi::SQLITE_OK {
            return code;
        }
        let bytes = std::slice::from_raw_parts(into.cast::<u8>(), usize::try_from(length).unwrap_or_default());
        if tail.kind == Kind::New && at == 0 && bytes.len() >= 100 {
            tail.kind = kind(bytes);
        }
        match tail.kind {
            Kind::Damaged => ffi::SQLITE_CORRUPT,
            Kind::Summed if is_page(bytes, at) && !holds(bytes) => {
                tracing::error!(page = at / 4_096 + 1, "a page of the database is damaged");
                ffi::SQLITE_CORRUPT
            }
            Kind::Summed | Kind::Plain | Kind::New => code,
        }
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, length: c_int, at: i64) -> c_int {
    // SAFETY: one of our files; SQLite hands `length` bytes.
    unsafe {
        let Some(tail) = tail(file) else { return ffi::SQLITE_IOERR_WRITE };
        let Some(below) = (*tail.machine).xWrite else { return ffi::SQLITE_IOERR_WRITE };
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(length).unwrap_or_default());
        if tail.kind == Kind::New && at == 0 {
            tail.kind = kind(bytes);
        }
        // A new file is made by [`super::open`] alone, which reserves room; its first page may be written last.
        if !matches!(tail.kind, Kind::Summed | Kind::New) || !is_page(bytes, at) {
            return below(file, from, length, at);
        }
        let mut page = [0_u8; PAGE];
        page.copy_from_slice(bytes);
        if let Some(place) = page.last_chunk_mut() {
            *place = sum(bytes);
        }
        below(file, page.as_ptr().cast(), length, at)
    }
}

/// Long values are else read around the page cache, in pieces that have no sum.
unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: one of our files.
    unsafe {
        let below = tail(file).and_then(|tail| (*tail.machine).xDeviceCharacteristics);
        below.map_or(0, |below| below(file) & !ffi::SQLITE_IOCAP_SUBPAGE_READ)
    }
}

fn is_page(bytes: &[u8], at: i64) -> bool {
    bytes.len() == PAGE && at % 4_096 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Checkpointer, Settings, open, open_reader};
    use rusqlite_migration::{M, Migrations};
    use std::path::Path;

    const TABLE: [M<'static>; 1] = [M::up("CREATE TABLE t(x INTEGER PRIMARY KEY, y TEXT NOT NULL) STRICT;")];

    /// A file of some pages, moved out of its log.
    fn filled(path: &Path) {
        let conn = open(path, &Settings::default(), &Migrations::from_slice(&TABLE)).unwrap();
        for x in 0..500 {
            conn.execute("INSERT INTO t VALUES (?1, ?2)", (x, format!("text number {x}"))).unwrap();
        }
        conn.execute("INSERT INTO t VALUES (1000, ?1)", ["a text longer than a page".repeat(1_000)]).unwrap();
        drop(conn);
        Checkpointer::spawn(path).unwrap().finish().unwrap();
    }

    fn texts(conn: &Connection) -> rusqlite::Result<Vec<String>> {
        conn.prepare("SELECT y FROM t ORDER BY x")?.query_map([], |row| row.get(0))?.collect()
    }

    #[test]
    fn a_changed_byte_anywhere_in_a_page_is_refused_and_never_given_as_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        filled(&path);
        let sound = std::fs::read(&path).unwrap();
        assert_eq!(sound[RESERVED_AT], 8);
        let truth = texts(&open_reader(&path, &Settings::default()).unwrap()).unwrap();
        assert_eq!(truth.len(), 501);
        let mut dice = fastrand::Rng::with_seed(1);
        let mut refused = 0;
        for _ in 0..200 {
            let mut bytes = sound.clone();
            let at = dice.usize(..bytes.len());
            bytes[at] ^= dice.u8(1..);
            std::fs::write(&path, &bytes).unwrap();
            match open_reader(&path, &Settings::default()).map(|conn| texts(&conn)) {
                Ok(Ok(texts)) => assert_eq!(texts, truth, "byte {at}"),
                Ok(Err(_)) | Err(_) => refused += 1,
            }
        }
        assert!(refused > 150, "{refused} of 200");
    }

    #[test]
    fn a_file_that_was_made_without_sums_is_read_and_written_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE other(x) STRICT;").unwrap_err();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE other(x INTEGER) STRICT;").unwrap();
        filled(&path);
        assert_eq!(std::fs::read(&path).unwrap()[RESERVED_AT], 0);
        assert_eq!(texts(&open_reader(&path, &Settings::default()).unwrap()).unwrap().len(), 501);
    }

    #[test]
    fn another_program_can_read_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        filled(&path);
        let conn = Connection::open(&path).unwrap();
        assert_eq!(texts(&conn).unwrap().len(), 501);
        assert!(crate::db::integrity(&conn, &path, false).is_ok());
    }

    #[test]
    fn the_sum_notices_every_change_of_one_byte() {
        let page: Vec<u8> = (0..PAGE).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let right = sum(&page);
        for at in 0..PAGE - SUM {
            let mut other = page.clone();
            other[at] ^= 0x10;
            assert_ne!(sum(&other), right, "byte {at}");
        }
    }
}
