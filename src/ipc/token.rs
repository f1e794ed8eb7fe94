//! Tokens to go on from: opaque to clients, signed by this store's key, valid across restarts.

use super::cursors::Mark;
use super::wire::{Fault, FaultCode};
use crate::store::Store;
use crate::world::Entropy;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Where the key is kept in the store's settings.
const SETTING: &str = "ipc.token-key";

/// Bytes of the signature that go into a token.
const TAG: usize = 16;

/// The key with which tokens are signed: 32 random bytes, made once a store.
#[derive(Clone)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// The store's key, made if it is new. A store that cannot be read gives a key for this run only.
    pub(super) async fn load(store: &Store, entropy: &Entropy) -> Self {
        let kept = store.setting(SETTING).await.ok().flatten();
        if let Some(bytes) = kept.and_then(|text| BASE64.decode(text).ok()).and_then(|bytes| bytes.try_into().ok()) {
            return Self(bytes);
        }
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        if let Err(error) = store.set_setting(SETTING, Some(BASE64.encode(bytes))).await {
            tracing::warn!(%error, "page tokens will not outlive this run");
        }
        Self(bytes)
    }

    fn mac(&self, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(body);
        Some(mac)
    }

    /// A token for this place.
    pub(super) fn seal(&self, mark: &Mark) -> Option<String> {
        let mut bytes = serde_json::to_vec(mark).ok()?;
        let tag = self.mac(&bytes)?.finalize().into_bytes();
        bytes.extend(tag.iter().take(TAG));
        Some(BASE64.encode(bytes))
    }

    /// The place that a token names.
    ///
    /// # Errors
    /// `bad_token` when it was not made with this key.
    pub(super) fn open(&self, token: &str) -> Result<Mark, Fault> {
        self.read(token).ok_or_else(|| {
            Fault::new(FaultCode::BadToken, "this token was not made by this daemon, or has been changed")
                .remedy("open the cursor anew")
        })
    }

    fn read(&self, token: &str) -> Option<Mark> {
        let bytes = BASE64.decode(token).ok()?;
        let (body, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        if !crate::mutant("token-unsigned") {
            self.mac(body)?.verify_truncated_left(tag).ok()?;
        }
        serde_json::from_slice(body).ok()
    }
}
