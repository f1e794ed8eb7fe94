//! Pure files decide and never act: no runtime, sockets, files, threads, clocks or SQL in them.

use super::source::{Source, product};

/// Modules that must be pure, with everything below them.
const PURE: &[&str] =
    &["machine", "model", "proto", "link::supervisor", "notify::rules", "ipc::cursors", "hub::session"];

/// Sequences of tokens that a pure file may not have, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("tokio ::", "a machine has inputs and outputs; the driver has the runtime"),
    ("tokio_util ::", "a machine has inputs and outputs; the driver has the runtime"),
    ("futures_util ::", "a machine has inputs and outputs; the driver has the runtime"),
    ("std :: fs", "the driver reads and writes files"),
    ("std :: net", "the driver has sockets"),
    ("std :: os", "the driver talks to the system"),
    ("std :: env", "configuration is an argument"),
    ("std :: process", "the driver starts programs"),
    ("std :: thread", "one task drives a machine"),
    ("std :: io", "the driver reads and writes"),
    ("Mutex", "one task owns a machine"),
    ("RwLock", "one task owns a machine"),
    ("async", "a machine never waits"),
    (". await", "a machine never waits"),
    ("Instant :: now", "`now` is an argument"),
    ("SystemTime", "wall time is an argument"),
    ("Timestamp :: now", "wall time is an argument"),
    ("Clock", "time is an argument"),
    ("Entropy", "a seed is an argument"),
    ("getrandom ::", "a seed is an argument"),
    ("fastrand :: u64", "a seed is an argument"),
    ("fastrand :: f64", "a seed is an argument"),
    ("Rng :: new", "a seed is an argument"),
    ("rusqlite ::", "SQL stands in the store"),
    ("println !", "only the command line prints"),
    ("eprintln !", "only the command line prints"),
    ("dbg !", "only the command line prints"),
];

const SQL: &[&str] = &["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM ", "PRAGMA ", "CREATE TABLE "];

fn offences(source: &Source) -> Vec<String> {
    let module = source.module.join("::");
    if !PURE.iter().any(|pure| module == *pure || module.starts_with(&format!("{pure}::"))) {
        return Vec::new();
    }
    let mut offences = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        for (banned, instead) in BANNED {
            let hit = banned
                .split(' ')
                .enumerate()
                .all(|(n, word)| source.tokens.get(at + n).is_some_and(|t| t.text == word));
            if hit {
                offences.push(format!("{}:{}: `{banned}` in a pure file: {instead}", source.path, token.line));
            }
        }
        let literal = token.text.trim_start_matches(['r', '#', '"', ' ']);
        if token.text.contains('"') && SQL.iter().any(|verb| literal.starts_with(verb)) {
            offences.push(format!("{}:{}: SQL in a pure file: it stands in the store", source.path, token.line));
        }
    }
    offences
}

#[test]
fn pure_files_do_no_io_and_read_no_clock() {
    let sources = product();
    let offences: Vec<String> = sources.iter().flat_map(offences).collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
    for pure in PURE {
        let exists = sources.iter().any(|source| (source.module.join("::") + "::").starts_with(&format!("{pure}::")));
        assert!(exists, "`{pure}` exists");
    }
}

#[test]
fn the_purity_rule_refuses_what_it_must() {
    for bad in [
        "use tokio::sync::mpsc;",
        "use std::fs;",
        "use std::net::TcpStream;",
        "fn f() { std::thread::spawn(g); }",
        "async fn f() {}",
        "fn f() { let now = Instant::now(); }",
        "fn f() { let now = std::time::SystemTime::UNIX_EPOCH; }",
        "use crate::world::Clock;",
        "const Q: &str = \"SELECT 1\";",
        "use rusqlite::Connection;",
    ] {
        for file in ["src/proto/hub/x.rs", "src/machine/mod.rs", "src/model/x.rs", "src/link/supervisor/x.rs"] {
            assert_eq!(offences(&Source::new(file, bad)).len(), 1, "{file}: {bad}");
        }
        assert_eq!(offences(&Source::new("src/link/driver.rs", bad)), Vec::<String>::new(), "a driver may: {bad}");
    }
    let good = "/// Not `tokio::spawn`, not Instant::now().\nfn f(now: Instant) { g(\"say SELECT\") } #[cfg(test)] mod t { use tokio::x; }";
    assert_eq!(offences(&Source::new("src/proto/x.rs", good)), Vec::<String>::new());
}
