//! A hub that says only what is measured.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Ws;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use crate::T0;

pub(crate) type Server = WebSocketStream<TcpStream>;

#[expect(clippy::result_large_err, reason = "the library's own shape")]
pub(crate) async fn accept(listener: &TcpListener) -> Server {
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    let answer = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", "wakeful.v1.json".parse().unwrap());
        Ok(response)
    };
    tokio_tungstenite::accept_hdr_async(stream, answer).await.unwrap()
}

/// Greets as a hub does whose user has no history yet; how much may be sent unacknowledged.
pub(crate) async fn greet(server: &mut Server) -> usize {
    let hello = server.next().await.unwrap().unwrap().into_text().unwrap();
    let hello: Value = serde_json::from_str(&hello).unwrap();
    let window = hello["window"].as_u64().unwrap_or(256);
    let welcome = json!({
        "t": "welcome", "user": "me", "device": "d", "conn": "c", "epoch": "e1", "resume": "snap", "reason": "first", "head": 0,
        "now": T0, "window": window, "caps": [], "ka": {"interval": 45_000, "timeout": 10_000, "max": 600_000},
        "limits": {"frame_in": 1 << 20, "frame_out": 1 << 20, "text": 1 << 16, "inflight": 16, "hist": 200, "members": 100,
                   "atts": 10, "blob": 0},
        "retain": {"days": 30, "events": 1_000_000},
    });
    let snap = json!({"t": "snap", "part": 1, "more": false, "convs": [], "users": [], "epoch": "e1", "cur": 0});
    for frame in [welcome, snap] {
        server.send(Ws::text(frame.to_string())).await.unwrap();
    }
    usize::try_from(window).unwrap()
}

/// What the client says, until it goes: the newest acknowledged number.
pub(crate) fn listen(
    mut from: futures_util::stream::SplitStream<Server>,
    pongs: mpsc::Sender<String>,
) -> tokio::sync::watch::Receiver<usize> {
    let (acked, ack) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = from.next().await {
            let Ok(text) = frame.into_text() else { continue };
            let Ok(said) = serde_json::from_str::<Value>(&text) else { continue };
            if said["t"] == "ping" {
                let pong = json!({"t": "pong", "n": said["n"], "head": 0, "now": T0}).to_string();
                pongs.send(pong).await.ok();
            }
            if let Some(cur) = said["cur"].as_u64() {
                acked.send_replace(usize::try_from(cur).unwrap());
            }
        }
    });
    ack
}
