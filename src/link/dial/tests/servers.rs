//! Servers on loopback that answer well or badly.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// Runs `serve` for each connection; the port.
pub(super) async fn listen<F, R>(serve: F) -> u16
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Reads a request's head and answers with these bytes.
pub(super) async fn answer(bytes: &'static str) -> u16 {
    listen(move |mut stream| async move {
        head(&mut stream).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.ok();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
    })
    .await
}

/// Up to and with the empty line.
pub(super) async fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { break };
        text.push(byte);
    }
    String::from_utf8(text).unwrap()
}

/// A WebSocket that sends back what it gets, over whatever stream.
pub(super) async fn echo<S>(stream: S, with: &'static [(&'static str, &'static str)])
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use futures_util::{SinkExt, StreamExt};
    #[allow(clippy::result_large_err)]
    let choose = move |request: &Request, mut response: Response| {
        let asked = request.headers().get("sec-websocket-protocol").cloned();
        if let Some(asked) = asked.filter(|_| !with.iter().any(|(name, _)| *name == "sec-websocket-protocol")) {
            response.headers_mut().insert("sec-websocket-protocol", asked);
        }
        for (name, value) in with {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, choose).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// An authority made for the test, in a file.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    _dir: tempfile::TempDir,
    pub(super) file: PathBuf,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let dir = tempfile::tempdir().unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, dir.path().to_str().unwrap());
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, _dir: dir, file }
    }

    /// A TLS side with a certificate for `name`; `expired`: it ended in 2020.
    pub(super) fn acceptor(&self, name: &str, expired: bool) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
