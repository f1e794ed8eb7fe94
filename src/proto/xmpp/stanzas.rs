//! What messages carry, read and written: times, ids, texts. No state.

use super::jid;
use super::ns;
use super::tag::Tag;
use super::xml::{Element, child};
use crate::model::{MessageId, Timestamp};

/// Largest stanza sent where the server names no limit: Prosody and ejabberd close the session above 256 KiB.
pub(super) const MAX_STANZA: usize = 250 * 1024;

/// The time of `<delay/>` (XEP-0203), Unix milliseconds.
pub(super) fn stamp(delay: &Element) -> Option<Timestamp> {
    delay.attr("stamp")?.parse().ok()
}

/// When a server held the message back until, as `by` says it (our server, our account or the room).
pub(super) fn delayed(message: &Element, by: &[&str]) -> Option<Timestamp> {
    let delays = message.children().filter(|c| c.is("delay", ns::DELAY));
    delays.filter(|delay| delay.attr("from").is_none_or(|from| by.contains(&from))).find_map(stamp)
}

/// The archive's id for a message, as marked by the archive `by` (XEP-0359).
pub(super) fn stanza_id(message: &Element, by: &str) -> Option<String> {
    let any = crate::mutant("xmpp-trust-any-stanza-id");
    let ids = message.children().filter(|c| c.is("stanza-id", ns::SID));
    let genuine = ids.filter(|id| any || id.attr("by").and_then(jid::bare).as_deref() == Some(by));
    genuine.filter_map(|id| id.attr("id")).find(|id| !id.is_empty()).map(str::to_owned)
}

/// The time in an archive id that is one: ejabberd's are microseconds since the epoch. It tells the same of a message
/// whichever way it comes.
pub(super) fn time_of_id(id: &str) -> Option<Timestamp> {
    let digits = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_digit());
    let micros = id.parse::<i64>().ok().filter(|_| digits)?;
    (1_500_000_000_000_000..4_000_000_000_000_000).contains(&micros).then_some(Timestamp(micros / 1_000))
}

/// A time that does not fall behind the message before it. Stamps may know only seconds (Prosody), and clocks differ; what
/// is further apart was not told in order.
pub(super) fn not_before(at: Timestamp, floor: Option<i64>) -> Timestamp {
    match floor {
        Some(floor) if at.ms() < floor && floor - at.ms() < 10_000 => Timestamp(floor),
        _ => at,
    }
}

/// The id its sender chose: the one that changes and markers refer to.
pub(super) fn sender_ref(message: &Element) -> Option<String> {
    let id = message.attr("id").filter(|id| !id.is_empty() && id.len() <= 512);
    id.map(str::to_owned).or_else(|| origin_id(message))
}

fn origin_id(message: &Element) -> Option<String> {
    child(message, "origin-id", ns::SID).and_then(|o| o.attr("id")).filter(|id| id.len() <= 512).map(str::to_owned)
}

/// Our own id, where the message carries one that can be ours.
pub(super) fn own_id(message: &Element) -> Option<MessageId> {
    origin_id(message).or_else(|| message.attr("id").map(str::to_owned)).and_then(|id| id.parse().ok())
}

/// `<message/>` with an id, which is also its `origin-id`.
pub(super) fn message(kind: &str, to: &str, id: &str) -> Tag {
    Tag::new("message", ns::CLIENT)
        .attr("type", kind)
        .attr("to", to)
        .attr("id", id)
        .child(Tag::new("origin-id", ns::SID).attr("id", id))
}

/// A processing hint (XEP-0334): `store`, `no-store`.
pub(super) fn hint(name: &'static str) -> Tag {
    Tag::new(name, ns::HINTS)
}

/// Text without the parts that only repeat what a reply quotes (XEP-0428; offsets count code points).
pub(super) fn without_fallback(message: &Element, text: &str) -> String {
    let ranges = message
        .children()
        .filter(|c| c.is("fallback", ns::FALLBACK) && c.attr("for") == Some(ns::REPLY))
        .flat_map(Element::children)
        .filter(|c| c.name() == "body")
        .filter_map(|c| Some((c.attr("start")?.parse::<usize>().ok()?, c.attr("end")?.parse::<usize>().ok()?)));
    let ranges: Vec<(usize, usize)> = ranges.take(16).collect();
    if ranges.is_empty() {
        return text.to_owned();
    }
    let kept = |at: &usize| !ranges.iter().any(|(start, end)| (*start..*end).contains(at));
    text.chars().enumerate().filter(|(at, _)| kept(at)).map(|(_, c)| c).collect()
}

/// The text names this nick as a word.
pub(super) fn mentions(text: &str, nick: &str) -> bool {
    let (text, nick) = (text.to_lowercase(), nick.to_lowercase());
    let part = |c: char| c.is_alphanumeric() || c == '_';
    !nick.is_empty()
        && text.match_indices(&nick).any(|(at, found)| {
            let before = text.get(..at).and_then(|t| t.chars().next_back());
            let after = text.get(at + found.len()..).and_then(|t| t.chars().next());
            !before.is_some_and(part) && !after.is_some_and(part)
        })
}

#[cfg(test)]
mod tests {
    use super::super::xml::parse;
    use super::*;

    #[test]
    fn an_archive_id_counts_only_from_the_archive_itself() {
        let xml = "<message xmlns='jabber:client'><stanza-id xmlns='urn:xmpp:sid:0' by='evil@x' id='1'/>\
                   <stanza-id xmlns='urn:xmpp:sid:0' by='me@x' id='2'/></message>";
        let message = parse(xml).unwrap();
        assert_eq!(stanza_id(&message, "me@x").as_deref(), Some("2"));
        assert_eq!(stanza_id(&message, "room@x"), None);
    }

    #[test]
    fn the_quote_of_a_reply_is_taken_out_by_code_points() {
        let xml = "<message xmlns='jabber:client'><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'>\
                   <body start='0' end='5'/></fallback></message>";
        assert_eq!(without_fallback(&parse(xml).unwrap(), "> ü😀\nok"), "ok");
    }

    #[test]
    fn an_id_that_is_a_time_tells_it_and_a_stamp_of_seconds_does_not_fall_behind() {
        assert_eq!(time_of_id("1795511773298082"), Some(Timestamp(1_795_511_773_298)));
        assert_eq!(time_of_id("Y6Bvzj1kUErwa485"), None);
        assert_eq!(not_before(Timestamp(10_000), Some(10_700)), Timestamp(10_700));
        assert_eq!(not_before(Timestamp(10_000), Some(99_000)), Timestamp(10_000));
    }

    #[test]
    fn a_nick_is_named_only_as_a_word() {
        assert!(mentions("hey Bob!", "bob"));
        assert!(mentions("bob: hi", "bob"));
        assert!(!mentions("bobsled", "bob"));
        assert!(!mentions("anything", ""));
    }
}
