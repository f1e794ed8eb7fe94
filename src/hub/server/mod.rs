//! The hub on the network: accept, upgrade, one task a connection. It decides nothing that a session can decide.

mod connection;
mod policy;
mod tls;
mod upgrade;

pub use policy::check_listen;
pub use tls::tls_config;

use super::bus::Bus;
use super::session::{self, Input, Session};
use super::store::Store;
use crate::machine::Machine;
use crate::proto::hub::wire::SUBPROTOCOL;
use crate::world::{Clock, Entropy};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;
use upgrade::Arrival;

/// How the hub treats connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TLS and the upgrade must be done this long after the connection was accepted.
    pub upgrade_within: Duration,
    /// A write that the client does not take for this long ends the connection.
    pub write_within: Duration,
    /// Connections at one time; more are answered with 503.
    pub connections_most: usize,
    /// How long connections get to say goodbye at shutdown.
    pub farewell: Duration,
    /// How sessions behave.
    pub session: session::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            upgrade_within: Duration::from_secs(10),
            write_within: Duration::from_secs(30),
            connections_most: 100_000,
            farewell: Duration::from_secs(3),
            session: session::Settings::default(),
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Doorway {
    pub(super) store: Store,
    pub(super) bus: Bus,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) settings: Arc<Settings>,
    pub(super) shutdown: CancellationToken,
}

/// Accepts connections until shutdown; then says goodbye to all and returns.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, doorway: Doorway) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = doorway.shutdown.cancelled() => break,
            Some(_ended) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let crowded = connections.len() >= doorway.settings.connections_most;
                connections.spawn(arrive(stream, tls.clone(), doorway.clone(), crowded));
            }
            Err(error) => {
                // Out of descriptors, most likely: accepting again at once would only spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let all_gone = async { while connections.join_next().await.is_some() {} };
    let _late = tokio::time::timeout(doorway.settings.farewell, all_gone).await;
}

async fn arrive(stream: TcpStream, tls: Option<TlsAcceptor>, doorway: Doorway, crowded: bool) {
    let _not_vital = stream.set_nodelay(true);
    match tls {
        None => Box::pin(welcome(stream, doorway, crowded, Duration::ZERO)).await,
        Some(tls) => {
            let began = doorway.clock.now();
            let shaken = tokio::time::timeout(doorway.settings.upgrade_within, tls.accept(stream)).await;
            let took = doorway.clock.now().saturating_duration_since(began);
            if let Ok(Ok(stream)) = shaken {
                Box::pin(welcome(stream, doorway, crowded, took)).await;
            }
        }
    }
}

async fn welcome<S>(mut stream: S, doorway: Doorway, crowded: bool, took: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let within = doorway.settings.upgrade_within.saturating_sub(took);
    let arrival = upgrade::receive(&mut stream, &doorway, crowded);
    let arrival = tokio::select! {
        () = doorway.shutdown.cancelled() => return,
        arrival = tokio::time::timeout(within, arrival) => arrival,
    };
    let Ok(Ok(Arrival::Upgraded { who, rest })) = arrival else { return };
    let limits = &doorway.settings.session.limits;
    let most = usize::try_from(limits.frame_in).unwrap_or(usize::MAX);
    let config = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(4 * 1024)
        .max_message_size(Some(most))
        .max_frame_size(Some(most));
    let socket = WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config)).await;
    let now = doorway.clock.now();
    let mut session = Session::new(doorway.settings.session.clone(), now);
    let conn = format!("{:016x}", doorway.entropy.seed());
    session.handle_input(now, Input::Opened { who, conn });
    connection::run(socket, session, &doorway).await;
}

/// The subprotocol's name, for the upgrade.
const fn subprotocol() -> &'static str {
    SUBPROTOCOL
}
