//! The HTTP side of a connection: `GET /healthz`, the WebSocket upgrade (RFC 6455, 4.2), and every refusal as a
//! status with a JSON body.

use super::{Doorway, subprotocol};
use crate::hub::ask::Identity;
use crate::model::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Longest request head, bytes.
const HEAD_MOST: usize = 8 * 1024;
/// Most headers.
const HEADERS_MOST: usize = 64;

/// What became of an arrival.
pub(super) enum Arrival {
    /// It is a WebSocket now. `who` is `None` for a browser, which shows its token in hello.
    Upgraded { who: Option<Identity>, rest: Vec<u8> },
    /// It was answered; the connection is done.
    Answered,
}

/// What a request head asks for.
#[derive(Debug, PartialEq)]
enum Wanted {
    Health,
    Upgrade { accept: String, token: Option<Secret> },
}

/// An answer that is no upgrade.
#[derive(Debug, PartialEq)]
struct Refusal {
    status: &'static str,
    error: &'static str,
    text: &'static str,
    header: &'static str,
}

const fn refusal(status: &'static str, error: &'static str, text: &'static str) -> Refusal {
    Refusal { status, error, text, header: "" }
}

const BAD: Refusal = refusal("400 Bad Request", "bad_request", "not an HTTP/1.1 request");
const TOO_LONG: Refusal = refusal("431 Request Header Fields Too Large", "too_large", "the request's head is too long");
const METHOD: Refusal = refusal("405 Method Not Allowed", "bad_request", "only GET");
const NO_UPGRADE: Refusal = Refusal {
    header: "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
    ..refusal("426 Upgrade Required", "bad_request", "a WebSocket (version 13) is spoken here")
};
const NO_KEY: Refusal = refusal("400 Bad Request", "bad_request", "Sec-WebSocket-Key is missing or wrong");
const NO_PROTOCOL: Refusal =
    refusal("400 Bad Request", "unsupported", "the subprotocol wakeful.v1.json was not offered");
const NO_TOKEN: Refusal = Refusal {
    header: "WWW-Authenticate: Bearer\r\n",
    ..refusal(
        "401 Unauthorized",
        "unauthenticated",
        "the token is missing or not valid: `wakeful hub user add` gives one",
    )
};
const NO_DATABASE: Refusal = Refusal {
    header: "Retry-After: 5\r\n",
    ..refusal("503 Service Unavailable", "unavailable", "the hub cannot read its database now")
};
const CROWDED: Refusal = Refusal {
    header: "Retry-After: 30\r\n",
    ..refusal("503 Service Unavailable", "unavailable", "too many connections")
};

/// Reads the request, looks up the token and answers.
pub(super) async fn receive<S>(stream: &mut S, doorway: &Doorway, crowded: bool) -> io::Result<Arrival>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (head, rest) = match read_head(stream).await? {
        Some(read) => read,
        None => return refuse(stream, &TOO_LONG).await,
    };
    let (accept, token) = match wanted(&head) {
        Ok(Wanted::Upgrade { .. }) if crowded => return refuse(stream, &CROWDED).await,
        Ok(Wanted::Upgrade { accept, token }) => (accept, token),
        Ok(Wanted::Health) => {
            respond(stream, "200 OK", "", r#"{"ok":true}"#).await?;
            return Ok(Arrival::Answered);
        }
        Err(refusal) => return refuse(stream, &refusal).await,
    };
    let who = match token {
        None => None,
        Some(token) => match doorway.store.authenticate(token, doorway.clock.wall()).await {
            Ok(Some(who)) => Some(who),
            Ok(None) => return refuse(stream, &NO_TOKEN).await,
            Err(error) => {
                tracing::warn!(%error, "a token could not be looked up");
                return refuse(stream, &NO_DATABASE).await;
            }
        },
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
        subprotocol()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await?;
    Ok(Arrival::Upgraded { who, rest })
}

/// The head with its empty line, and what came after it. `None`: it is too long.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut head = Vec::with_capacity(1024);
    loop {
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = head.split_off(end + 4);
            return Ok(Some((head, rest)));
        }
        if head.len() >= HEAD_MOST {
            return Ok(None);
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn wanted(head: &[u8]) -> Result<Wanted, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MOST];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(TOO_LONG),
        Ok(httparse::Status::Partial) | Err(_) => return Err(BAD),
    }
    if request.method != Some("GET") {
        return Err(METHOD);
    }
    let path = request.path.unwrap_or_default();
    if path.split(['?', '#']).next() == Some("/healthz") {
        return Ok(Wanted::Health);
    }
    let header = |name: &str| {
        request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let lists = |name: &str, wanted: &str| {
        let all = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let mut words =
            all.filter_map(|header| std::str::from_utf8(header.value).ok()).flat_map(|text| text.split(','));
        words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    let version = header("sec-websocket-version").map(str::trim);
    if !lists("upgrade", "websocket") || !lists("connection", "upgrade") || version != Some("13") {
        return Err(NO_UPGRADE);
    }
    let key = header("sec-websocket-key").map(str::trim).unwrap_or_default();
    if STANDARD.decode(key).map(|bytes| bytes.len()) != Ok(16) {
        return Err(NO_KEY);
    }
    let accept = derive_accept_key(key.as_bytes());
    if !lists("sec-websocket-protocol", subprotocol()) {
        return Err(NO_PROTOCOL);
    }
    match header("authorization").map(bearer) {
        Some(Some(token)) => Ok(Wanted::Upgrade { accept, token: Some(Secret::new(token.to_owned())) }),
        Some(None) => Err(NO_TOKEN),
        // Only a browser cannot set the header, and a browser always says where it comes from.
        None if header("origin").is_some() => Ok(Wanted::Upgrade { accept, token: None }),
        None => Err(NO_TOKEN),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= 256)
}

async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, refusal: &Refusal) -> io::Result<Arrival> {
    let body = format!(r#"{{"error":"{}","message":"{}"}}"#, refusal.error, refusal.text);
    respond(stream, refusal.status, refusal.header, &body).await?;
    Ok(Arrival::Answered)
}

async fn respond<S: AsyncWrite + Unpin>(stream: &mut S, status: &str, headers: &str, body: &str) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /v1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: other, wakeful.v1.json\r\nAuthorization: Bearer abc\r\n\r\n";

    #[test]
    fn an_upgrade_is_accepted_with_the_key_that_rfc_6455_gives_as_its_example() {
        let token = Some(Secret::new("abc".into()));
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned();
        assert_eq!(wanted(GOOD.as_bytes()), Ok(Wanted::Upgrade { accept, token }));
    }

    #[test]
    fn every_fault_of_an_upgrade_has_its_own_answer() {
        let without = |line: &str, instead: &str| wanted(GOOD.replace(line, instead).as_bytes()).unwrap_err();
        assert_eq!(without("GET", "POST"), METHOD);
        assert_eq!(without("Upgrade: websocket\r\n", ""), NO_UPGRADE);
        assert_eq!(without("keep-alive, Upgrade", "keep-alive"), NO_UPGRADE);
        assert_eq!(without("Version: 13", "Version: 8"), NO_UPGRADE);
        assert_eq!(without("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), NO_KEY);
        assert_eq!(without("wakeful.v1.json", "xmpp"), NO_PROTOCOL);
        assert_eq!(without("Authorization: Bearer abc\r\n", ""), NO_TOKEN);
        assert_eq!(without("Bearer abc", "Basic abc"), NO_TOKEN);
        assert_eq!(wanted(b"\x16\x03\x01 not http\r\n\r\n"), Err(BAD));
        let many = GOOD.replace("Host: h\r\n", &"X: y\r\n".repeat(100));
        assert_eq!(wanted(many.as_bytes()), Err(TOO_LONG));
    }

    #[test]
    fn a_browser_may_come_without_the_header_and_health_needs_none() {
        let browser = GOOD.replace("Authorization: Bearer abc", "Origin: https://chat.example");
        assert!(matches!(wanted(browser.as_bytes()), Ok(Wanted::Upgrade { token: None, .. })));
        assert_eq!(wanted(b"GET /healthz?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"), Ok(Wanted::Health));
    }
}
