//! Login: each refusal has its verdict, and a server that cannot prove itself gets nothing.

use super::*;
use crate::proto::{Place, Refusal};

fn features(mechanism: &str) -> String {
    format!(
        "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <mechanism>{mechanism}</mechanism></mechanisms></stream:features>"
    )
}

#[test]
fn a_login_binds_our_resource_turns_on_what_we_need_and_says_ready_then_caught_up() {
    let rig = Rig::online();
    for needle in ["<resource>r</resource>", "urn:xmpp:carbons:2", "jabber:iq:roster", "urn:xmpp:mam:2", "<presence"] {
        assert!(rig.sent(needle) >= 1, "{needle}");
    }
    assert!(rig.disk.events.contains(&Event::CaughtUp));
    assert_eq!(rig.refused(), 0);
}

#[test]
fn presence_waits_until_the_accounts_abilities_are_known() {
    let rig = Rig::online();
    let at = |needle: &str| rig.server.got.iter().position(|frame| frame.contains(needle)).unwrap();
    assert!(at("<presence") > at("disco#info"));
}

#[test]
fn a_wrong_password_halts_and_says_what_to_do() {
    let mut rig = Rig::new();
    rig.connect();
    rig.flow_until_auth();
    rig.feed("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>");
    let (verdict, reason) = rig.verdict.clone().unwrap();
    assert_eq!(verdict, Verdict::Halt);
    assert!(matches!(reason, Reason::Unauthorized { .. }));
    assert!(reason.remedy().is_some());
}

#[test]
fn a_server_that_cannot_prove_that_it_knows_the_password_is_left() {
    let mut rig = Rig::new();
    rig.connect();
    rig.feed(&features("SCRAM-SHA-256"));
    rig.feed("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert!(matches!(rig.verdict, Some((Verdict::Halt, Reason::Unauthorized { .. }))));
}

#[test]
fn the_password_itself_never_crosses_without_tls() {
    let mut rig = Rig::new();
    rig.xmpp = Xmpp::new(Settings { plain_without_tls: false, ..settings() }, &[], 1);
    rig.connect();
    rig.feed(&features("PLAIN"));
    assert!(matches!(rig.verdict, Some((Verdict::Halt, Reason::Unauthorized { .. }))));
    assert_eq!(rig.sent("<auth"), 0);
}

#[test]
fn a_conflict_halts() {
    let mut rig = Rig::online();
    rig.feed(
        "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         </stream:error>",
    );
    assert_eq!(rig.verdict, Some((Verdict::Halt, Reason::Conflict)));
}

#[test]
fn the_server_may_send_us_elsewhere_until_a_login_there_fails() {
    let mut rig = Rig::online();
    rig.feed("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='wss://b.test/ws'/>");
    assert!(matches!(rig.verdict, Some((Verdict::Retry, _))));
    assert_eq!(rig.xmpp.endpoint().place, Place::Url("wss://b.test/ws".into()));
    rig.connect();
    rig.lose();
    assert_eq!(rig.xmpp.endpoint().place, Place::Url("ws://127.0.0.1:1/ws".into()));
    assert_eq!(rig.xmpp.endpoint().subprotocol, "xmpp");
}

#[test]
fn a_portal_and_a_busy_server_are_told_apart() {
    let refusal = |status, html| Refusal { status, retry_after: None, html, body: String::new() };
    for (refusal, reason) in [
        (refusal(200, true), Reason::Portal { status: 200 }),
        (refusal(501, false), Reason::Upgrade { status: 501 }),
        (refusal(503, false), Reason::Busy { detail: "HTTP 503".into() }),
    ] {
        let mut rig = Rig::new();
        rig.input(Input::Refused(refusal));
        assert_eq!(rig.verdict, Some((Verdict::Retry, reason)));
    }
}

#[test]
fn a_probe_is_proven_only_by_its_own_answer() {
    let mut rig = Rig::online();
    rig.input(Input::Probe(9));
    let ping = rig.server.got.last().unwrap().clone();
    let ping = rig.server.got.iter().rev().find(|f| f.contains("urn:xmpp:ping")).unwrap_or(&ping).clone();
    let id = super::super::xml::parse(&ping).unwrap().attr("id").unwrap().to_owned();
    rig.server.out.clear();
    rig.feed("<iq xmlns='jabber:client' type='result' id='other' from='x.test'/>");
    rig.feed(&format!("<iq xmlns='jabber:client' type='result' id='{id}' from='evil.test'/>"));
    assert!(!rig.others.contains(&Output::Proof(9)));
    rig.feed(&format!("<iq xmlns='jabber:client' type='error' id='{id}' from='x.test'/>"));
    assert!(rig.others.contains(&Output::Proof(9)));
}

impl Rig {
    fn flow_until_auth(&mut self) {
        while self.sent("<auth") == 0 {
            assert!(self.frame());
        }
        self.server.out.clear();
    }
}
