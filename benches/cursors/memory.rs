//! What printing all of a history costs the daemon and the command, and how soon `--around` answers.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A field of `/proc/PID/status` in MiB.
fn status(pid: u32, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default().to_owned();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn wakeful(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wakeful"));
    command.args(args).env("WAKEFUL_HOME", home).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

pub(crate) fn measure(data: &Path, tell: &mut impl FnMut(Value)) {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    for name in ["", "-wal", "-shm"] {
        // A link to the data set: nothing is written to it but bookkeeping.
        let from = std::fs::canonicalize(data).unwrap().join(format!("wakeful.db{name}"));
        if from.exists() {
            std::fs::hard_link(from, home.path().join("state").join(format!("wakeful.db{name}"))).unwrap();
        }
    }
    let daemon = Daemon(wakeful(home.path(), &["run"]).stdout(Stdio::null()).spawn().unwrap());
    let pid = daemon.0.id();
    let end = Instant::now() + Duration::from_secs(60);
    while !wakeful(home.path(), &["status"]).stdout(Stdio::null()).status().unwrap().success() {
        assert!(Instant::now() < end, "the daemon never answered");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(1));
    let idle = status(pid, "VmRSS");
    let began = Instant::now();
    let mut history = wakeful(home.path(), &["history", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let (mut lines, mut command, mut middle) = (0_usize, 0.0_f64, String::new());
    for line in BufReader::with_capacity(1 << 16, history.stdout.take().unwrap()).lines() {
        lines += 1;
        if lines % 5_000 == 1 {
            command = command.max(status(history.id(), "VmHWM"));
            middle = line.unwrap();
        }
    }
    let took = began.elapsed().as_secs_f64();
    assert!(history.wait().unwrap().success());
    let peak = status(pid, "VmHWM");
    tell(json!({"what": "history --json", "lines": lines, "seconds": took, "daemon_idle_mib": idle,
        "daemon_peak_mib": peak, "daemon_above_idle_mib": peak - idle, "command_peak_mib": command}));
    around(home.path(), &middle, tell);
}

/// As a person would: a command, its start included.
fn around(home: &Path, message: &str, tell: &mut impl FnMut(Value)) {
    let message: Value = serde_json::from_str(message).unwrap();
    let (id, conversation) = (message["id"].as_str().unwrap(), message["conversation"]["id"].as_str().unwrap());
    for args in [vec!["history", "--around", id], vec!["history", "--conversation", conversation, "--around", id]] {
        let mut times: Vec<f64> = (0..20)
            .map(|_| {
                let began = Instant::now();
                let output = wakeful(home, &args).output().unwrap();
                assert!(output.status.success());
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let what = if args.len() == 3 { "history --around" } else { "history --conversation --around" };
        tell(json!({"what": what, "p50_ms": times[10], "worst_ms": times[19]}));
    }
}
