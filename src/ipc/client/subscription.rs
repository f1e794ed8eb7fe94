//! A connection that only listens: committed changes, or the accounts' states, as a `Stream`.

use super::super::codec::{Line, Lines};
use super::super::wire::{
    self, Incoming, Method, Notification, Request, RequestId, StatusInfo, StatusSubscribe, Subscribe, Subscribed,
    Version,
};
use super::{ClientError, open, strange};
use crate::model::Seq;
use futures_util::{Stream, StreamExt as _};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::FramedRead;

/// What the daemon says unasked. While nobody polls it, the daemon waits: nothing is dropped.
#[derive(Debug)]
pub struct Subscription {
    lines: FramedRead<OwnedReadHalf, Lines>,
    /// Kept open: closing it ends the session.
    _writer: OwnedWriteHalf,
    first: Option<Notification>,
    start: Seq,
}

impl Subscription {
    pub(super) async fn open(path: &Path, ask: Subscribe) -> Result<Self, ClientError> {
        let (mut this, value) = Self::begin(path, ask).await?;
        let subscribed: Subscribed = value;
        this.start = subscribed.seq;
        Ok(this)
    }

    pub(super) async fn status(path: &Path) -> Result<Self, ClientError> {
        let (mut this, status): (Self, StatusInfo) = Self::begin(path, StatusSubscribe {}).await?;
        this.start = status.seq;
        this.first = Some(Notification::Status(status));
        Ok(this)
    }

    async fn begin<M: Method>(path: &Path, params: M) -> Result<(Self, M::Answer), ClientError> {
        let (reader, mut writer) = open(path).await?.into_split();
        let request = Request {
            jsonrpc: Version::V2,
            id: Some(RequestId::Number(1)),
            method: M::NAME.into(),
            params: serde_json::to_value(params).map_err(strange)?,
        };
        writer.write_all(&wire::line(&request)).await.map_err(|_| ClientError::Lost)?;
        let lines = FramedRead::new(reader, Lines::new(wire::MAX_ANSWER));
        let mut this = Self { lines, _writer: writer, first: None, start: Seq(0) };
        let Some(Ok(Line::Whole(line))) = this.lines.next().await else { return Err(ClientError::Lost) };
        let Incoming::Response(response) = wire::read_incoming(&line).map_err(strange)? else {
            return Err(ClientError::Strange("a notification came before the answer".into()));
        };
        if let Some(fault) = response.error {
            return Err(Box::new(fault).into());
        }
        let answer = serde_json::from_value(response.result.unwrap_or_default()).map_err(strange)?;
        Ok((this, answer))
    }

    /// Events come for every change after this one.
    #[must_use]
    pub fn start(&self) -> Seq {
        self.start
    }

    /// The next notification; `None` when the daemon ended the connection.
    pub async fn next(&mut self) -> Option<Result<Notification, ClientError>> {
        futures_util::StreamExt::next(self).await
    }
}

impl Stream for Subscription {
    type Item = Result<Notification, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            let line = match ready!(self.lines.poll_next_unpin(cx)) {
                Some(Ok(Line::Whole(line))) => line,
                Some(Ok(Line::TooLong)) => continue,
                Some(Err(_)) | None => return Poll::Ready(None),
            };
            match wire::read_incoming(&line) {
                Ok(Incoming::Notification(notification)) => return Poll::Ready(Some(Ok(notification))),
                Ok(Incoming::Response(_) | Incoming::Unknown) => {}
                Err(error) => return Poll::Ready(Some(Err(strange(error)))),
            }
        }
    }
}
