//! Which libraries may come in: licences, bans, one version of what must be one, and each with its reason on paper.

use super::source::{read, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const TARGETS: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-apple-darwin"];

const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "CC0-1.0",
    "BSL-1.0",
    "MPL-2.0",
];

/// MPL-2.0 asks that changes to its files are published; these are used unchanged.
const MPL: &[&str] = &["option-ext", "xmpp-parsers", "jid", "minidom", "sasl", "xso", "xso_proc"];

const BANNED: &[(&str, &str)] = &[
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("webpki-roots", "roots come from the system, through rustls-platform-verifier"),
    ("async-std", "the runtime is tokio"),
    ("async-io", "the runtime is tokio: zbus with its tokio feature"),
];

/// Libraries of which a second version would mean a second copy of a whole stack.
const SINGLE: &[&str] =
    &["zbus", "zvariant", "tokio", "rustls", "hyper", "rusqlite", "libsqlite3-sys", "tokio-tungstenite", "serde"];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
    source: String,
}

/// The packages that are built into the program for any of the targets (normal and build dependencies).
fn packages() -> BTreeSet<Package> {
    TARGETS.iter().flat_map(|target| packages_for(target)).collect()
}

fn metadata(target: &str) -> Value {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform", target])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn packages_for(target: &str) -> Vec<Package> {
    let metadata = metadata(target);
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<&str, &Value> = nodes.iter().map(|node| (node["id"].as_str().unwrap(), node)).collect();
    let mut open = vec![metadata["resolve"]["root"].as_str().unwrap()];
    let mut seen: BTreeSet<&str> = open.iter().copied().collect();
    while let Some(id) = open.pop() {
        for edge in nodes[id]["deps"].as_array().unwrap() {
            let built = edge["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev");
            let id = edge["pkg"].as_str().unwrap();
            if built && seen.insert(id) {
                open.push(id);
            }
        }
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = metadata["packages"].as_array().unwrap().iter();
    all.filter(|package| seen.contains(package["id"].as_str().unwrap()))
        .filter(|package| package["name"] != "wakeful")
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
            source: text(&package["source"]),
        })
        .collect()
}

/// Does an SPDX expression leave a choice among `allowed`? (`A OR B`, `A AND B`, parentheses, the old `A/B`.)
fn licensed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words, allowed) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut fine = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        fine |= all(words, allowed);
    }
    fine
}

fn all(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut fine = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        fine &= one(words, allowed);
    }
    fine
}

fn one(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let fine = any(words, allowed);
        return words.next() == Some(")") && fine;
    }
    let Some(name) = words.next() else { return false };
    if words.next_if_eq(&"WITH").is_some() {
        let exception = words.next().unwrap_or_default();
        return allowed(&format!("{name} WITH {exception}"));
    }
    allowed(name)
}

fn offences(packages: &BTreeSet<Package>) -> Vec<String> {
    let mut offences = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Package { name, version, licence, source } in packages {
        versions.entry(name).or_default().insert(version);
        let allowed =
            |licence: &str| LICENCES.contains(&licence) && (licence != "MPL-2.0" || MPL.contains(&name.as_str()));
        if !licensed(licence, &allowed) {
            offences.push(format!("{name} {version}: licence `{licence}`"));
        }
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| banned == name) {
            offences.push(format!("{name} {version}: banned: {reason}"));
        }
        if !source.starts_with("registry+") {
            offences.push(format!("{name} {version}: from `{source}`, not from the registry"));
        }
    }
    for single in SINGLE {
        if versions.get(single).is_some_and(|found| found.len() > 1) {
            offences.push(format!("{single} comes in more than once: {:?}", versions[single]));
        }
    }
    offences
}

#[test]
fn only_wanted_libraries_come_in() {
    let packages = packages();
    assert!(packages.len() > 50, "the packages are found");
    let offences = offences(&packages);
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn the_library_rule_refuses_what_it_must() {
    let package = |name: &str, version: &str, licence: &str, source: &str| Package {
        name: name.into(),
        version: version.into(),
        licence: licence.into(),
        source: source.into(),
    };
    for bad in [
        vec![package("openssl", "0.10.0", "Apache-2.0", "registry+x")],
        vec![package("a", "1.0.0", "GPL-3.0-only", "registry+x")],
        vec![package("a", "1.0.0", "MIT AND GPL-3.0-only", "registry+x")],
        vec![package("a", "1.0.0", "", "registry+x")],
        vec![package("a", "1.0.0", "MPL-2.0", "registry+x")],
        vec![package("a", "1.0.0", "MIT", "git+https://example.org/a")],
        vec![package("zbus", "5.0.0", "MIT", "registry+x"), package("zbus", "6.0.0", "MIT", "registry+x")],
    ] {
        assert_eq!(offences(&bad.iter().cloned().collect()).len(), 1, "{bad:?}");
    }
    for good in
        ["MIT OR Apache-2.0", "MIT/Apache-2.0", "(MIT OR GPL-2.0) AND ISC", "Apache-2.0 WITH LLVM-exception OR MIT"]
    {
        assert_eq!(offences(&[package("a", "1.0.0", good, "registry+x")].into()), Vec::<String>::new(), "{good}");
    }
}

/// Direct dependencies of Cargo.toml, of every kind and system.
fn direct(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let mut tables: Vec<&toml::Table> = Vec::new();
    let systems = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(|t| t.values());
    for place in std::iter::once(&manifest).chain(systems.filter_map(toml::Value::as_table)) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            tables.extend(place.get(kind).and_then(toml::Value::as_table));
        }
    }
    tables.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

fn unexplained(manifest: &str, page: &str) -> Vec<String> {
    let listed = |name: &String| page.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    direct(manifest).into_iter().filter(|name| !listed(name)).collect()
}

#[test]
fn every_dependency_has_its_reason_on_paper() {
    let missing = unexplained(&read("Cargo.toml").unwrap(), &read("docs/dependencies.md").unwrap());
    assert!(missing.is_empty(), "docs/dependencies.md has no row for {missing:?}");
    assert_eq!(unexplained("[dependencies]\na = '1'\n[target.x.dependencies]\nb = '1'", "| `a` | 1 |"), ["b"]);
}
