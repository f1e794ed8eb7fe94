//! What the account's owner decided: who, with what secret, where.

use crate::model::Secret;

/// Largest frame accepted, bytes. Servers' own limits for a stanza are 256 KiB to 1 MiB.
pub(super) const MAX_FRAME: usize = 2 * 1024 * 1024;

/// How to log in. `daemon` makes it from the configuration, `account add` for its trial.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `user@domain`; anything after a `/` is ignored.
    pub jid: String,
    /// The resource to bind; the same at every start, so that the server replaces our own old session.
    pub resource: String,
    /// The account's password.
    pub password: Secret,
    /// `ws://` or `wss://` URL; `None`: ask the domain's host-meta (XEP-0156).
    pub url: Option<String>,
    /// Send the password itself (SASL PLAIN) on a connection without TLS. Only for tests of one's own server.
    pub plain_without_tls: bool,
    /// Nick in rooms that name none; empty: the JID's local part.
    pub nick: String,
    /// Messages a page asks of the archive; the server may give fewer.
    pub page: u32,
}

impl Settings {
    /// With the defaults for everything but who and with what secret.
    #[must_use]
    pub fn new(jid: &str, resource: &str, password: Secret) -> Self {
        Self {
            jid: jid.split('/').next().unwrap_or_default().to_lowercase(),
            resource: resource.to_owned(),
            password,
            url: None,
            plain_without_tls: false,
            nick: String::new(),
            page: 250,
        }
    }

    /// The JID's domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.jid.split_once('@').map_or(self.jid.as_str(), |(_, domain)| domain)
    }

    /// The JID's local part.
    #[must_use]
    pub fn user(&self) -> &str {
        self.jid.split_once('@').map_or("", |(user, _)| user)
    }

    /// The nick to take in a room.
    #[must_use]
    pub fn nick(&self) -> &str {
        if self.nick.is_empty() { self.user() } else { &self.nick }
    }
}
