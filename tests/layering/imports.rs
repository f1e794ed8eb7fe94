//! Which room may import which. The table stands in `docs/architecture.md` too, in words.

use super::source::{Source, Token, product};

/// A room, and the modules it may import beside itself, `crate::mutant` and `crate::failpoint`.
const TABLE: &[(&str, &[&str])] = &[
    ("machine", &[]),
    ("model", &[]),
    ("world", &["model"]),
    ("db", &["world"]),
    ("paths", &[]),
    ("config", &["model", "paths"]),
    ("proto", &["machine", "model"]),
    ("store", &["model", "db", "world"]),
    ("platform", &["model", "world"]),
    ("link", &["machine", "model", "world", "proto", "store"]),
    ("notify", &["machine", "model", "world", "store"]),
    ("ipc", &["machine", "model", "world", "store"]),
    ("hub", &["machine", "model", "world", "db", "proto::hub::wire"]),
    (
        "daemon",
        &["machine", "model", "world", "db", "paths", "config", "proto", "store", "platform", "link", "notify", "ipc"],
    ),
    (
        "cli",
        &[
            "machine", "model", "world", "db", "paths", "config", "proto", "store", "platform", "link", "notify",
            "ipc", "hub", "daemon",
        ],
    ),
    ("main", &["cli"]),
];

/// Parts of a room that may import less than the room: a prefix of the module, and what it may import.
const NARROWER: &[(&str, &[&str])] = &[
    ("ipc::wire", &["model"]),
    ("ipc::codec", &["model"]),
    ("ipc::client", &["model"]),
    ("link::supervisor", &["machine", "model", "proto"]),
    ("notify::rules", &["machine", "model", "store::BannerState"]),
    ("ipc::cursors", &["machine", "model"]),
    ("hub::session", &["machine", "model", "proto::hub::wire"]),
];

/// Libraries that belong to some rooms only.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("anyhow", &["cli", "daemon", "main"]),
    ("clap", &["cli"]),
    ("rusqlite", &["db", "store", "hub"]),
    ("rusqlite_migration", &["db", "store", "hub"]),
    ("tokio_tungstenite", &["link", "hub"]),
    ("zbus", &["notify", "platform"]),
    ("notify_rust", &["notify"]),
    ("secret_service", &["platform"]),
    ("xmpp_parsers", &["proto", "link"]),
    ("sasl", &["proto"]),
    ("toml_edit", &["config"]),
    ("daemonize", &["platform"]),
    ("listenfd", &["platform", "cli"]),
    ("sd_notify", &["platform"]),
];

/// Every `crate::...` path of a file, `super` resolved: the path and its line.
fn imports(source: &Source) -> Vec<(Vec<String>, usize)> {
    let tokens = &source.tokens;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 && tokens[at - 1].text == "::" {
            continue;
        }
        let crate_root = token.text == "crate" || (token.text == "wakeful" && source.room() == "main");
        if crate_root && is(tokens, at + 1, "::") {
            follow(tokens, at + 2, Vec::new(), &mut found);
        } else if token.text == "super" {
            let mut base = [&source.module[..], &token.inside].concat();
            let mut next = at;
            while is(tokens, next, "super") && is(tokens, next + 1, "::") {
                base.pop();
                next += 2;
            }
            if next > at {
                follow(tokens, next, base, &mut found);
            }
        }
    }
    found
}

/// Follows one path or tree of `use` from `at`; gives the index behind it.
fn follow(tokens: &[Token], mut at: usize, mut path: Vec<String>, found: &mut Vec<(Vec<String>, usize)>) -> usize {
    loop {
        let Some(token) = tokens.get(at) else { return at };
        if token.text == "{" {
            at += 1;
            while !is(tokens, at, "}") && at < tokens.len() {
                at = follow(tokens, at, path.clone(), found);
                while !is(tokens, at, ",") && !is(tokens, at, "}") && at < tokens.len() {
                    at += 1; // `as name`
                }
                at += usize::from(is(tokens, at, ","));
            }
            return at + 1;
        }
        path.push(token.text.clone());
        at += 1;
        if !is(tokens, at, "::") || is(tokens, at + 1, "<") {
            found.push((path, token.line));
            return at;
        }
        at += 1;
    }
}

fn is(tokens: &[Token], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

/// What a file imports against the table.
fn offences(source: &Source) -> Vec<String> {
    let room = source.room();
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: `{room}` is no room of the table in tests/layering/imports.rs", source.path)];
    };
    let module = source.module.join("::");
    let narrow = NARROWER.iter().find(|(prefix, _)| begins(&module, prefix)).map(|(_, allowed)| *allowed);
    let mut offences = Vec::new();
    for (path, line) in imports(source) {
        let path = path.join("::");
        let fine = matches!(path.as_str(), "mutant" | "failpoint")
            || begins(&path, room)
            || narrow.unwrap_or(allowed).iter().any(|allowed| begins(&path, allowed));
        if !fine {
            offences.push(format!("{}:{line}: `{room}` may not import `{path}`", source.path));
        }
    }
    for (at, token) in source.tokens.iter().enumerate() {
        let Some((library, rooms)) = LIBRARIES.iter().find(|(library, _)| *library == token.text) else { continue };
        let used = is(&source.tokens, at + 1, "::") && (at == 0 || source.tokens[at - 1].text != "::");
        if used && !rooms.contains(&room) {
            offences.push(format!("{}:{}: `{library}` belongs to {rooms:?}", source.path, token.line));
        }
    }
    offences
}

/// Is `path` this module or below it?
fn begins(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let sources = product();
    let offences: Vec<String> = sources.iter().filter(|source| source.room() != "lib").flat_map(offences).collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
    for (room, _) in TABLE {
        assert!(sources.iter().any(|source| source.room() == *room), "the table's `{room}` exists");
    }
}

#[test]
fn the_import_rule_refuses_what_it_must() {
    for (path, bad) in [
        ("src/link/x.rs", "use crate::ipc::Server;"),
        ("src/link/x.rs", "use crate::{model::Seq, notify::Notifier};"),
        ("src/link/x.rs", "fn f() { trace!(a = crate::ipc::count()); }"),
        ("src/link/mod.rs", "use super::ipc;"),
        ("src/link/driver/acts.rs", "use super::super::super::hub::Hub;"),
        ("src/link/x.rs", "mod inner { use super::super::super::notify::A; }"),
        ("src/model/x.rs", "use crate::machine::Machine;"),
        ("src/hub/x.rs", "use crate::proto::Protocol;"),
        ("src/hub/x.rs", "use crate::proto::hub::client::Client;"),
        ("src/daemon/x.rs", "use crate::hub::Hub;"),
        ("src/ipc/client.rs", "use crate::store::Store;"),
        ("src/main.rs", "fn main() { wakeful::daemon::run() }"),
        ("src/elsewhere/x.rs", "use crate::model::Seq;"),
        ("src/store/x.rs", "use anyhow::Context;"),
        ("src/ipc/x.rs", "fn f() { rusqlite::Connection::open(p); }"),
    ] {
        assert_eq!(offences(&Source::new(path, bad)).len(), 1, "{path}: {bad}");
    }
    for (path, good) in [
        (
            "src/link/x.rs",
            "use crate::{model::{Seq, Event as Fact}, proto::Protocol}; use super::driver; fn f() { crate::mutant(\"a\"); }",
        ),
        ("src/hub/x.rs", "use crate::proto::hub::wire::{self, Frame};"),
        ("src/link/x.rs", "#[cfg(test)] mod tests { use crate::hub::Hub; }"),
        ("src/link/mod.rs", "mod inner { use super::Link; } pub(crate) fn f() {} // crate::ipc"),
        ("src/main.rs", "fn main() { wakeful::cli::main() }"),
    ] {
        assert_eq!(offences(&Source::new(path, good)), Vec::<String>::new(), "{path}: {good}");
    }
}
