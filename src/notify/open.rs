//! Opening the app that shows a conversation: over D-Bus, or by the configured command as a child that outlives us.

use super::desktop::{Activation, Opening};
use std::process::Stdio;

/// What is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// Local id; empty: no particular conversation.
    pub(super) conversation: String,
    /// The account's name.
    pub(super) account: String,
    /// Local id of the newest message.
    pub(super) message: String,
}

/// Starts the command. No shell reads it; the activation token stands in the child's environment only.
pub(super) fn open(command: &[String], target: &Target, token: Option<&str>) {
    let mut words = command.iter().map(|word| fill(word, target));
    let Some(program) = words.next() else { return };
    let mut child = tokio::process::Command::new(&program);
    child.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[cfg(unix)]
    child.process_group(0);
    if let Some(token) = token.filter(|token| !token.contains('\0')) {
        child.env("XDG_ACTIVATION_TOKEN", token).env("DESKTOP_STARTUP_ID", token);
    }
    match child.spawn() {
        // Dropped children go on; the runtime collects their exit status.
        Ok(child) => tracing::debug!(program, pid = child.id(), "opened"),
        Err(error) => tracing::warn!(program, %error, "the app cannot be opened: check `open` in the configuration"),
    }
}

/// What an app is asked over D-Bus. The URI is `wakeful://ACCOUNT/CONVERSATION?message=MESSAGE`.
pub(super) fn activation(app: &str, action: Option<&str>, target: &Target, token: Option<String>) -> Activation {
    let Target { conversation, account, message } = target;
    let what = match action {
        _ if conversation.is_empty() => Opening::Front,
        Some(action) => Opening::Action(action.to_owned(), conversation.clone()),
        None => Opening::Uri(format!("wakeful://{}/{conversation}?message={message}", percent(account, b""))),
    };
    Activation { app: app.to_owned(), what, token }
}

/// Percent-encoded but for what RFC 3986 calls "unreserved", and `also`.
pub(super) fn percent(text: &str, also: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn fill(word: &str, target: &Target) -> String {
    let Target { conversation, account, message } = target;
    word.replace("{conversation}", conversation).replace("{account}", account).replace("{message}", message)
}

#[cfg(test)]
mod tests {
    use super::{Activation, Opening, Target, activation, fill};

    #[test]
    fn placeholders_are_filled_wherever_they_stand() {
        let target = Target { conversation: "c1".into(), account: "work".into(), message: "m1".into() };
        assert_eq!(fill("app://{account}/{conversation}#{message}", &target), "app://work/c1#m1");
        assert_eq!(fill("--plain", &target), "--plain");
    }

    #[test]
    fn an_app_is_given_a_uri_or_its_action_and_for_a_summary_neither() {
        let target = Target { conversation: "c1".into(), account: "my work/1".into(), message: "m1".into() };
        let ask = |action, target: &Target| activation("org.example.Chat", action, target, Some("t".into()));
        let uri = Opening::Uri("wakeful://my%20work%2F1/c1?message=m1".into());
        assert_eq!(
            ask(None, &target),
            Activation { app: "org.example.Chat".into(), what: uri, token: Some("t".into()) }
        );
        assert_eq!(ask(Some("show"), &target).what, Opening::Action("show".into(), "c1".into()));
        assert_eq!(ask(Some("show"), &Target::default()).what, Opening::Front);
    }
}
