//! The task that owns the accounts: it carries out what clients ask of the daemon itself, and ends with it.

use super::accounts::Accounts;
use super::settings;
use super::upkeep::Keep;
use crate::config::Config;
use crate::ipc::wire::{Fault, FaultCode, Hold, Quiet};
use crate::ipc::{Answer, Control, Wish};
use crate::notify::{self, Choice, Muted, Notifier, NotifyError, QuietChoice, Until};
use crate::store::Store;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// What a reload changed; accounts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are gone or switched off.
    pub removed: Vec<String>,
    /// Those whose settings or secret changed: they connect anew.
    pub changed: Vec<String>,
}

/// Owns the accounts.
pub(super) struct Owner {
    pub(super) config_file: PathBuf,
    pub(super) launcher: Vec<String>,
    pub(super) accounts: Accounts,
    pub(super) notifications: watch::Sender<notify::Settings>,
    pub(super) keeping: watch::Sender<Keep>,
    pub(super) store: Store,
    pub(super) notifier: Notifier,
    pub(super) orders: mpsc::Receiver<Control>,
}

impl Owner {
    /// Until `shutdown`; hands the accounts back to be stopped.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Accounts {
        loop {
            let order = tokio::select! {
                () = shutdown.cancelled() => return self.accounts,
                order = self.orders.recv() => order,
            };
            match order {
                Some(Control::Reload(answer)) => drop(answer.send(self.reload().await)),
                Some(Control::Purge(name, answer)) => {
                    if let Some(answer) = self.refuse_purge(&name, answer) {
                        tokio::spawn(purge(self.store.clone(), name, answer));
                    }
                }
                Some(Control::Shutdown) => shutdown.cancel(),
                Some(question) => drop(tokio::spawn(ask(self.notifier.clone(), question))),
                None => shutdown.cancelled().await,
            }
        }
    }

    async fn reload(&mut self) -> Result<Value, Fault> {
        let refused = |error: anyhow::Error| {
            let fault = Fault::new(FaultCode::Refused, format!("{error:#}"));
            fault.remedy("the daemon goes on with the configuration it had; mend the file and reload again")
        };
        let config = Config::load(&self.config_file).map_err(|error| refused(error.into()))?;
        let reloaded = self.accounts.apply(&config).await.map_err(refused)?;
        replace(&self.notifications, settings::notify(&config, &self.launcher));
        replace(&self.keeping, settings::keep(&config));
        tracing::info!(?reloaded, "configuration read again");
        serde_json::to_value(reloaded).map_err(|error| Fault::new(FaultCode::Internal, error.to_string()))
    }

    /// Messages of an account that runs would only come again; the answer, if nothing speaks against it.
    fn refuse_purge(&self, name: &str, answer: Answer) -> Option<Answer> {
        if !self.accounts.runs(name) || crate::mutant("purge-running") {
            return Some(answer);
        }
        let fault = Fault::new(FaultCode::Refused, format!("the account {name} is in use"));
        answer.send(Err(fault.remedy("remove it from the configuration first: `wakeful account remove`"))).ok();
        None
    }
}

/// Tells those who wait for a change, if it is one.
fn replace<T: PartialEq>(to: &watch::Sender<T>, new: T) {
    to.send_if_modified(|now| {
        let differs = *now != new;
        *now = new;
        differs
    });
}

/// Deletes all that is here of an account; large ones take a while, in steps.
async fn purge(store: Store, name: String, answer: Answer) {
    let purge = async {
        let known = store.accounts().await?;
        match known.iter().find(|(_, known)| *known == name) {
            Some((id, _)) => store.purge_account(*id).await,
            None => Err(crate::store::StoreError::NotFound { what: format!("account {name}") }),
        }
    };
    let answered = match purge.await {
        Ok(()) => Ok(Value::Object(serde_json::Map::new())),
        Err(error) => Err(Fault::from(error)),
    };
    answer.send(answered).ok();
}

/// A question for the notification task, off the owner's path: a notification server may be slow.
async fn ask(notifier: Notifier, question: Control) {
    match question {
        Control::NotifyDecisions(limit, answer) => {
            let decisions = notifier.recent(limit).await.map(|mut decisions| {
                decisions.reverse();
                decisions
            });
            reply(answer, decisions);
        }
        Control::NotifyTest(answer) => reply(answer, notifier.test().await),
        Control::Choose(wish, answer) => reply(answer, notifier.choose(choice(wish)).await),
        Control::Choices(answer) => reply(answer, notifier.choices().await),
        Control::Why(message, answer) => reply(answer, notifier.why(message).await),
        Control::Reload(_) | Control::Purge(..) | Control::Shutdown => {}
    }
}

/// A client's wish in the words of the notification room.
fn choice(wish: Wish) -> Choice {
    let until = |hold| match hold {
        Hold::Off => None,
        Hold::Forever => Some(Until::Forever),
        Hold::Until(time) => Some(Until::Time(time)),
    };
    match wish {
        Wish::MuteConversation(id, hold) => Choice::Mute(Muted::Conversation(id), until(hold)),
        Wish::MuteAccount(name, hold) => Choice::Mute(Muted::Account(name), until(hold)),
        Wish::Dnd(hold) => Choice::Dnd(until(hold)),
        Wish::Quiet(Quiet::Off) => Choice::Quiet(Some(QuietChoice::Never)),
        Wish::Quiet(Quiet::Configured) => Choice::Quiet(None),
        Wish::Quiet(Quiet::Daily { from, to }) => Choice::Quiet(Some(QuietChoice::Daily(notify::Quiet { from, to }))),
    }
}

fn reply<T: Serialize>(answer: Answer, result: Result<T, NotifyError>) {
    let result = match result {
        Ok(value) => serde_json::to_value(value).map_err(|error| Fault::new(FaultCode::Internal, error.to_string())),
        Err(error) => Err(Fault::new(FaultCode::Unavailable, error.to_string())),
    };
    answer.send(result).ok();
}
