//! What people send, and what a banner makes of it.

use super::{ALONE, clean, name, render};
use crate::model::ConversationId;
use crate::notify::desktop::{Capabilities, Urgency};
use crate::notify::rules::{Line, Note};
use proptest::prelude::*;

const MARKUP: Capabilities = Capabilities {
    actions: true,
    body: true,
    body_markup: true,
    inline_reply: false,
    persistence: false,
    sound: false,
};
const PLAIN: Capabilities = Capabilities { body_markup: false, ..MARKUP };

fn note(title: &str, lines: &[(Option<&str>, &str)]) -> Note {
    let line = |(sender, text): &(Option<&str>, &str)| Line { sender: sender.map(str::to_owned), text: (*text).into() };
    Note {
        title: title.into(),
        lines: lines.iter().map(line).collect(),
        total: lines.len(),
        conversations: 1,
        conversation: Some(ConversationId::new(1, &[0; 10])),
        hidden: false,
        picture: None,
        openable: true,
        silent: false,
        urgency: Urgency::Normal,
    }
}

fn body(text: &str, can: Capabilities) -> String {
    render(&note("Ann", &[(None, text)]), can, None, 0).body
}

#[test]
fn markup_in_a_message_is_shown_and_never_obeyed() {
    let text = "<b>bold</b> & <img src=\"file:///etc/passwd\"/> &amp; <a href='x'>y</a>";
    assert_eq!(
        body(text, MARKUP),
        "&lt;b&gt;bold&lt;/b&gt; &amp; &lt;img src=\"file:///etc/passwd\"/&gt; &amp;amp; &lt;a href='x'&gt;y&lt;/a&gt;"
    );
    assert_eq!(body(text, PLAIN), text, "a server without markup gets the text as it is");
}

#[test]
fn a_sender_in_a_group_stands_before_the_text_and_is_escaped_too() {
    let note = note("Team", &[(Some("<i>Eve"), "hi"), (Some("Bob"), "yes & no")]);
    assert_eq!(render(&note, MARKUP, None, 0).body, "<b>&lt;i&gt;Eve</b>: hi\n<b>Bob</b>: yes &amp; no");
    assert_eq!(render(&note, PLAIN, None, 0).body, "<i>Eve: hi\nBob: yes & no");
}

#[test]
fn overrides_and_embeddings_are_removed_and_right_to_left_is_fenced_beside_other_text() {
    assert_eq!(clean("pay \u{202e}exe.txt\u{202c} \u{2066}x\u{2069}", 50), "pay exe.txt x");
    let note = note("Team", &[(Some("דנה"), "שלום"), (Some("Bob"), "ok")]);
    assert_eq!(render(&note, PLAIN, None, 0).body, "\u{2068}דנה\u{2069}: \u{2068}שלום\u{2069}\nBob: ok");
    assert_eq!(body("שלום", PLAIN), "שלום", "alone on its line it needs no fence");
}

#[test]
fn controls_and_characters_without_width_are_removed() {
    assert_eq!(clean("a\u{0}b\u{7}c\u{1b}[31md\u{200b}e\u{feff}f\r\ng\th", 50), "abc[31mdef\ng h");
    assert_eq!(clean("  a \n\n\n b  ", 50), "a\nb");
    assert_eq!(name("two\nlines\u{200b}"), "two lines");
    assert_eq!(name("\u{200b}\u{202e}"), "Unknown");
}

#[test]
fn emoji_survive_and_are_never_cut_in_two() {
    let family = "👨‍👩‍👧‍👦";
    let flag = "🏴󠁧󠁢󠁳󠁣󠁴󠁿";
    let text = format!("hi {family}{flag}👋🏽🇩🇪");
    assert_eq!(clean(&text, 100), text);
    for limit in 1..40 {
        let cut = clean(&text, limit);
        assert!(cut.chars().count() <= limit, "{limit}");
        let rest = cut.strip_suffix('…').unwrap_or(&cut);
        assert!(text.starts_with(rest));
        let whole: Vec<&str> = unicode_segmentation::UnicodeSegmentation::graphemes(text.as_str(), true).collect();
        let mut prefix = String::new();
        let fits = whole.iter().any(|grapheme| {
            prefix.push_str(grapheme);
            prefix.trim_end() == rest
        });
        assert!(fits || rest.is_empty() || limit < 4, "{limit}: {rest:?} ends inside a grapheme");
    }
}

#[test]
fn length_is_capped_by_characters_and_not_by_bytes() {
    let text = "ü".repeat(4_000);
    let body = body(&text, MARKUP);
    assert_eq!(body.chars().count(), ALONE);
    assert!(body.ends_with("ü…"));
}

#[test]
fn a_megabyte_of_anything_is_short_and_quick() {
    for pattern in ["a", "\u{200b}", "<", "e\u{301}", "\u{301}", "👨\u{200d}", "\n", "\u{202e}"] {
        let text = pattern.repeat(1_048_576 / pattern.len());
        let body = body(&text, MARKUP);
        assert!(body.chars().count() <= ALONE * 4, "{pattern:?} made {}", body.len());
    }
}

#[test]
fn a_tower_of_combining_marks_is_capped() {
    let text = format!("z{}", "\u{335}".repeat(200));
    assert_eq!(clean(&text, 400).chars().count(), 5);
}

#[test]
fn what_is_hidden_says_only_how_many() {
    let mut hidden = note("", &[]);
    hidden.hidden = true;
    hidden.total = 3;
    let notice = render(&hidden, MARKUP, Some("message-new-instant"), 0);
    assert_eq!((notice.summary.as_str(), notice.body.as_str()), ("3 new messages", ""));
    assert_eq!(notice.actions, [("default".to_owned(), "Open".to_owned())], "nothing can be answered unseen");
}

#[test]
fn a_server_without_a_body_gets_the_newest_line_in_the_summary() {
    let can = Capabilities { body: false, ..MARKUP };
    let notice = render(&note("Ann", &[(None, "one"), (None, "two <3")]), can, None, 7);
    assert_eq!((notice.summary.as_str(), notice.body.as_str(), notice.replaces), ("Ann: two <3", "", 7));
}

#[test]
fn buttons_follow_what_the_server_can_do() {
    let keys = |can, note: &Note| -> Vec<String> {
        render(note, can, None, 0).actions.into_iter().map(|(key, _)| key).collect()
    };
    let mut note = note("Ann", &[(None, "hi")]);
    assert_eq!(keys(MARKUP, &note), ["default", "reply", "mark-read", "mute-1h"]);
    let inline = Capabilities { inline_reply: true, ..MARKUP };
    assert_eq!(keys(inline, &note), ["default", "inline-reply", "mark-read", "mute-1h"]);
    note.openable = false;
    assert_eq!(keys(MARKUP, &note), ["mark-read", "mute-1h"]);
    assert!(keys(Capabilities { actions: false, ..MARKUP }, &note).is_empty());
}

/// Whether a server that reads markup finds only `<b>`, `<i>` and three entities.
fn harmless(body: &str) -> bool {
    let mut rest = body.to_owned();
    for allowed in ["<b>", "</b>", "<i>", "</i>", "&amp;", "&lt;", "&gt;"] {
        rest = rest.replace(allowed, "");
    }
    !rest.contains(['<', '>', '&'])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_sent_the_markup_is_ours(sender in "\\PC{0,40}|[<>&\"']{0,20}", text in "\\PC{0,600}|[<>&;a-z/]{0,60}") {
        let body = render(&note("t", &[(Some(&sender), &text), (None, &text)]), MARKUP, None, 0).body;
        prop_assert!(harmless(&body), "{}", body);
    }

    #[test]
    fn cleaning_never_grows_and_never_passes_the_limit(text in any::<String>(), limit in 1_usize..300) {
        let cleaned = clean(&text, limit);
        prop_assert!(cleaned.chars().count() <= limit);
        let control = |c: char| c.is_control() && c != '\n';
        let control = cleaned.chars().any(|c| control(c) || (0x202a..=0x202e).contains(&u32::from(c)));
        prop_assert!(!control);
        prop_assert_eq!(clean(&cleaned, limit), cleaned, "cleaning twice changes nothing");
    }
}
