//! Two people on a hub across a wire that can fail: the hub and ben on one host, anna's daemon on the other.

use crate::net::{Host, Net};
use crate::support::{Daemon, Home, Process, Watch, wakeful};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// Short enough for a test; `tests/long/network` runs the real ones.
pub(crate) const PROBE: Duration = Duration::from_secs(1);
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How late anything may be on a busy machine.
pub(crate) const SLACK: Duration = Duration::from_secs(3);

const LINK: &str = "[link]\nprobe_interval = \"1s\"\nprobe_interval_saving = \"1s\"\nprobe_timeout = \"1s\"\n\
    backoff_cap_early = \"1s\"\nbackoff_cap = \"1s\"\ndial_timeout = \"3s\"\n";

pub(crate) struct Scene {
    pub(crate) anna: Home,
    pub(crate) ben: Home,
    pub(crate) hub: Process,
    pub(crate) watch: Watch,
    pub(crate) hears: Watch,
    pub(crate) daemon: Daemon,
    data: tempfile::TempDir,
    port: u16,
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
        let mut there = Account { url: format!("ws://{}:{port}", net.server.ip), more: String::new() };
        let (ben, _ben) = (home("ben", &token(data.path(), "ben"), &there), ());
        account(&mut there);
        let anna = home("anna", &token(data.path(), "anna"), &there);
        let daemon = run_on(&anna, &net.client, daemon);
        let _ben = run_on(&ben, &net.server, |_| ());
        let (watch, hears) = (anna.watch(), ben.watch());
        ben.wait_state("ben", "online");
        Self { anna, ben, hub, daemon, watch, hears, data, port, _ben, net }
    }

    /// Waits for anna to be online.
    pub(crate) fn online(&self) {
        self.anna.wait_state("anna", "online");
    }

    /// Ben writes to anna; the hub has it when this returns.
    pub(crate) fn ben_says(&self, text: &str) {
        self.ben.run(&["send", "ben", "anna", text, "--wait", "sent"]).ok();
    }

    /// Anna writes to ben; it is in her outbox when this returns.
    pub(crate) fn anna_says(&self, text: &str) {
        self.anna.run(&["send", "anna", "ben", text]).ok();
    }

    /// How long until the status says that anna is not online; on the way it must never lie.
    pub(crate) fn noticed(&self) -> Duration {
        let start = Instant::now();
        loop {
            let status = self.anna.status("anna");
            if status["state"] != "online" {
                return start.elapsed();
            }
            truthful(&status);
            assert!(start.elapsed() < Duration::from_secs(30), "the dead link was never noticed: {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts the hub again on the same data and port.
    pub(crate) fn hub_up(&mut self) {
        self.hub = launch_hub(&self.net.server, self.data.path(), self.port);
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
        texts(&self.anna, "anna", "ben")
    }

    /// What ben has from anna, oldest first.
    pub(crate) fn ben_has(&self) -> Vec<String> {
        texts(&self.ben, "ben", "anna")
    }
}

/// The next message of the other's with this text.
fn hear(watch: &mut Watch, text: &str) {
    watch.wait(text, |message| message["text"] == text && message["outgoing"] == false);
}

/// `online` means a round trip that is not older than a probe and its deadline.
pub(crate) fn truthful(status: &Value) {
    let age =
        Duration::from_millis(status["last_round_trip_ms_ago"].as_u64().expect("online with a proven round trip"));
    assert!(age <= PROBE * 2 + PROBE_TIMEOUT + SLACK, "online, but nothing proven for {age:?}: {status}");
}

/// Where an account is.
pub(crate) struct Account {
    pub(crate) url: String,
    /// Further lines of its table.
    pub(crate) more: String,
}

fn home(name: &str, token: &str, there: &Account) -> Home {
    let home = Home::new();
    home.run_with_input(
        &["account", "add", name, "hub", &there.url, "--secret-file", "-", "--no-verify", "--insecure"],
        token,
    )
    .ok();
    let file = home.path().join("config.toml");
    let accounts = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{LINK}\n{accounts}\n{}\n", there.more)).unwrap();
    home
}

/// Runs a home's daemon on a host.
pub(crate) fn run_on(home: &Home, host: &Host, change: impl FnOnce(&mut Command)) -> Daemon {
    home.daemon_with(|command| {
        let mut there = host.command(wakeful());
        there.arg("run");
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
