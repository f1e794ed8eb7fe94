//! The daemon against XMPP servers that we did not write, with slixmpp as the other person.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]
#![allow(missing_docs)]
#![allow(dead_code, reason = "the servers can do more than every proof needs")]

#[path = "../../fuzz/script.rs"]
mod script;
#[path = "../support/mod.rs"]
mod support;

mod catching_up;
mod client;
mod daemon;
mod figures;
mod frames;
mod logins;
mod outages;
mod people;
mod person;
mod proxy;
mod server;
mod transcripts;

use person::Person;
use server::{Kind, Server, Setup};

/// The same test on both servers.
macro_rules! both {
    ($name:ident, $test:expr) => {
        mod $name {
            use super::*;

            fn run(kind: Kind) {
                let test: fn(Kind) = $test;
                test(kind);
            }

            #[test]
            fn on_prosody() {
                run(Kind::Prosody);
            }

            #[test]
            fn on_ejabberd() {
                run(Kind::Ejabberd);
            }
        }
    };
}
use both;

fn two_people_talk(kind: Kind) {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let mut alice = Person::login(&server, "alice");
    let mut bob = Person::login(&server, "bob");
    alice.send("bob@localhost", "hello <&> 🐦");
    let heard = bob.next_message();
    assert_eq!(heard["body"], "hello <&> 🐦");
    assert_eq!(heard["from"].as_str().unwrap().split('/').next(), Some("alice@localhost"));
    let archive = bob.archive(None);
    assert_eq!(archive.last().unwrap()["body"], "hello <&> 🐦");
    assert!(archive.last().unwrap()["id"].is_string());
}

#[test]
fn the_harness_itself_two_people_talk_on_prosody() {
    two_people_talk(Kind::Prosody);
}

#[test]
fn the_harness_itself_two_people_talk_on_ejabberd() {
    two_people_talk(Kind::Ejabberd);
}
