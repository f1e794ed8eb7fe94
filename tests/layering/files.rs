//! What the repository looks like: lengths, names, module docs, the visible top level, and nothing of one machine.

use super::source::{Source, product, read, root, tracked};
use std::collections::BTreeSet;

const WANTED: usize = 400;
const HARD: usize = 600;

/// Files over 400 lines, each with its reason. An entry that is no longer needed is refused.
const LONG: &[(&str, &str)] = &[
    ("src/hub/session/mod.rs", "one connection's whole grammar: what may come in which state"),
    ("src/proto/hub/client/mod.rs", "one client's whole grammar: what may come in which state"),
    ("src/store/handle.rs", "one short method for each thing that the store can be asked"),
    ("src/proto/hub/wire/client.rs", "one type for each frame of the protocol's page, in its order"),
    ("tests/xmpp/server.rs", "two servers' configuration and start, alike but for their files"),
];

/// What may be seen at the top; everything else is hidden or elsewhere.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "src",
    "systemd",
    "launchd",
    "tests",
    "docs",
    "benches",
    "examples",
    "fuzz",
];

/// Words that say nothing about what a thing is.
const EMPTY_WORDS: &[&str] =
    &["Manager", "Service", "Context", "Util", "Utils", "Helper", "Helpers", "Common", "Core", "GlobalState"];

fn too_long(path: &str, lines: usize, long: &[(&str, &str)]) -> Option<String> {
    let listed = long.iter().any(|(name, reason)| *name == path && reason.len() > 10);
    match lines {
        0..=WANTED if listed => Some(format!("{path}: {lines} lines need no entry in LONG any more")),
        0..=WANTED => None,
        _ if lines <= HARD && listed => None,
        _ if lines <= HARD => Some(format!("{path}: {lines} lines: split it, or give a reason in LONG")),
        _ => Some(format!("{path}: {lines} lines, {HARD} are allowed: split it")),
    }
}

#[test]
fn files_stay_short() {
    let code = |name: &&String| [".rs", ".py", ".sh", ".sql"].iter().any(|end| name.ends_with(end));
    let names = tracked();
    let offences: Vec<String> = names
        .iter()
        .filter(code)
        .filter_map(|name| too_long(name, read(name).expect("code is text").lines().count(), LONG))
        .collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
    for (listed, _) in LONG {
        assert!(names.iter().any(|name| name == listed), "{listed} of LONG exists");
    }
}

#[test]
fn the_length_rule_refuses_what_it_must() {
    let long: &[(&str, &str)] = &[("src/b.rs", "one table that belongs together")];
    assert!(too_long("src/a.rs", 400, long).is_none() && too_long("src/b.rs", 600, long).is_none());
    assert!(too_long("src/a.rs", 401, long).is_some(), "no entry");
    assert!(too_long("src/b.rs", 601, long).is_some(), "over the hard limit");
    assert!(too_long("src/b.rs", 400, long).is_some(), "an entry that is not needed");
}

fn empty_names(source: &Source) -> Vec<String> {
    let declared = |word: &str| matches!(word, "struct" | "enum" | "trait" | "type" | "union" | "mod");
    let pairs = source.tokens.windows(2).filter(|pair| declared(&pair[0].text));
    let bad = pairs.filter(|pair| {
        let name = &pair[1].text;
        let module = pair[0].text == "mod" && name != "service";
        EMPTY_WORDS.iter().any(|word| name.ends_with(word) || (module && *name == word.to_lowercase()))
    });
    bad.map(|pair| format!("{}:{}: `{}` says nothing", source.path, pair[1].line, pair[1].text)).collect()
}

#[test]
fn names_say_what_a_thing_is() {
    let offences: Vec<String> = product().iter().flat_map(empty_names).collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn the_name_rule_refuses_what_it_must() {
    for bad in ["struct LinkManager;", "mod util;", "enum Core {}", "trait GuiService {}", "type StoreHelper = u8;"] {
        assert_eq!(empty_names(&Source::new("src/a/b.rs", bad)).len(), 1, "{bad}");
    }
    let good = "use anyhow::Context; mod service; struct Supervisor { context: u8 }";
    assert_eq!(empty_names(&Source::new("src/a/b.rs", good)), Vec::<String>::new());
}

fn misplaced(names: &[String]) -> Vec<&str> {
    let tops: BTreeSet<&str> = names.iter().filter_map(|name| name.split('/').next()).collect();
    tops.into_iter().filter(|top| !top.starts_with('.') && !TOP.contains(top)).collect()
}

#[test]
fn the_top_level_shows_only_what_it_should() {
    assert_eq!(misplaced(&tracked()), Vec::<&str>::new(), "hide tool files behind a dot, put others into a folder");
}

#[test]
fn the_top_level_rule_refuses_what_it_must() {
    assert_eq!(misplaced(&["deny.toml".into(), ".ci/run".into(), "src/lib.rs".into()]), ["deny.toml"]);
}

fn undocumented(path: &str, text: &str) -> Option<String> {
    (!text.starts_with("//!") && !path.ends_with("tests.rs"))
        .then(|| format!("{path}: begins without `//!`: what is it for, what does it never do?"))
}

#[test]
fn every_source_says_first_what_it_is_for() {
    let rust = |name: &String| name.ends_with(".rs") && !name.starts_with("fuzz/");
    let offences: Vec<String> =
        tracked().into_iter().filter(rust).filter_map(|name| undocumented(&name, &read(&name).unwrap())).collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
    assert!(undocumented("src/a.rs", "use x;\n//! late").is_some(), "the rule refuses");
}

/// Traces of one machine, and of where packages come from.
fn traces(path: &str, text: &str) -> Vec<String> {
    let banned = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/tmp/bash", "_jobs"),
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("python", "hosted.org"),
        concat!("npm", "js.org"),
        concat!("deb.", "debian.org"),
    ];
    let alone = |line: &str, word: &str| {
        let at = line.find(word)?;
        let inside = line[..at].ends_with(|before: char| before == '/' || before.is_alphanumeric());
        (!word.starts_with('/') || !inside).then_some(())
    };
    let hit = |line: &str| banned.iter().find(|word| alone(line, word).is_some()).copied();
    text.lines()
        .enumerate()
        .filter_map(|(n, line)| hit(line).map(|word| format!("{path}:{}: `{word}`", n + 1)))
        .collect()
}

#[test]
fn nothing_names_this_machine_or_a_registry() {
    let names = tracked().into_iter().filter(|name| !name.ends_with("Cargo.lock"));
    let offences: Vec<String> = names.flat_map(|name| traces(&name, &read(&name).unwrap_or_default())).collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
    assert_eq!(traces("a", concat!("ok\nsee /wo", "rk/main")).len(), 1, "the rule refuses");
}

/// Relative links of a page that lead nowhere.
fn dead_links(page: &str, text: &str) -> Vec<String> {
    let folder = std::path::Path::new(page).parent().expect("a page is a file");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:"))
        .filter_map(|target| target.split('#').next())
        .filter(|target| !root().join(folder).join(target).exists())
        .map(|target| format!("{page}: `{target}` does not exist"))
        .collect()
}

#[test]
fn pages_link_only_to_what_exists() {
    let pages = tracked().into_iter().filter(|name| name.ends_with(".md"));
    let offences: Vec<String> = pages.flat_map(|name| dead_links(&name, &read(&name).unwrap())).collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
    assert_eq!(
        dead_links("docs/a.md", "[x](nowhere.md) [y](../Cargo.toml#a) ![z](https://example.org/a.png)").len(),
        1
    );
}

#[test]
fn the_pages_that_readers_need_exist() {
    for page in ["README.md", "docs/architecture.md", "docs/changelog.md", "docs/dependencies.md"] {
        assert!(read(page).is_some_and(|text| text.len() > 400), "{page}");
    }
}
