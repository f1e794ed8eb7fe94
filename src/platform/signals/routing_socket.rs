//! macOS: the routing socket (route(4)) rings on any change; what changed is found by asking which of our own
//! addresses a packet would leave from. Type-checked (`tests/suites/mac`), never run.
//!
//! Interfaces come back after sleep, so this bell is also the reason to compare the clocks there.

use super::Told;
use super::network::{Doorbell, follow};
use super::wake::Nudge;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use std::fs::File;
use std::io;
use std::net::UdpSocket;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

/// Tells of changes until the socket fails, which is not expected.
pub(super) async fn run(told: Told, nudge: mpsc::Sender<Nudge>) {
    let result = match open() {
        Ok(socket) => follow(Routing(socket), &told, &nudge).await,
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        tracing::warn!(%error, "the kernel does not tell of network changes: links find out by themselves, later");
    }
}

fn open() -> io::Result<Receiver> {
    let socket = socket(AddressFamily::ROUTE, SocketType::RAW, None)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    // Not a pipe, but read and waited for like one.
    Receiver::from_file_unchecked(File::from(socket))
}

struct Routing(Receiver);

impl Doorbell for Routing {
    async fn ring(&mut self) -> io::Result<bool> {
        let mut buffer = [0_u8; 2048];
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut buffer) {
                // RTM_DELADDR (13) is the type byte of <net/route.h>.
                Ok(filled) => return Ok(filled > 3 && buffer.get(3) == Some(&13)),
                // More came than the socket holds: what it was is lost, so anything may have changed.
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => return Ok(true),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Connecting a datagram socket sends nothing; it only asks for the route (addresses of RFC 5737 and 3849).
    fn routes(&self) -> String {
        let from = |bind: &str, to: &str| {
            let socket = UdpSocket::bind(bind).and_then(|socket| socket.connect(to).map(|()| socket));
            socket.and_then(|socket| socket.local_addr()).map(|addr| addr.ip().to_string()).unwrap_or_default()
        };
        let found = [from("0.0.0.0:0", "192.0.2.1:9"), from("[::]:0", "[2001:db8::1]:9")];
        found.join(" ").trim().to_owned()
    }
}
