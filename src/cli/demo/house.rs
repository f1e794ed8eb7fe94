//! The demo's stage: a hub, a relay in front of it, and a daemon for each of two people, all in one temporary folder.

use super::relay::Relay;
use super::timeline::Timeline;
use crate::config::Config;
use crate::daemon::{self, Daemon, Options, Running};
use crate::hub::Hub;
use crate::ipc::Client;
use crate::model::{AccountState, Secret};
use crate::notify::{self, Capabilities, Desktop, DesktopEvent, Imagined, Observed, Seen};
use crate::paths::Paths;
use crate::platform::secrets::Secrets;
use crate::world::{Clock, Entropy};
use anyhow::Context as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How often the demo's links ask for a round trip; a day's default is 45 s.
pub(super) const PROBE: Duration = Duration::from_secs(1);
/// How long anything in the demo may take before it is called stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Intervals short enough to be watched.
const LINK: &str = "[link]\nprobe_interval = \"1s\"\nprobe_interval_saving = \"1s\"\nprobe_timeout = \"1s\"\n\
    backoff_cap_early = \"1s\"\ndial_timeout = \"1s\"\n";

/// Everything that runs.
pub(super) struct House {
    pub(super) anna: Person,
    pub(super) ben: Person,
    pub(super) relay: Relay,
    pub(super) clock: Clock,
    /// The session's notification server, if there is one.
    pub(super) server: Option<String>,
    hub: JoinHandle<()>,
    hub_stop: CancellationToken,
    home: Home,
}

/// One person's daemon, and a client of it.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) home: PathBuf,
    pub(super) client: Client,
    /// What was asked of their desktop.
    pub(super) seen: mpsc::Receiver<Seen>,
    running: Running,
}

/// A folder that goes with the demo.
struct Home(PathBuf);

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

impl House {
    /// Sets the stage.
    pub(super) async fn build(clock: Clock, timeline: &mut Timeline) -> anyhow::Result<Self> {
        let home = Home::make(&Entropy::system())?;
        let entropy = Entropy::system();
        let hub = Hub::open(&home.0.join("hub"), crate::hub::Settings::default(), clock.clone(), entropy).await?;
        let anna = hub.add_user("anna", None).await?.token;
        let ben = hub.add_user("ben", None).await?.token;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a loopback port for the hub")?;
        let address = listener.local_addr()?;
        let hub_stop = CancellationToken::new();
        let hub = tokio::spawn(hub.serve(listener, None, hub_stop.clone()));
        timeline.say(clock.now(), format!("a hub listens on ws://{address}; anna and ben have an account each"));

        let relay = Relay::start(address).await.context("a loopback port for the relay")?;
        let server = notification_server().await;
        let desktop = match &server {
            Some(_) => notify::desktop(&Entropy::system(), None),
            None => Box::new(Imagined::new(Capabilities { actions: true, body: true, ..Capabilities::default() })),
        };
        let anna = Person::start("anna", &home.0, relay.address(), anna, desktop, &clock).await?;
        let nowhere = Box::new(notify::Nowhere);
        let ben = Person::start("ben", &home.0, address, ben, nowhere, &clock).await?;
        let probe = PROBE.as_secs();
        timeline.say(clock.now(), format!("two daemons are online (a probe every {probe} s here, 45 s by default)"));
        Ok(Self { anna, ben, relay, clock, server, hub, hub_stop, home })
    }

    /// Stops everything in order and takes the folder away.
    pub(super) async fn close(self) {
        self.anna.running.stop().await;
        self.ben.running.stop().await;
        self.hub_stop.cancel();
        timeout(Duration::from_secs(5), self.hub).await.ok();
        drop(self.home);
    }
}

impl Person {
    async fn start(
        name: &'static str,
        parent: &Path,
        hub: SocketAddr,
        token: Secret,
        desktop: Box<dyn Desktop>,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let home = parent.join(name);
        let paths = Paths::under(&home);
        paths.make()?;
        let text = format!("{LINK}\n[account.{name}]\nprotocol = \"hub\"\nurl = \"ws://{hub}/\"\n");
        std::fs::write(paths.config_file(), &text).context("writing the demo's configuration")?;
        let secrets = Secrets::files(paths.secrets_dir());
        secrets.set(name, &token).await?;
        let (report, seen) = mpsc::channel(256);
        let socket = paths.socket();
        let running = Daemon::start(Options {
            config: Config::parse(&text, &paths.config_file())?,
            paths,
            dialer: daemon::network(),
            desktop: Box::new(Observed::new(desktop, report)),
            launcher: Vec::new(),
            secrets,
            clock: clock.clone(),
            entropy: Entropy::system(),
            listener: None,
            machine: false,
            shutdown: CancellationToken::new(),
        })
        .await?;
        let client = Client::connect(&socket).await?;
        let person = Self { name, home, client, seen, running };
        person.until_state(|state| state == AccountState::Online).await.context("waiting to be online")?;
        Ok(person)
    }

    /// Waits until the link is in such a state; says why it last was not online.
    pub(super) async fn until_state(&self, fits: impl Fn(AccountState) -> bool) -> anyhow::Result<Option<String>> {
        let mut statuses = self.running.statuses();
        let waited = timeout(PATIENCE, statuses.wait_for(|all| all.values().any(|status| fits(status.state)))).await;
        let statuses = waited.with_context(|| format!("{}'s daemon is stuck", self.name))??;
        Ok(statuses.values().find_map(|status| status.last_error.as_ref().map(crate::model::Reason::text)))
    }
}

impl Home {
    fn make(entropy: &Entropy) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("wakeful-demo-{:08x}", entropy.seed() >> 32));
        crate::paths::make_private(&path)?;
        Ok(Self(path))
    }
}

/// The session's notification server by name; one that the bus can start is started.
async fn notification_server() -> Option<String> {
    let mut desktop = notify::desktop(&Entropy::system(), None);
    for _ in 0..2 {
        match timeout(Duration::from_secs(2), desktop.event()).await {
            Ok(DesktopEvent::Up { name, .. }) => return Some(name),
            Ok(_) => timeout(Duration::from_secs(2), desktop.wake()).await.ok()?,
            Err(_) => return None,
        }
    }
    None
}
