//! A GUI in a terminal, small enough to copy: it attaches, says what is on screen, shows history, then what comes, and
//! sends what is typed. Run it beside a daemon:
//!
//!     cargo run --example gui -- SOCKET ACCOUNT CONVERSATION
//!
//! While it runs, `wakeful` shows no banners for this conversation; half a minute after it is killed, it does again.
#![expect(clippy::print_stdout, reason = "its screen")]

use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use wakeful::ipc::Client;
use wakeful::ipc::wire::{AttentionSet, ConversationGet, Find, Hello, MarkRead, Notification, Row, Subscribe};
use wakeful::model::{Message, Order};

/// Said more often than the lease of 30 s runs out.
const RENEW: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [socket, account, conversation] = args.as_slice() else {
        anyhow::bail!("usage: gui SOCKET ACCOUNT CONVERSATION");
    };
    let client = Client::connect(Path::new(socket)).await?;
    client.call(Hello { client: "gui example".into(), version: None }).await?;
    let get = ConversationGet { account: Some(account.clone()), conversation: conversation.clone() };
    let place = client.call(get).await?;
    let id = place.id.to_string();
    println!("--- {} ({}) ---", place.name, place.account);

    let find = Find { conversation: Some(id.clone()), ..Find::default() };
    let mut cursor = client.find(find).sort(Order::Desc).limit(20);
    let rows = cursor.to_vec(100).await?;
    rows.iter().rev().for_each(show_row);
    // Subscribing after the change as of which history was read leaves no gap and no double.
    let ask = Subscribe { after: cursor.seq(), conversation: Some(id.clone()), ..Subscribe::default() };
    let mut live = client.subscribe(ask).await?;
    let read = || MarkRead { account: None, conversation: id.clone(), upto: None };
    client.call(read()).await?;

    let mut typed = BufReader::new(tokio::io::stdin()).lines();
    let mut renew = tokio::time::interval(RENEW);
    loop {
        tokio::select! {
            _ = renew.tick() => {
                client.call(AttentionSet { conversation: Some(place.id), idle: false }).await?;
            }
            notification = live.next() => match notification {
                Some(Ok(Notification::Event(event))) => {
                    if let Some(message) = event.message {
                        show(&message);
                        client.call(read()).await?;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => anyhow::bail!("the daemon went away"),
            },
            line = typed.next_line() => match line? {
                Some(text) if text.trim().is_empty() => {}
                Some(text) => {
                    client.send(account, &id, &text).await?;
                }
                None => return Ok(()),
            },
        }
    }
}

fn show_row(row: &Row) {
    match row {
        Row::Message(message) => show(message),
        Row::Hole(_) => println!("    ... messages missing here ..."),
    }
}

fn show(message: &Message) {
    println!("{}  {}: {}  [{:?}]", message.sent_at, message.sender, message.text, message.state);
}
