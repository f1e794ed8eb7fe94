//! The daemon: opens the store, starts notifications, links and IPC in order, and stops them in reverse.
//!
//! It decides nothing about messages and has no globals: everything that touches the world is in [`Options`], so that
//! a test or the demo runs several in one process.

mod accounts;
mod control;
mod dialing;
mod disk;
mod probe;
mod protocol;
mod rounds;
mod settings;
mod tidy;
mod upkeep;
mod watchdog;

pub use control::Reloaded;
pub use dialing::network;
pub use probe::probe;
pub use watchdog::{summary, watch};

use crate::config::{Account, Config};
use crate::ipc::{Control, Hall};
use crate::link::dial::Dialer;
use crate::model::{AccountId, Addressed, Attention, Perishable, Statuses};
use crate::notify::{Desktop, Notifier, NotifyParts};
use crate::paths::Paths;
use crate::platform::StateLock;
use crate::platform::secrets::Secrets;
use crate::store::Store;
use crate::world::{Clock, Entropy};
use accounts::{Accounts, Shared};
use anyhow::Context as _;
use control::Owner;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// From the wish to stop until everything has stopped, whatever hangs.
pub const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Facts and wishes that a slow link may be behind; one that falls further behind is told to catch up by its own means.
const SIGNALS: usize = 256;
/// Typing and presence; lossy.
const PERISHABLES: usize = 256;

/// Makes the dialer of an account: real sockets, or a simulated network.
pub type MakeDialer = Arc<dyn Fn(&Account) -> anyhow::Result<Arc<dyn Dialer>> + Send + Sync>;

/// Everything that a daemon touches.
pub struct Options {
    /// Where its files are.
    pub paths: Paths,
    /// What it is to do.
    pub config: Config,
    /// How its links reach their servers; [`network`] for real sockets.
    pub dialer: MakeDialer,
    /// Where banners are shown.
    pub desktop: Box<dyn Desktop>,
    /// Goes before the command that a click opens, such as `systemd-run --user --`; empty: it is run as it is.
    pub launcher: Vec<String>,
    /// Where passwords and tokens are.
    pub secrets: Secrets,
    /// Clocks.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// A socket that a service manager opened for IPC; `None`: open it at its place.
    pub listener: Option<std::os::unix::net::UnixListener>,
    /// Listen to the machine: sleep, network, power, screen lock. `false` for simulations.
    pub machine: bool,
    /// Stops the daemon.
    pub shutdown: CancellationToken,
}

/// Starts daemons.
pub struct Daemon;

impl Daemon {
    /// Takes the lock, opens the store, starts every room. When this returns the socket listens and every account is
    /// loaded; links connect from then on. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When another daemon has the lock, or the store or the socket cannot be opened. Accounts that cannot connect,
    /// or whose secret is missing, are no errors: `status` tells of them.
    pub async fn start(options: Options) -> anyhow::Result<Running> {
        options.paths.make()?;
        let lock = StateLock::take(&options.paths.lock_file())?;
        let store = open_store(&options).await?;
        match start_rooms(options, store.clone()).await {
            Ok(mut running) => {
                running.lock = Some(lock);
                Ok(running)
            }
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }
}

async fn open_store(options: &Options) -> anyhow::Result<Store> {
    let dir = options.paths.state_dir().to_path_buf();
    let (clock, entropy) = (options.clock.clone(), options.entropy.clone());
    let settings = crate::store::Settings { ballast: disk::BALLAST, ..crate::store::Settings::default() };
    let open = move || {
        let open = || Store::open_or_rebuild(&dir, settings.clone(), clock.clone(), entropy.clone());
        match open() {
            Err(crate::store::StoreError::Disk { .. }) if Store::make_room(&dir) => open(),
            opened => opened,
        }
    };
    Ok(tokio::task::spawn_blocking(open).await.context("opening the store")??)
}

/// The service manager's socket, or our own at its place.
fn listen(given: Option<std::os::unix::net::UnixListener>, paths: &Paths) -> anyhow::Result<UnixListener> {
    match given {
        Some(listener) => {
            listener.set_nonblocking(true).context("preparing the service manager's socket")?;
            Ok(UnixListener::from_std(listener)?)
        }
        None => Ok(crate::ipc::bind(&paths.socket())?),
    }
}

#[expect(clippy::too_many_lines, reason = "every channel between rooms is made here, in the order in which they start")]
async fn start_rooms(options: Options, store: Store) -> anyhow::Result<Running> {
    let config_file = options.paths.config_file();
    let listener = listen(options.listener, &options.paths)?;
    let (signals, _) = broadcast::channel(SIGNALS);
    let (perishables, _) = broadcast::channel(PERISHABLES);
    let (statuses, status) = watch::channel(Statuses::new());
    let (attention, attended) = watch::channel(Attention::default());
    let (notifications, notification) = watch::channel(settings::notify(&options.config, &options.launcher));
    let (notifier, asks) = Notifier::new();
    let (control, orders) = mpsc::channel(16);
    let (keeping, keep) = watch::channel(settings::keep(&options.config));
    let damaged = CancellationToken::new();

    let notify_stop = CancellationToken::new();
    let notify = crate::notify::spawn(NotifyParts {
        store: store.clone(),
        desktop: options.desktop,
        attention: attended,
        signals: signals.subscribe(),
        clock: options.clock.clone(),
        entropy: options.entropy.clone(),
        settings: notification,
        asks,
        shutdown: notify_stop.clone(),
    });
    let shared = Shared {
        store: store.clone(),
        dialer: options.dialer,
        secrets: options.secrets,
        clock: options.clock.clone(),
        entropy: options.entropy.clone(),
        signals: signals.clone(),
        perishables: perishables.clone(),
        statuses,
    };
    let mut accounts = Accounts::new(shared);
    accounts.apply(&options.config).await?;
    if options.machine {
        tokio::spawn(tidy::tidy(store.clone(), options.shutdown.clone()));
        let bus = crate::platform::signals::Bus::System;
        crate::platform::signals::watch(signals.clone(), options.clock.clone(), bus, options.shutdown.child_token());
    }
    let upkeep = tokio::spawn(
        upkeep::Upkeep {
            store: store.clone(),
            notifier: notifier.clone(),
            clock: options.clock.clone(),
            keep,
            damaged: damaged.clone(),
            shutdown: options.shutdown.child_token(),
        }
        .run(),
    );
    let disk =
        tokio::spawn(disk::watch(store.clone(), notifier.clone(), control.clone(), options.shutdown.child_token()));
    let hall = Hall {
        store: store.clone(),
        attention: attention.clone(),
        statuses: status.clone(),
        signals: signals.clone(),
        perishables: perishables.clone(),
        control: control.clone(),
        clock: options.clock,
        entropy: options.entropy,
        settings: crate::ipc::Settings::default(),
    };
    let ipc = tokio::spawn(crate::ipc::serve(listener, hall, options.shutdown.clone()));
    let owner = Owner {
        config_file,
        launcher: options.launcher,
        accounts,
        notifications,
        keeping,
        store: store.clone(),
        notifier: notifier.clone(),
        orders,
    };
    let task = tokio::spawn(owner.run(options.shutdown.clone()));
    Ok(Running {
        store,
        signals,
        perishables,
        statuses: status,
        attention,
        notifier,
        control,
        shutdown: options.shutdown,
        notify_stop,
        notify,
        upkeep,
        disk,
        damaged,
        ipc,
        task,
        lock: None,
    })
}

/// A daemon that runs. Dropping it does not stop it in order; [`Running::stop`] does.
pub struct Running {
    store: Store,
    signals: broadcast::Sender<Addressed>,
    perishables: broadcast::Sender<(AccountId, Perishable)>,
    statuses: watch::Receiver<Statuses>,
    attention: watch::Sender<Attention>,
    notifier: Notifier,
    control: mpsc::Sender<Control>,
    shutdown: CancellationToken,
    notify_stop: CancellationToken,
    notify: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    disk: JoinHandle<()>,
    damaged: CancellationToken,
    ipc: JoinHandle<()>,
    task: JoinHandle<Accounts>,
    lock: Option<StateLock>,
}

impl Running {
    /// The hall.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What the links say about themselves.
    #[must_use]
    pub fn statuses(&self) -> watch::Receiver<Statuses> {
        self.statuses.clone()
    }

    /// Where facts about the machine and readers' wishes are told.
    #[must_use]
    pub fn signals(&self) -> &broadcast::Sender<Addressed> {
        &self.signals
    }

    /// Typing and presence as they come.
    #[must_use]
    pub fn perishables(&self) -> broadcast::Receiver<(AccountId, Perishable)> {
        self.perishables.subscribe()
    }

    /// Who looks at what.
    #[must_use]
    pub fn attention(&self) -> &watch::Sender<Attention> {
        &self.attention
    }

    /// Asks the notification task.
    #[must_use]
    pub fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// Reads the configuration again; accounts that did not change are left alone. A keyring may take its time, so
    /// whoever has other things to attend to does not wait for it in place.
    ///
    /// # Errors
    /// When the configuration is not right: then nothing changes.
    pub fn reload(&self) -> impl Future<Output = anyhow::Result<Reloaded>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let control = self.control.clone();
        async move {
            control.send(Control::Reload(answer)).await.ok();
            let value = answered.await.context("the daemon is stopping")??;
            Ok(serde_json::from_value(value)?)
        }
    }

    /// Returns when somebody wants the daemon to stop.
    pub async fn asked_to_stop(&self) {
        self.shutdown.cancelled().await;
    }

    /// Returns when the store has turned out to be damaged: stop and start again, which moves it aside.
    pub async fn damaged(&self) {
        self.damaged.cancelled().await;
    }

    /// Stops in reverse order and closes the store; the lock goes last. Returns within [`STOP_LIMIT`]: whatever hangs
    /// is left behind, which loses nothing, since everything acknowledged is on disk.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let orderly = async {
            self.ipc.await.ok();
            if let Ok(accounts) = self.task.await {
                accounts.stop().await;
            }
            self.upkeep.await.ok();
            self.disk.await.ok();
            self.notify_stop.cancel();
            self.notify.await.ok();
            self.store.close().await;
        };
        if timeout(STOP_LIMIT, orderly).await.is_err() {
            tracing::warn!("something did not stop in time and is left behind; nothing is lost by that");
        }
        drop(self.lock);
    }
}
