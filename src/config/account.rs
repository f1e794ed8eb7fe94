//! `[account.NAME]`: where an account is and how to get there. Its secret is elsewhere.

use super::Retention;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// An account's name: 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `@`, the first a letter or digit. It is also
/// the name of its secret's file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AccountName(String);

impl AccountName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A file system that ignores case would take both for one.
    pub(super) fn same_file_as(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl FromStr for AccountName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let all = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte));
        if first && all && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} cannot name an account: use 1 to 64 letters, digits, - _ . @"))
        }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One account, every value checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// How to talk to its server, and who we are there.
    pub protocol: Protocol,
    /// A PEM file with further authorities to trust.
    pub ca: Option<PathBuf>,
    /// `ws://` beyond this machine is allowed: the secret crosses in the clear.
    pub insecure: bool,
    /// Through which proxy; unset: the environment decides.
    pub proxy: Option<Proxy>,
    /// `false` keeps the account configured without connecting it.
    pub enabled: bool,
    /// How much of its history is kept; unset: as `[retention]` says.
    pub retention: Option<Retention>,
}

/// How to talk to an account's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The hub protocol at this `ws://` or `wss://` URL.
    Hub {
        /// Where.
        url: String,
    },
    /// XMPP over WebSocket.
    Xmpp {
        /// The bare JID.
        jid: String,
        /// Where; unset: the domain's host-meta names it (XEP-0156).
        url: Option<String>,
    },
}

impl Protocol {
    /// A hub at this URL.
    ///
    /// # Errors
    /// When it is not a `ws://` or `wss://` URL, in plain words.
    pub fn hub(url: &str) -> Result<Self, String> {
        check_url(url).map(|()| Self::Hub { url: url.to_owned() })
    }

    /// XMPP as this bare JID, at this URL or where the domain's host-meta says.
    ///
    /// # Errors
    /// When either is not what it should be, in plain words.
    pub fn xmpp(jid: &str, url: Option<&str>) -> Result<Self, String> {
        check_jid(jid)?;
        url.map_or(Ok(()), check_url)?;
        Ok(Self::Xmpp { jid: jid.to_owned(), url: url.map(str::to_owned) })
    }

    /// As the configuration names it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hub { .. } => "hub",
            Self::Xmpp { .. } => "xmpp",
        }
    }
}

/// The proxy for an account's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// None, whatever the environment says.
    Direct,
    /// `http://`, `socks5://` or `socks5h://`, with host and port.
    Url(String),
}

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    protocol: Kind,
    url: Option<Url>,
    jid: Option<Jid>,
    ca: Option<PathBuf>,
    #[serde(default)]
    insecure: bool,
    proxy: Option<ProxyText>,
    #[serde(default = "yes")]
    enabled: bool,
    retention: Option<Retention>,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Hub,
    Xmpp,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Url(String);

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Jid(String);

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct ProxyText(Proxy);

impl TryFrom<String> for Url {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        check_url(&text).map(|()| Self(text))
    }
}

impl TryFrom<String> for Jid {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        check_jid(&text).map(|()| Self(text))
    }
}

impl TryFrom<String> for ProxyText {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

/// A WebSocket URL with a host and without a password in it.
fn check_url(text: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{text:?} {why}: write for example \"wss://chat.example.org/ws\""));
    let Ok(uri) = text.parse::<http::Uri>() else { return wrong("is not a URL") };
    if !matches!(uri.scheme_str(), Some("ws" | "wss")) {
        return wrong("is not a ws:// or wss:// URL");
    }
    let Some(authority) = uri.authority() else { return wrong("names no host") };
    if authority.as_str().contains('@') {
        return Err("a URL with a user or password in it is refused: secrets do not stand in the configuration".into());
    }
    if authority.host().is_empty() { wrong("names no host") } else { Ok(()) }
}

/// A bare JID: `user@domain` (RFC 7622), checked only so far that it cannot be mistaken.
fn check_jid(text: &str) -> Result<(), String> {
    let wrong = || format!("{text:?} is not a bare JID: write for example \"me@example.org\"");
    let (user, domain) = text.split_once('@').ok_or_else(wrong)?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || "@/\"&'<>:".contains(c);
    let fine = |part: &str| !part.is_empty() && part.len() <= 1023 && !part.contains(bad);
    if fine(user) && fine(domain) { Ok(()) } else { Err(wrong()) }
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "direct" {
            return Ok(Self::Direct);
        }
        let uri = text.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some() && uri.port_u16().is_some());
        if uri.as_ref().and_then(http::Uri::authority).is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(
                "a proxy with a user or password in it is refused here: set it in HTTPS_PROXY or ALL_PROXY".into()
            );
        }
        match uri.as_ref().and_then(http::Uri::scheme_str) {
            Some("http" | "socks5" | "socks5h") => Ok(Self::Url(text.to_owned())),
            _ => Err("a proxy is \"direct\" or a URL such as \"http://HOST:3128\" or \"socks5h://HOST:1080\"".into()),
        }
    }
}

impl Account {
    /// Checks what concerns several keys at once.
    pub(super) fn check(raw: Raw) -> Result<Self, String> {
        let protocol = match (raw.protocol, raw.url, raw.jid) {
            (Kind::Hub, Some(url), None) => Protocol::Hub { url: url.0 },
            (Kind::Hub, None, _) => return Err("a hub account needs url = \"wss://…\"".into()),
            (Kind::Hub, Some(_), Some(_)) => return Err("a hub account has no jid: the secret says who we are".into()),
            (Kind::Xmpp, url, Some(jid)) => Protocol::Xmpp { jid: jid.0, url: url.map(|url| url.0) },
            (Kind::Xmpp, _, None) => return Err("an xmpp account needs jid = \"me@example.org\"".into()),
        };
        if raw.ca.as_ref().is_some_and(|ca| !ca.is_absolute()) {
            return Err("ca must be a whole path: the daemon has no working folder".into());
        }
        let proxy = raw.proxy.map(|proxy| proxy.0);
        Ok(Self { protocol, ca: raw.ca, insecure: raw.insecure, proxy, enabled: raw.enabled, retention: raw.retention })
    }
}
