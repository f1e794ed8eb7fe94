//! What stands between the daemon and its server, and what stands around the daemon, while the wire is good: proxies,
//! resolvers that lie, logind, the bus, the wall clock.

use crate::faults::{named, survives_on, wire};
use crate::machine::{Bus, Logind, Resolver, WallClock};
use crate::net::{Fault, Net};
use crate::scene::{Account, SLACK, Scene, notice_limit, probe, probe_timeout};
use crate::support::{Process, eventually, skip};
use std::time::Duration;

/// A proxy from Debian on the server's host, in front of anna.
struct Proxy {
    words: Vec<String>,
    host: crate::net::Host,
    port: u16,
    process: Process,
    _dir: tempfile::TempDir,
}

impl Proxy {
    fn start(net: &Net, kind: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let port = fastrand::u16(30_000..32_000);
        let words = match kind {
            "http" => {
                let file = dir.path().join("tinyproxy.conf");
                let text =
                    format!("Port {port}\nListen {}\nTimeout 600\nMaxClients 20\nLogLevel Error\n", net.server.ip);
                std::fs::write(&file, text).unwrap();
                vec!["tinyproxy".to_owned(), "-d".into(), "-c".into(), file.display().to_string()]
            }
            _ => ["microsocks", "-i", &net.server.ip, "-p", &port.to_string()].map(str::to_owned).to_vec(),
        };
        let installed = std::env::var("PATH").unwrap_or_default();
        if !installed.split(':').any(|dir| std::path::Path::new(dir).join(&words[0]).exists()) {
            skip("network", &format!("{} is not installed", words[0]));
            return None;
        }
        let process = launch(&words, &net.server, port);
        Some(Self { words, host: net.server.clone(), port, process, _dir: dir })
    }

    fn restart(&mut self) {
        self.process = launch(&self.words, &self.host, self.port);
    }
}

fn launch(words: &[String], host: &crate::net::Host, port: u16) -> Process {
    let mut command = host.command(&words[0]);
    let process = Process::start(&words[0], command.args(&words[1..]));
    let probe = format!("import socket; socket.create_connection(('{}', {port}), 1)", host.ip);
    eventually("the proxy listens", || {
        let mut ask = host.command("python3");
        ask.args(["-c", &probe]).stderr(std::process::Stdio::null()).status().unwrap().success().then_some(())
    });
    process
}

/// Through a real proxy: it works, a dead wire behind it is noticed, a dead proxy is named and survived.
fn survives_behind(kind: &str) {
    let Some(net) = wire() else { return };
    let Some(mut proxy) = Proxy::start(&net, kind) else { return };
    let scheme = if kind == "http" { "http" } else { "socks5" };
    let line = format!("proxy = \"{scheme}://{}:{}\"", net.server.ip, proxy.port);
    let mut scene = Scene::with(net, |account: &mut Account| account.more.clone_from(&line), |_| ());
    survives_on(&mut scene, Fault::Blackhole);
    proxy.process.kill9();
    scene.truth.broken(true);
    scene.noticed();
    scene.ben_says("past the proxy");
    let named = eventually("the proxy is named", || {
        let status = scene.anna.status("anna");
        status["last_error"]["text"].as_str().filter(|text| text.contains("proxy")).map(str::to_owned)
    });
    assert!(named.contains(&proxy.port.to_string()), "{named}");
    proxy.restart();
    scene.truth.broken(false);
    scene.anna_hears(&["past the proxy"]);
    scene.truth.held();
}

#[test]
fn behind_a_real_http_proxy_everything_holds_and_a_dead_proxy_is_named() {
    survives_behind("http");
}

#[test]
fn behind_a_real_socks_proxy_everything_holds_and_a_dead_proxy_is_named() {
    survives_behind("socks5");
}

#[test]
fn a_resolver_that_lies_is_survived_and_believed_again_when_it_is_right() {
    let Some(net) = wire() else { return };
    let wrong = format!("{}99", net.server.ip.trim_end_matches('1'));
    let resolver = Resolver::start(&net.server, &net.client, &wrong);
    let right = net.server.ip.clone();
    let mut scene = Scene::with(net, named("hub.test"), |_| ());
    scene.truth.broken(true);
    let error = eventually("the error is named", || {
        let status = scene.anna.status("anna");
        assert_ne!(status["state"], "online");
        status["last_error"]["code"].as_str().map(str::to_owned)
    });
    assert!(["connect", "timeout"].contains(&error.as_str()), "{error}");
    resolver.say(&right);
    scene.truth.broken(false);
    scene.online();
    scene.ben_says("by the right way");
    scene.anna_hears(&["by the right way"]);
    // A lie while the link is up changes nothing: it is asked only for a dial.
    resolver.say(&wrong);
    scene.ben_says("still here");
    scene.anna_hears(&["still here"]);
    scene.truth.held();
}

/// Accounts of the same daemon whose servers refuse, hang, vanish, talk nonsense, or do not want the token.
#[test]
fn accounts_that_fail_in_every_way_never_delay_another() {
    let Some(net) = wire() else { return };
    let nonsense = "import socket\ns = socket.create_server(('', 7001), backlog=50)\nkept = []\nwhile True:\n \
                    c = s.accept()[0]\n c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nhi!')\n c.close()\n";
    let silence = "import socket\ns = socket.create_server(('', 7002), backlog=50)\nkept = []\nwhile True: kept.append(s.accept())";
    let _servers: Vec<Process> = [nonsense, silence]
        .map(|script| Process::start("bad", net.server.command("python3").args(["-c", script])))
        .into();
    let (ip, dark) = (net.server.ip.clone(), format!("{}77", net.server.ip.trim_end_matches('1')));
    let mut scene = Scene::new(net);
    scene.online();
    let wrong = scene.add_account("wrong", &format!("ws://{ip}:{}", scene.port), "no such token");
    let others = [(&ip, 1), (&dark, 80), (&ip, 7001), (&ip, 7002)];
    let names = others
        .iter()
        .enumerate()
        .map(|(nth, (host, port))| scene.add_account(&format!("bad{nth}"), &format!("ws://{host}:{port}"), "x"));
    let names: Vec<String> = names.collect();
    let mut worst = Duration::ZERO;
    for nth in 0..40 {
        let text = format!("undisturbed {nth}");
        scene.ben_says(&text);
        worst = worst.max(scene.anna_hears(&[&text]));
    }
    println!("FIGURE beside_failing_accounts worst_ms={}", worst.as_millis());
    assert!(worst <= SLACK / 3, "a message took {worst:?}");
    assert_eq!(scene.anna.status("anna")["connects"], 1);
    assert_eq!(scene.anna.wait_state(&wrong, "halted")["last_error"]["code"], "unauthorized");
    for name in &names {
        let status = scene.anna.status(name);
        assert_ne!(status["state"], "online", "{status}");
    }
    scene.truth.held();
}

#[test]
fn a_bus_that_is_restarted_under_the_daemon_changes_nothing_and_is_heard_again() {
    let Some(net) = wire() else { return };
    let Some(mut bus) = Bus::start() else { return skip("network", "dbus-daemon is not installed") };
    let mut scene = Scene::with(net, |_| (), |command| bus.is_for(command));
    scene.online();
    for round in 0..2 {
        bus.restart();
        let text = format!("over another bus {round}");
        scene.ben_says(&text);
        scene.anna_hears(&[&text]);
        assert_eq!(scene.anna.status("anna")["state"], "online");
        assert_eq!(scene.anna.status("anna")["connects"], 1, "the link is not made again for that");
    }
    let logind = Logind::on(&bus);
    eventually("the new bus's logind is found", || logind.is_held().then_some(()));
    logind.prepare(true);
    scene.noticed();
    logind.prepare(false);
    scene.online();
    scene.truth.held();
}

#[test]
fn a_wall_clock_that_jumps_by_a_day_both_ways_breaks_nothing_and_is_told_truly_within_an_interval() {
    let Some(net) = wire() else { return };
    let Some(clock) = WallClock::new() else { return skip("network", "libfaketime is not installed") };
    let mut scene = Scene::with(net, |_| (), |command| clock.is_for(command));
    scene.online();
    let mut texts = Vec::new();
    for (nth, by) in ["+1d", "-1d", "+0"].into_iter().enumerate() {
        clock.shift(by);
        let text = format!("after jump {nth}");
        scene.ben_says(&text);
        scene.anna_hears(&[&text]);
        scene.anna_says(&text);
        scene.ben_hears(&text);
        texts.push(text);
        std::thread::sleep(probe() + probe_timeout());
        let status = scene.anna.status("anna");
        assert_eq!((&status["state"], &status["connects"]), (&"online".into(), &1.into()), "{status}");
        let age = Duration::from_millis(status["last_round_trip_ms_ago"].as_u64().unwrap());
        assert!(age <= notice_limit() + SLACK, "after {by}: proven {age:?} ago");
    }
    assert_eq!(scene.anna_has(), texts);
    scene.truth.held();
}
