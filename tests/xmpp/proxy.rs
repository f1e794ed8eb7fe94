//! A TCP relay on loopback that can be cut, frozen, or made to cut after so many bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct State {
    frozen: AtomicBool,
    /// Only what the server says is swallowed.
    deaf: AtomicBool,
    ended: AtomicBool,
    /// Bytes from the server until the cut; negative: none is planned.
    left: AtomicI64,
    open: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
}

/// A relay; it ends with the test.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    pub(crate) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { left: AtomicI64::new(-1), ..State::default() });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(server) = TcpStream::connect(target) else { continue };
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                let mut open = shared.open.lock().unwrap();
                open.retain(|socket| socket.peer_addr().is_ok());
                open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                drop(open);
                relay(&shared, client.try_clone().unwrap(), server.try_clone().unwrap(), false);
                relay(&shared, server, client, true);
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Resets every connection.
    pub(crate) fn cut(&self) {
        cut(&self.state);
    }

    /// Swallows everything from now on, or goes on.
    pub(crate) fn freeze(&self, on: bool) {
        self.state.frozen.store(on, Ordering::SeqCst);
    }

    /// Swallows what the server says from now on, or lets it through again.
    pub(crate) fn deafen(&self, on: bool) {
        self.state.deaf.store(on, Ordering::SeqCst);
    }

    /// Cuts once the server has sent so many more bytes.
    pub(crate) fn cut_after(&self, bytes: i64) {
        self.state.left.store(bytes, Ordering::SeqCst);
    }

    /// Whether a planned cut is still to come.
    pub(crate) fn cut_is_due(&self) -> bool {
        self.state.left.load(Ordering::SeqCst) >= 0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.cut();
        TcpStream::connect(self.address).ok();
    }
}

fn cut(state: &State) {
    for socket in state.open.lock().unwrap().drain(..) {
        // With nothing lingering the kernel sends a reset.
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).ok();
        socket.shutdown(Shutdown::Both).ok();
    }
}

fn relay(state: &Arc<State>, mut from: TcpStream, mut to: TcpStream, counted: bool) {
    let state = state.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if state.frozen.load(Ordering::SeqCst) || counted && state.deaf.load(Ordering::SeqCst) {
                continue;
            }
            if counted && state.left.load(Ordering::SeqCst) >= 0 {
                let left = state.left.fetch_sub(i64::try_from(length).unwrap(), Ordering::SeqCst);
                if left <= i64::try_from(length).unwrap() {
                    state.left.store(-1, Ordering::SeqCst);
                    to.write_all(&buffer[..usize::try_from(left.max(0)).unwrap().min(length)]).ok();
                    cut(&state);
                    return;
                }
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        from.shutdown(Shutdown::Both).ok();
        to.shutdown(Shutdown::Both).ok();
    });
}
