//! Proving that we know the password, and that the server does (RFC 5802, 7677; RFC 4616 for PLAIN).
//!
//! The hashes are the `sasl` crate's; the exchange stands here, because the crate's own rolls its nonce itself, does
//! not compare the server's nonce with ours and takes any iteration count.

use crate::model::Secret;
use sasl::common::Password;
use sasl::common::scram::{ScramProvider, Sha1, Sha256};
use std::collections::BTreeMap;
use xmpp_parsers::sha2::{Digest, Sha256 as Hash};

/// More iterations than this only burn our battery; real servers use 4,096 to some 100,000.
const MAX_ITERATIONS: u32 = 1_000_000;
/// Fewer than RFC 7677 demands.
const MIN_ITERATIONS: u32 = 4_096;

/// A mechanism, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mechanism {
    ScramSha256,
    ScramSha1,
    Plain,
}

impl Mechanism {
    pub(super) const ALL: [Self; 3] = [Self::ScramSha256, Self::ScramSha1, Self::Plain];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::Plain => "PLAIN",
        }
    }

    /// The best of what the server offers; PLAIN only where the password may cross.
    pub(super) fn choose(offered: &[String], plain: bool) -> Option<Self> {
        let plain = plain || crate::mutant("xmpp-plain-anywhere");
        Self::ALL.into_iter().find(|m| (*m != Self::Plain || plain) && offered.iter().any(|o| o == m.name()))
    }
}

/// Why the exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScramError {
    /// The challenge is not SCRAM, or its nonce does not continue ours.
    BadChallenge,
    /// The server could not show that it knows the password.
    ServerNotProven,
}

/// One login attempt.
pub(super) struct Exchange {
    mechanism: Mechanism,
    user: String,
    nonce: String,
    signature: Option<Vec<u8>>,
    /// The server showed its signature in a challenge already.
    proven: bool,
}

impl Exchange {
    pub(super) fn new(mechanism: Mechanism, user: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { mechanism, user, nonce, signature: None, proven: false }
    }

    fn first_bare(&self) -> String {
        format!("n={},r={}", self.user, self.nonce)
    }

    /// What goes into `<auth/>`, before base64.
    pub(super) fn initial(&self, user: &str, password: &Secret) -> Vec<u8> {
        match self.mechanism {
            Mechanism::Plain => format!("\0{user}\0{}", password.expose()).into_bytes(),
            Mechanism::ScramSha256 | Mechanism::ScramSha1 => format!("n,,{}", self.first_bare()).into_bytes(),
        }
    }

    /// The answer to a `<challenge/>`.
    pub(super) fn respond(&mut self, challenge: &[u8], password: &Secret) -> Result<Vec<u8>, ScramError> {
        if self.signature.is_some() {
            self.verify(challenge)?;
            return Ok(Vec::new());
        }
        match self.mechanism {
            Mechanism::ScramSha256 => self.answer::<Sha256>(challenge, password),
            Mechanism::ScramSha1 => self.answer::<Sha1>(challenge, password),
            Mechanism::Plain => Err(ScramError::BadChallenge),
        }
    }

    fn answer<S: ScramProvider>(&mut self, challenge: &[u8], password: &Secret) -> Result<Vec<u8>, ScramError> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| ScramError::BadChallenge)?;
        let fields = fields(challenge);
        let nonce = fields.get("r").filter(|n| n.len() > self.nonce.len() && n.starts_with(&self.nonce));
        let salt = fields.get("s").and_then(|s| unbase64(s));
        let rounds = fields.get("i").and_then(|i| i.parse::<u32>().ok());
        let rounds = rounds.filter(|i| (MIN_ITERATIONS..=MAX_ITERATIONS).contains(i));
        let (Some(nonce), Some(salt), Some(rounds)) = (nonce, salt, rounds) else {
            return Err(ScramError::BadChallenge);
        };
        let bad = |_| ScramError::BadChallenge;
        let password = Password::Plain(password.expose().to_owned());
        let salted = S::derive(&password, &salt, rounds).map_err(|_| ScramError::BadChallenge)?;
        let client_key = S::hmac(b"Client Key", &salted).map_err(bad)?;
        let server_key = S::hmac(b"Server Key", &salted).map_err(bad)?;
        let last = format!("c=biws,r={nonce}");
        let message = format!("{},{challenge},{last}", self.first_bare());
        let signature = S::hmac(message.as_bytes(), &S::hash(&client_key)).map_err(bad)?;
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        self.signature = Some(S::hmac(message.as_bytes(), &server_key).map_err(bad)?);
        Ok(format!("{last},p={}", base64(&proof)).into_bytes())
    }

    /// Whether `<success/>` with this data ends the exchange well.
    pub(super) fn verify(&mut self, data: &[u8]) -> Result<(), ScramError> {
        if self.mechanism == Mechanism::Plain || crate::mutant("xmpp-no-signature-check") {
            return Ok(());
        }
        if self.proven && data.is_empty() {
            return Ok(());
        }
        let text = std::str::from_utf8(data).map_err(|_| ScramError::ServerNotProven)?;
        let given = fields(text).get("v").and_then(|v| unbase64(v));
        match (&self.signature, given) {
            (Some(own), Some(given)) if *own == given => {
                self.proven = true;
                Ok(())
            }
            _ => Err(ScramError::ServerNotProven),
        }
    }
}

fn fields(text: &str) -> BTreeMap<&str, &str> {
    text.split(',').filter_map(|field| field.split_once('=')).collect()
}

/// Names that nobody can guess from earlier ones: SHA-256 over a secret seed and a counter.
pub(super) struct Names {
    seed: u64,
    count: u64,
}

impl Names {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    fn draw(&mut self, what: &[u8]) -> [u8; 32] {
        self.count += 1;
        let mut hash = Hash::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(self.count.to_le_bytes());
        hash.update(what);
        hash.finalize().into()
    }

    /// A nonce of 24 characters.
    pub(super) fn nonce(&mut self) -> String {
        base64(self.draw(b"nonce").get(..18).unwrap_or_default())
    }

    /// A stanza or query id.
    pub(super) fn id(&mut self) -> String {
        self.draw(b"id").iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding (RFC 4648, 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let six = (n >> (18 - 6 * i)) & 63;
            let c = ALPHABET.get(six as usize).copied().unwrap_or(b'=');
            out.push(if i <= chunk.len() { char::from(c) } else { '=' });
        }
    }
    out
}

/// The bytes of standard base64; `None` when it is not.
pub(super) fn unbase64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut acc, mut bits) = (0u32, 0u32);
    for byte in text.bytes() {
        let six = ALPHABET.iter().position(|a| *a == byte)?;
        acc = (acc << 6 | u32::try_from(six).ok()?) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((acc >> bits) & 0xFF).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new("pencil".into())
    }

    #[test]
    fn the_example_of_rfc_7677_is_reproduced_and_its_server_believed() {
        let mut exchange = Exchange::new(Mechanism::ScramSha256, "user", "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(exchange.initial("user", &secret()), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = exchange.respond(challenge, &secret()).unwrap();
        assert!(answer.ends_with(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        assert_eq!(exchange.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        assert_eq!(
            exchange.verify(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
            Err(ScramError::ServerNotProven)
        );
    }

    #[test]
    fn a_success_without_the_servers_signature_is_not_believed() {
        let mut exchange = Exchange::new(Mechanism::ScramSha1, "user", "abc".into());
        assert_eq!(exchange.verify(b""), Err(ScramError::ServerNotProven));
        exchange.respond(b"r=abcdef,s=QSXCR+Q6sek8bf92,i=4096", &secret()).unwrap();
        assert_eq!(exchange.verify(b""), Err(ScramError::ServerNotProven));
        assert_eq!(exchange.verify(b"e=other-error"), Err(ScramError::ServerNotProven));
    }

    #[test]
    fn a_challenge_that_does_not_continue_our_nonce_or_asks_for_absurd_work_is_refused() {
        for bad in [
            "r=xyz,s=QSXCR+Q6,i=4096",
            "r=abc,s=QSXCR+Q6,i=4096",
            "r=abcd,s=QSXCR+Q6,i=1",
            "r=abcd,s=QSXCR+Q6,i=4000000000",
            "junk",
        ] {
            let mut exchange = Exchange::new(Mechanism::ScramSha1, "user", "abc".into());
            assert_eq!(exchange.respond(bad.as_bytes(), &secret()), Err(ScramError::BadChallenge), "{bad}");
        }
    }

    #[test]
    fn the_password_itself_crosses_only_where_it_may() {
        let offered = ["PLAIN".to_owned(), "SCRAM-SHA-1".to_owned()];
        assert_eq!(Mechanism::choose(&offered, true), Some(Mechanism::ScramSha1));
        assert_eq!(Mechanism::choose(&offered[..1], true), Some(Mechanism::Plain));
        assert_eq!(Mechanism::choose(&offered[..1], false), None);
    }

    #[test]
    fn base64_reads_what_it_writes() {
        for text in ["", "f", "fo", "foo", "foob", "fooba", "foobar"] {
            assert_eq!(unbase64(&base64(text.as_bytes())).unwrap(), text.as_bytes());
        }
        assert_eq!(base64(b"fooba"), "Zm9vYmE=");
        assert_eq!(unbase64("a*b"), None);
    }
}
