//! The machine around the daemon, faked: a bus that can be restarted, logind on it, a resolver, a wall clock.

use crate::net::Host;
use crate::support::Process;
use std::io::BufRead as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use zbus::zvariant::OwnedFd;

/// A dbus-daemon of our own; it is both the system's and the session's bus of a daemon.
pub(crate) struct Bus {
    child: Child,
    dir: tempfile::TempDir,
}

impl Bus {
    /// `None`: there is no dbus-daemon.
    pub(crate) fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        Some(Self { child: launch(dir.path())?, dir })
    }

    pub(crate) fn address(&self) -> String {
        address(self.dir.path())
    }

    /// Killed, and started again at the same place.
    pub(crate) fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::fs::remove_file(self.dir.path().join("bus")).ok();
        self.child = launch(self.dir.path()).unwrap();
    }

    /// Both buses of a daemon's command.
    pub(crate) fn is_for(&self, command: &mut Command) {
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.address()).env("DBUS_SESSION_BUS_ADDRESS", self.address());
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn address(dir: &Path) -> String {
    format!("unix:path={}/bus", dir.display())
}

fn launch(dir: &Path) -> Option<Child> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "dbus-daemon", "--session", "--nofork", "--print-address"]);
    // No service of the machine's own is started for it.
    command.env("XDG_DATA_DIRS", "/nowhere").env("XDG_DATA_HOME", "/nowhere");
    let mut child = command.arg(format!("--address={}", address(dir))).stdout(Stdio::piped()).spawn().ok()?;
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
    (!line.is_empty()).then_some(child)
}

/// The other ends of the inhibitors that were handed out.
type Inhibitors = Arc<Mutex<Vec<UnixStream>>>;

struct Manager(Inhibitors);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, _what: &str, _who: &str, _why: &str, _mode: &str) -> OwnedFd {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        self.0.lock().unwrap().push(ours);
        std::os::fd::OwnedFd::from(theirs).into()
    }
}

/// logind, as far as sleep needs it.
pub(crate) struct Logind {
    runtime: tokio::runtime::Runtime,
    connection: zbus::Connection,
    inhibitors: Inhibitors,
}

const MANAGER: (&str, &str) = ("/org/freedesktop/login1", "org.freedesktop.login1.Manager");

impl Logind {
    pub(crate) fn on(bus: &Bus) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inhibitors = Inhibitors::default();
        let manager = Manager(inhibitors.clone());
        let connection = runtime.block_on(async {
            let builder = zbus::connection::Builder::address(bus.address().as_str()).unwrap();
            let builder = builder.serve_at(MANAGER.0, manager).unwrap();
            builder.name("org.freedesktop.login1").unwrap().build().await.unwrap()
        });
        Self { runtime, connection, inhibitors }
    }

    /// Somebody holds sleep up.
    pub(crate) fn is_held(&self) -> bool {
        use std::io::Read as _;
        let held = self.inhibitors.lock().unwrap();
        held.last().is_some_and(|mut end| !matches!(end.read(&mut [0; 1]), Ok(0)))
    }

    /// `PrepareForSleep`: about to sleep, or awake again.
    pub(crate) fn prepare(&self, asleep: bool) {
        let signal = self.connection.emit_signal(None::<&str>, MANAGER.0, MANAGER.1, "PrepareForSleep", &asleep);
        self.runtime.block_on(signal).unwrap();
    }
}

/// A resolver on the server's host that says what a file says.
pub(crate) struct Resolver {
    file: PathBuf,
    _process: Process,
    _dir: tempfile::TempDir,
}

impl Resolver {
    /// It is the client's resolver, and `address` is what it says of every name.
    pub(crate) fn start(server: &Host, client: &Host, address: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("address");
        std::fs::write(&file, address).unwrap();
        let mut command = server.command("python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network/resolver.py"));
        let mut process = Process::start("resolver", command.arg(&server.ip).arg(&file));
        process.wait_line("that it listens", |line| (line == "ready").then_some(()));
        client.etc("resolv.conf", &format!("nameserver {}\noptions timeout:1 attempts:1\n", server.ip));
        client.etc("hosts", "127.0.0.1 localhost\n");
        Self { file, _process: process, _dir: dir }
    }

    pub(crate) fn say(&self, address: &str) {
        std::fs::write(&self.file, address).unwrap();
    }
}

/// A wall clock that jumps, by libfaketime; monotonic clocks are left alone.
pub(crate) struct WallClock {
    file: tempfile::NamedTempFile,
}

const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

impl WallClock {
    /// `None`: there is no libfaketime.
    pub(crate) fn new() -> Option<Self> {
        let clock = Self { file: tempfile::NamedTempFile::new().unwrap() };
        clock.shift("+0");
        Path::new(FAKETIME).exists().then_some(clock)
    }

    /// By so much against the true time, such as `-1d`.
    pub(crate) fn shift(&self, by: &str) {
        std::fs::write(self.file.path(), format!("{by}\n")).unwrap();
    }

    pub(crate) fn is_for(&self, command: &mut Command) {
        command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_TIMESTAMP_FILE", self.file.path());
        command.env("FAKETIME_NO_CACHE", "1").env("NO_FAKE_STAT", "1");
        command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}
