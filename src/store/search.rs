//! Full-text search: what people type as a safe FTS5 query, and an index of single characters for scripts that are
//! written without spaces: there one character is found as surely as a sentence.

use super::StoreError;
use super::tx::{Result, Tx, one};
use crate::model::SnippetPart;
use rusqlite::Connection;
use std::fmt::Write;

/// Longest query, bytes.
const LONGEST: usize = 1_000;
/// The index of words.
const WORDS: &str = "message_text";
/// The index of single characters.
const GLYPHS: &str = "message_glyph";

/// A character of a script that is written without spaces between words.
fn is_glyph(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0FFF // Thai, Lao, Tibetan
        | 0x1000..=0x109F // Burmese
        | 0x1780..=0x17FF // Khmer
        | 0x3005..=0x3007 | 0x3040..=0x312F | 0xFF66..=0xFF9F // Kana, Bopomofo, signs of repetition
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF // Han
        | 0xAC00..=0xD7AF // Hangul
    )
}

/// Keeps the index of single characters in step with a message's text; empty takes the message out.
pub(super) fn glyphs(tx: &Tx<'_>, position: i64, text: &str) -> Result<()> {
    tx.run("DELETE FROM message_glyph WHERE rowid = ?1", [position])?;
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

/// Makes the index of single characters anew from the messages that are here.
pub(super) fn index_glyphs(conn: &Connection) -> rusqlite::Result<()> {
    let mut texts = conn.prepare("SELECT position, text FROM message WHERE text <> ''")?;
    let mut put = conn.prepare("INSERT INTO message_glyph(rowid, text) VALUES (?1, ?2)")?;
    let mut rows = texts.query([])?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str()?;
        if text.chars().any(is_glyph) {
            put.execute((row.get::<_, i64>(0)?, spaced(text)))?;
        }
    }
    Ok(())
}

/// A query in FTS5's language and the table that answers it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) table: &'static str,
    pub(super) query: String,
    /// What is looked for in scripts without spaces, in lower case: their index keeps no text to be marked.
    glyphs: Vec<String>,
}

/// What somebody typed (`words`, `pre*`, `"a phrase"`) as a query that cannot fail to parse.
///
/// # Errors
/// `Invalid` if nothing in it can be searched for.
pub(super) fn parse(typed: &str) -> Result<Match> {
    if typed.len() > LONGEST {
        return Err(StoreError::Invalid(format!("a search may have {LONGEST} bytes at most")));
    }
    let any = typed.chars().any(is_glyph);
    let mut found = Match { table: if any { GLYPHS } else { WORDS }, query: String::new(), glyphs: Vec::new() };
    for (term, quoted) in terms(typed) {
        let (bare, glyphs) = (term.trim_end_matches('*'), term.chars().any(is_glyph));
        // A part of a text without spaces begins anywhere: a star says nothing more.
        let prefix = !quoted && bare.len() < term.len() && !bare.ends_with(is_glyph);
        if !bare.chars().any(|c| c.is_alphanumeric() || is_glyph(c)) {
            continue;
        }
        if prefix && bare.chars().count() < 2 {
            return Err(StoreError::Invalid(format!(
                "{bare}* would match almost everything: give two letters or more"
            )));
        }
        let words = if glyphs { spaced(bare) } else { bare.to_owned() };
        let separator = if found.query.is_empty() { "" } else { " " };
        let star = if prefix { "*" } else { "" };
        let _infallible = write!(found.query, "{separator}\"{}\"{star}", words.replace('"', "\"\""));
        if any {
            found.glyphs.push(bare.to_lowercase());
        }
    }
    if found.query.is_empty() {
        return Err(StoreError::Invalid("there is no word to search for".into()));
    }
    Ok(found)
}

/// The part of a message's text around what was found. `None` where it is no longer there.
pub(super) fn snippet(
    conn: &Connection,
    wanted: &Match,
    position: i64,
    text: &str,
) -> Result<Option<Vec<SnippetPart>>> {
    if wanted.table == GLYPHS {
        return Ok(Some(marked(text, &wanted.glyphs)));
    }
    let sql = "SELECT snippet(message_text, 0, char(2), char(3), '…', 40) FROM message_text
        WHERE message_text MATCH ?1 AND rowid = ?2";
    let found: Option<String> = one(conn, sql, (&wanted.query, position), |row| row.get(0))?;
    Ok(found.map(|found| parts(&found)))
}

/// FTS5's marks as parts.
fn parts(found: &str) -> Vec<SnippetPart> {
    let mut parts = Vec::new();
    let mut put = |text: &str, hit: bool| {
        if !text.is_empty() {
            parts.push(SnippetPart { text: text.to_owned(), hit });
        }
    };
    for piece in found.split('\u{2}') {
        match piece.split_once('\u{3}') {
            Some((hit, plain)) => {
                put(hit, true);
                put(plain, false);
            }
            None => put(piece, false),
        }
    }
    parts
}

/// Characters shown before the first match, and in all.
const SHOWN: (usize, usize) = (40, 200);

/// The text around the first of these, with each of them marked, whatever its case.
fn marked(text: &str, wanted: &[String]) -> Vec<SnippetPart> {
    let chars: Vec<char> = text.chars().collect();
    let lower: Vec<char> = chars.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
    let wanted: Vec<Vec<char>> = wanted.iter().map(|term| term.chars().collect()).collect();
    let mut hit = vec![false; chars.len()];
    for term in wanted.iter().filter(|term| !term.is_empty()) {
        for (at, window) in lower.windows(term.len()).enumerate() {
            if window == term.as_slice() {
                hit.iter_mut().skip(at).take(term.len()).for_each(|hit| *hit = true);
            }
        }
    }
    let first = hit.iter().position(|hit| *hit).unwrap_or(0);
    let from = first.saturating_sub(SHOWN.0);
    let mut parts: Vec<SnippetPart> = Vec::new();
    let mut put = |c: char, hit: bool| match parts.last_mut() {
        Some(last) if last.hit == hit => last.text.push(c),
        _ => parts.push(SnippetPart { text: c.into(), hit }),
    };
    if from > 0 {
        put('…', false);
    }
    chars.iter().zip(&hit).skip(from).take(SHOWN.1).for_each(|(c, hit)| put(*c, *hit));
    if from + SHOWN.1 < chars.len() {
        put('…', false);
    }
    parts
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
        assert_eq!(query("東*"), "\" 東 \"", "it needs no star");
        assert_eq!(query("東 tok*"), "\" 東 \" \"tok\"*");
    }

    fn shown(parts: &[SnippetPart]) -> String {
        parts.iter().map(|part| if part.hit { format!("[{}]", part.text) } else { part.text.clone() }).collect()
    }

    #[test]
    fn a_snippet_of_a_script_without_spaces_marks_every_match_and_is_short() {
        let wanted = |typed: &str| parse(typed).unwrap().glyphs;
        assert_eq!(shown(&marked("明日は東京に行く。東京!", &wanted("東京"))), "明日は[東京]に行く。[東京]!");
        assert_eq!(shown(&marked("Tokyo は 東京", &wanted("東 tok*"))), "[Tok]yo は [東]京");
        let long = format!("{}京{}", "東".repeat(100), "北".repeat(300));
        let found = shown(&marked(&long, &wanted("京")));
        assert!(found.starts_with('…') && found.ends_with('…') && found.contains("[京]"), "{found}");
        assert!(found.chars().count() < 210, "{found}");
    }

    #[test]
    fn marks_of_the_index_become_parts() {
        assert_eq!(shown(&parts("a \u{2}b\u{3} c\u{2}d\u{3}")), "a [b] c[d]");
        assert_eq!(shown(&parts("plain")), "plain");
    }
}
