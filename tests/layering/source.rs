//! Rust sources as flat lists of tokens, without the parts that only tests see.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeSet;

/// One token; groups are flattened into their delimiters, `::` is one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
    /// Inline modules around it, within its file.
    pub inside: Vec<String>,
}

/// One file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Relative to the package, e.g. `src/link/driver/mod.rs`.
    pub path: String,
    /// Its module, e.g. `["link", "driver"]`; empty for the crate's root.
    pub module: Vec<String>,
    pub tokens: Vec<Token>,
    /// Modules that it declares under `#[cfg(test)]`.
    pub test_modules: Vec<String>,
}

impl Source {
    /// Takes a file apart. Fails the test when it is not Rust.
    pub fn new(path: &str, text: &str) -> Self {
        let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut source =
            Self { path: path.into(), module: module_of(path), tokens: Vec::new(), test_modules: Vec::new() };
        source.flatten(stream, &[]);
        source
    }

    /// The first module below the crate: its room.
    pub fn room(&self) -> &str {
        match self.path.as_str() {
            "src/main.rs" => "main",
            "src/lib.rs" => "lib",
            _ => self.module.first().map_or("lib", String::as_str),
        }
    }

    fn flatten(&mut self, stream: TokenStream, inside: &[String]) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            if let Some(after) = test_item(&trees, at) {
                if let [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(_)] =
                    &trees[after.saturating_sub(3)..after]
                    && word == "mod"
                {
                    self.test_modules.push(name.to_string());
                }
                at = after;
                continue;
            }
            let mut within = inside.to_vec();
            if let (Some(TokenTree::Ident(name)), Some(TokenTree::Ident(word))) =
                (at.checked_sub(1).and_then(|i| trees.get(i)), at.checked_sub(2).and_then(|i| trees.get(i)))
                && word == "mod"
            {
                within.push(name.to_string());
            }
            at += self.token(&trees, at, inside, &within);
        }
    }

    fn token(&mut self, trees: &[TokenTree], at: usize, inside: &[String], within: &[String]) -> usize {
        let line = trees[at].span().start().line;
        let mut push = |text: String, line| self.tokens.push(Token { text, line, inside: inside.to_vec() });
        match &trees[at] {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.into(), line);
                self.flatten(group.stream(), within);
                let end = group.span_close().end().line;
                self.tokens.push(Token { text: close.into(), line: end, inside: inside.to_vec() });
            }
            TokenTree::Punct(first) if first.as_char() == ':' => {
                if let Some(TokenTree::Punct(second)) = trees.get(at + 1)
                    && second.as_char() == ':'
                {
                    push("::".into(), line);
                    return 2;
                }
                push(":".into(), line);
            }
            other => push(other.to_string(), line),
        }
        1
    }
}

/// If an item that only tests see begins at `at`: where it ends.
fn test_item(trees: &[TokenTree], at: usize) -> Option<usize> {
    let (TokenTree::Punct(hash), TokenTree::Group(group)) = (trees.get(at)?, trees.get(at + 1)?) else { return None };
    if hash.as_char() != '#' || group.delimiter() != Delimiter::Bracket || !only_for_tests(&group.stream().to_string())
    {
        return None;
    }
    let rest = trees.get(at + 2..)?;
    let length = rest.iter().position(|tree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    });
    Some(length.map_or(trees.len(), |length| at + 2 + length + 1))
}

fn only_for_tests(attribute: &str) -> bool {
    let attribute: String = attribute.split_whitespace().collect();
    attribute == "test"
        || attribute == "tokio::test"
        || attribute.starts_with("tokio::test(")
        || attribute == "cfg(test)"
        || attribute.starts_with("cfg(all(test,")
}

fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut module: Vec<String> = inner.split('/').map(Into::into).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] || module == ["main"] {
        module.pop();
    }
    module
}

/// The package's folder.
pub fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that git tracks or would track, relative to the package.
pub fn tracked() -> Vec<String> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("names are UTF-8");
    let names: BTreeSet<String> = names.lines().map(Into::into).filter(|name| root().join(name).is_file()).collect();
    assert!(names.contains("Cargo.toml"), "git lists this package");
    names.into_iter().collect()
}

/// A tracked file's text; `None` for one that is not text.
pub fn read(path: &str) -> Option<String> {
    String::from_utf8(std::fs::read(root().join(path)).expect("a tracked file can be read")).ok()
}

/// The product's own sources, without files that only tests see.
pub fn product() -> Vec<Source> {
    let names: Vec<String> = tracked().into_iter().filter(|n| n.starts_with("src/") && n.ends_with(".rs")).collect();
    assert!(names.len() > 20, "the sources are found");
    let all: Vec<Source> = names.iter().map(|name| Source::new(name, &read(name).expect("Rust is text"))).collect();
    let tests: BTreeSet<Vec<String>> = all
        .iter()
        .flat_map(|source| {
            source.test_modules.iter().map(|name| [&source.module[..], std::slice::from_ref(name)].concat())
        })
        .collect();
    let seen_by_users = |source: &Source| !(1..=source.module.len()).any(|n| tests.contains(&source.module[..n]));
    all.into_iter().filter(seen_by_users).collect()
}

#[test]
fn parts_that_only_tests_see_are_left_out() {
    let text = "use crate::a; #[cfg(test)] mod hidden { use crate::b; } #[cfg(test)] mod elsewhere; #[test] fn t() { crate::c() } fn d() {}";
    let source = Source::new("src/x/y.rs", text);
    let words: Vec<&str> = source.tokens.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(words.join(" "), "use crate :: a ; fn d ( ) { }");
    assert_eq!(source.test_modules, ["elsewhere"]);
    assert_eq!((source.module, source.path.as_str()), (vec!["x".into(), "y".into()], "src/x/y.rs"));
}
