//! Why a connection ended or cannot be made, typed, each with its remedy.

use serde::{Deserialize, Serialize};

/// Why there is no connection. Shown in `status` with [`Reason::remedy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// The name does not resolve.
    Dns {
        /// What the resolver said.
        detail: String,
    },
    /// Nothing answers at the address.
    Connect {
        /// What the system said.
        detail: String,
    },
    /// A step took too long: `dns`, `tcp`, `tls`, `upgrade`, `login`.
    Timeout {
        /// Which step.
        step: String,
    },
    /// TLS failed: untrusted, expired or wrong name.
    Tls {
        /// What the verifier said.
        detail: String,
    },
    /// Something that is not our server answered: a captive portal or a proxy.
    Portal {
        /// HTTP status.
        status: u16,
    },
    /// The HTTP upgrade was refused.
    Upgrade {
        /// HTTP status.
        status: u16,
    },
    /// The address is not encrypted and not this machine.
    Insecure,
    /// The server does not accept the secret.
    Unauthorized {
        /// What the server said.
        detail: String,
    },
    /// Another client took this session's place.
    Conflict,
    /// The server asks to come back later.
    Busy {
        /// What it said.
        detail: String,
    },
    /// The server is going down or restarting.
    ServerShutdown,
    /// The server forbids this client or account.
    Policy {
        /// What it said.
        detail: String,
    },
    /// The other side broke the protocol.
    Protocol {
        /// How.
        detail: String,
    },
    /// No answer to a probe.
    Dead,
    /// The connection was closed or broke.
    Lost {
        /// Close code or system error.
        detail: String,
    },
    /// This machine's disk does not take writes.
    Disk {
        /// What the system said.
        detail: String,
    },
    /// There is no route to anywhere.
    NoNetwork,
    /// The machine is going to sleep.
    Sleeping,
    /// A new connection was asked for.
    Asked,
    /// The secret is missing or its store is locked.
    NoSecret {
        /// What its store said.
        detail: String,
    },
}

impl Reason {
    /// In one plain sentence: what is the matter.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Dns { detail } => format!("the server's name does not resolve: {detail}"),
            Self::Connect { detail } => format!("nothing answers at the server's address: {detail}"),
            Self::Timeout { step } => format!("no answer in time ({step})"),
            Self::Tls { detail } => format!("the server's certificate is not accepted: {detail}"),
            Self::Portal { status } => format!("something other than the server answered (HTTP {status})"),
            Self::Upgrade { status } => format!("the server refused the WebSocket (HTTP {status})"),
            Self::Insecure => "the address is ws:// beyond this machine, so the secret would cross in the clear".into(),
            Self::Unauthorized { detail } => format!("the server does not accept the secret: {detail}"),
            Self::Conflict => "another client took this session's place".into(),
            Self::Busy { detail } => format!("the server asks to come back later: {detail}"),
            Self::ServerShutdown => "the server is going down".into(),
            Self::Policy { detail } => format!("the server forbids it: {detail}"),
            Self::Protocol { detail } => format!("the server broke the protocol: {detail}"),
            Self::Dead => "the server did not answer a ping".into(),
            Self::Lost { detail } => format!("the connection was lost: {detail}"),
            Self::Disk { detail } => format!("messages cannot be written: {detail}"),
            Self::NoNetwork => "this machine has no network".into(),
            Self::Sleeping => "the machine is going to sleep".into(),
            Self::Asked => "a new connection was asked for".into(),
            Self::NoSecret { detail } => format!("the account's secret cannot be read: {detail}"),
        }
    }

    /// What the user can do about it; `None` where waiting is enough.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Dns { .. } => Some("check the server's name in the account's url"),
            Self::Tls { .. } => {
                Some("check the date of this machine; for a private authority set the account's ca = \"FILE\"")
            }
            Self::Portal { .. } => Some("open a browser and sign in to this network"),
            Self::Upgrade { .. } => Some("check the path in the account's url"),
            Self::Insecure => Some("use wss://, or set insecure = true for this account"),
            Self::Unauthorized { .. } => Some("run `wakeful account add` again with a valid secret"),
            Self::Conflict => Some("stop the other client, then run `wakeful reconnect`"),
            Self::Policy { .. } => Some("ask the server's operator"),
            Self::Disk { .. } => Some("free some space; wakeful goes on by itself"),
            Self::NoSecret { .. } => Some("unlock the keyring, or run `wakeful account add` again"),
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Busy { .. }
            | Self::ServerShutdown
            | Self::Protocol { .. }
            | Self::Dead
            | Self::Lost { .. }
            | Self::NoNetwork
            | Self::Sleeping
            | Self::Asked => None,
        }
    }
}
