//! What wakeful needs around it: its daemon, the servers, secrets, a notification server, the service manager.

use super::super::service;
use super::super::{Global, secrets};
use super::Check;
use crate::config::{Account, AccountName, Config};
use crate::daemon;
use crate::ipc::wire::StatusInfo;
use crate::ipc::{Client, ClientError};
use crate::model::{AccountState, StoreState};
use crate::world::{Clock, Entropy};
use std::time::Duration;
use tokio::time::timeout;

/// A keyring that asks its user for a password may take for ever.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn checks(global: &Global) -> Vec<Check> {
    let config = Config::load(&global.paths.config_file()).unwrap_or_default();
    let (mut checks, status) = daemon(global).await;
    let accounts = config.accounts.iter().filter(|(_, account)| account.enabled);
    for (name, account) in accounts {
        let secret = timeout(PATIENCE, secrets(global).get(name.as_str())).await;
        let secret = match secret {
            Ok(Ok(secret)) => {
                checks.push(Check::good("secret", format!("{name}: can be read")));
                Some(secret)
            }
            Ok(Err(error)) => {
                let remedy = "unlock the keyring, or run `wakeful account add` again";
                checks.push(Check::bad("secret", format!("{name}: {error}"), remedy));
                None
            }
            Err(_) => {
                checks.push(Check::bad("secret", format!("{name}: the keyring does not answer"), "unlock the keyring"));
                None
            }
        };
        match (&status, secret) {
            (Some(status), _) => checks.push(connected(name, status)),
            (None, Some(secret)) => checks.push(reachable(name, account, secret).await),
            (None, None) => {}
        }
    }
    if config.notifications.enabled != Some(false) {
        checks.push(match timeout(PATIENCE, crate::notify::server()).await {
            Ok(Ok(server)) => Check::good("notifications", server),
            Ok(Err(error)) => Check::bad("notifications", error.to_string(), WITHOUT),
            Err(_) => Check::bad("notifications", "the session bus does not answer", WITHOUT),
        });
    }
    checks.push(service::health(global));
    checks
}

const WITHOUT: &str = "start the desktop's notification server, or set enabled = false in [notifications]";

async fn daemon(global: &Global) -> (Vec<Check>, Option<StatusInfo>) {
    let asked = async {
        let client = Client::connect(&global.paths.socket()).await?;
        client.status().await
    };
    let status = match timeout(PATIENCE, asked).await {
        Ok(Ok(status)) => status,
        Ok(Err(ClientError::NoDaemon { .. })) => {
            let remedy = "`wakeful start`, or `wakeful service install`";
            return (vec![Check::bad("daemon", "none runs", remedy)], None);
        }
        Ok(Err(error)) => {
            return (vec![Check::bad("daemon", error.to_string(), "`wakeful stop`, then start it again")], None);
        }
        Err(_) => {
            return (vec![Check::bad("daemon", "it does not answer", "`wakeful stop`, then start it again")], None);
        }
    };
    let mut checks = vec![Check::good("daemon", "it runs and answers")];
    let detail = status.store.detail.clone().unwrap_or_default();
    match status.store.state {
        StoreState::Sound => {}
        StoreState::Checking => checks.push(Check::note("store", format!("it is being read through {detail}"), "wait")),
        StoreState::Damaged => checks.push(Check::bad("store", detail, "restart the daemon: it rebuilds the store")),
    }
    (checks, Some(status))
}

/// What a running daemon says of an account's connection.
fn connected(name: &AccountName, status: &StatusInfo) -> Check {
    let Some(account) = status.accounts.iter().find(|account| account.name == name.as_str()) else {
        return Check::bad("server", format!("{name}: the daemon does not know it"), "`wakeful reload`");
    };
    if account.state == AccountState::Online {
        return Check::good("server", format!("{name}: connected"));
    }
    let (text, remedy) = account
        .last_error
        .as_ref()
        .map_or(("not connected".to_owned(), None), |error| (error.text.clone(), error.remedy.clone()));
    Check::bad("server", format!("{name}: {text}"), remedy.unwrap_or_else(|| "it tries again by itself".into()))
}

/// Without a daemon: one login that leaves nothing behind.
async fn reachable(name: &AccountName, account: &Account, secret: crate::model::Secret) -> Check {
    let (dialer, clock, entropy) = (daemon::network(), Clock::system(), Entropy::system());
    match Box::pin(daemon::probe(account, secret, &dialer, &clock, &entropy)).await {
        Ok(()) => Check::good("server", format!("{name}: the login works")),
        Err(error) => {
            Check::bad("server", format!("{name}: {error:#}"), "see that the server runs and the network is up")
        }
    }
}
