//! The trial login of `account add`: the real dialer and the real protocol, without a store, until logged in.

use super::MakeDialer;
use super::protocol;
use crate::config::Account;
use crate::link::dial::{DialError, Socket, Wire};
use crate::model::{Reason, Secret, Signal};
use crate::proto::{Frame, Input, Output, Protocol};
use crate::world::{Clock, Entropy};
use futures_util::{SinkExt as _, StreamExt as _};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// From the first packet to logged in.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a goodbye that nobody needs to hear.
const FAREWELL: Duration = Duration::from_millis(500);

/// Logs in once to see whether address and secret are right, then says goodbye. Nothing is fetched or kept.
///
/// # Errors
/// The reason, in plain words and with its remedy.
pub async fn probe(
    account: &Account,
    secret: Secret,
    dialer: &MakeDialer,
    clock: &Clock,
    entropy: &Entropy,
) -> anyhow::Result<()> {
    let dialer = dialer(account)?;
    // A resource of its own: the session of a daemon that runs is not disturbed.
    let device = format!("trial-{:08x}", entropy.seed() >> 32);
    let mut protocol = protocol::assemble(account, secret, &[], &device, entropy.seed())?;
    let trial = async {
        let socket = match dialer.dial(protocol.endpoint()).await {
            Ok(socket) => socket,
            Err(error) => return Err(judge(error, protocol.as_mut(), clock)),
        };
        login(socket, protocol.as_mut(), clock).await
    };
    let outcome = timeout(PATIENCE, trial).await.unwrap_or_else(|_| Err(Reason::Timeout { step: "login".into() }));
    outcome.map_err(|reason| match reason.remedy() {
        Some(remedy) => anyhow::anyhow!("{}: {remedy}", reason.text()),
        None => anyhow::anyhow!("{}", reason.text()),
    })
}

/// What a refused upgrade means, the protocol knows.
fn judge(error: DialError, protocol: &mut dyn Protocol, clock: &Clock) -> Reason {
    match error {
        DialError::Unreachable(reason) | DialError::Forbidden(reason) => reason,
        DialError::Refused(refusal) => {
            let status = refusal.status;
            protocol.handle_input(clock.now(), Input::Refused(refusal));
            while let Some(output) = protocol.poll_output() {
                if let Output::Disconnect(_, reason) = output {
                    return reason;
                }
            }
            Reason::Upgrade { status }
        }
    }
}

async fn login(mut socket: Socket, protocol: &mut dyn Protocol, clock: &Clock) -> Result<(), Reason> {
    protocol.handle_input(clock.now(), Input::Opened { at: clock.wall() });
    loop {
        if act(&mut socket, protocol).await? {
            farewell(&mut socket, protocol, clock).await;
            return Ok(());
        }
        let due = protocol.poll_timeout().map(Instant::from_std);
        tokio::select! {
            wire = socket.next() => hear(wire, protocol, clock)?,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                protocol.handle_timeout(clock.now());
            }
        }
    }
}

/// Carries out what the machine wants; `true` once it is logged in.
async fn act(socket: &mut Socket, protocol: &mut dyn Protocol) -> Result<bool, Reason> {
    let mut ready = false;
    while let Some(output) = protocol.poll_output() {
        match output {
            Output::Transmit(frame) => transmit(socket, frame).await?,
            Output::Disconnect(_, reason) => return Err(reason),
            Output::Ready => ready = true,
            Output::Event(_) | Output::Perishable(_) | Output::Checkpoint(..) | Output::Proof(_) => {}
        }
    }
    Ok(ready)
}

async fn transmit(socket: &mut Socket, frame: Frame) -> Result<(), Reason> {
    socket.send(Wire::Frame(frame)).await.map_err(|broken| Reason::Lost { detail: broken.0 })
}

fn hear(
    wire: Option<Result<Wire, crate::link::dial::Broken>>,
    protocol: &mut dyn Protocol,
    clock: &Clock,
) -> Result<(), Reason> {
    let closed = match wire {
        Some(Ok(Wire::Frame(mut frame))) => {
            frame.received_at = clock.wall();
            protocol.handle_input(clock.now(), Input::Frame(frame));
            return Ok(());
        }
        Some(Ok(Wire::Ping(_) | Wire::Pong(_))) => return Ok(()),
        Some(Ok(Wire::Close(close))) => close,
        Some(Err(broken)) => return Err(Reason::Lost { detail: broken.0 }),
        None => None,
    };
    let detail = closed.as_ref().map_or_else(String::new, |close| format!("{} {}", close.code, close.reason));
    protocol.handle_input(clock.now(), Input::Closed(closed));
    while let Some(output) = protocol.poll_output() {
        if let Output::Disconnect(_, reason) = output {
            return Err(reason);
        }
    }
    Err(Reason::Lost { detail: format!("closed while logging in: {detail}") })
}

async fn farewell(socket: &mut Socket, protocol: &mut dyn Protocol, clock: &Clock) {
    protocol.handle_input(clock.now(), Input::Signal(Signal::Sleeping));
    let goodbye = async {
        while let Some(output) = protocol.poll_output() {
            if let Output::Transmit(frame) = output {
                transmit(socket, frame).await.ok();
            }
        }
        socket.close().await.ok();
    };
    timeout(FAREWELL, goodbye).await.ok();
}
