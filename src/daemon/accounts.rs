//! The accounts that run: each has a task of its own, so that one which loops or fails never delays another.

use super::protocol;
use super::{MakeDialer, Reloaded, settings};
use crate::config::{Account, AccountName, Config};
use crate::link::{self, Link, LinkParts};
use crate::model::{AccountId, AccountState, AccountStatus, Addressed, Perishable, Reason, Secret, Signal, Statuses};
use crate::platform::secrets::{SecretError, Secrets};
use crate::store::Store;
use crate::world::{Clock, Entropy};
use anyhow::Context as _;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What all accounts are made of.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) dialer: MakeDialer,
    pub(super) secrets: Secrets,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) signals: broadcast::Sender<Addressed>,
    pub(super) perishables: broadcast::Sender<(AccountId, Perishable)>,
    pub(super) statuses: watch::Sender<Statuses>,
}

/// One account that runs.
struct Active {
    id: AccountId,
    account: Account,
    link: link::Settings,
    /// The secret in use, to notice that it was replaced; `None` while there is none.
    secret: watch::Receiver<Option<Secret>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The accounts that run, by name.
pub(super) struct Accounts {
    shared: Shared,
    active: BTreeMap<AccountName, Active>,
}

impl Accounts {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared, active: BTreeMap::new() }
    }

    /// Stops, starts and restarts accounts until they are as configured; the others are not touched.
    ///
    /// # Errors
    /// When the store does not take an account; the others run.
    pub(super) async fn apply(&mut self, config: &Config) -> anyhow::Result<Reloaded> {
        let link = settings::link(config);
        let mut done = Reloaded::default();
        let wanted: BTreeMap<_, _> = config.accounts.iter().filter(|(_, account)| account.enabled).collect();
        let mut leaving = Vec::new();
        // All at once: a keyring that hangs costs its patience once, not once an account.
        let (this, wished) = (&*self, &link);
        let differing = join_all(this.active.iter().map(|(name, active)| {
            let account = wanted.get(name).copied();
            async move {
                match account {
                    Some(account) => (name, Some(this.differs(name, active, account, wished).await)),
                    None => (name, None),
                }
            }
        }));
        for (name, differs) in differing.await {
            match differs {
                None => done.removed.push(name.to_string()),
                Some(true) => done.changed.push(name.to_string()),
                Some(false) => continue,
            }
            leaving.push(name.clone());
        }
        self.halt(&leaving).await;
        for (name, account) in wanted {
            if self.active.contains_key(name) {
                continue;
            }
            let active = self.start(name, account, &link).await.with_context(|| format!("account {name}"))?;
            self.active.insert(name.clone(), active);
            if !done.changed.iter().any(|changed| changed == name.as_str()) {
                done.added.push(name.to_string());
            }
        }
        Ok(done)
    }

    async fn differs(&self, name: &AccountName, active: &Active, account: &Account, link: &link::Settings) -> bool {
        if active.account != *account || active.link != *link || active.task.is_finished() {
            return true;
        }
        // Whoever was refused may be let in by what the user has changed elsewhere.
        let halted = self.shared.statuses.borrow().get(&active.id).map(|status| status.state);
        if halted == Some(AccountState::Halted) {
            return true;
        }
        let stored = self.shared.secrets.get(name.as_str()).await.ok();
        stored.is_some() && stored != *active.secret.borrow()
    }

    /// Stops these accounts together and takes them out of the status.
    async fn halt(&mut self, names: &[AccountName]) {
        let leaving: Vec<Active> = names.iter().filter_map(|name| self.active.remove(name)).collect();
        for active in &leaving {
            active.stop.cancel();
        }
        for active in leaving {
            active.task.await.ok();
            self.shared.statuses.send_modify(|statuses| drop(statuses.remove(&active.id)));
        }
    }

    /// Whether an account of this name runs.
    pub(super) fn runs(&self, name: &str) -> bool {
        self.active.keys().any(|known| known.as_str() == name)
    }

    /// Stops all.
    pub(super) async fn stop(mut self) {
        let names: Vec<_> = self.active.keys().cloned().collect();
        self.halt(&names).await;
    }

    async fn start(&self, name: &AccountName, account: &Account, link: &link::Settings) -> anyhow::Result<Active> {
        let me = protocol::me(account);
        let id = self.shared.store.account(name.as_str(), account.protocol.name(), me).await?;
        let status = AccountStatus {
            name: name.to_string(),
            protocol: account.protocol.name().to_owned(),
            since: Some(self.shared.clock.wall()),
            ..AccountStatus::default()
        };
        self.shared.statuses.send_modify(|statuses| drop(statuses.insert(id, status)));
        let stop = CancellationToken::new();
        let (used, secret) = watch::channel(None);
        let runner = Runner {
            shared: self.shared.clone(),
            id,
            name: name.clone(),
            account: account.clone(),
            link: link.clone(),
            stop: stop.clone(),
            used,
        };
        let task = tokio::spawn(runner.run());
        Ok(Active { id, account: account.clone(), link: link.clone(), secret, stop, task })
    }
}

/// One account's task: waits for its secret, then is its link.
struct Runner {
    shared: Shared,
    id: AccountId,
    name: AccountName,
    account: Account,
    link: link::Settings,
    stop: CancellationToken,
    used: watch::Sender<Option<Secret>>,
}

impl Runner {
    async fn run(self) {
        let Some(secret) = self.secret().await else { return };
        self.used.send_replace(Some(secret.clone()));
        match self.connect(secret).await {
            Ok(link) => drop(link.await),
            Err(error) => {
                tracing::error!(account = %self.name, "{error:#}");
                self.halted(Reason::Policy { detail: format!("{error:#}") });
                self.stop.cancelled().await;
            }
        }
    }

    /// The secret, as soon as there is one: each signal (a screen unlocked, a wish to reconnect) is a reason to ask
    /// again. `None` when the account stops before that.
    async fn secret(&self) -> Option<Secret> {
        let mut signals = self.shared.signals.subscribe();
        loop {
            let secret = self.shared.secrets.get(self.name.as_str());
            match self.stop.run_until_cancelled(secret).await? {
                Ok(secret) => return Some(secret),
                Err(error) => {
                    if !matches!(error, SecretError::Missing(_)) {
                        tracing::warn!(account = %self.name, "{error}");
                    }
                    self.halted(Reason::NoSecret { detail: error.to_string() });
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = worth_asking(&mut signals, self.id) => {}
            }
        }
    }

    fn halted(&self, reason: Reason) {
        let at = self.shared.clock.wall();
        self.shared.statuses.send_modify(|statuses| {
            let status = statuses.entry(self.id).or_default();
            status.state = AccountState::Halted;
            status.since = Some(at);
            status.last_error = Some(reason);
        });
    }

    async fn connect(&self, secret: Secret) -> anyhow::Result<JoinHandle<()>> {
        let shared = &self.shared;
        let rows = shared.store.checkpoint(self.id).await?;
        let protocol = protocol::make(&self.account, secret, &rows, &shared.store, &shared.entropy).await?;
        Ok(Link::spawn(LinkParts {
            account: self.id,
            name: self.name.to_string(),
            protocol,
            protocol_name: self.account.protocol.name().to_owned(),
            dialer: (shared.dialer)(&self.account)?,
            store: shared.store.clone(),
            settings: self.link.clone(),
            clock: shared.clock.clone(),
            entropy: shared.entropy.clone(),
            signals: shared.signals.subscribe(),
            perishables: shared.perishables.clone(),
            statuses: shared.statuses.clone(),
            shutdown: self.stop.clone(),
        }))
    }
}

/// Until something happened after which a keyring may answer otherwise.
async fn worth_asking(signals: &mut broadcast::Receiver<Addressed>, id: AccountId) {
    loop {
        match signals.recv().await {
            Ok(Addressed { account, signal: Signal::Reconnect | Signal::Locked(false) | Signal::Woke { .. } })
                if account.is_none_or(|account| account == id) =>
            {
                return;
            }
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
        }
    }
}
