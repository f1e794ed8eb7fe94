//! A Prosody on the server's host, for anna and ben.

use crate::net::Host;
use crate::support::{Process, eventually};
use rustix::process::Signal;
use std::path::{Path, PathBuf};

/// Its domain.
pub(crate) const DOMAIN: &str = "chat.test";

pub(crate) struct Prosody {
    host: Host,
    dir: PathBuf,
    port: u16,
    process: Process,
}

impl Prosody {
    /// `None`: it is not installed.
    pub(crate) fn start(host: &Host, dir: &Path, port: u16) -> Option<Self> {
        if !Path::new("/usr/bin/prosody").exists() {
            return None;
        }
        let accounts = dir.join("data/chat%2etest/accounts");
        std::fs::create_dir_all(&accounts).unwrap();
        for name in ["anna", "ben"] {
            std::fs::write(
                accounts.join(format!("{name}.dat")),
                format!("return {{ [\"password\"] = \"{name}-secret\"; }};\n"),
            )
            .unwrap();
        }
        std::fs::write(dir.join("prosody.cfg.lua"), config(dir, &host.ip, port)).unwrap();
        let process = launch(host, dir, port);
        Some(Self { host: host.clone(), dir: dir.to_owned(), port, process })
    }

    pub(crate) fn up(&mut self) {
        self.process = launch(&self.host, &self.dir, self.port);
    }

    pub(crate) fn kill9(&mut self) {
        self.process.kill9();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }
}

fn launch(host: &Host, dir: &Path, port: u16) -> Process {
    let mut command = host.command("prosody");
    command.arg("--config").arg(dir.join("prosody.cfg.lua")).arg("-F").current_dir(dir);
    let process = Process::start("prosody", &mut command);
    let probe = format!("import socket; socket.create_connection(('{}', {port}), 1)", host.ip);
    eventually("Prosody listens", || {
        let mut ask = host.command("python3");
        ask.args(["-c", &probe]).stderr(std::process::Stdio::null()).status().unwrap().success().then_some(())
    });
    process
}

fn config(dir: &Path, ip: &str, port: u16) -> String {
    let dir = dir.display();
    format!(
        r#"run_as_root = true; prosody_user = "root"; prosody_group = "root"; daemonize = false
pidfile = "{dir}/prosody.pid"; data_path = "{dir}/data"
log = {{ {{ levels = {{ min = "warn" }}, to = "console" }} }}
interfaces = {{ "{ip}" }}; http_ports = {{ {port} }}; http_interfaces = {{ "{ip}" }}; https_ports = {{ }}
c2s_ports = {{ }}; s2s_ports = {{ }}; c2s_direct_tls_ports = {{ }}; http_default_host = "{DOMAIN}"
c2s_require_encryption = false; allow_unencrypted_plain_auth = true; consider_websocket_secure = true
authentication = "internal_plain"; storage = "internal"
modules_enabled = {{ "roster", "saslauth", "disco", "ping", "carbons", "smacks", "mam", "offline", "websocket", "http" }}
modules_disabled = {{ "s2s" }}
default_archive_policy = true; smacks_hibernation_time = 300; c2s_timeout = 60; limits = {{ }}
VirtualHost "{DOMAIN}"
"#
    )
}
