//! What the server's errors mean: for the connection a verdict, for an outbox row words for a person.

use super::super::Verdict;
use super::ns;
use super::xml::{Element, child, child_text};
use crate::model::{Reason, SendFailure};
use std::time::Duration;

/// The defined condition of an error element: the name of its first child in `space`, with its text.
fn condition(error: &Element, space: &str) -> (String, Option<String>) {
    let name = error.children().find(|c| c.has_ns(space) && c.name() != "text");
    (name.map_or("undefined-condition", Element::name).to_owned(), child_text(error, "text", space).map(clip))
}

/// A stranger's words may be long: 200 characters are enough.
fn clip(text: String) -> String {
    if text.chars().count() > 200 { text.chars().take(200).collect() } else { text }
}

/// What a `<stream:error/>` means (RFC 6120, 4.9.3).
pub(super) struct StreamError {
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    /// The session cannot be resumed, or would only meet the same error again.
    pub(super) forget: bool,
    pub(super) see_other: Option<String>,
    pub(super) too_large: bool,
}

pub(super) fn stream_error(error: &Element) -> StreamError {
    let (name, text) = condition(error, ns::STREAM_ERROR);
    let detail = text.map_or_else(|| name.clone(), |text| format!("{text} ({name})"));
    let see_other = (name == "see-other-host").then(|| child_text(error, "see-other-host", ns::STREAM_ERROR)).flatten();
    let minute = Verdict::RetryAfter(Duration::from_secs(60));
    let (verdict, reason) = match name.as_str() {
        "conflict" if crate::mutant("xmpp-conflict-retry") => (Verdict::Retry, Reason::Conflict),
        "conflict" => (Verdict::Halt, Reason::Conflict),
        "not-authorized" => (Verdict::Halt, Reason::Unauthorized { detail }),
        "system-shutdown" => (Verdict::Retry, Reason::ServerShutdown),
        "see-other-host" => (Verdict::Retry, Reason::Lost { detail }),
        "policy-violation" => (minute, Reason::Policy { detail }),
        "resource-constraint" => (minute, Reason::Busy { detail }),
        "host-unknown" | "host-gone" | "unsupported-version" => {
            (Verdict::RetryAfter(Duration::from_secs(300)), Reason::Policy { detail })
        }
        "connection-timeout" | "reset" | "internal-server-error" | "remote-connection-failed" => {
            (Verdict::Retry, Reason::Lost { detail })
        }
        _ => (Verdict::Retry, Reason::Protocol { detail }),
    };
    let forget = !matches!(name.as_str(), "system-shutdown" | "connection-timeout" | "see-other-host");
    StreamError { verdict, reason, forget, see_other, too_large: name == "policy-violation" }
}

/// What a SASL `<failure/>` means (RFC 6120, 6.5).
pub(super) fn sasl_failure(failure: &Element) -> (Verdict, Reason) {
    let (name, text) = condition(failure, ns::SASL);
    let detail = text.map_or_else(|| name.clone(), |text| format!("{text} ({name})"));
    match name.as_str() {
        "temporary-auth-failure" => (Verdict::RetryAfter(Duration::from_secs(60)), Reason::Busy { detail }),
        "aborted" => (Verdict::Retry, Reason::Protocol { detail }),
        _ => (Verdict::Halt, Reason::Unauthorized { detail }),
    }
}

/// The condition of a stanza of type `error` (RFC 6120, 8.3.3), and its text.
pub(super) fn stanza_condition(stanza: &Element) -> (String, Option<String>) {
    let error = stanza.children().find(|c| c.name() == "error");
    error.map_or_else(|| ("undefined-condition".into(), None), |error| condition(error, ns::STANZA_ERROR))
}

/// The condition says that it may work later (RFC 6120, 8.3.3).
pub(super) fn is_passing(condition: &str) -> bool {
    ["internal-server-error", "resource-constraint", "remote-server-timeout", "recipient-unavailable"]
        .contains(&condition)
}

/// Why a row of ours will never be delivered, from a stanza of type `error`.
pub(super) fn send_failure(stanza: &Element) -> SendFailure {
    let (name, text) = stanza_condition(stanza);
    let (code, words) = match name.as_str() {
        "item-not-found" | "gone" => ("not_found", "there is no such address"),
        "forbidden" | "not-authorized" | "registration-required" | "subscription-required" => {
            ("forbidden", "the other side does not allow it")
        }
        "not-allowed" | "not-acceptable" => ("not_allowed", "the server does not allow it"),
        "service-unavailable" | "recipient-unavailable" => ("unavailable", "the other side does not take messages now"),
        "remote-server-not-found" | "remote-server-timeout" => {
            ("unreachable", "the other side's server is not reachable")
        }
        "policy-violation" => ("policy", "the server's policy forbids it"),
        "resource-constraint" => ("busy", "the server is too busy"),
        "conflict" => ("conflict", "the name is taken"),
        "jid-malformed" => ("invalid_address", "the address is not valid"),
        _ => ("refused", "the server refused it"),
    };
    SendFailure { code: code.into(), text: text.map_or_else(|| words.into(), |text| format!("{words}: {text}")) }
}

/// The address in `<close see-other-uri='…'/>` (RFC 7395, 3.6.1), if it may be followed from `from`.
pub(super) fn other_endpoint(from: Option<&str>, see_other: &str) -> Option<String> {
    let secure = !from.is_some_and(|url| url.starts_with("ws://"));
    if see_other.starts_with("wss://") || (see_other.starts_with("ws://") && !secure) {
        return Some(see_other.to_owned());
    }
    // `see-other-host` names a host, perhaps with a port: the rest of the address stays.
    let current = from?;
    let (scheme, rest) = current.split_once("://")?;
    let path = rest.find('/').map_or("", |at| rest.get(at..).unwrap_or_default());
    let host_like =
        !see_other.is_empty() && see_other.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c));
    host_like.then(|| format!("{scheme}://{see_other}{path}"))
}

/// The text of the element's `child`, for words shown to people.
pub(super) fn words(element: &Element, name: &str, space: &str) -> Option<String> {
    child(element, name, space).map(|c| clip(c.text())).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::xmpp::xml::parse;

    fn stream(name: &str) -> StreamError {
        stream_error(&parse(&format!("<e xmlns='{}'><{name} xmlns='{}'/></e>", ns::STREAMS, ns::STREAM_ERROR)).unwrap())
    }

    #[test]
    fn a_conflict_never_leads_to_a_reconnect() {
        assert_eq!(stream("conflict").verdict, Verdict::Halt);
        assert_eq!(stream("conflict").reason, Reason::Conflict);
    }

    #[test]
    fn a_shutdown_is_retried_and_its_session_kept_while_a_policy_violation_waits_and_forgets() {
        assert!(matches!(stream("system-shutdown"), StreamError { verdict: Verdict::Retry, forget: false, .. }));
        assert!(matches!(
            stream("policy-violation"),
            StreamError { verdict: Verdict::RetryAfter(_), forget: true, .. }
        ));
    }

    #[test]
    fn another_endpoint_is_followed_but_never_to_less_security() {
        assert_eq!(other_endpoint(Some("wss://a/ws"), "wss://b/x").as_deref(), Some("wss://b/x"));
        assert_eq!(other_endpoint(Some("wss://a/ws"), "ws://b/x"), None);
        assert_eq!(other_endpoint(None, "ws://b/x"), None);
        assert_eq!(other_endpoint(Some("ws://a:1/ws"), "b:2").as_deref(), Some("ws://b:2/ws"));
        assert_eq!(other_endpoint(Some("wss://a/ws"), "b/@evil"), None);
    }
}
