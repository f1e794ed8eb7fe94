//! The HTTP upgrade: what is asked, and what of the answer is accepted.

use super::DialError;
use crate::model::Reason;
use crate::proto::{Endpoint, Refusal};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, error::ProtocolError};

/// Bytes of a connection's read buffer; tungstenite's default is 128 KiB, for each connection and at once.
const READ_BUFFER: usize = 8 * 1024;
/// Most bytes of an answer's body that are kept.
const BODY: usize = 256;

/// Upgrades `stream` to a WebSocket.
pub(super) async fn upgrade<S>(stream: S, url: &str, endpoint: &Endpoint) -> Result<WebSocketStream<S>, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(url, endpoint).map_err(|cause| protocol(cause.to_string()))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * endpoint.max_frame.max(READ_BUFFER))
        .max_message_size(Some(endpoint.max_frame))
        .max_frame_size(Some(endpoint.max_frame));
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
    let (socket, response) = opened.map_err(judge)?;
    // RFC 6455, section 4.1: an extension that was not asked for fails the connection.
    let extended = response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS);
    if extended && !crate::mutant("extensions-accepted") {
        return Err(protocol("the server chose an extension that was not asked for".into()));
    }
    Ok(socket)
}

fn request(url: &str, endpoint: &Endpoint) -> Result<Request<()>, http::Error> {
    let uri: http::Uri = url.parse()?;
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let host = host.rsplit('@').next().unwrap_or_default().to_owned();
    let mut request = Request::get(uri)
        .header(header::HOST, host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .header(header::SEC_WEBSOCKET_PROTOCOL, endpoint.subprotocol);
    for (name, value) in &endpoint.headers {
        let mut value = HeaderValue::from_str(value.expose())?;
        value.set_sensitive(true);
        request = request.header(*name, value);
    }
    request.body(())
}

fn protocol(detail: String) -> DialError {
    DialError::Unreachable(Reason::Protocol { detail })
}

fn judge(error: Error) -> DialError {
    match error {
        Error::Http(response) => DialError::Refused(refusal(&response)),
        Error::Protocol(ProtocolError::HandshakeIncomplete) | Error::ConnectionClosed => {
            DialError::Unreachable(Reason::Lost { detail: "closed in the middle of the upgrade".into() })
        }
        Error::Io(error) => DialError::Unreachable(Reason::Lost { detail: error.to_string() }),
        error => protocol(error.to_string()),
    }
}

fn refusal(response: &Response<Option<Vec<u8>>>) -> Refusal {
    let bytes = response.body().as_deref().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(..BODY).unwrap_or(bytes)).into_owned();
    let html = is_html(response.headers(), &text);
    let mut body = if html { String::new() } else { text };
    while body.len() > BODY {
        body.pop();
    }
    Refusal { status: response.status().as_u16(), retry_after: retry_after(response.headers()), html, body }
}

/// A web page: what a captive portal answers with.
pub(super) fn is_html(headers: &HeaderMap, body: &str) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let start = body.trim_start().get(..14).unwrap_or(body.trim_start()).to_ascii_lowercase();
    kind.trim_start().to_ascii_lowercase().starts_with("text/html")
        || start.starts_with("<!doctype html")
        || start.starts_with("<html")
}

/// `Retry-After` in seconds; a date is not understood and counts as absent.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}
