//! A hub of its own, on a free loopback port, with its data in a temporary folder.

use super::{Process, wakeful};
use std::net::SocketAddr;
use std::process::Command;

/// A running `wakeful hub run`.
pub struct Hub {
    data: tempfile::TempDir,
    address: SocketAddr,
    process: Option<Process>,
}

impl Hub {
    /// Starts one and waits until it listens.
    pub fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let (process, address) = launch(data.path(), "127.0.0.1:0", |_| ());
        Self { data, address, process: Some(process) }
    }

    /// A hub that is down: its address is known, nothing listens there until [`Self::up`].
    pub fn down() -> Self {
        let mut hub = Self::start();
        hub.stop();
        hub
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that an account names.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Leaves its data on disk for whoever looks into a failure.
    pub fn keep(mut self) -> std::path::PathBuf {
        self.stop();
        self.data.keep()
    }

    /// Its data folder.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Its process, while it runs.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the hub runs")
    }

    /// Adds a user (also beside a running hub) and returns the device token.
    pub fn user(&self, name: &str) -> String {
        let output = Command::new(wakeful())
            .args(["hub", "user", "add", name, "--data"])
            .arg(self.data.path())
            .output()
            .expect("wakeful starts");
        assert!(output.status.success(), "hub user add {name}: {}", String::from_utf8_lossy(&output.stderr));
        let token = String::from_utf8(output.stdout).unwrap();
        assert_eq!(token.trim().lines().count(), 1, "the token stands alone on standard output");
        token.trim().into()
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take()
            && process.ended().is_none()
        {
            process.stop();
        }
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
    }

    /// Starts it again on the same data and address.
    pub fn up(&mut self) {
        self.up_with(|_| ());
    }

    /// As [`Self::up`], with a changed command.
    pub fn up_with(&mut self, change: impl FnOnce(&mut Command)) {
        self.stop();
        self.process = Some(launch(self.data.path(), &self.address.to_string(), change).0);
    }
}

fn launch(data: &std::path::Path, listen: &str, change: impl FnOnce(&mut Command)) -> (Process, SocketAddr) {
    let mut command = Command::new(wakeful());
    command.args(["hub", "run", "--listen", listen, "--data"]).arg(data);
    change(&mut command);
    let mut process = Process::start("hub", &mut command);
    let address = process.wait_line("where it listens", address_in);
    (process, address)
}

/// The first loopback `host:port` in a line, without any colours around it.
fn address_in(line: &str) -> Option<SocketAddr> {
    let at = line.find("127.0.0.1:")?;
    let text: String = line[at..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    text.parse().ok().filter(|address: &SocketAddr| address.port() != 0)
}
