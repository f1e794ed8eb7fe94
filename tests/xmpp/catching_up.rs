//! A thousand messages archived while we were away: all once, in order, whatever happens meanwhile.

use crate::both;
use crate::client::{Account, Client};
use crate::person::Person;
use crate::proxy::Proxy;
use crate::server::{Kind, Server, Setup};

const COUNT: usize = 1_000;

fn away(server: &Server, account: Account) -> (Client, Person) {
    let mut client = Client::online(account);
    let mut bob = Person::login(server, "bob");
    bob.send("alice@localhost", "before");
    let chat = client.direct("bob");
    client.until("the first message", |client| (client.heard(chat).len() == 1).then_some(()));
    client.stop();
    bob.send_many("alice@localhost", "n", COUNT);
    // The archive is complete once what was sent last stands in it.
    let mut carol = Person::login_as(server, "alice", "reader");
    let last = format!("n{}", COUNT - 1);
    client.until("the archive is complete", |_| carol.archive(None).iter().any(|m| m["body"] == last).then_some(()));
    (client, bob)
}

fn expected(live: usize) -> Vec<String> {
    let numbered = (0..COUNT).map(|n| format!("n{n}"));
    let live = (0..live).map(|n| format!("live{n}"));
    std::iter::once("before".to_owned()).chain(numbered).chain(live).collect()
}

both!(a_thousand_messages_come_once_and_in_order, |kind| {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let (mut client, _bob) = away(&server, Account::new(&server, "alice"));
    client.connect();
    client.wait_caught_up();
    assert_eq!(client.heard(client.direct("bob")), expected(0));
    assert_eq!(client.status().refused, 0);
});

both!(a_message_that_arrives_during_catch_up_stands_once, |kind| {
    let Some(server) = Server::start(kind, Setup { archive_page: 50, ..Setup::default() }) else { return };
    let (mut client, mut bob) = away(&server, Account::new(&server, "alice"));
    client.connect();
    let chat = client.direct("bob");
    client.until("catching up", |client| (client.messages(chat).len() > 2).then_some(()));
    bob.send("alice@localhost", "live0");
    client.wait_caught_up();
    client.until("the live one", |client| client.heard(chat).contains(&"live0".to_owned()).then_some(()));
    let mut heard = client.heard(chat);
    heard.sort();
    let mut wanted = expected(1);
    wanted.sort();
    assert_eq!(heard, wanted);
});

both!(cut_at_twenty_points_of_it_everything_stands_once, |kind| {
    let Some(server) = Server::start(kind, Setup { archive_page: 50, ..Setup::default() }) else { return };
    let proxy = Proxy::start(server.ws_address());
    let (mut client, _bob) = away(&server, Account::new(&server, "alice").through(&proxy));
    let mut random = fastrand::Rng::with_seed(7);
    client.connect();
    for _ in 0..20 {
        proxy.cut_after(random.i64(2_000..120_000));
        client.until("the cut", |client| {
            let done = client.status().caught_up && client.heard(client.direct("bob")).len() > COUNT;
            (!proxy.cut_is_due() || done).then_some(())
        });
    }
    proxy.cut_after(-1);
    client.wait_caught_up();
    let chat = client.direct("bob");
    client.until("everything", |client| (client.heard(chat).len() > COUNT).then_some(()));
    assert_eq!(client.heard(chat), expected(0));
});
