//! A loopback TCP relay that can go silent: the demo's bad network.
//!
//! While it is cut it accepts connections and reads nothing, writes nothing and closes nothing: what a NAT timeout
//! or a dead access point looks like from a laptop. It never touches any network but this machine's own.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Bytes moved at a time.
const CHUNK: usize = 8 * 1024;

/// A relay on a free loopback port in front of `target`.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    stop: CancellationToken,
}

impl Relay {
    /// Begins to listen; connections are passed on to `target`.
    ///
    /// # Errors
    /// When no loopback port is to be had.
    pub(super) async fn start(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (cut, watched) = watch::channel(false);
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, target, watched, stop.clone()));
        Ok(Self { address, cut, stop })
    }

    /// Where to connect instead of the target.
    #[must_use]
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing gets through, and nobody is told.
    pub(super) fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// The network is back: new connections get through. Those from before the cut stay dead, as they do behind a
    /// NAT that forgot them.
    pub(super) fn restore(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, cut: watch::Receiver<bool>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((client, _)) = accepted else { continue };
        let (cut, stop) = (cut.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = carry(client, target, cut) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn carry(client: TcpStream, target: SocketAddr, mut cut: watch::Receiver<bool>) {
    if *cut.borrow_and_update() {
        // Accepted by the kernel, answered by nobody, until the client gives up.
        hold(client).await;
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::join!(pump(client_read, server_write, cut.clone()), pump(server_read, client_write, cut));
}

/// Moves bytes one way until the end, an error, or the cut; after a cut it holds both ends open and silent.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: watch::Receiver<bool>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        tokio::select! {
            biased;
            () = until_cut(&mut cut) => return std::future::pending().await,
            read = from.read(&mut buffer) => {
                let Ok(count) = read else { return };
                let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return };
                if to.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn until_cut(cut: &mut watch::Receiver<bool>) {
    // A relay that is gone cuts nothing any more; its connections end with their own tasks.
    let gone = cut.wait_for(|cut| *cut).await.is_err();
    if gone {
        std::future::pending().await
    }
}

async fn hold(client: TcpStream) {
    let _open = client;
    tokio::time::sleep(Duration::from_secs(3600)).await;
}

#[cfg(test)]
mod tests {
    use super::Relay;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    async fn echo() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = socket.split();
                    tokio::io::copy(&mut read, &mut write).await.ok();
                });
            }
        });
        address
    }

    async fn answer(socket: &mut TcpStream) -> Option<[u8; 4]> {
        let mut bytes = [0; 4];
        timeout(Duration::from_millis(150), socket.read_exact(&mut bytes)).await.ok()?.ok()?;
        Some(bytes)
    }

    #[tokio::test]
    async fn a_cut_relay_is_silent_and_an_old_connection_stays_dead_after_it() {
        let relay = Relay::start(echo().await).await.unwrap();
        let mut old = TcpStream::connect(relay.address()).await.unwrap();
        old.write_all(b"ping").await.unwrap();
        assert_eq!(answer(&mut old).await, Some(*b"ping"));

        relay.cut();
        old.write_all(b"lost").await.unwrap();
        let mut during = TcpStream::connect(relay.address()).await.unwrap();
        during.write_all(b"lost").await.unwrap();
        assert_eq!(answer(&mut old).await, None);
        assert_eq!(answer(&mut during).await, None);

        relay.restore();
        let mut new = TcpStream::connect(relay.address()).await.unwrap();
        new.write_all(b"back").await.unwrap();
        assert_eq!(answer(&mut new).await, Some(*b"back"));
        assert_eq!(answer(&mut old).await, None);
    }
}
