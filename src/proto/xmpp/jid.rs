//! Addresses (RFC 7622), compared in their prepared form.

use xmpp_parsers::jid::Jid;

/// An address as a stanza carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) bare: String,
    pub(super) resource: Option<String>,
}

/// The address, prepared; `None` when it is none.
pub(super) fn address(text: &str) -> Option<Address> {
    let jid = Jid::new(text).ok()?;
    Some(Address { bare: jid.to_bare().to_string(), resource: jid.resource().map(|r| r.as_str().to_owned()) })
}

/// The bare form; `None` when the text is no address.
pub(super) fn bare(text: &str) -> Option<String> {
    address(text).map(|a| a.bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_as_prepared() {
        assert_eq!(bare("Alice@Example.ORG/Phone").as_deref(), Some("alice@example.org"));
        assert_eq!(address("r@c.x/Bob B").unwrap().resource.as_deref(), Some("Bob B"));
        assert_eq!(bare("@x"), None);
        assert_eq!(bare(""), None);
    }
}
