//! The open socket with a bounded queue of what is to be written. It never waits for a write: a peer that takes
//! nothing must not keep timers and reads from happening.

use super::super::dial::{Socket, Wire};
use crate::proto::CloseCode;
use futures_util::{FutureExt, Sink, Stream};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What came over the socket.
pub(super) enum Heard {
    Wire(Wire),
    /// It is gone: with the peer's close frame, or in the system's words.
    Gone(Option<CloseCode>, String),
}

/// The queue is full: the connection takes no data.
#[derive(Debug)]
pub(super) struct Full;

pub(super) struct Pipe {
    socket: Socket,
    queue: VecDeque<Wire>,
    limit: usize,
    unflushed: bool,
    bytes: u64,
}

impl Pipe {
    pub(super) fn new(socket: Socket, limit: usize) -> Self {
        Self { socket, queue: VecDeque::new(), limit, unflushed: false, bytes: 0 }
    }

    /// Queues one for writing.
    pub(super) fn send(&mut self, wire: Wire) -> Result<(), Full> {
        if self.queue.len() >= self.limit {
            return Err(Full);
        }
        self.bytes += wire.len() as u64;
        self.queue.push_back(wire);
        Ok(())
    }

    /// Bytes of payload in both directions since the last call.
    pub(super) fn take_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }

    /// Writes what is queued and, if `reading`, waits for what comes. Cancel-safe.
    pub(super) async fn next(&mut self, reading: bool) -> Heard {
        poll_fn(|cx| self.poll(cx, reading)).await
    }

    /// What has come already.
    pub(super) fn try_next(&mut self) -> Option<Heard> {
        self.next(true).now_or_never()
    }

    fn poll(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Heard> {
        if let Err(gone) = self.poll_write(cx) {
            return Poll::Ready(gone);
        }
        if !reading {
            return Poll::Pending;
        }
        match Pin::new(&mut self.socket).poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Heard::Gone(None, "the other side closed it".into())),
            Poll::Ready(Some(Err(broken))) => Poll::Ready(Heard::Gone(None, broken.0)),
            Poll::Ready(Some(Ok(Wire::Close(code)))) => {
                let words = code.as_ref().map_or_else(|| "closed".into(), |c| format!("close code {}", c.code));
                Poll::Ready(Heard::Gone(code, words))
            }
            Poll::Ready(Some(Ok(wire))) => {
                self.bytes += wire.len() as u64;
                // The automatic pong leaves only with the next flush.
                self.unflushed |= matches!(wire, Wire::Ping(_)) && !crate::mutant("pong-unflushed");
                Poll::Ready(Heard::Wire(wire))
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Heard> {
        let gone = |broken: super::super::dial::Broken| Heard::Gone(None, broken.0);
        while !self.queue.is_empty() {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready.map_err(gone)?,
            }
            if let Some(wire) = self.queue.pop_front() {
                Pin::new(&mut self.socket).start_send(wire).map_err(gone)?;
                self.unflushed = true;
            }
        }
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(cx)
        {
            flushed.map_err(gone)?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Closes without waiting for anybody: what the kernel takes at once still leaves.
    pub(super) fn hang_up(mut self) {
        self.queue.push_back(Wire::Close(Some(CloseCode { code: 1000, reason: String::new() })));
        let _ = poll_fn(|cx| Poll::Ready(self.poll_write(cx).is_ok())).now_or_never();
    }
}
