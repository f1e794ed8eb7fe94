//! The prototype: the shortest program that takes the same frames into the same schema.

use crate::server::accept;
use crate::{FRAME, frame, rate};
use futures_util::{SinkExt as _, StreamExt as _};
use rusqlite::Connection;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Ws;
use wakeful::store::{Settings, Store};
use wakeful::world::{Clock, Entropy};

/// A file with the product's schema, opened as the product opens it, and what its messages refer to.
async fn bare_store(dir: &Path) -> Connection {
    Store::open(dir, Settings::default(), Clock::system(), Entropy::system()).unwrap().close().await;
    let conn = Connection::open(dir.join("wakeful.db")).unwrap();
    for (name, value) in
        [("journal_mode", "wal"), ("synchronous", "full"), ("wal_autocheckpoint", "0"), ("cache_size", "-256")]
    {
        conn.pragma_update(None, name, value).unwrap();
    }
    conn.execute_batch(
        "INSERT INTO account(id, name, protocol) VALUES (1, 'me', 'hub'); INSERT INTO user(key, account, user) VALUES (1, 1, 'bob');
         INSERT INTO archive(key, account, name) VALUES (1, 1, 'e1/c1');
         INSERT INTO conversation(key, id, account, kind, server) VALUES (1, zeroblob(16), 1, 1, 'c1');",
    )
    .unwrap();
    conn
}

/// The same frames over the same kind of socket into the same schema, by the shortest program that does it.
pub(crate) async fn prototype(dir: &Path, count: usize) -> f64 {
    let (path, conn) = (dir.join("wakeful.db"), bare_store(dir).await);
    let (told, mut out) = UnixStream::pair().unwrap();
    let subscriber = std::thread::spawn(move || BufReader::new(told).lines().take(count).count());
    let (grown, news) = std::sync::mpsc::sync_channel::<()>(1);
    let mover = std::thread::spawn(move || {
        let conn = Connection::open(&path).unwrap();
        while news.recv().is_ok() {
            conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let frames: Vec<String> = (0..count).step_by(FRAME).map(|from| frame(from, (from + FRAME).min(count))).collect();
    let sender = tokio::spawn(async move {
        let mut server = accept(&listener).await;
        for frame in frames {
            server.send(Ws::text(frame)).await.unwrap();
        }
        server.next().await
    });
    let request =
        tokio_tungstenite::tungstenite::ClientRequestBuilder::new(format!("ws://{address}/").parse().unwrap())
            .with_sub_protocol("wakeful.v1.json");
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let (frames_in, mut frames_out) = mpsc::channel::<String>(8);
    let begun = Instant::now();
    let writer = std::thread::spawn(move || {
        let mut done = 0;
        while let Some(first) = frames_out.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < 8
                && let Ok(next) = frames_out.try_recv()
            {
                batch.push(next);
            }
            done += commit(&conn, &batch, &mut out);
            grown.try_send(()).ok();
            if done == count {
                break;
            }
        }
        begun.elapsed()
    });
    let mut seen = 0;
    while seen < count {
        let frame = client.next().await.unwrap().unwrap().into_text().unwrap();
        seen += FRAME;
        frames_in.send(frame.to_string()).await.unwrap();
    }
    let took = writer.join().unwrap();
    assert_eq!(subscriber.join().unwrap(), count);
    mover.join().unwrap();
    sender.abort();
    rate(count, took)
}

/// One transaction for some frames, then a line for each message to the subscriber.
fn commit(conn: &Connection, frames: &[String], out: &mut UnixStream) -> usize {
    #[derive(serde::Deserialize)]
    struct Ev {
        evs: Vec<Msg>,
    }
    #[derive(serde::Deserialize)]
    struct Msg {
        seq: i64,
        ts: i64,
        cid: String,
        body: Body,
    }
    #[derive(serde::Deserialize)]
    struct Body {
        text: String,
    }
    let mut lines = Vec::new();
    let mut count = 0;
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    {
        let mut insert = conn
            .prepare_cached(
                "INSERT INTO message(position, id, account, conversation, sender, outgoing, state, kind, sent_at, seq, rev, text,
                    archive, server_ref, server_order) VALUES (?1, ?2, 1, 1, 1, 0, 0, 0, ?3, ?4, ?4, ?5, 1, ?6, ?4)",
            )
            .unwrap();
        for frame in frames {
            let ev: Ev = serde_json::from_str(frame).unwrap();
            for msg in ev.evs {
                let id = uuid::Uuid::from_u128(msg.seq as u128);
                let position = msg.ts << 20;
                insert
                    .execute((position, *id.as_bytes(), msg.ts, msg.seq, &msg.body.text, msg.seq.to_string()))
                    .unwrap();
                writeln!(lines, "{{\"id\":\"{id}\",\"cid\":\"{}\",\"text\":{:?}}}", msg.cid, msg.body.text).unwrap();
                count += 1;
            }
        }
    }
    conn.execute_batch("COMMIT").unwrap();
    out.write_all(&lines).unwrap();
    count
}
