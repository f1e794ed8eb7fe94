//! Export and import hold a bounded part of what they carry, however much that is.

use crate::support::{Home, number};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};

/// What the process has held at most so far, KiB; `None` once it has ended.
fn peak(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// An export of so many messages of some 200 bytes each, without its last line.
fn write_export(path: &Path, count: u64) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut line = |value: serde_json::Value| writeln!(file, "{value}").unwrap();
    line(
        json!({"wakeful": {"format": 1, "id": format!("n{count}"), "version": "0", "at": "2026-01-01T00:00:00.000Z", "seq": 0}}),
    );
    line(json!({"account": {"name": "home", "protocol": "hub"}}));
    for n in 0..count {
        let (id, position) = (format!("0197a0c2-0000-7000-8000-{n:012x}"), (1_767_225_600_000 + n) << 20);
        line(json!({"message": {
            "id": id, "account": "home", "sender": "bob", "text": format!("{n} {}", "word ".repeat(40)), "kind": "text",
            "conversation": {"id": "0197a0c2-0000-7000-8000-ffffffffffff", "name": "c1", "peer": null},
            "sent_at": "2026-01-01T00:00:00.000Z", "outgoing": false, "state": "read", "server_id": format!("e1/c1/{n}"),
            "position": position.to_string(), "seq": 0, "conversation_server": "c1", "order": n, "rev": n,
        }}));
    }
}

/// What import and export of so many messages hold at most, KiB.
fn peaks(count: u64) -> (u64, u64) {
    let home = Home::new();
    let file = home.path().join("all.jsonl");
    write_export(&file, count);
    let mut command = home.command(&["import", file.to_str().unwrap(), "--partial", "--json"]);
    let mut import = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut held = 0;
    while import.try_wait().unwrap().is_none() {
        held = peak(&import).map_or(held, |now| held.max(now));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let mut said = String::new();
    import.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains(&format!("\"added\":{count}")), "{said}");

    let mut command = home.command(&["export", "-"]);
    let mut export = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut out, mut chunk) = (export.stdout.take().unwrap(), vec![0; 1 << 16]);
    let (mut written, mut lines) = (0, 0);
    loop {
        let read = out.read(&mut chunk).unwrap();
        if read == 0 {
            break;
        }
        lines += chunk[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
        written = peak(&export).map_or(written, |now| written.max(now));
    }
    assert!(export.wait().unwrap().success());
    assert!(lines > count, "{lines} lines");
    (held, written)
}

#[test]
fn export_and_import_of_ten_times_as_much_hold_no_more_memory() {
    let many = number("WAKEFUL_MESSAGES", 12_000);
    let (few, much) = (peaks(many / 10), peaks(many));
    eprintln!("messages={many} import_kib={} of a tenth {} export_kib={} of a tenth {}", much.0, few.0, much.1, few.1);
    // The write-ahead log may grow to 64 MiB meanwhile, and its index with it: some of that is in memory.
    let slack = 6_144 + many / 20;
    assert!(much.0 < few.0 + slack && much.1 < few.1 + slack, "{few:?} {much:?}");
}
