//! Frames of a hostile XMPP server, one a line, against the machine: whatever comes, it neither panics nor says that
//! it is logged in without a login.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Instant;
use wakeful::machine::Machine;
use wakeful::model::{Secret, Timestamp};
use wakeful::proto::xmpp::{Settings, Xmpp};
use wakeful::proto::{Frame, Input, Output};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let now = Instant::now();
    let mut xmpp = Xmpp::new(Settings::new("alice@x.test", "r", Secret::new("pw".into())), &[], 1);
    xmpp.handle_input(now, Input::Opened { at: Timestamp(0) });
    let mut proven = false;
    for line in text.lines() {
        proven |= line.contains("<success");
        xmpp.handle_input(now, Input::Frame(Frame::received(line, Timestamp(1))));
        while let Some(output) = xmpp.poll_output() {
            assert!(proven || output != Output::Ready);
        }
    }
});
