//! A `WAKEFUL_HOME` of its own: accounts, commands, the daemon on it, and a follower of its messages.

use super::{PATIENCE, Process, wakeful};
use serde_json::Value;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A temporary home.
pub struct Home {
    dir: tempfile::TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    /// Its exit status; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// Fails the test unless it exited with 0; gives standard output.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Every line of standard output as JSON.
    pub fn json_lines(self) -> Vec<Value> {
        self.ok().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// Standard output as one JSON value.
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

impl Home {
    /// An empty one.
    pub fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("wakeful-").tempdir().unwrap() }
    }

    /// An empty one in this folder.
    pub fn within(folder: &Path) -> Self {
        Self { dir: tempfile::Builder::new().prefix("wakeful-").tempdir_in(folder).unwrap() }
    }

    /// One with an account on this hub, for a user made there.
    pub fn with_account(name: &str, hub: &super::Hub) -> Self {
        let home = Self::new();
        home.add_account(name, &hub.url(), &hub.user(name)).ok();
        home
    }

    /// Leaves it on disk for whoever looks into a failure.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A `wakeful` command on this home, with no desktop and no service manager around it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(wakeful());
        command.args(args).env("WAKEFUL_HOME", self.path());
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "INVOCATION_ID"] {
            command.env_remove(name);
        }
        command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/no-bus", self.path().display()));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Answer {
        Self::finish(self.command(args).stdin(Stdio::null()))
    }

    /// Runs a command to its end with this on its standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Answer {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), input).unwrap();
        Self::finish(self.command(args).stdin(std::fs::File::open(file.path()).unwrap()))
    }

    fn finish(command: &mut Command) -> Answer {
        let output = command.output().expect("wakeful starts");
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `account add NAME hub URL`, with the token on standard input.
    pub fn add_account(&self, name: &str, url: &str, token: &str) -> Answer {
        self.run_with_input(&["account", "add", name, "hub", url, "--secret-file", "-"], token)
    }

    /// Like [`Self::add_account`], without the probe login (for a hub that is down).
    pub fn add_account_unverified(&self, name: &str, url: &str, token: &str) -> Answer {
        self.run_with_input(&["account", "add", name, "hub", url, "--secret-file", "-", "--no-verify"], token)
    }

    /// Starts `run` and waits until it is ready.
    pub fn daemon(&self) -> Daemon {
        self.daemon_with(|_| ())
    }

    /// Starts `run` with a changed command (environment, wrapper) and waits until it is ready.
    pub fn daemon_with(&self, change: impl FnOnce(&mut Command)) -> Daemon {
        let ready = self.dir.path().join("ready.sock");
        let _ = std::fs::remove_file(&ready);
        let socket = UnixDatagram::bind(&ready).unwrap();
        let mut command = self.command(&["run"]);
        command.env("NOTIFY_SOCKET", &ready);
        change(&mut command);
        let mut daemon = Daemon { process: Process::start("daemon", &mut command), ready: socket };
        daemon.wait_ready();
        daemon
    }

    /// Starts `run` with a changed command and does not wait: for one that is expected to end by itself.
    pub fn start(&self, change: impl FnOnce(&mut Command)) -> Process {
        let mut command = self.command(&["run"]);
        change(&mut command);
        Process::start("daemon", &mut command)
    }

    /// Messages as `history --json` gives them.
    pub fn history(&self, account: &str) -> Vec<Value> {
        self.run(&["history", "--account", account, "--json"]).json_lines()
    }

    /// One account of `status --json`.
    pub fn status(&self, account: &str) -> Value {
        let status = self.run(&["status", "--json"]).json();
        let accounts = status["accounts"].as_array().expect("`accounts` is a list");
        accounts.iter().find(|one| one["name"] == account).unwrap_or_else(|| panic!("no {account} in {status}")).clone()
    }

    /// Waits until an account is in this state.
    pub fn wait_state(&self, account: &str, state: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.status(account);
            if status["state"] == state {
                return status;
            }
            assert!(Instant::now() < end, "{account} did not become {state}: {status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Follows messages with `watch --json`, from the first that is kept: what came before the call is not missed.
    pub fn watch(&self) -> Watch {
        Watch { process: Process::start("watch", &mut self.command(&["watch", "--json", "--after", "0"])) }
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path().join("run/socket")
    }

    /// Appends to its configuration.
    pub fn configure(&self, more: &str) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path().join("config.toml")).unwrap();
        std::io::Write::write_all(&mut file, more.as_bytes()).unwrap();
    }

    /// Every file under the home.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut open = vec![self.path().to_path_buf()];
        let mut files = Vec::new();
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => open.push(entry.path()),
                    Ok(kind) if kind.is_file() => files.push(entry.path()),
                    _ => (),
                }
            }
        }
        files
    }
}

/// A running daemon.
pub struct Daemon {
    /// The process.
    pub process: Process,
    ready: UnixDatagram,
}

impl Daemon {
    fn wait_ready(&mut self) {
        self.ready.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let end = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        loop {
            if let Ok(length) = self.ready.recv(&mut buffer)
                && String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == "READY=1")
            {
                return;
            }
            if let Some(status) = self.process.ended() {
                panic!("the daemon ended with {status} instead of becoming ready\n{}", self.process.log());
            }
            assert!(Instant::now() < end, "the daemon never became ready\n{}", self.process.log());
        }
    }

    /// SIGKILL.
    pub fn kill9(mut self) {
        self.process.kill9();
    }

    /// SIGTERM; its exit status.
    pub fn stop(mut self) -> ExitStatus {
        self.process.stop()
    }
}

/// A running `watch --json`.
pub struct Watch {
    /// The process.
    pub process: Process,
}

impl Watch {
    /// The next message for which `wanted` holds.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.process.wait_line(what, |line| serde_json::from_str(line).ok().filter(&wanted))
    }

    /// The next message with this text.
    pub fn wait_text(&mut self, text: &str) -> Value {
        self.wait(text, |message| message["text"] == text)
    }
}
