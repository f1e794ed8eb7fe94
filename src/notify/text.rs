//! Writing a note for a server: plain or markup, short, and harmless whatever people send.
//!
//! Text of others is never markup, never reorders what stands beside it, and never hides characters. Pure.

use super::desktop::{Capabilities, Notice};
use super::rules::{Line, Note};
use crate::model::{Message, MessageKind};
use unicode_segmentation::UnicodeSegmentation;

/// Most characters of a title.
const TITLE: usize = 80;
/// Most characters of a message that stands alone.
const ALONE: usize = 400;
/// Most characters of a message among others.
const LISTED: usize = 160;
/// Most combining marks on one character.
const MARKS: usize = 4;

/// A click on the notification itself.
pub(super) const OPEN: &str = "default";
/// Text typed into the notification (KDE's extension).
pub(super) const INLINE_REPLY: &str = "inline-reply";
/// A button that opens the app to reply there.
pub(super) const REPLY: &str = "reply";
/// A button.
pub(super) const MARK_READ: &str = "mark-read";
/// A button.
pub(super) const MUTE: &str = "mute-1h";

/// What a message says in a banner: at most as many characters as a banner ever shows.
pub(super) fn preview(message: &Message) -> String {
    let text = clean(&message.text, ALONE);
    if !text.is_empty() {
        return text;
    }
    let file = message.attachments.first().and_then(|file| file.name.as_deref()).map(|name| clean(name, TITLE));
    match (message.kind, file) {
        (MessageKind::Encrypted, _) => "Encrypted message".into(),
        (MessageKind::Call, _) => "Missed call".into(),
        (_, Some(name)) if !name.is_empty() => format!("File: {name}"),
        (_, Some(_)) => "File".into(),
        (_, None) if !message.attachments.is_empty() => "File".into(),
        (_, None) => "New message".into(),
    }
}

/// A person's or conversation's name, on one line.
pub(super) fn name(text: &str) -> String {
    let name = clean(text, TITLE).replace('\n', " ");
    if name.is_empty() { "Unknown".into() } else { name }
}

/// Writes a note for a server that can do this.
pub(super) fn render(note: &Note, can: Capabilities, sound: Option<&str>, replaces: u32) -> Notice {
    let lines = lines(note, can.body_markup && can.body);
    let (summary, body) = match (can.body, lines.last()) {
        (true, _) => (title(note), lines.join("\n")),
        (false, Some(line)) => (format!("{}: {}", title(note), line.replace('\n', " ")), String::new()),
        (false, None) => (title(note), String::new()),
    };
    Notice {
        replaces,
        summary,
        body,
        actions: if can.actions { actions(note, can) } else { Vec::new() },
        urgency: note.urgency,
        sound: sound.filter(|_| !note.silent).map(str::to_owned),
        picture: note.picture.clone(),
        category: "im.received".into(),
    }
}

fn title(note: &Note) -> String {
    match (note.conversation, note.hidden, note.total) {
        (Some(_), false, _) => name(&note.title),
        (Some(_), true, 1) => "New message".into(),
        (Some(_), true, many) => count(many, "new message"),
        (None, _, many) => format!("{} in {}", count(many, "new message"), count(note.conversations, "conversation")),
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn lines(note: &Note, markup: bool) -> Vec<String> {
    let limit = if note.lines.len() == 1 { ALONE } else { LISTED };
    let earlier = note.total.saturating_sub(note.lines.len());
    let mut lines = Vec::new();
    if note.conversation.is_some() && !note.hidden && earlier > 0 {
        let text = count(earlier, "earlier message");
        lines.push(if markup { format!("<i>{text}</i>") } else { text });
    }
    lines.extend(note.lines.iter().map(|line| one_line(line, limit, markup)));
    lines
}

fn one_line(line: &Line, limit: usize, markup: bool) -> String {
    let text = written(&clean(&line.text, limit), markup);
    let Some(sender) = &line.sender else { return text };
    // Two texts on one line: neither may reorder the other.
    let sender = isolate(&written(&name(sender), markup));
    let text = isolate(&text);
    if markup { format!("<b>{sender}</b>: {text}") } else { format!("{sender}: {text}") }
}

fn actions(note: &Note, can: Capabilities) -> Vec<(String, String)> {
    let mut actions = Vec::new();
    let mut add = |key: &str, label: &str| actions.push((key.to_owned(), label.to_owned()));
    if note.openable {
        add(OPEN, "Open");
    }
    if note.conversation.is_some() && !note.hidden {
        if can.inline_reply {
            add(INLINE_REPLY, "Reply");
        } else if note.openable {
            add(REPLY, "Reply");
        }
        add(MARK_READ, "Mark read");
        add(MUTE, "Mute 1 h");
    }
    actions
}

/// Escaped where the server reads markup.
pub(super) fn written(text: &str, markup: bool) -> String {
    if !markup || crate::mutant("markup-raw") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

/// Right-to-left text gets a fence (FSI … PDI, UAX #9), so that it does not reorder its neighbours.
fn isolate(text: &str) -> String {
    if text.chars().any(right_to_left) && !crate::mutant("bidi-raw") {
        format!("\u{2068}{text}\u{2069}")
    } else {
        text.to_owned()
    }
}

/// Removes what cannot be seen or breaks lines and order, and cuts to `limit` characters between graphemes. The time
/// it takes depends on `limit`, not on the length of the text.
pub(super) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut marks = 0_usize;
    let mut pending_space: Option<char> = None;
    // Enough to fill the limit, or to show that nothing visible comes soon.
    for character in text.chars().take(limit.saturating_mul(8)) {
        let character = match character {
            '\n' | '\u{2028}' | '\u{2029}' | '\u{b}' | '\u{c}' | '\u{85}' => '\n',
            '\t' => ' ',
            other if other != ' ' && invisible(other) => continue,
            other => other,
        };
        if character == '\n' || character == ' ' {
            pending_space = match (pending_space, character) {
                (Some('\n'), _) | (_, '\n') => Some('\n'),
                _ => Some(' '),
            };
            continue;
        }
        marks = if combining(character) { marks.saturating_add(1) } else { 0 };
        if marks > MARKS && !crate::mutant("marks-raw") {
            continue;
        }
        if let Some(space) = pending_space.take()
            && !out.is_empty()
        {
            out.push(space);
        }
        out.push(character);
    }
    let longer = text.chars().nth(limit.saturating_mul(8)).is_some();
    cut(out, limit, longer)
}

/// Cuts to `limit` characters, the ellipsis included, never inside a grapheme unless one alone is longer.
fn cut(text: String, limit: usize, longer: bool) -> String {
    if !longer && text.chars().nth(limit).is_none() {
        return text;
    }
    let room = limit.saturating_sub(1);
    let (mut used, mut kept) = (0_usize, 0_usize);
    for grapheme in text.graphemes(true) {
        let count = grapheme.chars().count();
        if used.saturating_add(count) > room {
            break;
        }
        used = used.saturating_add(count);
        kept = kept.saturating_add(grapheme.len());
    }
    let end = if kept > 0 { kept } else { text.char_indices().nth(room).map_or(text.len(), |(at, _)| at) };
    let mut out = text.get(..end).unwrap_or_default().trim_end().to_owned();
    out.push('…');
    out
}

/// Controls, explicit bidi formatting, characters without width or meaning. ZWJ, ZWNJ, variation selectors, LRM, RLM
/// and tag characters stay: scripts and emoji need them.
fn invisible(character: char) -> bool {
    if crate::mutant("controls-raw") {
        return false;
    }
    character.is_control()
        || matches!(u32::from(character),
            0xAD | 0x34F | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180E | 0x200B | 0x202A..=0x202E | 0x2060..=0x206F
            | 0x2800 | 0x3164 | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xFFFE | 0xFFFF | 0x1D173..=0x1D17A
            | 0xE0001)
}

fn combining(character: char) -> bool {
    matches!(u32::from(character),
        0x300..=0x36F | 0x483..=0x489 | 0x591..=0x5BD | 0x610..=0x61A | 0x64B..=0x65F | 0x1AB0..=0x1AFF
        | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE20..=0xFE2F)
}

fn right_to_left(character: char) -> bool {
    matches!(u32::from(character), 0x590..=0x8FF | 0x200F | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFC | 0x1_0800..=0x1_0FFF | 0x1_E800..=0x1_EFFF)
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
