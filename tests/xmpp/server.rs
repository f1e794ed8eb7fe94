//! Real XMPP servers on loopback: Prosody and ejabberd from Debian, each with its state in a folder of its own.
//!
//! They run as whoever runs the tests, listen on 127.0.0.1 (the second node of a pair: 127.0.0.2) and end with the
//! test that started them. What was learnt about both stands in `docs/xmpp-servers.md`.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to answer.
const READY: Duration = Duration::from_secs(40);

/// The people every server knows; the password is the name with `-secret`.
pub(crate) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Prosody,
    Ejabberd,
}

/// What a test wants to be different.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The one mechanism to offer, `PLAIN`, `SHA-1` or `SHA-256`; `None`: every one.
    pub(crate) only: Option<&'static str>,
    /// Seconds for which a broken session can be resumed.
    pub(crate) resume_secs: u32,
    /// Largest page of an archive (Prosody; ejabberd: always 250).
    pub(crate) archive_page: u32,
    /// ejabberd's archive in Mnesia, which forgets its last seconds when it is killed, in place of SQLite.
    pub(crate) forgetful: bool,
    /// Further people: `u0`, `u1`, …
    pub(crate) people: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self { only: None, resume_secs: 300, archive_page: 250, forgetful: false, people: 0 }
    }
}

/// A running server, or one that was stopped and can be started again on the same data.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    setup: Setup,
    dir: PathBuf,
    ip: IpAddr,
    ports: Ports,
    child: Option<Child>,
    cluster: Option<Cluster>,
    _owner: Option<TempDir>,
}

/// ws, wss and TCP.
#[derive(Clone, Copy, Debug)]
struct Ports {
    ws: u16,
    wss: u16,
    tcp: u16,
}

#[derive(Clone, Debug)]
struct Cluster {
    node: String,
    port: u16,
    join: Option<String>,
}

impl Server {
    /// Starts a server with a fresh state. `None`: it is not installed, and the test is skipped.
    pub(crate) fn start(kind: Kind, setup: Setup) -> Option<Self> {
        if !kind.installed() {
            return None;
        }
        let owner = tempfile::Builder::new().prefix("xmpp").tempdir().expect("a temporary folder");
        let ip = Ipv4Addr::LOCALHOST.into();
        write_certificates(owner.path());
        let mut server = Self {
            kind,
            setup,
            dir: owner.path().to_owned(),
            ip,
            ports: Ports::free(ip),
            child: None,
            cluster: None,
            _owner: Some(owner),
        };
        server.up();
        Some(server)
    }

    /// Two ejabberd nodes that share one domain.
    pub(crate) fn pair() -> Option<(Self, Self)> {
        if !Kind::Ejabberd.installed() {
            return None;
        }
        let port = Ports::free(Ipv4Addr::LOCALHOST.into()).tcp;
        let node = |ip: Ipv4Addr, name: &str, join: Option<&str>| {
            let owner = tempfile::Builder::new().prefix("xmpp").tempdir().expect("a temporary folder");
            write_certificates(owner.path());
            let mut server = Self {
                kind: Kind::Ejabberd,
                // The nodes share their archive by Mnesia.
                setup: Setup { forgetful: true, ..Setup::default() },
                dir: owner.path().to_owned(),
                ip: ip.into(),
                ports: Ports::free(ip.into()),
                child: None,
                cluster: Some(Cluster { node: name.into(), port, join: join.map(str::to_owned) }),
                _owner: Some(owner),
            };
            server.up();
            server
        };
        let first = node(Ipv4Addr::LOCALHOST, "n1@127.0.0.1", None);
        let second = node(Ipv4Addr::new(127, 0, 0, 2), "n2@127.0.0.2", Some("n1@127.0.0.1"));
        Some((first, second))
    }

    /// Starts it again on the same data.
    pub(crate) fn up(&mut self) {
        assert!(self.child.is_none(), "already running");
        // ejabberd was seen to hang at its very start, with nothing in its log: then it is started anew.
        for _ in 0..3 {
            let mut command = match self.kind {
                Kind::Prosody => self.prosody(),
                Kind::Ejabberd => self.ejabberd(),
            };
            let log = fs::File::create(self.dir.join("console.log")).expect("a log file");
            command.current_dir(&self.dir).stdin(Stdio::null());
            command.stdout(log.try_clone().expect("a log file")).stderr(log);
            self.child = Some(command.spawn().expect("the server starts"));
            if self.becomes_ready() {
                return;
            }
            self.kill();
        }
        panic!("{:?} did not become ready:\n{}", self.kind, self.log_tail());
    }

    /// Stops it as an operator would.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        rustix::process::kill_process(pid(&child), rustix::process::Signal::TERM).ok();
        let deadline = clock() + Duration::from_secs(15);
        while child.try_wait().expect("a child of ours").is_none() {
            if clock() > deadline {
                child.kill().ok();
            }
            pause(50);
        }
    }

    /// Kills it outright.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Stops every thread of it where it stands, without closing anything.
    pub(crate) fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub(crate) fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child.as_ref().expect("running");
        rustix::process::kill_process(pid(child), signal).expect("a child of ours");
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}:{}/xmpp-websocket", self.ip, self.ports.ws)
    }

    pub(crate) fn wss_url(&self) -> String {
        format!("wss://localhost:{}/xmpp-websocket", self.ports.wss)
    }

    pub(crate) fn ws_address(&self) -> SocketAddr {
        (self.ip, self.ports.ws).into()
    }

    pub(crate) fn tcp_address(&self) -> SocketAddr {
        (self.ip, self.ports.tcp).into()
    }

    /// The private authority that signed its certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.join("tls/ca.crt")
    }

    /// The end of its log, for a failing test.
    pub(crate) fn log_tail(&self) -> String {
        ["server.log", "console.log"]
            .iter()
            .filter_map(|name| fs::read_to_string(self.dir.join(name)).ok())
            .map(|text| {
                text.lines().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
            })
            .collect::<Vec<_>>()
            .join("\n--\n")
    }

    fn becomes_ready(&mut self) -> bool {
        let deadline = clock() + READY;
        let ready = |server: &Self| {
            [server.ports.ws, server.ports.wss, server.ports.tcp]
                .iter()
                .all(|port| TcpStream::connect_timeout(&(server.ip, *port).into(), Duration::from_millis(200)).is_ok())
                && (server.kind == Kind::Prosody || server.dir.join("ready").exists())
        };
        while !ready(self) {
            let ended = self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()));
            if ended || clock() > deadline {
                return false;
            }
            pause(50);
        }
        true
    }

    fn people(&self) -> impl Iterator<Item = String> {
        PEOPLE.iter().map(|name| (*name).to_owned()).chain((0..self.setup.people).map(|n| format!("u{n}")))
    }

    fn prosody(&self) -> Command {
        let dir = self.dir.display();
        let accounts = self.dir.join("data/localhost/accounts");
        fs::create_dir_all(&accounts).expect("a folder");
        for name in self.people() {
            let file = accounts.join(format!("{name}.dat"));
            if !file.exists() {
                fs::write(&file, format!("return {{ [\"password\"] = \"{name}-secret\"; }};\n")).expect("an account");
            }
        }
        let auth = match self.setup.only {
            None => "authentication = \"internal_plain\"".to_owned(),
            Some("PLAIN") => "authentication = \"internal_plain\"; \
                disable_sasl_mechanisms = { \"SCRAM-SHA-1\", \"SCRAM-SHA-256\" }"
                .to_owned(),
            Some(hash) => format!("authentication = \"internal_hashed\"; password_hash = \"{hash}\""),
        };
        let (user, group) = (id("-un"), id("-gn"));
        let Ports { ws, wss, tcp } = self.ports;
        let Setup { resume_secs, archive_page, .. } = self.setup;
        let config = format!(
            r#"run_as_root = true; prosody_user = "{user}"; prosody_group = "{group}"; daemonize = false
pidfile = "{dir}/server.pid"; data_path = "{dir}/data"; certificates = "{dir}/tls"
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = "{dir}/server.log" }} }}
interfaces = {{ "127.0.0.1" }}; local_interfaces = {{ "127.0.0.1" }}
http_ports = {{ {ws} }}; http_interfaces = {{ "127.0.0.1" }}
https_ports = {{ {wss} }}; https_interfaces = {{ "127.0.0.1" }}; https_certificate = "{dir}/tls/localhost.crt"
c2s_ports = {{ {tcp} }}; s2s_ports = {{ }}; c2s_direct_tls_ports = {{ }}
http_default_host = "localhost"; c2s_require_encryption = false; allow_unencrypted_plain_auth = true
consider_websocket_secure = true
{auth}
storage = "internal"
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "private", "blocklist", "vcard4", "vcard_legacy",
  "pep", "bookmarks", "carbons", "smacks", "csi_simple", "mam", "offline", "websocket", "http" }}
modules_disabled = {{ "s2s" }}
default_archive_policy = true; archive_expires_after = "never"; max_archive_query_results = {archive_page}
smacks_hibernation_time = {resume_secs}; c2s_timeout = 60; limits = {{ }}; storage_archive_item_limit = 100000
VirtualHost "localhost"
Component "conference.localhost" "muc"
  modules_enabled = {{ "muc_mam" }}
  muc_log_by_default = true; muc_log_expires_after = "never"; restrict_room_creation = false
"#
        );
        let file = self.dir.join("prosody.cfg.lua");
        fs::write(&file, config).expect("a configuration");
        let mut command = with_parent("prosody");
        command.arg("--config").arg(file).arg("-F");
        command
    }

    fn ejabberd(&self) -> Command {
        let dir = self.dir.display();
        for folder in ["mnesia", "upload", "contrib"] {
            fs::create_dir_all(self.dir.join(folder)).expect("a folder");
        }
        fs::remove_file(self.dir.join("ready")).ok();
        self.ejabberd_archive();
        let file = self.dir.join("ejabberd.yml");
        fs::write(&file, self.ejabberd_config()).expect("a configuration");
        let register: String = self
            .people()
            .map(|name| format!("ejabberd_auth:try_register(<<\"{name}\">>,<<\"localhost\">>,<<\"{name}-secret\">>),"))
            .collect();
        let join = match self.cluster.as_ref().and_then(|cluster| cluster.join.as_ref()) {
            Some(other) if !self.dir.join("joined").exists() => {
                format!("ok = ejabberd_cluster:join('{other}'), ok = file:write_file(\"{dir}/joined\", <<>>),")
            }
            _ => String::new(),
        };
        let mut command = with_parent("erl");
        command.args(["+K", "true", "+sbwt", "none", "-noinput"]);
        if let Some(cluster) = &self.cluster {
            let address = self.ip.to_string().replace('.', ",");
            command.args(["-name", &cluster.node, "-setcookie", "wakeful-tests", "-start_epmd", "false"]);
            command.args(["-erl_epmd_port", &cluster.port.to_string()]);
            command.args(["-kernel", "inet_dist_use_interface", &format!("{{{address}}}")]);
        }
        command.args(["-mnesia", "dir", &format!("\"{dir}/mnesia\""), "-s", "ejabberd", "-eval"]);
        command.arg(format!("{join}{register}file:write_file(\"{dir}/ready\", <<\"ok\">>)."));
        command.arg("-extra").arg(&file);
        command.env("HOME", &self.dir).env("ERL_LIBS", "/usr/lib/x86_64-linux-gnu");
        command.env("EJABBERD_CONFIG_PATH", &file).env("EJABBERD_LOG_PATH", self.dir.join("server.log"));
        command.env("ERL_CRASH_DUMP_BYTES", "0").env("CONTRIB_MODULES_PATH", self.dir.join("contrib"));
        command.env_remove("ERL_DIST_PORT").env_remove("ERL_EPMD_ADDRESS").env_remove("EJABBERD_PID_PATH");
        command
    }

    /// Its archive in SQLite, which this version does not make by itself.
    fn ejabberd_archive(&self) {
        let file = self.dir.join("archive.sqlite");
        if self.setup.forgetful || file.exists() {
            return;
        }
        let schema = fs::read_to_string("/usr/share/ejabberd/sql/lite.sql").expect("ejabberd brings its schema");
        let db = rusqlite::Connection::open(file).expect("a database");
        db.execute_batch(&format!("PRAGMA journal_mode = WAL; {schema}")).expect("the schema");
    }

    fn ejabberd_config(&self) -> String {
        let (dir, ip) = (self.dir.display(), self.ip);
        let Ports { ws, wss, tcp } = self.ports;
        let resume = self.setup.resume_secs;
        let (archive, sql) = match self.setup.forgetful {
            true => ("mnesia", String::new()),
            false => ("sql", format!("sql_type: sqlite\nsql_database: \"{dir}/archive.sqlite\"")),
        };
        let scram = if self.setup.only == Some("PLAIN") { ", SCRAM-SHA-1, SCRAM-SHA-256, SCRAM-SHA-512" } else { "" };
        let auth = match self.setup.only {
            None | Some("PLAIN") => "auth_password_format: plain".to_owned(),
            Some(hash) => {
                let hash = hash.to_lowercase().replace("-1", "").replace('-', "");
                format!("auth_password_format: scram\nauth_scram_hash: {hash}")
            }
        };
        format!(
            r#"loglevel: info
hosts: [localhost]
certfiles: ["{dir}/tls/localhost.pem"]
ca_file: "{dir}/tls/ca.crt"
listen:
  - {{port: {tcp}, ip: "{ip}", module: ejabberd_c2s, starttls: true, max_stanza_size: 262144, access: c2s}}
  - {{port: {ws}, ip: "{ip}", module: ejabberd_http, request_handlers: {{/xmpp-websocket: ejabberd_http_ws}}}}
  - {{port: {wss}, ip: "{ip}", module: ejabberd_http, tls: true, request_handlers: {{/xmpp-websocket: ejabberd_http_ws}}}}
auth_method: [internal]
{auth}
{sql}
disable_sasl_mechanisms: [digest-md5, X-OAUTH2{scram}]
websocket_ping_interval: 60
websocket_timeout: 300
acl: {{local: {{user_regexp: ""}}}}
access_rules: {{c2s: {{allow: all}}, local: {{allow: local}}}}
shaper_rules: {{max_user_sessions: 100, max_user_offline_messages: 5000}}
modules:
  mod_adhoc: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_mam: {{default: always, db_type: {archive}, clear_archive_on_room_destroy: false}}
  mod_muc: {{access_create: all, access_persistent: all, default_room_options: {{mam: true, persistent: true}}}}
  mod_offline: {{access_max_user_messages: max_user_offline_messages}}
  mod_ping: {{send_pings: false}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub: {{plugins: [flat, pep], ignore_pep_from_offline: false}}
  mod_roster: {{}}
  mod_stream_mgmt: {{resume_timeout: {resume}, resend_on_timeout: if_offline}}
"#
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {:?}\n{}", self.kind, self.log_tail());
        }
        self.kill();
    }
}

impl Kind {
    /// The server stands on this machine.
    pub(crate) fn installed(self) -> bool {
        Path::new(match self {
            Self::Prosody => "/usr/bin/prosody",
            Self::Ejabberd => "/usr/sbin/ejabberdctl",
        })
        .exists()
    }
}

impl Ports {
    /// Three ports that are free now, below the range from which the kernel picks.
    fn free(ip: IpAddr) -> Self {
        let open = |port: u16| TcpListener::bind((ip, port)).is_ok();
        let base = (0..500)
            .map(|_| 20_000 + fastrand::u16(0..2_900) * 4)
            .find(|base| (0..4).all(|step| open(base + step)))
            .expect("free ports");
        Self { ws: base, wss: base + 1, tcp: base + 2 }
    }
}

/// `program`, ended by the kernel when the test that started it is gone.
fn with_parent(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

fn id(flag: &str) -> String {
    let output = Command::new("id").arg(flag).output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn pid(child: &Child) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(child.id().cast_signed()).expect("a pid")
}

/// A private authority and a certificate for `localhost` and the loopback addresses.
fn write_certificates(dir: &Path) {
    let write = || -> io::Result<()> {
        let tls = dir.join("tls");
        fs::create_dir_all(&tls)?;
        let certificates = make_certificates().map_err(io::Error::other)?;
        fs::write(tls.join("ca.crt"), &certificates.ca)?;
        fs::write(tls.join("localhost.crt"), format!("{}{}", certificates.leaf, certificates.ca))?;
        fs::write(tls.join("localhost.key"), &certificates.key)?;
        fs::write(tls.join("localhost.pem"), format!("{}{}{}", certificates.leaf, certificates.ca, certificates.key))
    };
    write().expect("certificates");
}

struct Certificates {
    ca: String,
    leaf: String,
    key: String,
}

fn make_certificates() -> Result<Certificates, rcgen::Error> {
    let ca_key = rcgen::KeyPair::generate()?;
    let mut ca = rcgen::CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(rcgen::DnType::CommonName, "wakeful test authority");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // ejabberd takes no certificate of the year 4096.
    (ca.not_before, ca.not_after) = (rcgen::date_time_ymd(2024, 1, 1), rcgen::date_time_ymd(2044, 1, 1));
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = rcgen::Issuer::from_params(&ca, &ca_key);
    let key = rcgen::KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1", "127.0.0.2"].map(str::to_owned);
    let mut leaf = rcgen::CertificateParams::new(names)?;
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    (leaf.not_before, leaf.not_after) = (ca.not_before, ca.not_after);
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = leaf.signed_by(&key, &issuer)?;
    Ok(Certificates { ca: ca_certificate.pem(), leaf: certificate.pem(), key: key.serialize_pem() })
}

#[expect(clippy::disallowed_methods, reason = "a test waits for a real server")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "another process cannot be awaited otherwise")]
pub(crate) fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
