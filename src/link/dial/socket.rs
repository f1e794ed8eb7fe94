//! A tungstenite WebSocket as a [`Socket`](super::Socket).

use super::{Broken, Wire};
use crate::model::Timestamp;
use crate::proto::{CloseCode, Frame, FrameBody};
use futures_util::{Sink, Stream};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(super) struct WebSocket<S>(pub(super) WebSocketStream<S>);

fn broken(error: Error) -> Broken {
    Broken(match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "closed".into(),
        Error::Io(error) => error.to_string(),
        error => error.to_string(),
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Wire, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(item) = std::task::ready!(Pin::new(&mut self.0).poll_next(cx)) else { return Poll::Ready(None) };
        Poll::Ready(Some(match item {
            Ok(message) => Ok(incoming(message)),
            Err(error) => Err(broken(error)),
        }))
    }
}

fn incoming(message: Message) -> Wire {
    let frame = |body| Wire::Frame(Frame { body, received_at: Timestamp(0) });
    match message {
        Message::Text(text) => frame(FrameBody::Text(text.as_str().to_owned())),
        Message::Binary(bytes) => frame(FrameBody::Binary(bytes.to_vec())),
        Message::Ping(bytes) => Wire::Ping(bytes.to_vec()),
        Message::Pong(bytes) => Wire::Pong(bytes.to_vec()),
        Message::Close(close) => {
            Wire::Close(close.map(|close| CloseCode { code: close.code.into(), reason: close.reason.to_string() }))
        }
        Message::Frame(frame) => Wire::Pong(frame.into_payload().to_vec()),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Wire> for WebSocket<S> {
    type Error = Broken;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Pin::new(&mut self.0).poll_ready(cx).map_err(broken)
    }

    fn start_send(mut self: Pin<&mut Self>, wire: Wire) -> Result<(), Broken> {
        let message = match wire {
            Wire::Frame(Frame { body: FrameBody::Text(text), .. }) => Message::Text(text.into()),
            Wire::Frame(Frame { body: FrameBody::Binary(bytes), .. }) => Message::Binary(bytes.into()),
            Wire::Ping(bytes) => Message::Ping(bytes.into()),
            Wire::Pong(bytes) => Message::Pong(bytes.into()),
            Wire::Close(close) => {
                Message::Close(close.map(|close| CloseFrame { code: close.code.into(), reason: close.reason.into() }))
            }
        };
        Pin::new(&mut self.0).start_send(message).map_err(broken)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Pin::new(&mut self.0).poll_flush(cx).map_err(broken)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Pin::new(&mut self.0).poll_close(cx).map_err(broken)
    }
}
