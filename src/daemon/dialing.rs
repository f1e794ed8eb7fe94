//! From an account's configuration to its dialer over the real network.

use super::MakeDialer;
use crate::config::{Account, Proxy};
use crate::link::dial::{self, NetworkDialer};
use std::sync::Arc;

/// Dialers over the real network. Must be made where the environment may be read: proxies stand there.
#[must_use]
pub fn network() -> MakeDialer {
    Arc::new(|account: &Account| Ok(Arc::new(NetworkDialer::new(settings(account)))))
}

fn settings(account: &Account) -> dial::Settings {
    dial::Settings {
        ca: account.ca.clone(),
        insecure: account.insecure,
        proxy: match &account.proxy {
            None => dial::Proxy::Environment,
            Some(Proxy::Direct) => dial::Proxy::Direct,
            Some(Proxy::Url(url)) => dial::Proxy::Url(url.clone()),
        },
        ..dial::Settings::default()
    }
}
