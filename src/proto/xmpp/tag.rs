//! An element to be sent. Everything is escaped here; characters that XML cannot carry become U+FFFD, so that nobody's
//! text can end the stream.

/// An element under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    name: &'static str,
    attrs: Vec<(&'static str, String)>,
    inner: String,
}

impl Tag {
    /// `<name xmlns='ns'/>`.
    pub(super) fn new(name: &'static str, ns: &str) -> Self {
        Self::plain(name).attr("xmlns", ns)
    }

    /// `<name/>` in its parent's namespace.
    pub(super) fn plain(name: &'static str) -> Self {
        Self { name, attrs: Vec::new(), inner: String::new() }
    }

    pub(super) fn attr(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.attrs.push((name, escape(value.as_ref())));
        self
    }

    pub(super) fn opt(self, name: &'static str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    pub(super) fn child(mut self, child: Self) -> Self {
        child.write(&mut self.inner);
        self
    }

    pub(super) fn children(self, children: impl IntoIterator<Item = Self>) -> Self {
        children.into_iter().fold(self, Self::child)
    }

    pub(super) fn text(mut self, text: impl AsRef<str>) -> Self {
        self.inner.push_str(&escape(text.as_ref()));
        self
    }

    fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.name);
        for (name, value) in &self.attrs {
            out.push(' ');
            out.push_str(name);
            out.push_str("='");
            out.push_str(value);
            out.push('\'');
        }
        if self.inner.is_empty() {
            out.push_str("/>");
        } else {
            out.push('>');
            out.push_str(&self.inner);
            out.push_str("</");
            out.push_str(self.name);
            out.push('>');
        }
    }

    /// Its text, as it goes on the wire.
    pub(super) fn xml(&self) -> String {
        let mut out = String::with_capacity(self.inner.len() + 128);
        self.write(&mut out);
        out
    }
}

/// `<x xmlns='jabber:x:data' type='submit'>` with one value a field (XEP-0004).
pub(super) fn form(form_type: &str, fields: &[(&str, &str)]) -> Tag {
    let field = |name: &str, value: &str| Tag::plain("field").attr("var", name).child(Tag::plain("value").text(value));
    Tag::new("x", super::ns::XDATA)
        .attr("type", "submit")
        .child(field("FORM_TYPE", form_type).attr("type", "hidden"))
        .children(fields.iter().map(|(name, value)| field(name, value)))
}

fn escape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            '\t' | '\n' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}' => out.push(c),
            _ => out.push('\u{FFFD}'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_text_is_put_in_comes_out_of_the_parser() {
        let tag = Tag::new("a", "x").attr("b", "'\"<&>").child(Tag::plain("c").text("<&>\r\n'\" ü 😀 \u{1}"));
        let back = super::super::xml::parse(&tag.xml()).unwrap();
        assert_eq!(back.attr("b"), Some("'\"<&>"));
        assert_eq!(back.get_child("c", "x").unwrap().text(), "<&>\r\n'\" ü 😀 \u{FFFD}");
    }
}
