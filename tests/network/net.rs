//! Two hosts on one machine: network namespaces joined by a veth pair, with nft as the saboteur.
//!
//! `server` (10.77.N.1) runs the hub or an XMPP server, `client` (10.77.N.2) the daemon. Nothing leaves the machine:
//! neither namespace has a way out. `netem` is not in every kernel, so loss and delay come from `lossy.py`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

/// Two hosts and the wire between them.
pub(crate) struct Net {
    pub(crate) server: Host,
    pub(crate) client: Host,
    lossy: Option<Child>,
}

/// One namespace.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) ip: String,
    pub(crate) ip6: String,
    dev: String,
}

/// How the wire fails. In every case nobody closes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Packets vanish both ways.
    Blackhole,
    /// Packets to the server vanish; what it sends arrives.
    BlackholeUp,
    /// Packets from the server vanish; what we send arrives.
    BlackholeDown,
    /// Every packet is answered by a TCP reset.
    Reset,
    /// Every packet is answered by "host unreachable".
    Unreachable,
}

/// What `lossy.py` does to packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lossy {
    pub(crate) delay_ms: u32,
    pub(crate) jitter_ms: u32,
    pub(crate) loss: f64,
    pub(crate) twice: f64,
    pub(crate) seed: u64,
}

impl Net {
    /// Two hosts joined by a good wire. `None`: this machine cannot make namespaces (not root, no nft).
    pub(crate) fn new() -> Option<Self> {
        let net = Self::hosts()?;
        let (s, c) = (&net.server, &net.client);
        run(&["ip", "link", "add", &s.dev, "netns", &s.name, "type", "veth", "peer", "name", &c.dev, "netns", &c.name]);
        for host in [s, c] {
            host.run(&["ip", "addr", "add", &format!("{}/24", host.ip), "dev", &host.dev]);
            host.run(&["ip", "-6", "addr", "add", &format!("{}/64", host.ip6), "dev", &host.dev, "nodad"]);
            host.run(&["ip", "link", "set", &host.dev, "up"]);
        }
        c.run(&["ip", "route", "add", "default", "via", &s.ip]);
        Some(net)
    }

    /// Two hosts joined by a wire that delays, drops, doubles and so reorders packets.
    pub(crate) fn lossy(lossy: Lossy) -> Option<Self> {
        let mut net = Self::hosts()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network/lossy.py");
        let ends = [&net.server, &net.client].map(|host| format!("{}={}/24", host.name, host.ip));
        let numbers = [
            lossy.delay_ms.to_string(),
            lossy.jitter_ms.to_string(),
            lossy.loss.to_string(),
            lossy.twice.to_string(),
            lossy.seed.to_string(),
        ];
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "python3"])
            .arg(script)
            .args(ends)
            .args(numbers)
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take()?), &mut line).ok()?;
        net.lossy = Some(child);
        (line.trim() == "ready").then_some(net)
    }

    fn hosts() -> Option<Self> {
        let able = rustix::process::geteuid().is_root() && Command::new("nft").arg("-v").output().is_ok();
        if !able {
            return None;
        }
        // Tests may run as threads of one process: each has a number of its own.
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tag = format!("{:04x}{number:02x}", std::process::id() & 0xffff);
        let host = |role: &str, last: u8| Host {
            name: format!("wk{role}{tag}"),
            ip: format!("10.77.{number}.{last}"),
            ip6: format!("fd77:{number:x}::{last}"),
            dev: format!("w{role}{tag}"),
        };
        let net = Self { server: host("s", 1), client: host("c", 2), lossy: None };
        for host in [&net.server, &net.client] {
            if !Command::new("ip").args(["netns", "add", &host.name]).status().is_ok_and(|status| status.success()) {
                return None;
            }
            host.run(&["ip", "link", "set", "lo", "up"]);
        }
        Some(net)
    }

    /// Breaks the wire; replaces an earlier fault.
    pub(crate) fn break_with(&self, fault: Fault) {
        self.heal();
        let (up, down) = match fault {
            Fault::Blackhole => ("drop", "drop"),
            Fault::BlackholeUp => ("drop", "accept"),
            Fault::BlackholeDown => ("accept", "drop"),
            Fault::Reset => ("reject with tcp reset", "reject with tcp reset"),
            Fault::Unreachable => ("reject with icmp type host-unreachable", "drop"),
        };
        // At the server's end, so that the client's kernel learns nothing but what arrives. A reject answers the client.
        let tcp = if fault == Fault::Reset { "meta l4proto tcp " } else { "" };
        let rules = format!(
            "table inet wakeful {{\n chain in {{ type filter hook input priority 0; iifname \"{dev}\" {tcp}{up}; }}\n \
             chain out {{ type filter hook output priority 0; oifname \"{dev}\" {out}; }}\n}}\n",
            dev = self.server.dev,
            out = if fault == Fault::Reset { "accept" } else { down },
        );
        self.server.nft(&rules);
    }

    /// The wire is good again.
    pub(crate) fn heal(&self) {
        self.server.nft("table inet wakeful {}\ndelete table inet wakeful\n");
    }

    /// IPv6 packets vanish, IPv4 works: the broken dual stack that many homes have.
    pub(crate) fn kill_ipv6(&self) {
        self.server
            .nft("table ip6 wakeful6 {\n chain in { type filter hook input priority 0; meta l4proto tcp drop; }\n}\n");
    }

    /// Takes the client's cable out, or puts it back.
    pub(crate) fn cable(&self, plugged: bool) {
        let client = &self.client;
        client.run(&["ip", "link", "set", &client.dev, if plugged { "up" } else { "down" }]);
        if plugged {
            client.run(&["ip", "-6", "addr", "replace", &format!("{}/64", client.ip6), "dev", &client.dev, "nodad"]);
            client.run(&["ip", "route", "replace", "default", "via", &self.server.ip]);
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if let Some(mut child) = self.lossy.take() {
            child.kill().ok();
            child.wait().ok();
        }
        for host in [&self.server, &self.client] {
            Command::new("ip").args(["netns", "del", &host.name]).status().ok();
            std::fs::remove_dir_all(format!("/etc/netns/{}", host.name)).ok();
        }
    }
}

impl Host {
    /// A command that will run in this namespace, ended when the test is gone.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "ip", "netns", "exec", &self.name]).arg(program);
        command
    }

    /// Files that replace those of `/etc` for processes of this namespace (`hosts`, `resolv.conf`).
    pub(crate) fn etc(&self, name: &str, text: &str) {
        let dir = format!("/etc/netns/{}", self.name);
        std::fs::create_dir_all(&dir).expect("a folder for the namespace");
        std::fs::write(format!("{dir}/{name}"), text).expect("a file for the namespace");
    }

    fn run(&self, words: &[&str]) {
        let mut all = vec!["ip", "netns", "exec", self.name.as_str()];
        all.extend(words);
        run(&all);
    }

    fn nft(&self, rules: &str) {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.name, "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("nft runs");
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), rules.as_bytes()).expect("nft listens");
        assert!(child.wait().expect("nft ends").success(), "nft refused:\n{rules}");
    }
}

fn run(words: &[&str]) {
    let status = Command::new(words[0]).args(&words[1..]).status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{words:?}: {status:?}");
}
