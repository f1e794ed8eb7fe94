//! Finds a domain's WebSockets by its host-meta (XEP-0156): JSON first, then XML, over HTTPS.

use super::DialError;
use super::network::{Link, Steps, destination, within};
use super::upgrade::is_html;
use crate::model::Reason;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use xmpp_parsers::minidom::Element;

/// The link relation of a WebSocket (XEP-0156, section 4).
const RELATION: &str = "urn:xmpp:alt-connections:websocket";
/// Namespace of XRD 1.0.
const XRD: &str = "http://docs.oasis-open.org/ns/xri/xrd-1.0";
/// Most bytes of an answer.
const MOST: usize = 64 * 1024;
const REDIRECTS: usize = 3;
/// Addresses of one domain that are tried.
const ADDRESSES: usize = 8;

/// The `wss://` addresses that the domain names, in its order: a cluster may name each of its nodes.
pub(super) async fn find(steps: &Steps, domain: &str) -> Result<Vec<String>, DialError> {
    let base = steps.settings.host_meta_base.clone().unwrap_or_else(|| format!("https://{domain}"));
    // What stands here counts as protected by TLS (a password may be sent in it); a test's own base may name others.
    let plain = steps.settings.insecure || steps.settings.host_meta_base.is_some();
    let allowed = |href: &String| href.starts_with("wss://") || plain;
    for (document, read) in [("host-meta.json", from_json as fn(&str) -> Vec<String>), ("host-meta", from_xml)] {
        let text = get(steps, format!("{base}/.well-known/{document}")).await?;
        let found = text.as_deref().map(read).unwrap_or_default();
        let urls: Vec<String> = found.into_iter().filter(allowed).take(ADDRESSES).collect();
        if !urls.is_empty() {
            return Ok(urls);
        }
    }
    let detail = format!("{domain} names no WebSocket in its host-meta; set the account's url");
    Err(DialError::Unreachable(Reason::Connect { detail }))
}

fn from_json(text: &str) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let links = value.get("links").and_then(|links| links.as_array()).into_iter().flatten();
    let ours = links.filter(|link| link.get("rel").and_then(|rel| rel.as_str()) == Some(RELATION));
    ours.filter_map(|link| link.get("href")?.as_str().map(str::to_owned)).collect()
}

fn from_xml(text: &str) -> Vec<String> {
    let Ok(root) = text.trim_start_matches('\u{feff}').parse::<Element>() else { return Vec::new() };
    let links = root.children().filter(|child| child.is("Link", XRD));
    let ours = links.filter(|link| link.attr("rel") == Some(RELATION));
    ours.filter_map(|link| link.attr("href")).map(str::to_owned).collect()
}

/// The document; `None` where the server has none. A web page instead of it is a captive portal.
async fn get(steps: &Steps, mut url: String) -> Result<Option<String>, DialError> {
    for _ in 0..REDIRECTS {
        let to = destination(&url)?;
        let ask = async {
            match steps.connect(&to).await? {
                Link::Plain(stream) => ask(stream, &url).await,
                Link::Tls(stream) => ask(*stream, &url).await,
            }
        };
        let limit = steps.settings.dns + steps.settings.tcp + steps.settings.tls + steps.settings.upgrade;
        match within("host-meta", limit, ask).await? {
            Answer::Document(text) => return Ok(Some(text)),
            Answer::Nothing => return Ok(None),
            Answer::Elsewhere(other) if other.starts_with("https://") || steps.settings.host_meta_base.is_some() => {
                url = other;
            }
            Answer::Elsewhere(_) => return Err(DialError::Unreachable(Reason::Portal { status: 302 })),
            Answer::Page(status) => return Err(DialError::Unreachable(Reason::Portal { status })),
        }
    }
    Ok(None)
}

enum Answer {
    Document(String),
    Nothing,
    Elsewhere(String),
    Page(u16),
}

async fn ask<S>(stream: S, url: &str) -> Result<Answer, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: &dyn std::error::Error| {
        DialError::Unreachable(Reason::Connect { detail: format!("asking for host-meta: {error}") })
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let uri: http::Uri = url.parse().map_err(|error: http::uri::InvalidUri| broken(&error))?;
    let request = Request::get(uri.path())
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::ACCEPT, "application/json, application/xrd+xml")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(&error))?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        Ok::<_, hyper::Error>(response)
    };
    let driver = tokio::spawn(connection);
    let response = exchange.await.map_err(|error| broken(&error))?;
    let (head, body) = response.into_parts();
    let bytes = Limited::new(body, MOST).collect().await;
    driver.abort();
    let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes.to_bytes()).into_owned()).unwrap_or_default();
    if head.status.is_redirection() {
        let location = head.headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
        return Ok(location.map_or(Answer::Nothing, |to| Answer::Elsewhere(to.to_owned())));
    }
    if head.status == StatusCode::OK && is_html(&head.headers, &text) {
        return Ok(Answer::Page(head.status.as_u16()));
    }
    Ok(if head.status == StatusCode::OK { Answer::Document(text) } else { Answer::Nothing })
}

#[cfg(test)]
mod tests {
    use super::{from_json, from_xml};

    #[test]
    fn both_forms_of_host_meta_are_read() {
        let json = r#"{"links":[{"rel":"lrdd","href":"x"},{"rel":"urn:xmpp:alt-connections:websocket","href":"wss://a/ws"},
            {"rel":"urn:xmpp:alt-connections:websocket","href":"wss://b/ws"}]}"#;
        assert_eq!(from_json(json), ["wss://a/ws", "wss://b/ws"]);
        let xml = "<?xml version='1.0'?><XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\
                   <Link rel='urn:xmpp:alt-connections:xbosh' href='https://a/b'/>\
                   <Link rel='urn:xmpp:alt-connections:websocket' href='wss://a/ws'/></XRD>";
        assert_eq!(from_xml(xml), ["wss://a/ws"]);
        assert!(from_json("<html>").is_empty() && from_xml("<html>").is_empty());
    }
}
