//! Opening the app that shows a conversation: the configured command, as a child that outlives us.

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

fn fill(word: &str, target: &Target) -> String {
    let Target { conversation, account, message } = target;
    word.replace("{conversation}", conversation).replace("{account}", account).replace("{message}", message)
}

#[cfg(test)]
mod tests {
    use super::{Target, fill};

    #[test]
    fn placeholders_are_filled_wherever_they_stand() {
        let target = Target { conversation: "c1".into(), account: "work".into(), message: "m1".into() };
        assert_eq!(fill("app://{account}/{conversation}#{message}", &target), "app://work/c1#m1");
        assert_eq!(fill("--plain", &target), "--plain");
    }
}
