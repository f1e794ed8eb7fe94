//! Messages and times for a person's eyes: local time, one message a line, nothing that could steer the terminal.

use crate::ipc::wire::{Find, Row};
use crate::model::{Hole, HoleCause, HoleFill, Message, MessageKind, MessageState, Timestamp};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::fmt::Write as _;

/// A local date and time, to the second.
pub(super) fn local(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.ms()) {
        Ok(time) => time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_string(),
    }
}

/// An age such as `3 s`, `12 min`, `5 h`, `9 d`.
pub(super) fn age(ms: u64) -> String {
    match ms / 1_000 {
        0 => format!("{ms} ms"),
        s @ 1..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

/// Text from others without control characters: they become visible and harmless. Line feeds become an indented line.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\n    "),
            '\t' => out.push(' '),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// One message: time, conversation, sender, text, and what is special about it.
pub(super) fn message(message: &Message, with_conversation: bool) -> String {
    let mut line = local(message.sent_at);
    if with_conversation {
        let place = format!("{}/{}", message.account, message.conversation.name);
        write!(line, "  {:<20}", harmless(&place)).ok();
    }
    let sender = message.sender_name.as_ref().unwrap_or(&message.sender);
    write!(line, "  {:<12}  {}", harmless(sender), harmless(&words(message))).ok();
    if let Some(mark) = mark(message) {
        write!(line, "  [{mark}]").ok();
    }
    line.trim_end().to_string()
}

fn words(message: &Message) -> String {
    if message.retracted {
        return "(taken back)".into();
    }
    let mut text = match message.kind {
        MessageKind::Encrypted if message.text.is_empty() => "(encrypted)".to_string(),
        _ => message.text.clone(),
    };
    for file in &message.attachments {
        write!(text, " <{}>", file.name.as_ref().unwrap_or(&file.url)).ok();
    }
    text
}

fn mark(message: &Message) -> Option<String> {
    let state = match message.state {
        MessageState::Pending | MessageState::InFlight => Some("not sent yet".to_string()),
        MessageState::Failed => Some(format!("failed: {}", message.error.as_deref().unwrap_or("refused"))),
        MessageState::Received | MessageState::Sent | MessageState::Delivered | MessageState::Read => None,
    };
    let edited = message.edited_at.map(|_| "edited".to_string());
    let both: Vec<String> = [state, edited].into_iter().flatten().collect();
    if both.is_empty() { None } else { Some(both.join(", ")) }
}

/// A line for messages that are missing here.
pub(super) fn hole(hole: &Hole) -> String {
    let from = hole.from.map_or_else(|| "the beginning".to_string(), local);
    let to = hole.to.map_or_else(|| "now".to_string(), local);
    let (why, what) = match (hole.cause, hole.fill) {
        (HoleCause::Retention, _) => ("were thrown away, as [retention] asks", ""),
        (HoleCause::Missed, HoleFill::Asked) => ("were missed", "; the server was asked for them"),
        (_, HoleFill::Asked) => ("are not on this machine", "; the server was asked for them"),
        (HoleCause::Missed, _) => ("were missed", " (`--fetch` asks the server)"),
        (HoleCause::NotFetched, _) => ("are not on this machine", " (`--fetch` asks the server)"),
    };
    format!("    ... messages between {from} and {to} {why}{what} ...")
}

/// A row as one line of JSON: a message as it is, or `{"hole": ...}`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum RowJson<'a> {
    /// A message.
    Message(&'a Message),
    /// Missing messages.
    Hole {
        /// Which.
        hole: &'a Hole,
    },
}

/// A row's JSON.
pub(super) fn row_json(row: &Row) -> RowJson<'_> {
    match row {
        Row::Message(message) => RowJson::Message(message),
        Row::Hole(hole) => RowJson::Hole { hole },
    }
}

/// A row for a person.
pub(super) fn row(row: &Row, find: &Find) -> String {
    match row {
        Row::Message(found) => message(found, find.conversation.is_none()),
        Row::Hole(missing) => hole(missing),
    }
}

/// Columns of equal width, separated by two blanks.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_write_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\rc\u{9b}1mx"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}1mx");
        assert_eq!(harmless("two\nlines"), "two\n    lines");
    }

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        assert_eq!(
            [age(7), age(1_500), age(240_000), age(36_000_000), age(864_000_000)],
            ["7 ms", "1 s", "4 min", "10 h", "10 d"]
        );
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_string(), "long".into()], vec!["bcd".to_string(), "x".into()]];
        assert_eq!(table(&rows), ["a    long", "bcd  x"]);
    }
}
