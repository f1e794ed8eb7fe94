//! The network between a client and the hub. Within one connection nothing is lost, doubled or reordered, as with
//! TCP; but it can break, or fall silent in one or both directions, at any moment. A careless gateway in front of the
//! hub may lose, double and swap `ev` frames, which the protocol must notice.

use super::stage::Stage;
use futures_util::future::BoxFuture;
use futures_util::{Sink, Stream};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use wakeful::link::dial::{Broken, DialError, Dialer, Socket, Wire};
use wakeful::model::Reason;
use wakeful::proto::{CloseCode, Endpoint, Frame, FrameBody, Refusal};

/// What a dial meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Open,
    /// Refused at once.
    Refused,
    /// No answer at all.
    Silent,
    /// HTTP 503 with `Retry-After: 5`.
    Busy,
    /// A captive portal's page.
    Portal,
}

/// What one connection is like now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub reset: bool,
    /// The server's side ends it with this code.
    pub close: Option<u16>,
    pub deaf_up: bool,
    pub deaf_down: bool,
}

impl Line {
    pub fn is_over(&self) -> bool {
        self.reset || self.close.is_some()
    }
}

/// The hub's end of a connection.
pub struct Accepted {
    pub from_client: mpsc::UnboundedReceiver<Wire>,
    pub to_client: mpsc::UnboundedSender<(Instant, Wire)>,
    pub line: watch::Receiver<Line>,
}

/// One client's access to the hub.
#[derive(Clone)]
pub struct Net(Arc<Mutex<State>>);

struct State {
    weather: Weather,
    latency: Duration,
    lines: Vec<watch::Sender<Line>>,
    door: mpsc::UnboundedSender<Accepted>,
    stage: Stage,
    name: String,
    /// Of the process that runs now.
    dials: Vec<Instant>,
}

impl Net {
    pub fn new(name: &str, door: mpsc::UnboundedSender<Accepted>, stage: Stage) -> Self {
        let latency = Duration::from_millis(stage.climate().latency);
        let (name, lines, dials) = (name.to_owned(), Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(State { weather: Weather::Open, latency, lines, door, stage, name, dials })))
    }

    /// Changes what dials meet; what it was.
    pub fn weather(&self, weather: Weather) -> Weather {
        std::mem::replace(&mut self.0.lock().unwrap().weather, weather)
    }

    /// Changes the open connections.
    pub fn line(&self, change: impl Fn(&mut Line)) {
        for line in &self.0.lock().unwrap().lines {
            line.send_modify(&change);
        }
    }

    /// The most dials within this time; they are forgotten.
    pub fn take_dial_rate(&self, within: Duration) -> usize {
        let dials = std::mem::take(&mut self.0.lock().unwrap().dials);
        let from = |n: usize| dials[n..].iter().take_while(|at| **at < dials[n] + within).count();
        (0..dials.len()).map(from).max().unwrap_or_default()
    }

    fn open(&self) -> Socket {
        let mut state = self.0.lock().unwrap();
        let (line, seen) = watch::channel(Line::default());
        state.lines.retain(|line| !line.is_closed());
        state.lines.push(line);
        let (up, from_client) = mpsc::unbounded_channel();
        let (to_hub, at_hub) = mpsc::unbounded_channel();
        let (to_client, from_hub) = mpsc::unbounded_channel();
        let (deliver, incoming) = mpsc::unbounded_channel();
        let (stage, name) = (state.stage.clone(), state.name.clone());
        tokio::spawn(carry(from_client, seen.clone(), |line| line.deaf_up, {
            let (stage, name) = (stage.clone(), name.clone());
            move |wire| {
                stage.event(|| format!("{name} > {}", brief(&wire)));
                to_hub.send(wire).is_ok()
            }
        }));
        tokio::spawn(carry(from_hub, seen.clone(), |line| line.deaf_down, {
            let deliver = deliver.clone();
            let mut gateway = Gateway { stage, name, held: None };
            move |wire| gateway.pass(wire).into_iter().all(|wire| deliver.send(Ok(wire)).is_ok())
        }));
        let mut ends = seen.clone();
        tokio::spawn(async move {
            let over = async { ends.wait_for(Line::is_over).await.map(|line| *line) };
            tokio::select! {
                biased;
                Ok(line) = over => {
                    if let Some(code) = line.close.filter(|_| !line.deaf_down) {
                        deliver.send(Ok(Wire::Close(Some(CloseCode { code, reason: String::new() })))).ok();
                    }
                    deliver.send(Err(Broken("reset".into()))).ok();
                }
                () = deliver.closed() => {}
            }
        });
        let _hub_is_gone = state.door.send(Accepted { from_client: at_hub, to_client, line: seen.clone() });
        Box::new(End { up, incoming, line: seen, latency: state.latency })
    }
}

/// Loses, doubles and swaps `ev` frames, as the climate says.
struct Gateway {
    stage: Stage,
    name: String,
    held: Option<Wire>,
}

impl Gateway {
    fn pass(&mut self, wire: Wire) -> Vec<Wire> {
        let climate = self.stage.climate();
        let is_ev = matches!(&wire, Wire::Frame(Frame { body: FrameBody::Text(text), .. }) if text.starts_with("{\"t\":\"ev\""));
        if is_ev && self.stage.hits(climate.evs_lost) {
            self.stage.event(|| format!("{} lost: {}", self.name, brief(&wire)));
            return Vec::new();
        }
        if is_ev && self.held.is_none() && self.stage.hits(climate.evs_swapped) {
            self.held = Some(wire);
            return Vec::new();
        }
        self.stage.event(|| format!("{} < {}", self.name, brief(&wire)));
        let twice = (is_ev && self.stage.hits(climate.evs_twice)).then(|| wire.clone());
        [Some(wire), twice, self.held.take()].into_iter().flatten().collect()
    }
}

fn brief(wire: &Wire) -> String {
    match wire {
        Wire::Frame(Frame { body: FrameBody::Text(text), .. }) => text.chars().take(300).collect(),
        other => format!("{other:?}"),
    }
}

/// Carries one direction. A side that goes away is noticed by the other only where the line still speaks.
async fn carry(
    mut from: mpsc::UnboundedReceiver<(Instant, Wire)>,
    mut line: watch::Receiver<Line>,
    deaf: fn(&Line) -> bool,
    mut deliver: impl FnMut(Wire) -> bool,
) {
    while let Some((at, wire)) = from.recv().await {
        tokio::time::sleep_until(at).await;
        let silent = deaf(&line.borrow());
        if !silent && !deliver(wire) {
            return;
        }
    }
    if deaf(&line.borrow()) {
        let _ends_with_the_line = line.wait_for(Line::is_over).await;
    }
}

impl Dialer for Net {
    fn dial(&self, _: Endpoint) -> BoxFuture<'static, Result<Socket, DialError>> {
        let net = self.clone();
        let (weather, latency) = {
            let mut state = net.0.lock().unwrap();
            state.dials.push(Instant::now());
            state.stage.event(|| format!("{} dials: {:?}", state.name, state.weather));
            (state.weather, state.latency)
        };
        Box::pin(async move {
            tokio::time::sleep(2 * latency).await;
            let refusal = |status, retry_after, html| {
                Err(DialError::Refused(Refusal { status, retry_after, html, body: String::new() }))
            };
            match weather {
                Weather::Open => Ok(net.open()),
                Weather::Refused => Err(DialError::Unreachable(Reason::Connect { detail: "refused".into() })),
                Weather::Silent => std::future::pending().await,
                Weather::Busy => refusal(503, Some(Duration::from_secs(5)), false),
                Weather::Portal => refusal(200, None, true),
            }
        })
    }
}

/// The client's end.
struct End {
    up: mpsc::UnboundedSender<(Instant, Wire)>,
    incoming: mpsc::UnboundedReceiver<Result<Wire, Broken>>,
    line: watch::Receiver<Line>,
    latency: Duration,
}

impl Stream for End {
    type Item = Result<Wire, Broken>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(cx)
    }
}

impl Sink<Wire> for End {
    type Error = Broken;
    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(if self.line.borrow().reset { Err(Broken("reset".into())) } else { Ok(()) })
    }
    fn start_send(self: Pin<&mut Self>, wire: Wire) -> Result<(), Broken> {
        self.up.send((Instant::now() + self.latency, wire)).map_err(|_| Broken("gone".into()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }
}
