//! Two people on a hub across a wire that can fail: the hub and ben on one host, anna's daemon on the other.

use crate::net::{Fault, Host, Net};
use crate::prosody::Prosody;
use crate::support::{Daemon, Home, Process, Watch, wakeful};
use crate::truth::Truth;
use std::process::Command;
use std::time::{Duration, Instant};

/// Between probes: a second, or what `tests/long/network` asks for.
pub(crate) fn probe() -> Duration {
    Duration::from_secs(crate::support::number("WAKEFUL_NETWORK_PROBE", 1))
}

/// Within which a probe must be answered.
pub(crate) fn probe_timeout() -> Duration {
    if is_long() { Duration::from_secs(10) } else { Duration::from_secs(1) }
}

/// With the shipped settings instead of shortened ones.
pub(crate) fn is_long() -> bool {
    probe() >= Duration::from_secs(10)
}

/// How late anything may be on a busy machine.
pub(crate) const SLACK: Duration = Duration::from_secs(3);

/// A dead link must be noticed within this.
pub(crate) fn notice_limit() -> Duration {
    probe() + probe_timeout() + SLACK
}

fn link() -> String {
    let probe = probe().as_secs();
    let shortened = "probe_timeout = \"1s\"\nbackoff_cap_early = \"1s\"\nbackoff_cap = \"1s\"\ndial_timeout = \"3s\"\n";
    let more = if is_long() { "" } else { shortened };
    format!("[link]\nprobe_interval = \"{probe}s\"\nprobe_interval_saving = \"{probe}s\"\n{more}")
}

/// What both talk to.
pub(crate) enum Server {
    Hub(Process),
    Prosody(Prosody),
}

pub(crate) struct Scene {
    pub(crate) anna: Home,
    pub(crate) ben: Home,
    pub(crate) server: Server,
    pub(crate) watch: Watch,
    pub(crate) hears: Watch,
    pub(crate) daemon: Daemon,
    pub(crate) truth: Truth,
    data: tempfile::TempDir,
    pub(crate) port: u16,
    _ben: Daemon,
    pub(crate) net: Net,
}

impl Scene {
    /// Everybody is online.
    pub(crate) fn new(net: Net) -> Self {
        Self::with(net, |_| (), |_| ())
    }

    /// With a changed account or daemon of anna's.
    pub(crate) fn with(net: Net, account: impl Fn(&mut Account), daemon: impl FnOnce(&mut Command)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let port = fastrand::u16(20_000..30_000);
        let hub = launch_hub(&net.server, data.path(), port);
        let url = format!("ws://{}:{port}", net.server.ip);
        let there = Account { url, more: String::new(), kind: "hub" };
        let tokens = [token(data.path(), "anna"), token(data.path(), "ben")];
        Self::put_up((net, data, port), Server::Hub(hub), there, tokens, account, daemon)
    }

    /// The same two on a Prosody. `None`: there is none here.
    pub(crate) fn on_prosody(net: Net) -> Option<Self> {
        let data = tempfile::tempdir().unwrap();
        let port = fastrand::u16(20_000..30_000);
        let prosody = Prosody::start(&net.server, data.path(), port)?;
        let url = format!("ws://{}:{port}/xmpp-websocket", net.server.ip);
        let there = Account { url, more: String::new(), kind: "xmpp" };
        let secrets = ["anna-secret".to_owned(), "ben-secret".to_owned()];
        Some(Self::put_up((net, data, port), Server::Prosody(prosody), there, secrets, |_| (), |_| ()))
    }

    fn put_up(
        (net, data, port): (Net, tempfile::TempDir, u16),
        server: Server,
        mut there: Account,
        [annas, bens]: [String; 2],
        account: impl Fn(&mut Account),
        daemon: impl FnOnce(&mut Command),
    ) -> Self {
        let ben = home("ben", &bens, &there);
        account(&mut there);
        let anna = home("anna", &annas, &there);
        let daemon = run_on(&anna, &net.client, daemon);
        let _ben = run_on(&ben, &net.server, |_| ());
        let (watch, hears) = (anna.watch(), ben.watch());
        ben.wait_state("ben", "online");
        let truth = Truth::follow(&anna.socket(), "anna");
        Self { anna, ben, server, daemon, watch, hears, truth, data, port, _ben, net }
    }

    fn full(&self, name: &str) -> String {
        match self.server {
            Server::Hub(_) => name.to_owned(),
            Server::Prosody(_) => format!("{name}@{}", crate::prosody::DOMAIN),
        }
    }

    /// Breaks the wire; from now on `online` is untrue.
    pub(crate) fn break_with(&self, fault: Fault) {
        self.net.break_with(fault);
        self.truth.broken(true);
    }

    /// The wire is good again.
    pub(crate) fn heal(&self) {
        self.net.heal();
        self.truth.broken(false);
    }

    pub(crate) fn kill_server(&mut self) {
        self.truth.broken(true);
        match &mut self.server {
            Server::Hub(hub) => hub.kill9(),
            Server::Prosody(prosody) => prosody.kill9(),
        }
    }

    pub(crate) fn signal_server(&self, signal: rustix::process::Signal) {
        self.truth.broken(signal == rustix::process::Signal::STOP);
        match &self.server {
            Server::Hub(hub) => hub.signal(signal),
            Server::Prosody(prosody) => prosody.signal(signal),
        }
    }

    /// Waits for anna to be online.
    pub(crate) fn online(&self) {
        self.anna.wait_state("anna", "online");
    }

    /// Ben writes to anna; the hub has it when this returns.
    pub(crate) fn ben_says(&self, text: &str) {
        self.ben.run(&["send", "ben", &self.full("anna"), text, "--wait", "sent"]).ok();
    }

    /// Ben writes to somebody; the hub has it when this returns.
    pub(crate) fn ben_tells(&self, whom: &str, text: &str) {
        self.ben.run(&["send", "ben", whom, text, "--wait", "sent"]).ok();
    }

    /// So many further accounts of anna's, which her daemon runs from now on: users of the same hub, by these names.
    pub(crate) fn more_accounts(&self, count: usize) -> Vec<String> {
        let url = format!("ws://{}:{}", self.net.server.ip, self.port);
        let add = |nth| {
            let name = format!("other{nth}");
            self.add_account(&name, &url, &token(self.data.path(), &name));
            name
        };
        (0..count).map(add).collect()
    }

    /// One more account of anna's, which her daemon runs from now on.
    pub(crate) fn add_account(&self, name: &str, url: &str, token: &str) -> String {
        let words = ["account", "add", name, "hub", url, "--secret-file", "-", "--no-verify", "--insecure"];
        self.anna.run_with_input(&words, token).ok();
        name.to_owned()
    }

    /// Anna writes to ben; it is in her outbox when this returns.
    pub(crate) fn anna_says(&self, text: &str) {
        self.anna.run(&["send", "anna", &self.full("ben"), text]).ok();
    }

    /// How long until the status says that anna is not online. `truth` watches what it says meanwhile.
    pub(crate) fn noticed(&self) -> Duration {
        self.truth.noticed(notice_limit() + probe() + Duration::from_secs(20))
    }

    /// Starts the server again on the same data and port.
    pub(crate) fn server_up(&mut self) {
        match &mut self.server {
            Server::Hub(hub) => *hub = launch_hub(&self.net.server, self.data.path(), self.port),
            Server::Prosody(prosody) => prosody.up(),
        }
        self.truth.broken(false);
    }

    /// Waits for these texts, in this order, at anna's.
    pub(crate) fn anna_hears(&mut self, texts: &[&str]) -> Duration {
        let start = Instant::now();
        for text in texts {
            hear(&mut self.watch, text);
        }
        start.elapsed()
    }

    /// Waits for this text at ben's.
    pub(crate) fn ben_hears(&mut self, text: &str) {
        hear(&mut self.hears, text);
    }

    /// What anna has from ben, oldest first.
    pub(crate) fn anna_has(&self) -> Vec<String> {
        texts(&self.anna, "anna", &self.full("ben"))
    }

    /// What ben has from anna, oldest first.
    pub(crate) fn ben_has(&self) -> Vec<String> {
        texts(&self.ben, "ben", &self.full("anna"))
    }
}

/// The next message of the other's with this text.
fn hear(watch: &mut Watch, text: &str) {
    watch.wait(text, |message| message["text"] == text && message["outgoing"] == false);
}

/// Where an account is.
pub(crate) struct Account {
    pub(crate) url: String,
    /// Further lines of its table.
    pub(crate) more: String,
    kind: &'static str,
}

fn home(name: &str, secret: &str, there: &Account) -> Home {
    let home = Home::new();
    let jid = format!("{name}@{}", crate::prosody::DOMAIN);
    let mut words = vec!["account", "add", name, there.kind];
    match there.kind {
        "hub" => words.push(&there.url),
        _ => words.extend([&jid, "--url", &there.url]),
    }
    words.extend(["--secret-file", "-", "--no-verify", "--insecure"]);
    home.run_with_input(&words, secret).ok();
    let file = home.path().join("config.toml");
    let accounts = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{}\n{accounts}\n{}\n", link(), there.more)).unwrap();
    home
}

/// Runs a home's daemon on a host.
pub(crate) fn run_on(home: &Home, host: &Host, change: impl FnOnce(&mut Command)) -> Daemon {
    home.daemon_with(|command| {
        let mut there = host.command(wakeful());
        there.arg("run");
        // No desktop and no logind but those that a test brings.
        there.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        change(&mut there);
        *command = there;
    })
}

fn launch_hub(host: &Host, data: &std::path::Path, port: u16) -> Process {
    let mut command = host.command(wakeful());
    command.args(["hub", "run", "--behind-proxy", "--listen", &format!("[::]:{port}"), "--data"]).arg(data);
    let mut hub = Process::start("hub", &mut command);
    hub.wait_line("where it listens", |line| line.contains(&port.to_string()).then_some(()));
    hub
}

fn token(data: &std::path::Path, name: &str) -> String {
    let output = Command::new(wakeful()).args(["hub", "user", "add", name, "--data"]).arg(data).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn texts(home: &Home, account: &str, sender: &str) -> Vec<String> {
    let mut rows = home.history(account);
    rows.sort_by_key(|row| row["position"].as_str().and_then(|p| p.parse::<i64>().ok()));
    rows.iter().filter(|row| row["sender"] == sender).map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

impl Drop for Scene {
    /// A failing test tells what both sides thought of themselves.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for home in [&self.anna, &self.ben] {
                eprintln!("--- status\n{}", home.run(&["status", "--json"]).stdout);
                eprintln!("--- history\n{}", home.run(&["history"]).stdout);
            }
        }
    }
}
