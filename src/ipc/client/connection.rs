//! The task that owns a client's connection: writes requests, hands out answers. It never reads ahead of its socket.

use super::super::codec::{Line, Lines};
use super::super::wire::{self, Incoming, Request, RequestId, Version};
use super::{ClientError, Question};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::FramedRead;

/// Requests that are written but not answered, beyond which no more are taken.
const IN_FLIGHT: usize = 256;

/// One connection and the requests that are not answered yet.
pub(super) struct Connection {
    lines: FramedRead<OwnedReadHalf, Lines>,
    writer: OwnedWriteHalf,
    out: Vec<u8>,
    pending: BTreeMap<i64, oneshot::Sender<Result<Value, ClientError>>>,
    last: i64,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        let lines = FramedRead::new(reader, Lines::new(wire::MAX_ANSWER));
        Self { lines, writer, out: Vec::new(), pending: BTreeMap::new(), last: 0 }
    }

    /// Runs until the last handle is gone or the daemon ends the connection; then every open request is answered
    /// [`ClientError::Lost`].
    pub(super) async fn run(mut self, mut questions: mpsc::Receiver<Question>) {
        loop {
            tokio::select! {
                question = questions.recv(), if self.pending.len() < IN_FLIGHT => match question {
                    Some(question) => self.put(question),
                    None if self.pending.is_empty() && self.out.is_empty() => return,
                    None => self.pending.clear(),
                },
                written = self.writer.write(&self.out), if !self.out.is_empty() => match written {
                    Ok(bytes) if bytes > 0 => drop(self.out.drain(..bytes)),
                    _ => return,
                },
                line = self.lines.next() => match line {
                    Some(Ok(Line::Whole(line))) => self.take(&line),
                    _ => return,
                },
            }
        }
    }

    fn put(&mut self, question: Question) {
        self.last += 1;
        let request = Request {
            jsonrpc: Version::V2,
            id: Some(RequestId::Number(self.last)),
            method: question.method.into(),
            params: question.params,
        };
        self.out.extend(wire::line(&request));
        self.pending.insert(self.last, question.answer);
    }

    fn take(&mut self, line: &[u8]) {
        let Ok(Incoming::Response(response)) = wire::read_incoming(line) else { return };
        let Some(RequestId::Number(id)) = response.id else { return };
        let Some(answer) = self.pending.remove(&id) else { return };
        let outcome = match (response.error, response.result) {
            (Some(fault), _) => Err(ClientError::from(Box::new(fault))),
            (None, Some(value)) => Ok(value),
            (None, None) => Ok(Value::Null),
        };
        answer.send(outcome).ok();
    }
}
