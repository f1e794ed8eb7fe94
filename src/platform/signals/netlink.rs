//! Linux: route and address changes by rtnetlink(7). Only listens; what the routes are is read from `/proc`.

use super::network::{Doorbell, follow};
use super::wake::Nudge;
use super::{Told, routes};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use std::fs::File;
use std::io;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

/// `RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE`.
const GROUPS: u32 = 0x10 | 0x40 | 0x100 | 0x400;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
/// Addresses of this scope and above are not valid beyond the link.
const RT_SCOPE_LINK: u8 = 253;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// Tells of changes until the socket fails, which is not expected.
pub(super) async fn run(told: Told, nudge: mpsc::Sender<Nudge>) {
    let result = match open() {
        Ok(socket) => follow(Netlink(socket), &told, &nudge).await,
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        tracing::warn!(%error, "the kernel does not tell of network changes: links find out by themselves, later");
    }
}

fn open() -> io::Result<Receiver> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    // Not a pipe, but read and waited for like one.
    Receiver::from_file_unchecked(File::from(socket))
}

struct Netlink(Receiver);

impl Doorbell for Netlink {
    async fn ring(&mut self) -> io::Result<bool> {
        let mut buffer = [0_u8; 4096];
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut buffer) {
                Ok(filled) => return Ok(address_gone(buffer.get(..filled).unwrap_or_default())),
                // More came than the socket holds: what it was is lost, so anything may have changed.
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => return Ok(true),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn routes(&self) -> String {
        routes::read()
    }
}

/// Whether a datagram tells that an address with more than link scope was taken away and not given back.
fn address_gone(datagram: &[u8]) -> bool {
    let mut gone: Vec<&[u8]> = Vec::new();
    let mut rest = datagram;
    while let Some((length, kind)) = header(rest) {
        let Some(message) = rest.get(16..length) else { break };
        if let (RTM_NEWADDR | RTM_DELADDR, Some(address)) = (kind, address(message)) {
            gone.retain(|other| *other != address);
            if kind == RTM_DELADDR {
                gone.push(address);
            }
        }
        rest = rest.get(align(length)..).unwrap_or_default();
    }
    !gone.is_empty()
}

/// `struct nlmsghdr`: length with the header, type.
fn header(bytes: &[u8]) -> Option<(usize, u16)> {
    let length = usize::try_from(u32::from_ne_bytes(bytes.first_chunk().copied()?)).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    (length >= 16).then_some((length, kind))
}

/// The address in a `struct ifaddrmsg` with its attributes, if its scope is wide enough.
fn address(message: &[u8]) -> Option<&[u8]> {
    let scope = *message.get(3)?;
    if scope >= RT_SCOPE_LINK {
        return None;
    }
    let mut rest = message.get(8..)?;
    let mut found = None;
    while let Some(length) = rest.first_chunk().map(|bytes| usize::from(u16::from_ne_bytes(*bytes))) {
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..length)?;
        match kind {
            IFA_LOCAL => return Some(value),
            IFA_ADDRESS => found = Some(value),
            _ => {}
        }
        rest = rest.get(align(length)..).unwrap_or_default();
    }
    found
}

/// Netlink's parts begin at multiples of four bytes.
const fn align(length: usize) -> usize {
    (length + 3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(kind: u16, scope: u8, address: [u8; 4]) -> Vec<u8> {
        let mut message = vec![2, 24, 0, scope, 1, 0, 0, 0];
        for attribute in [IFA_ADDRESS, IFA_LOCAL] {
            message.extend(8_u16.to_ne_bytes());
            message.extend(attribute.to_ne_bytes());
            message.extend(address);
        }
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(16 + message.len()).unwrap().to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(message);
        bytes
    }

    #[test]
    fn only_an_address_of_wide_scope_that_is_not_given_back_counts_as_gone() {
        let gone = datagram(RTM_DELADDR, 0, [10, 0, 0, 1]);
        assert!(address_gone(&gone));
        assert!(!address_gone(&datagram(RTM_NEWADDR, 0, [10, 0, 0, 1])));
        assert!(!address_gone(&datagram(RTM_DELADDR, RT_SCOPE_LINK, [169, 254, 0, 1])));
        assert!(!address_gone(&[gone.clone(), datagram(RTM_NEWADDR, 0, [10, 0, 0, 1])].concat()));
        assert!(address_gone(&[gone, datagram(RTM_NEWADDR, 0, [10, 0, 0, 2])].concat()));
    }

    #[test]
    fn cut_and_random_datagrams_are_survived() {
        let whole = datagram(RTM_DELADDR, 0, [10, 0, 0, 1]);
        for length in 0..whole.len() {
            address_gone(&whole[..length]);
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut bytes = whole.clone();
            for _ in 0..4 {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            address_gone(&bytes);
        }
    }
}
