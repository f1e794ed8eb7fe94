//! From an open WebSocket to a session: streams (RFC 7395), SASL, binding, stream management.

use super::durable::SmRow;
use super::errors;
use super::scram::{self, Exchange, Mechanism, ScramError};
use super::session::{About, Features, Stage};
use super::tag::Tag;
use super::xml::{self, Element, child};
use super::{Xmpp, ns};
use crate::model::Reason;
use crate::proto::{Output, Verdict};

/// Seconds that a server may take to answer a step of the login; the supervisor's own limit is shorter or longer.
const STEP: u64 = 30;

impl Xmpp {
    pub(super) fn on_opened(&mut self) {
        self.session = super::session::Session::default();
        self.open_stream(false);
    }

    fn open_stream(&mut self, authenticated: bool) {
        self.session.stage = Stage::Opening { authenticated };
        let to = self.settings.domain().to_owned();
        self.transmit(Tag::new("open", ns::FRAMING).attr("to", to).attr("version", "1.0").xml());
    }

    pub(super) fn on_text(&mut self, text: &str) {
        if matches!(self.session.stage, Stage::Closed) {
            return;
        }
        match xml::parse(text) {
            Ok(element) => self.on_element(element),
            Err(_) => {
                self.refuse();
                // The server counted it as sent, so it counts as handled: there is nothing in it for us.
                if ["<message", "<iq", "<presence"].iter().any(|stanza| text.starts_with(stanza)) {
                    self.count_in();
                }
            }
        }
    }

    fn on_element(&mut self, element: Element) {
        match (element.name(), element.ns().as_str()) {
            ("open", ns::FRAMING) => {}
            ("close", ns::FRAMING) => self.on_close(&element),
            ("error", ns::STREAMS) => self.on_stream_error(&element),
            ("features", ns::STREAMS) => self.on_features(&element),
            ("challenge" | "success" | "failure", ns::SASL) => self.on_sasl(&element),
            ("enabled" | "resumed" | "failed" | "r" | "a", ns::SM) => self.on_sm(&element),
            ("iq" | "message" | "presence", ns::CLIENT) => self.on_stanza(&element),
            _ => self.refuse(),
        }
    }

    fn on_close(&mut self, close: &Element) {
        let current = self.elsewhere.clone().or_else(|| self.settings.url.clone());
        let other = close.attr("see-other-uri").and_then(|uri| errors::other_endpoint(current.as_deref(), uri));
        if close.attr("see-other-uri").is_some() && other.is_none() {
            self.refuse();
        }
        self.elsewhere = other.or_else(|| self.elsewhere.take());
        self.disconnect(Verdict::Retry, Reason::Lost { detail: "the server closed the stream".into() });
    }

    fn on_stream_error(&mut self, element: &Element) {
        let error = errors::stream_error(element);
        if error.forget {
            self.drop_session();
        }
        if error.too_large {
            self.learn_limit();
        }
        let current = self.elsewhere.clone().or_else(|| self.settings.url.clone());
        let other = error.see_other.and_then(|host| errors::other_endpoint(current.as_deref(), &host));
        self.elsewhere = other.or_else(|| self.elsewhere.take());
        self.disconnect(error.verdict, error.reason);
    }

    fn on_features(&mut self, features: &Element) {
        if let Some(max) = child(features, "limits", ns::LIMITS)
            .and_then(|limits| xml::child_text(limits, "max-bytes", ns::LIMITS))
            .and_then(|max| max.trim().parse().ok())
        {
            self.max_stanza = self.max_stanza.min(max);
        }
        match self.session.stage {
            Stage::Opening { authenticated: false } => self.prove(features),
            Stage::Opening { authenticated: true } => {
                let sm = child(features, "sm", ns::SM).is_some();
                self.session.features = Features { sm, csi: child(features, "csi", ns::CSI).is_some() };
                if child(features, "bind", ns::BIND).is_none() {
                    return self.broken("it offers no resource binding");
                }
                if !(sm && self.try_resume()) {
                    self.bind(true);
                }
            }
            _ => self.refuse(),
        }
    }

    /// TLS guards the connection.
    fn secure(&self) -> bool {
        match self.elsewhere.as_ref().or(self.settings.url.as_ref()) {
            Some(url) => url.starts_with("wss://"),
            None => true,
        }
    }

    fn prove(&mut self, features: &Element) {
        let Some(offer) = child(features, "mechanisms", ns::SASL) else {
            return self.broken("it offers no login");
        };
        let names: Vec<String> = offer.children().map(Element::text).collect();
        let plain = self.secure() || self.settings.plain_without_tls;
        let Some(mechanism) = Mechanism::choose(&names, plain) else {
            let detail = if names.iter().any(|name| name == "PLAIN") {
                "it only takes the password itself, which must not cross without TLS: use a wss:// address".to_owned()
            } else {
                format!("it offers no login that this client knows ({})", names.join(", "))
            };
            return self.disconnect(Verdict::Halt, Reason::Unauthorized { detail });
        };
        let nonce = self.names.nonce();
        let user = self.settings.user();
        let exchange = Exchange::new(mechanism, user, nonce);
        let first = scram::base64(&exchange.initial(user, &self.settings.password));
        self.session.stage = Stage::Proving(Box::new(exchange));
        self.transmit(Tag::new("auth", ns::SASL).attr("mechanism", mechanism.name()).text(first).xml());
    }

    fn on_sasl(&mut self, element: &Element) {
        let Stage::Proving(exchange) = &mut self.session.stage else { return self.refuse() };
        if element.name() == "failure" {
            let (verdict, reason) = errors::sasl_failure(element);
            return self.disconnect(verdict, reason);
        }
        let text = element.text();
        let data = match text.trim() {
            "=" => Some(Vec::new()),
            text => scram::unbase64(text),
        };
        let Some(data) = data else { return self.broken("a login step is not base64") };
        let result = if element.name() == "challenge" {
            exchange.respond(&data, &self.settings.password).map(Some)
        } else {
            exchange.verify(&data).map(|()| None)
        };
        match result {
            Ok(Some(answer)) => self.transmit(Tag::new("response", ns::SASL).text(scram::base64(&answer)).xml()),
            Ok(None) => {
                self.session.logged_in = true;
                self.open_stream(true);
            }
            Err(ScramError::BadChallenge) => self.broken("its login challenge is not valid"),
            Err(ScramError::ServerNotProven) => {
                let detail = "it could not prove that it knows the password: it may be an impostor".to_owned();
                self.disconnect(Verdict::Halt, Reason::Unauthorized { detail });
            }
        }
    }

    pub(super) fn bind(&mut self, with_resource: bool) {
        self.session.stage = Stage::Binding;
        self.forget_session();
        let resource = with_resource.then(|| Tag::plain("resource").text(&self.settings.resource));
        let bind = Tag::new("bind", ns::BIND).children(resource);
        self.ask("set", None, bind, About::Bind { with_resource }, STEP);
    }

    /// The server's answer to our wish for a resource; without one it names none.
    pub(super) fn on_bound(&mut self, with_resource: bool, answer: &Element) {
        if answer.attr("type") == Some("error") {
            return if with_resource { self.bind(false) } else { self.broken("it does not bind a resource") };
        }
        let jid = child(answer, "bind", ns::BIND).and_then(|bind| xml::child_text(bind, "jid", ns::BIND));
        let Some(jid) = jid.filter(|jid| super::jid::bare(jid).as_deref() == Some(self.me.as_str())) else {
            return self.broken("it bound another address than ours");
        };
        self.durable.sm = Some(SmRow { jid, ..SmRow::default() });
        if self.session.features.sm {
            self.session.stage = Stage::Enabling;
            self.transmit(Tag::new("enable", ns::SM).attr("resume", "true").xml());
        } else {
            self.session.stage = Stage::Online;
            self.on_session();
        }
    }

    fn on_sm(&mut self, element: &Element) {
        match (element.name(), &self.session.stage) {
            ("enabled", Stage::Enabling) => {
                self.flight.counting = true;
                let resumable = matches!(element.attr("resume"), Some("true" | "1"));
                if let Some(sm) = &mut self.durable.sm {
                    sm.id = element.attr("id").filter(|_| resumable).map(str::to_owned);
                }
                self.session.stage = Stage::Online;
                self.on_session();
            }
            ("failed", Stage::Enabling) => {
                self.session.stage = Stage::Online;
                self.on_session();
            }
            ("resumed", Stage::Resuming) => self.on_resumed(element),
            ("failed", Stage::Resuming) => {
                self.resume_drops = 0;
                self.bind(true);
            }
            ("r", Stage::Online) => self.acknowledge(true),
            ("a", Stage::Online) => self.on_ack(element),
            _ => self.refuse(),
        }
    }

    /// A session stands, new or resumed.
    pub(super) fn on_session(&mut self) {
        self.session.ready = true;
        self.out.push_back(Output::Ready);
        self.tell_activity();
        if self.session.resumed {
            self.go_on();
        } else {
            self.session.fenced = true;
            self.discover();
        }
        self.pump();
    }

    /// Says whether a GUI looks (XEP-0352); only changes are worth a frame.
    pub(super) fn tell_activity(&mut self) {
        let told = self.session.told_active.unwrap_or(true);
        if self.online() && self.session.features.csi && told != self.active {
            self.session.told_active = Some(self.active);
            self.transmit(Tag::new(if self.active { "active" } else { "inactive" }, ns::CSI).xml());
        }
    }
}
