//! The dialer against real sockets on loopback.

mod servers;

use super::{DialError, Dialer, NetworkDialer, Proxy, Settings, Socket, Wire};
use crate::model::Reason;
use crate::proto::{Endpoint, Frame, Place};
use futures_util::{SinkExt, StreamExt};
use servers::{Authority, answer, echo, head, listen};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

fn endpoint(place: Place) -> Endpoint {
    Endpoint { place, subprotocol: "wakeful.v1.json", headers: Vec::new(), max_frame: 4096 }
}

fn direct() -> Settings {
    let ms = Duration::from_millis;
    Settings { proxy: Proxy::Direct, tls: ms(3000), upgrade: ms(700), ..Settings::default() }
}

async fn dial(settings: Settings, url: String) -> Result<Socket, DialError> {
    NetworkDialer::new(settings).dial(endpoint(Place::Url(url))).await
}

async fn why(settings: Settings, url: String) -> Reason {
    match dial(settings, url).await {
        Err(DialError::Unreachable(reason) | DialError::Forbidden(reason)) => reason,
        Err(DialError::Refused(refusal)) => panic!("{refusal:?}"),
        Ok(_) => panic!("it opened"),
    }
}

async fn assert_echoes(mut socket: Socket) {
    socket.send(Wire::Frame(Frame::text("hello"))).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Wire::Frame(Frame::text("hello")));
}

async fn tls_echo(authority: &Authority, name: &str, expired: bool) -> u16 {
    let acceptor = authority.acceptor(name, expired);
    listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(stream, &[]).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_with_a_certificate_of_the_accounts_own_authority_opens() {
    let authority = Authority::new();
    let port = tls_echo(&authority, "localhost", false).await;
    let settings = Settings { ca: Some(authority.file.clone()), ..direct() };
    assert_echoes(dial(settings, format!("wss://localhost:{port}/ws")).await.unwrap()).await;
}

#[tokio::test]
async fn a_wrong_name_an_expired_and_an_unknown_certificate_are_named_and_never_accepted() {
    let authority = Authority::new();
    let settings = || Settings { ca: Some(authority.file.clone()), ..direct() };
    let named = |reason: Reason, word: &str| match reason {
        Reason::Tls { detail } => assert!(detail.contains(word), "{detail}"),
        other => panic!("{other:?}"),
    };
    let port = tls_echo(&authority, "elsewhere.example", false).await;
    named(why(settings(), format!("wss://localhost:{port}/")).await, "name");
    let port = tls_echo(&authority, "localhost", true).await;
    named(why(settings(), format!("wss://localhost:{port}/")).await, "expired");
    let port = tls_echo(&Authority::new(), "localhost", false).await;
    named(why(settings(), format!("wss://localhost:{port}/")).await, "UnknownIssuer");
}

#[tokio::test]
async fn the_second_handshake_resumes_the_first_ones_session() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost", false);
    let (tell, mut told) = mpsc::unbounded_channel();
    let port = listen(move |stream| {
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                tell.send(stream.get_ref().1.handshake_kind()).unwrap();
                echo(stream, &[]).await;
            }
        }
    })
    .await;
    let dialer = NetworkDialer::new(Settings { ca: Some(authority.file.clone()), ..direct() });
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let place = Place::Url(format!("wss://localhost:{port}/"));
        assert_echoes(dialer.dial(endpoint(place)).await.unwrap()).await;
        kinds.push(told.recv().await.unwrap());
    }
    assert_eq!(kinds[1], Some(rustls::HandshakeKind::Resumed));
}

#[tokio::test]
async fn a_captive_portals_page_is_told_apart_from_a_server() {
    let port = answer(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 31\r\n\r\n<html>Sign in to the WiFi</html>",
    )
    .await;
    let Err(DialError::Refused(refusal)) = dial(direct(), format!("ws://127.0.0.1:{port}/")).await else { panic!() };
    assert!(refusal.html && refusal.status == 200 && refusal.body.is_empty());
}

#[tokio::test]
async fn a_refusal_carries_its_status_its_wait_and_the_first_words_of_its_body() {
    let port = answer("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 17\r\nContent-Length: 7\r\n\r\nrestart").await;
    let Err(DialError::Refused(refusal)) = dial(direct(), format!("ws://127.0.0.1:{port}/")).await else { panic!() };
    assert_eq!((refusal.status, refusal.retry_after), (503, Some(Duration::from_secs(17))));
    assert!(!refusal.html && refusal.body == "restart");
}

#[tokio::test]
async fn a_half_sent_upgrade_ends_at_its_deadline() {
    let port = listen(|mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgr").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let reason = why(direct(), format!("ws://127.0.0.1:{port}/")).await;
    assert_eq!(reason, Reason::Timeout { step: "upgrade".into() });
    let port = listen(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let settings = Settings { tls: Duration::from_millis(300), ..direct() };
    assert_eq!(why(settings, format!("wss://127.0.0.1:{port}/")).await, Reason::Timeout { step: "tls".into() });
}

#[tokio::test]
async fn an_extension_that_was_not_asked_for_and_another_subprotocol_are_refused() {
    let port = listen(|stream| echo(stream, &[("sec-websocket-extensions", "permessage-deflate")])).await;
    let reason = why(direct(), format!("ws://127.0.0.1:{port}/")).await;
    assert!(matches!(&reason, Reason::Protocol { detail } if detail.contains("extension")), "{reason:?}");
    let port = listen(|stream| echo(stream, &[("sec-websocket-protocol", "chat")])).await;
    let reason = why(direct(), format!("ws://127.0.0.1:{port}/")).await;
    assert!(matches!(reason, Reason::Protocol { .. }), "{reason:?}");
}

#[tokio::test]
async fn the_secret_never_crosses_in_the_clear_beyond_this_machine() {
    assert_eq!(why(direct(), "ws://192.0.2.1/ws".into()).await, Reason::Insecure);
    assert_eq!(why(direct(), "ws://chat.example/ws".into()).await, Reason::Insecure);
    let port = listen(|stream| echo(stream, &[])).await;
    assert_echoes(dial(direct(), format!("ws://localhost:{port}/")).await.unwrap()).await;
}

#[tokio::test]
async fn nobody_listening_and_no_such_name_are_named() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!(matches!(why(direct(), format!("ws://127.0.0.1:{port}/")).await, Reason::Connect { .. }));
    let reason = why(Settings { insecure: true, ..direct() }, "wss://no-such-name.invalid/".into()).await;
    assert!(matches!(reason, Reason::Dns { .. } | Reason::Timeout { .. }), "{reason:?}");
}

#[tokio::test]
async fn a_message_above_the_limit_breaks_the_connection_instead_of_filling_memory() {
    let port = listen(|stream| echo(stream, &[])).await;
    let mut socket = dial(direct(), format!("ws://127.0.0.1:{port}/")).await.unwrap();
    socket.send(Wire::Frame(Frame::text("x".repeat(5000)))).await.unwrap();
    assert!(socket.next().await.unwrap().is_err());
}

/// Takes CONNECT and joins the two sides.
async fn connect_proxy() -> (u16, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let port = listen(move |mut stream| {
        let tell = tell.clone();
        async move {
            let asked = head(&mut stream).await;
            let to = asked.split(' ').nth(1).unwrap().to_owned();
            tell.send(asked).unwrap();
            let mut other = TcpStream::connect(to).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            tokio::io::copy_bidirectional(&mut stream, &mut other).await.ok();
        }
    })
    .await;
    (port, told)
}

#[tokio::test]
async fn an_http_proxy_is_asked_to_connect_with_its_credentials() {
    let server = listen(|stream| echo(stream, &[])).await;
    let (port, mut asked) = connect_proxy().await;
    let proxy = Proxy::Url(format!("http://me:secret@127.0.0.1:{port}"));
    let socket = dial(Settings { proxy, ..direct() }, format!("ws://127.0.0.1:{server}/")).await.unwrap();
    assert_echoes(socket).await;
    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with(&format!("CONNECT 127.0.0.1:{server} ")) && asked.contains("bWU6c2VjcmV0"), "{asked}");
}

#[tokio::test]
async fn a_socks5_proxy_connects() {
    let server = listen(|stream| echo(stream, &[])).await;
    let port = listen(move |mut stream| async move {
        let mut hello = [0; 2];
        stream.read_exact(&mut hello).await.unwrap();
        let mut methods = vec![0; usize::from(hello[1])];
        stream.read_exact(&mut methods).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        let mut request = [0; 10];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(request[..4], [5, 1, 0, 1]);
        let port = u16::from_be_bytes([request[8], request[9]]);
        let mut other = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await.unwrap();
        tokio::io::copy_bidirectional(&mut stream, &mut other).await.ok();
    })
    .await;
    let proxy = Proxy::Url(format!("socks5://127.0.0.1:{port}"));
    let socket = dial(Settings { proxy, ..direct() }, format!("ws://127.0.0.1:{server}/")).await.unwrap();
    assert_echoes(socket).await;
}

#[tokio::test]
async fn a_domains_websocket_is_found_by_json_and_else_by_xml() {
    let server = listen(|stream| echo(stream, &[])).await;
    for json in [true, false] {
        let meta = listen(move |mut stream| async move {
            let asked = head(&mut stream).await;
            let href = format!("ws://127.0.0.1:{server}/");
            let body = match asked.starts_with("GET /.well-known/host-meta.json ") {
                true if json => {
                    format!(r#"{{"links":[{{"rel":"urn:xmpp:alt-connections:websocket","href":"{href}"}}]}}"#)
                }
                true => String::new(),
                false => format!(
                    "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\
                     <Link rel='urn:xmpp:alt-connections:websocket' href='{href}'/></XRD>"
                ),
            };
            let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.ok();
        })
        .await;
        let settings = Settings { host_meta_base: Some(format!("http://127.0.0.1:{meta}")), ..direct() };
        let place = Place::HostMeta("example.org".into());
        assert_echoes(NetworkDialer::new(settings).dial(endpoint(place)).await.unwrap()).await;
    }
}
