//! The network between a client and the hub. Within one connection nothing is lost, doubled or reordered, as with
//! TCP; but it can break, or fall silent in one or both directions, at any moment.

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
use wakeful::proto::{Endpoint, Refusal};

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
    pub deaf_up: bool,
    pub deaf_down: bool,
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
    trace: Arc<Mutex<Vec<String>>>,
    name: String,
    start: Instant,
    dials: u64,
}

impl Net {
    pub fn new(
        name: &str,
        latency: Duration,
        door: mpsc::UnboundedSender<Accepted>,
        trace: Arc<Mutex<Vec<String>>>,
    ) -> Self {
        let (name, start) = (name.to_owned(), Instant::now());
        Self(Arc::new(Mutex::new(State {
            weather: Weather::Open,
            latency,
            lines: Vec::new(),
            door,
            trace,
            name,
            start,
            dials: 0,
        })))
    }

    pub fn weather(&self, weather: Weather) {
        self.0.lock().unwrap().weather = weather;
    }

    /// Changes the open connection.
    pub fn line(&self, change: impl Fn(&mut Line)) {
        for line in &self.0.lock().unwrap().lines {
            line.send_modify(&change);
        }
    }

    pub fn dials(&self) -> u64 {
        self.0.lock().unwrap().dials
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
        tokio::spawn(carry(from_client, seen.clone(), |line| line.deaf_up, move |wire| to_hub.send(wire).is_ok()));
        tokio::spawn(carry(from_hub, seen.clone(), |line| line.deaf_down, {
            let deliver = deliver.clone();
            move |wire| deliver.send(Ok(wire)).is_ok()
        }));
        let mut resets = seen.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                Ok(_) = resets.wait_for(|line| line.reset) => drop(deliver.send(Err(Broken("reset".into())))),
                () = deliver.closed() => {}
            }
        });
        let _hub_is_gone = state.door.send(Accepted { from_client: at_hub, to_client, line: seen.clone() });
        Box::new(End { up, incoming, line: seen, latency: state.latency })
    }
}

/// Carries one direction. A side that goes away is noticed by the other only where the line still speaks.
async fn carry(
    mut from: mpsc::UnboundedReceiver<(Instant, Wire)>,
    mut line: watch::Receiver<Line>,
    deaf: fn(&Line) -> bool,
    deliver: impl Fn(Wire) -> bool,
) {
    while let Some((at, wire)) = from.recv().await {
        tokio::time::sleep_until(at).await;
        let silent = deaf(&line.borrow());
        if !silent && !deliver(wire) {
            return;
        }
    }
    if deaf(&line.borrow()) {
        let _ends_with_the_line = line.wait_for(|line| line.reset).await;
    }
}

impl Dialer for Net {
    fn dial(&self, _: Endpoint) -> BoxFuture<'static, Result<Socket, DialError>> {
        let net = self.clone();
        let (weather, latency) = {
            let mut state = net.0.lock().unwrap();
            state.dials += 1;
            let line = format!("{:>9} {} dials: {:?}", state.start.elapsed().as_millis(), state.name, state.weather);
            state.trace.lock().unwrap().push(line);
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
