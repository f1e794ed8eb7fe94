//! Who can do what: our own abilities (XEP-0030, 0115) and the server's, asked before anything relies on them.

use super::iq::payload;
use super::session::About;
use super::tag::Tag;
use super::xml::Element;
use super::{Xmpp, ns};
use xmpp_parsers::sha1::{Digest, Sha1};

const NODE: &str = "urn:x-wakeful:caps";

/// What we understand; sorted, as XEP-0115 hashes it.
const FEATURES: [&str; 15] = [
    ns::CAPS,
    ns::CHATSTATES,
    ns::DISCO_INFO,
    ns::CONFERENCE,
    "urn:xmpp:bookmarks:1+notify",
    ns::MARKERS,
    ns::FASTEN,
    ns::CALL,
    ns::CORRECT,
    ns::RETRACT,
    ns::PING,
    ns::REACTIONS,
    ns::RECEIPTS,
    ns::REPLY,
    ns::SID,
];

/// The verification string of XEP-0115, 5.1, hashed.
fn verification() -> String {
    let mut features = FEATURES;
    features.sort_unstable();
    let mut text = String::from("client/pc//wakeful<");
    for feature in features {
        text.push_str(feature);
        text.push('<');
    }
    super::scram::base64(&Sha1::digest(text.as_bytes()))
}

/// Our abilities, for whoever asks.
pub(super) fn answer(node: Option<&str>) -> Tag {
    let identity = Tag::plain("identity").attr("category", "client").attr("type", "pc").attr("name", "wakeful");
    Tag::new("query", ns::DISCO_INFO)
        .opt("node", node)
        .child(identity)
        .children(FEATURES.iter().map(|feature| Tag::plain("feature").attr("var", feature)))
}

/// `<c/>` for our presence.
fn caps() -> Tag {
    Tag::new("c", ns::CAPS).attr("hash", "sha-1").attr("node", NODE).attr("ver", verification())
}

fn has(query: &Element, feature: &str) -> bool {
    query.children().any(|c| c.name() == "feature" && c.attr("var") == Some(feature))
}

/// An archive, and ids that can be trusted, as an entity's answer says.
pub(super) fn archive_abilities(query: &Element) -> (bool, bool) {
    let mam = has(query, ns::MAM);
    // XEP-0313 (urn:xmpp:mam:2), 4: such a server marks with XEP-0359 and strips what others forged.
    (mam, mam || has(query, ns::SID))
}

impl Xmpp {
    /// Asks what the server and our account can do. Presence waits for the answer: it brings offline messages, whose
    /// ids are only then known to be genuine.
    pub(super) fn discover(&mut self) {
        let (me, domain) = (self.me.clone(), self.settings.domain().to_owned());
        self.ask("get", Some(&domain), Tag::new("query", ns::DISCO_INFO), About::ServerInfo, 60);
        self.ask("set", None, Tag::new("enable", ns::CARBONS), About::Carbons, 60);
        self.ask("get", None, Tag::new("query", ns::ROSTER), About::Roster, 60);
        self.ask_bookmarks();
        self.ask("get", Some(&me), Tag::new("query", ns::DISCO_INFO), About::AccountInfo, 60);
    }

    fn ask_bookmarks(&mut self) {
        let items = Tag::plain("items").attr("node", ns::BOOKMARKS);
        self.ask("get", None, Tag::new("pubsub", ns::PUBSUB).child(items), About::Bookmarks, 60);
    }

    pub(super) fn on_server_info(&mut self, iq: &Element) {
        if let Some(query) = payload(iq, "query", ns::DISCO_INFO) {
            self.durable.able.blocking = has(query, ns::BLOCKING);
        }
    }

    pub(super) fn on_account_info(&mut self, iq: &Element) {
        if let Some(query) = payload(iq, "query", ns::DISCO_INFO) {
            (self.durable.able.mam, self.durable.able.sid) = archive_abilities(query);
        }
        self.present();
        self.sync(&self.me.clone());
        self.enter_rooms();
        self.pump();
    }

    /// Initial presence (RFC 6121, 4.2).
    fn present(&mut self) {
        self.session.present = true;
        if let Some(sm) = &mut self.durable.sm {
            sm.present = true;
        }
        self.send(&Tag::new("presence", ns::CLIENT).child(caps()), None);
    }

    /// Which service makes rooms; asked once, when somebody wants one.
    pub(super) fn look_for_rooms_service(&mut self) {
        let asked = |about: &About| matches!(about, About::Services | About::ServiceInfo(_));
        if self.session.asks.values().any(|ask| asked(&ask.about)) {
            return;
        }
        let domain = self.settings.domain().to_owned();
        self.ask("get", Some(&domain), Tag::new("query", ns::DISCO_ITEMS), About::Services, 30);
    }

    pub(super) fn on_services(&mut self, iq: &Element) {
        let items = payload(iq, "query", ns::DISCO_ITEMS);
        let services: Vec<String> = items
            .into_iter()
            .flat_map(Element::children)
            .filter_map(|item| super::jid::bare(item.attr("jid")?))
            .take(20)
            .collect();
        if services.is_empty() {
            self.no_rooms_service();
        }
        for service in services {
            let about = About::ServiceInfo(service.clone());
            self.ask("get", Some(&service), Tag::new("query", ns::DISCO_INFO), about, 30);
        }
    }

    pub(super) fn on_service_info(&mut self, service: &str, iq: &Element) {
        let muc = payload(iq, "query", ns::DISCO_INFO).is_some_and(|query| has(query, ns::MUC));
        if muc && self.session.muc_service.is_none() {
            self.session.muc_service = Some(service.to_owned());
            self.pump();
        }
        let open = self.session.asks.values().any(|ask| matches!(ask.about, About::ServiceInfo(_)));
        if !open && self.session.muc_service.is_none() {
            self.no_rooms_service();
        }
    }

    /// A resumed session: the server goes on sending; an own ping tells when the replay is over. What a restart made us
    /// forget is asked again.
    pub(super) fn go_on(&mut self) {
        self.ping(About::Fence);
        self.session.present = true;
        if self.roster.is_empty() {
            self.ask("get", None, Tag::new("query", ns::ROSTER), About::Roster, 60);
        }
        self.ask_bookmarks();
        self.rejoin_resumed();
        self.sync_resumed();
    }

    pub(super) fn on_fence(&mut self) {
        self.session.fenced = true;
        self.consider_caught_up();
        self.pump();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verification_string_is_the_hash_of_what_we_answer() {
        let answer = super::super::xml::parse(&answer(None).xml()).unwrap();
        let mut vars: Vec<&str> = answer.children().filter_map(|c| c.attr("var")).collect();
        vars.sort_unstable();
        let text = format!("client/pc//wakeful<{}<", vars.join("<"));
        assert_eq!(verification(), super::super::scram::base64(&Sha1::digest(text.as_bytes())));
    }
}
