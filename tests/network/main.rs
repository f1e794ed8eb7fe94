//! The daemon on networks that fail: two hosts in namespaces, the built binary on both, real packets that vanish.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod around;
mod faults;
mod machine;
mod net;
mod prosody;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod truth;
mod wake;

use net::{Fault, Lossy, Net};

/// A byte from the server arrives within so many seconds.
fn reaches(net: &Net, patience: u32) -> bool {
    let mut server = net.server.command("python3");
    let answer = "import socket; s = socket.create_server(('', 7000)); s.settimeout(60); s.accept()[0].send(b'x')";
    let mut server = server.args(["-c", answer]).spawn().unwrap();
    let script = format!(
        "import socket, time\nend = time.monotonic() + {patience}\nwhile time.monotonic() < end:\n try:\n  \
         s = socket.create_connection(('{}', 7000), {patience}); break\n except ConnectionRefusedError: \
         time.sleep(0.05)\ns.settimeout({patience}); exit(s.recv(1) != b'x')",
        net.server.ip
    );
    let mut client = net.client.command("python3");
    let reached = client.args(["-c", &script]).stderr(std::process::Stdio::null()).status().unwrap().success();
    server.kill().ok();
    server.wait().ok();
    reached
}

#[test]
fn the_harness_itself_a_fault_stops_packets_and_healing_lets_them_through() {
    let Some(net) = Net::new() else { return };
    assert!(reaches(&net, 20));
    for fault in [Fault::Blackhole, Fault::BlackholeUp, Fault::BlackholeDown, Fault::Reset, Fault::Unreachable] {
        net.break_with(fault);
        assert!(!reaches(&net, 2), "{fault:?}");
    }
    net.heal();
    assert!(reaches(&net, 20));
    net.cable(false);
    assert!(!reaches(&net, 2));
    net.cable(true);
    assert!(reaches(&net, 20));
}

#[test]
fn the_harness_itself_a_bad_wire_still_carries_tcp() {
    let bad = Lossy { delay_ms: 5, jitter_ms: 10, loss: 0.05, twice: 0.1, seed: 1 };
    let Some(net) = Net::lossy(bad) else { return };
    assert!(reaches(&net, 30));
}
