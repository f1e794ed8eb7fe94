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

    /// The session bus of a daemon's command.
    pub fn is_session_of(&self, command: &mut std::process::Command) {
        command.env("DBUS_SESSION_BUS_ADDRESS", self.address());
    }

    /// A folder that lives as long as the bus.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Starts the daemon (again) at the same address.
    pub fn up(&mut self) {
        let _ = std::fs::remove_file(self.dir.path().join("bus"));
        let config = self.dir.path().join("bus.conf");
        // No service directory but the test's own: nothing is started behind its back. Anybody may watch.
        let services = self.dir.path().join("services");
        std::fs::create_dir_all(&services).unwrap();
        let text = format!(
            r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth>
<servicedir>{}</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"#,
            self.address(),
            services.display()
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

    /// Lets the bus start a program when somebody calls this name.
    pub async fn service(&self, name: &str, exec: &str) {
        let file = self.dir.path().join("services").join(format!("{name}.service"));
        std::fs::write(file, format!("[D-BUS Service]\nName={name}\nExec={exec}\n")).unwrap();
        let proxy = zbus::fdo::DBusProxy::new(&self.connect().await).await.unwrap().into_inner();
        proxy.call_method("ReloadConfig", &()).await.unwrap();
    }

    /// Kills the program that has this name, by its pid.
    pub async fn end(&self, name: &'static str) {
        let connection = self.connect().await;
        let proxy = zbus::fdo::DBusProxy::new(&connection).await.unwrap();
        let pid = proxy.get_connection_unix_process_id(name.try_into().unwrap()).await.unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
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
