//! A session bus of its own: nothing on it but what the test starts.

use crate::support::{Process, skip};
use std::path::PathBuf;
use std::process::Command;

/// A private `dbus-daemon`.
pub struct Bus {
    dir: tempfile::TempDir,
    process: Option<Process>,
}

impl Bus {
    /// Starts one; `None` (and a note) where there is no `dbus-daemon`.
    pub fn start() -> Option<Self> {
        if !installed("dbus-daemon") {
            skip("desktop", "dbus-daemon is not installed");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("wakeful-bus-").tempdir().unwrap();
        let mut bus = Self { dir, process: None };
        bus.up();
        Some(bus)
    }

    /// For `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.dir.path().join("bus").display())
    }

    /// A folder that lives as long as the bus.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Starts the daemon (again) at the same address.
    pub fn up(&mut self) {
        let _ = std::fs::remove_file(self.dir.path().join("bus"));
        let config = self.dir.path().join("bus.conf");
        // No service directories: nothing is started behind the test's back. Anybody may watch.
        let text = format!(
            r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"#,
            self.address()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.arg(format!("--config-file={}", config.display())).args([
            "--nofork",
            "--nopidfile",
            "--print-address=1",
        ]);
        let mut process = Process::start("dbus-daemon", &mut command);
        process.wait_line("its address", |line| line.starts_with("unix:").then_some(()));
        self.process = Some(process);
    }

    /// Kills the daemon: every connection breaks.
    pub fn down(&mut self) {
        self.process = None;
    }

    /// A connection to it.
    pub async fn connect(&self) -> zbus::Connection {
        zbus::connection::Builder::address(self.address().as_str()).unwrap().build().await.unwrap()
    }
}

/// Whether a program is there: on PATH or as a file.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).map(|dir| dir.join(program)).collect();
    places.push(PathBuf::from(program));
    places.iter().any(|place| place.is_file())
}
