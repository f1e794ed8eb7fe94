//! A running hub and a client that speaks plain JSON to it.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;
use wakeful::hub::{Hub, Settings};
use wakeful::model::Timestamp;
use wakeful::world::{Clock, Entropy};

/// Nothing in these tests takes longer unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A hub that serves until this is dropped or stopped.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) hub: Hub,
    pub(crate) clock: Clock,
    data: PathBuf,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(data, Settings::default()).await
    }

    pub(crate) async fn start_with(data: &Path, settings: Settings) -> Self {
        Self::start_tls(data, settings, None).await
    }

    pub(crate) async fn start_tls(data: &Path, settings: Settings, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let clock = Clock::simulated(Timestamp(1_800_000_000_000));
        let hub = Hub::open(data, settings, clock.clone(), Entropy::system()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(hub.clone().serve(listener, tls, shutdown.clone()));
        Self { addr, hub, clock, data: data.to_owned(), shutdown, serving }
    }

    /// Says goodbye to all and starts again on the same data.
    pub(crate) async fn restart(self) -> Self {
        let data = self.data.clone();
        self.stop().await;
        Self::start(&data).await
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.serving).await.unwrap().unwrap();
    }

    pub(crate) async fn token(&self, user: &str) -> String {
        self.hub.add_user(user, None).await.unwrap().token.expose().to_owned()
    }

    /// A new user with a device that is connected and has its empty snapshot.
    pub(crate) async fn user(&self, name: &str) -> Client {
        let token = self.token(name).await;
        Client::ready(self.addr, &token).await
    }
}

/// A connection that speaks JSON.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    pub(crate) epoch: String,
    /// Everything up to here was received.
    pub(crate) cur: u64,
    next_id: u64,
    /// Events that came while something else was waited for.
    pub(crate) events: Vec<Value>,
}

impl Client {
    pub(crate) async fn dial(addr: SocketAddr, token: Option<&str>) -> Result<Self, Error> {
        Self::dial_from(TcpStream::connect(addr).await.unwrap(), addr, token).await
    }

    /// With a receive buffer so small that the hub notices when nobody reads.
    pub(crate) async fn dial_narrow(addr: SocketAddr, token: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(addr).await.unwrap();
        Self::dial_from(stream, addr, Some(token)).await.unwrap()
    }

    async fn dial_from(stream: TcpStream, addr: SocketAddr, token: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("ws://{addr}/v1").into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", "wakeful.v1.json".parse().unwrap());
        match token {
            Some(token) => headers.insert("Authorization", format!("Bearer {token}").parse().unwrap()),
            None => headers.insert("Origin", "https://chat.example".parse().unwrap()),
        };
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Self { socket, epoch: String::new(), cur: 0, next_id: 0, events: Vec::new() })
    }

    /// Connected for the first time, with its snapshot.
    pub(crate) async fn ready(addr: SocketAddr, token: &str) -> Self {
        let mut client = Self::dial(addr, Some(token)).await.unwrap();
        client.snapshot().await;
        client
    }

    /// Connected again from where `self` was.
    pub(crate) async fn resume(addr: SocketAddr, token: &str, epoch: &str, cur: u64) -> (Self, Value) {
        let mut client = Self::dial(addr, Some(token)).await.unwrap();
        let welcome = client.hello(json!({"epoch": epoch, "cur": cur})).await;
        client.cur = cur;
        (client, welcome)
    }

    pub(crate) async fn hello(&mut self, more: Value) -> Value {
        let mut hello = json!({"t": "hello", "app": "test/1"});
        hello.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.write(&hello).await;
        let welcome = self.frame().await;
        assert_eq!(welcome["t"], "welcome", "{welcome}");
        self.epoch = welcome["epoch"].as_str().unwrap().to_owned();
        welcome
    }

    /// Says hello without a cursor and takes the whole snapshot: its conversations.
    pub(crate) async fn snapshot(&mut self) -> Vec<Value> {
        let welcome = self.hello(json!({})).await;
        assert_eq!(welcome["resume"], "snap");
        self.pages().await
    }

    pub(crate) async fn pages(&mut self) -> Vec<Value> {
        let mut convs = Vec::new();
        loop {
            let page = self.frame().await;
            assert_eq!(page["t"], "snap", "{page}");
            convs.extend(page["convs"].as_array().unwrap().iter().cloned());
            if page["more"] == false {
                self.cur = page["cur"].as_u64().unwrap();
                return convs;
            }
        }
    }

    pub(crate) async fn write(&mut self, frame: &Value) {
        self.raw(Message::text(frame.to_string())).await;
    }

    pub(crate) async fn raw(&mut self, message: Message) {
        let _closed_meanwhile = self.socket.send(message).await;
    }

    /// The next frame as it came.
    pub(crate) async fn message(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the hub says something in time")
    }

    pub(crate) async fn frame(&mut self) -> Value {
        match self.message().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(text.as_str()).unwrap(),
            other => panic!("no frame: {other:?}"),
        }
    }

    /// Takes a batch as a client must: only if it fits the cursor.
    fn take(&mut self, batch: &Value) {
        assert_eq!(batch["prev"], self.cur, "the batch goes on from the cursor: {batch}");
        assert!(batch["cur"].as_u64().unwrap() > self.cur, "{batch}");
        self.cur = batch["cur"].as_u64().unwrap();
        self.events.extend(batch["evs"].as_array().unwrap().iter().cloned());
    }

    pub(crate) async fn ack(&mut self) {
        let ack = json!({"t": "ack", "cur": self.cur});
        self.write(&ack).await;
    }

    /// Sends a request and waits for its answer; events that come meanwhile are kept and acknowledged.
    pub(crate) async fn request(&mut self, mut frame: Value) -> Value {
        self.next_id += 1;
        frame["id"] = json!(self.next_id);
        self.write(&frame).await;
        loop {
            let came = self.frame().await;
            match came["t"].as_str().unwrap() {
                "ev" => {
                    self.take(&came);
                    self.ack().await;
                }
                "ok" | "err" => {
                    assert_eq!(came["re"], self.next_id);
                    return came;
                }
                _ => {}
            }
        }
    }

    pub(crate) async fn ok(&mut self, frame: Value) -> Value {
        let answer = self.request(frame).await;
        assert_eq!(answer["t"], "ok", "{answer}");
        answer
    }

    pub(crate) async fn err(&mut self, frame: Value) -> Value {
        let answer = self.request(frame).await;
        assert_eq!(answer["t"], "err", "{answer}");
        answer
    }

    /// Sends text to a user and gives the `ok`.
    pub(crate) async fn say(&mut self, to: &str, text: &str) -> Value {
        self.ok(json!({"t": "send", "to": to, "cid": cid(), "body": {"type": "text", "text": text}})).await
    }

    pub(crate) async fn say_in(&mut self, conv: &Value, text: &str) -> Value {
        self.ok(json!({"t": "send", "conv": conv, "cid": cid(), "body": {"type": "text", "text": text}})).await
    }

    /// Waits until so many events are there, acknowledging, and takes them.
    pub(crate) async fn take_events(&mut self, count: usize) -> Vec<Value> {
        while self.events.len() < count {
            let came = self.frame().await;
            if came["t"] == "ev" {
                self.take(&came);
                self.ack().await;
            }
        }
        self.events.drain(..count).collect()
    }

    /// The next event of this kind; others before it are dropped.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = self.take_events(1).await.remove(0);
            if event["k"] == kind {
                return event;
            }
        }
    }

    /// Texts of so many messages, in the order in which they came.
    pub(crate) async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let event = self.event("msg").await;
            texts.push(event["body"]["text"].as_str().unwrap().to_owned());
        }
        texts
    }

    /// Reads until the connection is over: the last `err`, the `bye`, and the close code.
    pub(crate) async fn last_words(&mut self) -> (Value, Value, Option<u16>) {
        let (mut err, mut bye) = (Value::Null, Value::Null);
        loop {
            match self.message().await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(text.as_str()).unwrap();
                    match frame["t"].as_str() {
                        Some("err") => err = frame,
                        Some("bye") => bye = frame,
                        _ => {}
                    }
                }
                Some(Ok(Message::Close(frame))) => return (err, bye, frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return (err, bye, None),
            }
        }
    }
}

/// A fresh id for a message.
pub(crate) fn cid() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("01900000-0000-7000-8000-{:012x}", COUNT.fetch_add(1, Ordering::Relaxed))
}
