//! A child process whose output is kept, line by line, and which never outlives the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Lines of both streams in the order in which they came.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, usize)>,
    grown: Condvar,
}

impl Log {
    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        log.lines.lock().unwrap().1 += 1;
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                log.lines.lock().unwrap().0.push(String::from_utf8_lossy(&line).into_owned());
                log.grown.notify_all();
            }
            log.lines.lock().unwrap().1 -= 1;
            log.grown.notify_all();
        });
    }
}

/// A running child. Dropping it kills it by its pid; if the test is failing, its output is printed.
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
    seen: usize,
}

impl Process {
    /// Starts `command`; nothing on its standard input.
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take().unwrap());
        log.follow(child.stderr.take().unwrap());
        Self { name: name.into(), child, log, seen: 0 }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line, from where the last call stopped, in which `find` finds something. Fails the test when the
    /// process ends first or [`super::PATIENCE`] runs out.
    pub fn wait_line<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        self.try_line(super::PATIENCE, find)
            .unwrap_or_else(|| panic!("{}: never said {what}\n{}", self.name, self.log()))
    }

    /// Like [`Self::wait_line`], for at most `patience`; `None` when it did not come.
    pub fn try_line<T>(&mut self, patience: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + patience;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            while let Some(line) = lines.0.get(self.seen) {
                self.seen += 1;
                if let Some(found) = find(line) {
                    return Some(found);
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if lines.1 == 0 || left.is_zero() {
                return None;
            }
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Everything it has said so far.
    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().0.join("\n")
    }

    /// Has it ended?
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end; fails the test when it goes on for longer than `patience`.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let end = Instant::now() + patience;
        let mut lines = self.log.lines.lock().unwrap();
        while lines.1 > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
        drop(lines);
        while Instant::now() < end {
            if let Some(status) = self.ended() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(status) = self.ended() {
            return status;
        }
        panic!("{}: still runs after {patience:?}\n{}\n{}", self.name, self.threads(), self.log())
    }

    /// What each of its threads is doing, as far as the system tells: its name, state, and where in the kernel it is.
    fn threads(&self) -> String {
        let tasks = format!("/proc/{}/task", self.pid());
        let Ok(tasks) = std::fs::read_dir(tasks) else { return "(no /proc)".into() };
        let tell = |task: std::fs::DirEntry| {
            let read = |name| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let state =
                read("stat").rsplit(')').next().and_then(|rest| rest.split_whitespace().next().map(String::from));
            let call = read("syscall").split_whitespace().next().map(String::from);
            format!("  thread {} {state:?} syscall {call:?}\n{}", read("comm").trim(), read("stack"))
        };
        tasks.flatten().map(tell).collect()
    }

    /// Sends a signal by pid.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait(super::PATIENCE)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- what {} said ---\n{}\n---", self.name, self.log());
        }
    }
}
