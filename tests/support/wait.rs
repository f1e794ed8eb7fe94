//! Waiting for something that the outside does not announce, and saying what was not tested.

use std::io::Write;
use std::time::{Duration, Instant};

/// How long a test waits for what should happen at once. Generous: two cores may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until `ask` gives something. For conditions outside of our processes only (a file, another program);
/// what our own programs announce is waited for with [`super::Process::wait_line`] or [`super::Watch`].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Notes that something could not be tested here: one line `suite<TAB>reason` in the file that `WAKEFUL_SKIPS` names.
/// `tests/run` prints these lines; with `WAKEFUL_STRICT=1` one that is not in `tests/skips.toml` fails the run.
pub fn skip(suite: &str, reason: &str) {
    assert!(!reason.contains(['\n', '\t']), "a reason is one line");
    eprintln!("SKIPPED {suite}: {reason}");
    let Some(path) = std::env::var_os("WAKEFUL_SKIPS") else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("WAKEFUL_SKIPS is writable");
    file.write_all(format!("{suite}\t{reason}\n").as_bytes()).expect("WAKEFUL_SKIPS is writable");
}

/// How much of something a long run asks for, by the variable that says so.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
