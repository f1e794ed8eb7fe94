//! One frame's text to one element, with limits (RFC 7395, 3.3). No DTD, entities, comments or instructions: the
//! parser refuses them. Never more than one element a frame, and never deeper than [`MAX_DEPTH`].

pub(super) use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::{RawEvent, RawReader};
use xmpp_parsers::minidom::tree_builder::TreeBuilder;

/// Deepest nesting accepted. Trees are dropped recursively, so the bound also guards the stack.
const MAX_DEPTH: usize = 64;

/// Most elements in one frame.
const MAX_ELEMENTS: usize = 20_000;

/// The frame is not what RFC 7395 allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadFrame {
    /// It does not begin with `<`.
    Start,
    /// It is not well-formed XML of the kind XMPP allows, or holds more than one element.
    Xml,
    /// It nests too deeply or has too many elements.
    TooDeep,
}

/// The one element of a frame.
pub(super) fn parse(text: &str) -> Result<Element, BadFrame> {
    if !text.starts_with('<') {
        return Err(BadFrame::Start);
    }
    let mut bytes = text.as_bytes();
    let mut reader = RawReader::new(&mut bytes);
    let mut tree = TreeBuilder::new();
    let (mut depth, mut elements) = (0usize, 0usize);
    loop {
        let event = reader.read().map_err(|_| BadFrame::Xml)?;
        let Some(event) = event else { return Err(BadFrame::Xml) };
        match &event {
            RawEvent::ElementHeadOpen(..) => {
                depth += 1;
                elements += 1;
                if depth > MAX_DEPTH || elements > MAX_ELEMENTS {
                    return Err(BadFrame::TooDeep);
                }
            }
            RawEvent::ElementFoot(..) => depth = depth.saturating_sub(1),
            RawEvent::XmlDeclaration(..)
            | RawEvent::Attribute(..)
            | RawEvent::ElementHeadClose(..)
            | RawEvent::Text(..) => {}
        }
        tree.process_event(event).map_err(|_| BadFrame::Xml)?;
        if let Some(root) = tree.root.take() {
            return match reader.read() {
                Ok(None) => Ok(root),
                Ok(Some(_)) | Err(_) => Err(BadFrame::Xml),
            };
        }
    }
}

/// The child of this name and namespace.
pub(super) fn child<'a>(element: &'a Element, name: &str, ns: &str) -> Option<&'a Element> {
    element.get_child(name, ns)
}

/// The text of the child of this name and namespace, if it has any.
pub(super) fn child_text(element: &Element, name: &str, ns: &str) -> Option<String> {
    child(element, name, ns).map(Element::text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_exactly_one_element() {
        assert_eq!(parse("<a xmlns='x'>t</a>").unwrap().text(), "t");
        assert_eq!(parse(" <a xmlns='x'/>").unwrap_err(), BadFrame::Start);
        assert_eq!(parse("").unwrap_err(), BadFrame::Start);
        for bad in ["<a xmlns='x'/><b xmlns='x'/>", "<a xmlns='x'>", "<a", "<a xmlns='x'></b>", "<a xmlns='x'/>tail"] {
            assert_eq!(parse(bad).unwrap_err(), BadFrame::Xml, "{bad}");
        }
    }

    #[test]
    fn entities_document_types_and_instructions_are_refused() {
        for bad in [
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a xmlns='x'>&x;</a>",
            "<a xmlns='x'>&x;</a>",
            "<?php x?><a xmlns='x'/>",
            "<!--c--><a xmlns='x'/>",
        ] {
            assert_eq!(parse(bad).unwrap_err(), BadFrame::Xml, "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_it_can_hurt() {
        let deep = |n: usize| format!("{}{}", "<a xmlns='x'>".repeat(n), "</a>".repeat(n));
        assert!(parse(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(parse(&deep(MAX_DEPTH + 1)).unwrap_err(), BadFrame::TooDeep);
        assert_eq!(parse(&deep(100_000)).unwrap_err(), BadFrame::TooDeep);
        let wide = format!("<a xmlns='x'>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        assert_eq!(parse(&wide).unwrap_err(), BadFrame::TooDeep);
    }
}
