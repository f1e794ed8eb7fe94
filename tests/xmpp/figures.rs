//! Figures, not verdicts: run by `benches/xmpp`, in an optimised build; without `WAKEFUL_FIGURES` they do nothing.

use crate::both;
use crate::client::{Account, Client};
use crate::person::Person;
use crate::proxy::Proxy;
use crate::server::{Kind, Server, Setup, clock, pause};
use crate::support::{Home, eventually};
use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use std::time::Duration;
use wakeful::link::dial::{self, Dialer as _, NetworkDialer, Socket, Wire};
use wakeful::model::AccountState;
use wakeful::proto::{Endpoint, Frame, FrameBody, Place};

/// Messages a page, for all three clients.
const PAGE: u32 = 250;
/// Further accounts of the memory figure.
const ACCOUNTS: usize = 20;

fn wanted() -> bool {
    std::env::var_os("WAKEFUL_FIGURES").is_some()
}

/// CPU that a process has used, milliseconds.
fn cpu(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // Linux counts in hundredths of a second here.
    ticks * 10
}

/// Anonymous memory of a process, KiB.
fn anonymous(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A client that logs in, pages and throws away: as little as can be done.
struct Bare(Socket);

impl Bare {
    async fn say(&mut self, text: &str) {
        self.0.send(Wire::Frame(Frame::text(text))).await.unwrap();
    }

    async fn frame(&mut self) -> String {
        loop {
            if let Wire::Frame(Frame { body: FrameBody::Text(text), .. }) = self.0.next().await.unwrap().unwrap() {
                return text.to_string();
            }
        }
    }

    async fn until(&mut self, needle: &str) -> String {
        loop {
            let frame = self.frame().await;
            if frame.contains(needle) {
                return frame;
            }
        }
    }

    /// From the dial to the last page; the number of messages that went by.
    async fn page(url: &str, after: &str) -> usize {
        let settings = dial::Settings { proxy: dial::Proxy::Direct, ..dial::Settings::default() };
        let place = Place::Url(url.to_owned());
        let endpoint = Endpoint { place, subprotocol: "xmpp", headers: Vec::new(), max_frame: 1 << 21 };
        let mut bare = Self(NetworkDialer::new(settings).dial(endpoint).await.unwrap());
        let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
        let plain = base64::engine::general_purpose::STANDARD.encode("\0alice\0alice-secret");
        bare.say(open).await;
        bare.until("features").await;
        bare.say(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>")).await;
        bare.until("<success").await;
        bare.say(open).await;
        bare.until("features").await;
        bare.say("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
            .await;
        bare.until("<jid>").await;
        let (mut after, mut count) = (after.to_owned(), 0);
        loop {
            bare.say(&format!(
                "<iq xmlns='jabber:client' type='set' id='q'><query xmlns='urn:xmpp:mam:2' queryid='q'>\
                 <set xmlns='http://jabber.org/protocol/rsm'><max>{PAGE}</max><after>{after}</after></set></query></iq>"
            ))
            .await;
            let fin = loop {
                let frame = bare.frame().await;
                if frame.contains("<fin") {
                    break frame;
                }
                count += usize::from(frame.contains("<result"));
            };
            let last = fin.split("<last>").nth(1).and_then(|rest| rest.split("</last>").next());
            match last.filter(|_| !fin.contains("complete='true'") && !fin.contains("complete=\"true\"")) {
                Some(last) => after = last.to_owned(),
                None => return count,
            }
        }
    }
}

fn catch_up(kind: Kind, count: usize) {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let mut client = Client::online(Account::new(&server, "alice"));
    let chat = client.direct("bob");
    let mut bob = Person::login(&server, "bob");
    bob.send("alice@localhost", "before");
    client.until("the first", |client| (client.heard(chat).len() == 1).then_some(()));
    let before = client.messages(chat)[0].server_id.clone().unwrap().rsplit('/').next().unwrap().to_owned();
    client.stop();
    bob.send_many("alice@localhost", "n", count);
    let mut reader = Person::login_as(&server, "alice", "reader");
    let last = format!("n{}", count - 1);
    client.until("the archive is complete", |_| {
        reader.archive(None).last().is_some_and(|m| m["body"] == last.as_str()).then_some(())
    });
    let me = std::process::id();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The bare one before and after, so that neither has the warmer server.
    let mut bare = Vec::new();
    let mut page = || {
        let begin = clock();
        assert_eq!(runtime.block_on(Bare::page(&server.ws_url(), &before)), count);
        bare.push(begin.elapsed());
    };
    page();
    page();
    let (begin, used) = (clock(), cpu(me));
    client.connect();
    client.wait_status(|status| status.state == AccountState::Online && status.caught_up);
    let (ours, used) = (begin.elapsed(), cpu(me) - used);
    assert_eq!(client.heard(chat).len(), count + 1);
    page();
    let slix = reader.pid();
    let (begin, theirs) = (clock(), cpu(slix));
    let paged = reader.ask(json!({ "do": "page", "max": PAGE, "after": before }))["count"].as_u64().unwrap();
    let (slix_time, theirs) = (begin.elapsed(), cpu(slix) - theirs);
    assert_eq!(paged, count as u64);
    bare.sort();
    let each = |ms: u64| ms as f64 * 1_000.0 / count as f64;
    eprintln!(
        "{kind:?}, {count} archived, pages of {PAGE}: from the dial to caught up and on disk {ours:.0?}; bare client {:.0?} (of \
         3, median): {:.2} times; CPU a message {:.0} µs, slixmpp {:.0} µs ({:.2} of it; it took {slix_time:.0?})",
        bare[1],
        ours.as_secs_f64() / bare[1].as_secs_f64(),
        each(used),
        each(theirs),
        used as f64 / theirs as f64,
    );
}

both!(figures_of_catching_up, |kind| {
    if wanted() {
        catch_up(kind, 1_000);
        catch_up(kind, 10_000);
    }
});

both!(figures_of_reconnecting, |kind| {
    if !wanted() {
        return;
    }
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let proxy = Proxy::start(server.ws_address());
    let client = Client::online(Account::new(&server, "alice").through(&proxy));
    let mut times = Vec::new();
    for _ in 0..200 {
        let (connects, accepted) = (client.status().connects, proxy.accepted());
        proxy.cut();
        while proxy.accepted() == accepted {
            pause(1);
        }
        let begin = clock();
        client.wait_status(|status| status.connects > connects && status.state == AccountState::Online);
        times.push(begin.elapsed());
        client.wait_caught_up();
    }
    times.sort();
    eprintln!(
        "{kind:?}, from the new connection to resumed and proven, 200 times: p50 {:.1?}, p99 {:.1?}",
        times[100], times[198]
    );
});

both!(figures_of_memory, |kind| {
    if !wanted() {
        return;
    }
    let Some(server) = Server::start(kind, Setup { people: ACCOUNTS, ..Setup::default() }) else { return };
    let add = |home: &Home, user: &str| {
        let (jid, url) = (format!("{user}@localhost"), server.ws_url());
        let add = ["account", "add", user, "xmpp", &jid, "--url", &url, "--secret-file", "-"];
        home.run_with_input(&add, &format!("{user}-secret")).ok();
    };
    let idle = |home: &Home, users: usize| {
        let daemon = home.daemon();
        eventually("all are online", || {
            let status = home.run(&["status", "--json"]).json();
            let online = status["accounts"].as_array().unwrap().iter().filter(|a| a["caught_up"] == true).count();
            (online == users).then_some(())
        });
        pause(20_000);
        let held = anonymous(daemon.process.pid());
        daemon.stop();
        held
    };
    let home = Home::new();
    add(&home, "alice");
    let one = idle(&home, 1);
    (0..ACCOUNTS).for_each(|n| add(&home, &format!("u{n}")));
    let all = idle(&home, ACCOUNTS + 1);
    eprintln!(
        "{kind:?}: Anonymous idle with 1 account {one} KiB, with {} {all} KiB: {} KiB for each further account",
        ACCOUNTS + 1,
        (all - one) / ACCOUNTS as u64
    );
    // Bounded: what a long catch-up holds at its most.
    let mut bob = Person::login(&server, "bob");
    for count in [1_000, 10_000] {
        bob.send_many("alice@localhost", &format!("c{count}-"), count);
        let mut reader = Person::login_as(&server, "alice", "reader");
        let last = format!("c{count}-{}", count - 1);
        eventually("archived", || {
            reader.archive(None).last().is_some_and(|m| m["body"] == last.as_str()).then_some(())
        });
        let daemon = home.daemon();
        let (mut most, begin) = (0, clock());
        loop {
            most = most.max(anonymous(daemon.process.pid()));
            let status = home.status("alice");
            if status["caught_up"] == true || begin.elapsed() > Duration::from_secs(120) {
                break;
            }
            pause(5);
        }
        daemon.stop();
        eprintln!(
            "{kind:?}: Anonymous at most {most} KiB while {count} archived messages came in, with {} accounts",
            ACCOUNTS + 1
        );
    }
});
