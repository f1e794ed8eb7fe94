//! A small XMPP server in memory that behaves like the two real ones where it matters: archive, resumption, rooms.

use super::super::ns;
use super::super::tag::Tag;
use super::super::xml::{self, Element, child, child_text};
use std::collections::VecDeque;

pub(super) const ME: &str = "alice@x.test";
pub(super) const BOB: &str = "bob@x.test";
pub(super) const ROOM: &str = "room@muc.x.test";

/// One entry of an archive.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) xml: String,
    pub(super) at: i64,
    /// The body, for the oracle.
    pub(super) text: String,
    /// The id its sender gave it.
    pub(super) own: String,
}

/// A session that may be resumed.
#[derive(Default)]
struct Managed {
    id: String,
    from_client: u32,
    acked: u32,
    unacked: VecDeque<String>,
}

#[derive(Default)]
pub(super) struct Server {
    pub(super) archive: Vec<Kept>,
    pub(super) room: Vec<Kept>,
    /// What was in the archive before the process was killed.
    pub(super) forgotten: Vec<Kept>,
    pub(super) page_cap: usize,
    /// Ids below this index of the archive are pruned: unknown to `after`.
    pub(super) pruned: usize,
    /// `<resume/>` is answered by dropping the connection (Prosody with an overflown queue).
    pub(super) drops_resume: bool,
    pub(super) no_sm: bool,
    pub(super) no_mam: bool,
    /// So many questions to the archive are answered by an error of the server's.
    pub(super) mam_fails: usize,
    /// So many questions to the archive stay without an answer.
    pub(super) mam_silent: usize,
    /// The room takes messages to its archive and echoes none.
    pub(super) no_echo: bool,
    /// The room drops what is said.
    pub(super) drops_speech: bool,
    pub(super) roster: String,
    pub(super) bookmarks: String,
    /// Everything the client sent, in order.
    pub(super) got: Vec<String>,
    /// Frames on their way to the client.
    pub(super) out: VecDeque<String>,
    pub(super) wants_drop: bool,
    pub(super) connected: bool,
    pub(super) in_room: bool,
    pub(super) clock: i64,
    authenticated: bool,
    managing: bool,
    bound: bool,
    session: Option<Managed>,
    count: u32,
}

impl Server {
    pub(super) fn new() -> Self {
        Self { page_cap: 10, clock: 1_700_000_000_000, ..Self::default() }
    }

    fn name(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}{:05}", self.count)
    }

    pub(super) fn opened(&mut self) {
        self.connected = true;
        self.authenticated = false;
        self.bound = false;
        self.managing = false;
        self.out.clear();
    }

    pub(super) fn gone(&mut self) {
        self.connected = false;
        self.managing = false;
        self.out.clear();
    }

    /// The process died: sessions are lost, archives stay, minus what was written last.
    pub(super) fn killed(&mut self, forgets: usize) {
        self.gone();
        self.session = None;
        self.in_room = false;
        let keep = self.archive.len().saturating_sub(forgets);
        self.forgotten.extend(self.archive.drain(keep..));
    }

    /// A stanza to the client, kept until it is acknowledged.
    pub(super) fn push(&mut self, stanza: String) {
        if let Some(session) = &mut self.session {
            session.unacked.push_back(stanza.clone());
        }
        if self.connected && self.bound && (self.managing || self.session.is_none()) {
            self.out.push_back(stanza);
        }
    }

    /// A frame of the test's own goes to the client: stanzas count.
    pub(super) fn sends(&mut self, frame: &str) {
        let stanza = ["<message", "<iq", "<presence"].iter().any(|name| frame.starts_with(name));
        if let Some(session) = self.session.as_mut().filter(|_| stanza) {
            session.unacked.push_back(frame.to_owned());
        }
    }

    fn keep(&mut self, xml: String, text: &str, own: &str) -> String {
        self.clock += 1_000;
        let id = self.name("a");
        self.archive.push(Kept { id: id.clone(), xml, at: self.clock, text: text.into(), own: own.into() });
        id
    }

    /// Bob says something that only the archive gets.
    pub(super) fn archives(&mut self, text: &str) {
        let own = self.name("b");
        let xml = format!(
            "<message xmlns='jabber:client' from='{BOB}/d' to='{ME}' type='chat' id='{own}'><body>{text}</body></message>"
        );
        self.keep(xml, text, &own);
    }

    /// Bob says something.
    pub(super) fn bob_says(&mut self, text: &str) -> String {
        let own = self.name("b");
        self.bob_sends(&own, &format!("<body>{text}</body>"), text)
    }

    pub(super) fn bob_sends(&mut self, own: &str, inner: &str, text: &str) -> String {
        let make = |ids: &str| {
            format!(
                "<message xmlns='jabber:client' from='{BOB}/d' to='{ME}' type='chat' id='{own}'>{inner}{ids}</message>"
            )
        };
        let id = self.keep(make(""), text, own);
        self.push(make(&format!("<stanza-id xmlns='urn:xmpp:sid:0' by='{ME}' id='{id}'/>")));
        id
    }

    /// Bob says something in the room.
    pub(super) fn room_says(&mut self, nick: &str, own: &str, inner: &str, text: &str) -> String {
        let make = |ids: &str| {
            format!(
                "<message xmlns='jabber:client' from='{ROOM}/{nick}' to='{ME}/r' type='groupchat' id='{own}'>{inner}{ids}</message>"
            )
        };
        self.clock += 1_000;
        let id = self.name("m");
        let kept = Kept { id: id.clone(), xml: make(""), at: self.clock, text: text.into(), own: own.into() };
        self.room.push(kept);
        if self.in_room && !self.no_echo {
            self.push(make(&format!("<stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='{id}'/>")));
        }
        id
    }

    /// A frame from the client.
    pub(super) fn take(&mut self, frame: &str) {
        self.got.push(frame.to_owned());
        let e = xml::parse(frame).expect("the client sends one well-formed element");
        match (e.name(), e.ns().as_str()) {
            ("open", _) => self.open(),
            ("auth", _) => {
                self.authenticated = true;
                self.out.push_back(format!("<success xmlns='{}'/>", ns::SASL));
            }
            ("enable", ns::SM) => {
                let id = self.name("s");
                self.session = Some(Managed { id: id.clone(), ..Managed::default() });
                self.managing = true;
                self.out.push_back(format!("<enabled xmlns='{}' resume='true' id='{id}' max='300'/>", ns::SM));
            }
            ("resume", ns::SM) => self.resume(&e),
            ("r", ns::SM) => {
                let h = self.session.as_ref().map_or(0, |s| s.from_client);
                self.out.push_back(format!("<a xmlns='{}' h='{h}'/>", ns::SM));
            }
            ("a", ns::SM) => self.acked(&e),
            ("iq" | "message" | "presence", _) => {
                if self.managing
                    && let Some(session) = &mut self.session
                {
                    session.from_client = session.from_client.wrapping_add(1);
                }
                self.stanza(&e, frame);
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        self.out.push_back(format!("<open xmlns='{}' from='x.test' version='1.0' id='1'/>", ns::FRAMING));
        let inner = if self.authenticated {
            let sm = if self.no_sm { String::new() } else { format!("<sm xmlns='{}'/>", ns::SM) };
            format!("<bind xmlns='{}'/>{sm}<csi xmlns='{}'/>", ns::BIND, ns::CSI)
        } else {
            format!("<mechanisms xmlns='{}'><mechanism>PLAIN</mechanism></mechanisms>", ns::SASL)
        };
        self.out.push_back(format!("<stream:features xmlns:stream='{}'>{inner}</stream:features>", ns::STREAMS));
    }

    fn resume(&mut self, e: &Element) {
        if self.drops_resume {
            self.wants_drop = true;
            return;
        }
        let h: u32 = e.attr("h").unwrap().parse().unwrap();
        match &mut self.session {
            Some(session) if e.attr("previd") == Some(&session.id) => {
                let done = h.wrapping_sub(session.acked) as usize;
                assert!(done <= session.unacked.len(), "the client says it has more than was sent");
                session.unacked.drain(..done);
                session.acked = h;
                self.bound = true;
                self.managing = true;
                self.out.push_back(format!(
                    "<resumed xmlns='{}' previd='{}' h='{}'/>",
                    ns::SM,
                    session.id,
                    session.from_client
                ));
                self.out.extend(session.unacked.iter().cloned());
            }
            _ => self.out.push_back(format!(
                "<failed xmlns='{}'><item-not-found xmlns='{}'/></failed>",
                ns::SM,
                ns::STANZA_ERROR
            )),
        }
    }

    fn acked(&mut self, e: &Element) {
        let h: u32 = e.attr("h").unwrap().parse().unwrap();
        if let Some(session) = &mut self.session {
            let done = h.wrapping_sub(session.acked) as usize;
            assert!(done <= session.unacked.len(), "the client acknowledged more than it got");
            session.unacked.drain(..done);
            session.acked = h;
        }
    }

    fn stanza(&mut self, e: &Element, frame: &str) {
        match (e.name(), e.attr("type")) {
            ("iq", Some("get" | "set")) => self.iq(e),
            ("presence", kind) if e.attr("to").is_some_and(|to| to.starts_with(ROOM)) => self.room_presence(e, kind),
            ("message", Some("groupchat")) => {
                let body = child_text(e, "body", ns::CLIENT).unwrap_or_default();
                let inner = inner_of(frame);
                let nick = "alice";
                if self.drops_speech {
                    return;
                }
                self.room_says(nick, e.attr("id").unwrap(), &inner, &body);
            }
            ("message", _) if e.attr("to").is_some() => {
                let own = e.attr("id").unwrap_or_default().to_owned();
                let text = child_text(e, "body", ns::CLIENT).unwrap_or_default();
                let stored = !text.is_empty() || child(e, "store", ns::HINTS).is_some();
                if stored {
                    let xml = frame.replacen("<message ", &format!("<message from='{ME}/r' "), 1);
                    self.keep(xml, &text, &own);
                }
            }
            _ => {}
        }
    }

    fn room_presence(&mut self, e: &Element, kind: Option<&str>) {
        let to = e.attr("to").unwrap().to_owned();
        if kind == Some("unavailable") {
            self.in_room = false;
            return;
        }
        self.in_room = true;
        self.push(format!(
            "<presence xmlns='jabber:client' from='{to}' to='{ME}/r'><x xmlns='{}'><item affiliation='member' role='participant'/>\
             <status code='110'/></x></presence>",
            ns::MUC_USER
        ));
        self.push(format!("<message xmlns='jabber:client' from='{ROOM}' to='{ME}/r' type='groupchat'><subject>talk</subject></message>"));
    }

    fn iq(&mut self, e: &Element) {
        let id = e.attr("id").unwrap().to_owned();
        let payload = e.children().next().unwrap().clone();
        let to = e.attr("to").map(str::to_owned);
        let reply = |inner: &str| {
            let from = to.as_ref().map(|to| format!(" from='{to}'")).unwrap_or_default();
            format!("<iq xmlns='jabber:client' type='result' id='{id}'{from}>{inner}</iq>")
        };
        match (payload.name(), payload.ns().as_str()) {
            ("bind", _) => {
                self.session = None;
                self.bound = true;
                self.managing = false;
                self.in_room = false;
                let jid = format!("<jid>{ME}/r</jid>");
                self.out.push_back(reply(&format!("<bind xmlns='{}'>{jid}</bind>", ns::BIND)));
            }
            ("query", ns::DISCO_INFO) => {
                let mam = if self.no_mam { "" } else { "<feature var='urn:xmpp:mam:2'/>" };
                self.push(reply(&format!(
                    "<query xmlns='{}'><identity category='c' type='t' name=''/>{mam}</query>",
                    ns::DISCO_INFO
                )));
            }
            ("query", ns::MAM) => self.mam(&payload, &id, to.as_deref()),
            ("query", ns::ROSTER) => {
                let roster = self.roster.clone();
                self.push(reply(&format!("<query xmlns='{}'>{roster}</query>", ns::ROSTER)));
            }
            ("pubsub", _) => {
                let items = format!("<items node='{}'>{}</items>", ns::BOOKMARKS, self.bookmarks);
                self.push(reply(&format!("<pubsub xmlns='{}'>{items}</pubsub>", ns::PUBSUB)));
            }
            _ => self.push(reply("")),
        }
    }

    fn mam(&mut self, query: &Element, id: &str, to: Option<&str>) {
        if self.mam_silent > 0 {
            self.mam_silent -= 1;
            return;
        }
        if self.mam_fails > 0 {
            self.mam_fails -= 1;
            return self.error(id, &to.map(|to| format!(" from='{to}'")).unwrap_or_default(), "internal-server-error");
        }
        let queryid = query.attr("queryid").unwrap();
        let set = child(query, "set", ns::RSM).unwrap();
        let max: usize = child_text(set, "max", ns::RSM).unwrap().parse().unwrap();
        let max = max.min(self.page_cap);
        let all = if to == Some(ROOM) { self.room.clone() } else { self.archive.clone() };
        let pruned = if to == Some(ROOM) { 0 } else { self.pruned };
        let known = |wanted: &str| all.iter().position(|kept| kept.id == wanted).filter(|at| *at >= pruned);
        let from = to.map(|to| format!(" from='{to}'")).unwrap_or_default();
        let (page, complete): (Vec<Kept>, bool) = if let Some(before) = child(set, "before", ns::RSM) {
            let end = if before.text().is_empty() { Some(all.len()) } else { known(&before.text()) };
            let Some(end) = end else { return self.not_found(id, &from) };
            let start = end.saturating_sub(max).max(pruned.min(end));
            (all[start..end].to_vec(), start <= pruned)
        } else {
            let start = match child_text(set, "after", ns::RSM) {
                Some(after) => match known(&after) {
                    Some(at) => at + 1,
                    None => return self.not_found(id, &from),
                },
                None => pruned,
            };
            let end = all.len().min(start + max);
            (all[start..end].to_vec(), end == all.len())
        };
        for kept in &page {
            let stamp = crate::model::Timestamp(kept.at);
            self.push(format!(
                "<message xmlns='jabber:client' to='{ME}/r'{from}><result xmlns='{}' queryid='{queryid}' id='{}'><forwarded xmlns='{}'>\
                 <delay xmlns='{}' stamp='{stamp}'/>{}</forwarded></result></message>",
                ns::MAM, kept.id, ns::FORWARD, ns::DELAY, kept.xml
            ));
        }
        let ends = match (page.first(), page.last()) {
            (Some(first), Some(last)) => format!("<first>{}</first><last>{}</last>", first.id, last.id),
            _ => String::new(),
        };
        let complete = if complete { " complete='true'" } else { "" };
        self.push(format!(
            "<iq xmlns='jabber:client' type='result' id='{id}'{from}><fin xmlns='{}'{complete}><set xmlns='{}'>{ends}</set></fin></iq>",
            ns::MAM, ns::RSM
        ));
    }

    fn not_found(&mut self, id: &str, from: &str) {
        self.error(id, from, "item-not-found");
    }

    fn error(&mut self, id: &str, from: &str, condition: &'static str) {
        let error = Tag::plain("error").attr("type", "cancel").child(Tag::new(condition, ns::STANZA_ERROR)).xml();
        self.push(format!("<iq xmlns='jabber:client' type='error' id='{id}'{from}>{error}</iq>"));
    }
}

fn inner_of(frame: &str) -> String {
    let start = frame.find('>').unwrap() + 1;
    frame[start..frame.rfind("</").unwrap()].to_owned()
}
