//! Full-text search: what people type as a safe FTS5 query, and an index of single characters for scripts that are
//! written without spaces.

use super::StoreError;
use super::tx::{Result, Tx};
use std::fmt::Write;

/// Longest query, bytes.
const LONGEST: usize = 1_000;

/// A character of a script that is written without spaces between words.
fn is_glyph(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x1000..=0x109F // Burmese
        | 0x1780..=0x17FF // Khmer
        | 0x3040..=0x30FF // Kana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF // Han
        | 0xAC00..=0xD7AF // Hangul
    )
}

/// Keeps the index of single characters in step with a message's text; empty takes the message out.
pub(super) fn glyphs(tx: &Tx<'_>, position: i64, text: &str) -> Result<()> {
    let had = tx.run("DELETE FROM message_glyph WHERE rowid = ?1", [position]);
    had?;
    if text.chars().any(is_glyph) {
        tx.run("INSERT INTO message_glyph(rowid, text) VALUES (?1, ?2)", (position, spaced(text)))?;
    }
    Ok(())
}

/// Each such character as a word of its own.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if is_glyph(c) {
            out.push(' ');
            out.push(c);
            out.push(' ');
        } else {
            out.push(c);
        }
    }
    out
}

/// A query in FTS5's language and the table that answers it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) table: &'static str,
    pub(super) query: String,
}

/// What somebody typed (`words`, `pre*`, `"a phrase"`) as a query that cannot fail to parse.
///
/// # Errors
/// `Invalid` if nothing in it can be searched for.
pub(super) fn parse(typed: &str) -> Result<Match> {
    if typed.len() > LONGEST {
        return Err(StoreError::Invalid(format!("a search may have {LONGEST} bytes at most")));
    }
    let glyphs = typed.chars().any(is_glyph);
    let mut query = String::new();
    for (term, quoted) in terms(typed) {
        let prefix = !quoted && term.ends_with('*');
        let term = term.trim_end_matches('*');
        if !term.chars().any(char::is_alphanumeric) {
            continue;
        }
        if prefix && term.chars().count() < 2 {
            return Err(StoreError::Invalid(format!(
                "{term}* would match almost everything: give two letters or more"
            )));
        }
        let term = if glyphs { spaced(term) } else { term.to_owned() };
        let separator = if query.is_empty() { "" } else { " " };
        let star = if prefix { "*" } else { "" };
        let _infallible = write!(query, "{separator}\"{}\"{star}", term.replace('"', "\"\""));
    }
    if query.is_empty() {
        return Err(StoreError::Invalid("there is no word to search for".into()));
    }
    Ok(Match { table: if glyphs { "message_glyph" } else { "message_text" }, query })
}

/// Words and quoted phrases.
fn terms(typed: &str) -> Vec<(&str, bool)> {
    let mut found = Vec::new();
    for (index, part) in typed.split('"').enumerate() {
        if index % 2 == 1 {
            found.push((part.trim(), true));
        } else {
            found.extend(part.split_whitespace().map(|word| (word, false)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(typed: &str) -> String {
        parse(typed).unwrap().query
    }

    #[test]
    fn words_prefixes_and_phrases_become_a_query_in_which_nothing_is_an_operator() {
        assert_eq!(query("hello wor*"), r#""hello" "wor"*"#);
        assert_eq!(query(r#"say "good bye" NOT"#), r#""say" "good bye" "NOT""#);
        assert_eq!(query("a-b (c) OR:d"), r#""a-b" "(c)" "OR:d""#);
        assert_eq!(query(r#"un"closed"#), r#""un" "closed""#);
    }

    #[test]
    fn a_search_for_nothing_or_for_almost_everything_is_refused() {
        for typed in ["", "  ", "\"\"", "***", "!?", "e*"] {
            assert!(matches!(parse(typed), Err(StoreError::Invalid(_))), "{typed}");
        }
    }

    #[test]
    fn a_script_without_spaces_is_searched_character_by_character() {
        let found = parse("東京").unwrap();
        assert_eq!((found.table, found.query.as_str()), ("message_glyph", "\" 東  京 \""));
    }
}
