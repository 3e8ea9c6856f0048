//! Secrets at rest: sealed under a key that never enters the database, each bound to the place it is stored in.
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use kessai_core::{Entropy, Secret};
use std::sync::Arc;

/// Why a sealed secret could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It was sealed under a key that is not configured.
    #[error("sealed under a key that is not configured")]
    UnknownKey,
    /// It was altered, or moved from another place.
    #[error("damaged or misplaced")]
    Damaged,
}

const HEADER: usize = 5;
const VERSION: u8 = 1;

struct Key {
    id: [u8; 4],
    key: LessSafeKey,
    proof: [u8; 32],
}

/// Seals and opens. The first key seals; all keys open, so that keys rotate without downtime.
pub struct Vault {
    keys: Vec<Key>,
    entropy: Arc<dyn Entropy>,
}

impl Vault {
    /// A vault of 32-byte keys, newest first.
    ///
    /// # Panics
    /// Without any key.
    pub fn new(keys: &[[u8; 32]], entropy: Arc<dyn Entropy>) -> Self {
        assert!(!keys.is_empty(), "a vault needs a key");
        let keys = keys
            .iter()
            .map(|bytes| {
                let print = digest::digest(&digest::SHA256, bytes);
                let mut id = [0; 4];
                id.copy_from_slice(&print.as_ref()[..4]);
                let proof = hmac_sha256(bytes, b"kessai proofs");
                Key {
                    id,
                    proof,
                    key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes")),
                }
            })
            .collect();
        Self { keys, entropy }
    }

    /// Seals `text` for one place, as `accounts/shop/komoju`.
    pub fn seal(&self, place: &str, text: &str) -> Vec<u8> {
        let key = &self.keys[0];
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(HEADER + NONCE_LEN + text.len() + 16);
        sealed.push(VERSION);
        sealed.extend(key.id);
        sealed.extend(nonce);
        let mut bytes = text.as_bytes().to_vec();
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut bytes)
            .expect("far below the cipher's limit");
        sealed.extend(bytes);
        sealed
    }

    /// Texts that prove we made them for `what`, newest key first: the first is given out, each is believed.
    pub fn proofs(&self, what: &str) -> Vec<String> {
        self.keys
            .iter()
            .map(|key| hex::encode(&hmac_sha256(&key.proof, what.as_bytes())[..16]))
            .collect()
    }

    /// Fingerprints of `bytes` that say nothing to who lacks the keys, newest key first.
    pub fn prints(&self, bytes: &[u8]) -> Vec<[u8; 16]> {
        let print = |key: &Key| {
            hmac_sha256(&key.proof, bytes)[..16]
                .try_into()
                .expect("half of 32")
        };
        self.keys.iter().map(print).collect()
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// [`VaultError`] when no configured key opens it there.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Secret, VaultError> {
        let (&[version, ref id @ ..], rest) =
            sealed.split_first_chunk::<HEADER>().ok_or(VaultError::Damaged)?;
        let (nonce, cipher) = rest.split_first_chunk::<NONCE_LEN>().ok_or(VaultError::Damaged)?;
        if version != VERSION {
            return Err(VaultError::Damaged);
        }
        let key = self
            .keys
            .iter()
            .find(|key| &key.id == id)
            .ok_or(VaultError::UnknownKey)?;
        let mut bytes = cipher.to_vec();
        let plain = key
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(place), &mut bytes)
            .map_err(|_| VaultError::Damaged)?;
        std::str::from_utf8(plain)
            .map(Secret::new)
            .map_err(|_| VaultError::Damaged)
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes)
        .as_ref()
        .try_into()
        .expect("32 bytes")
}

/// HMAC-SHA256.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
        .as_ref()
        .try_into()
        .expect("32 bytes")
}

/// Whether two byte strings are equal, in time that does not tell where they differ.
pub fn same(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Entropy for Counting {
        fn fill(&self, into: &mut [u8]) {
            into.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn dice() -> Arc<dyn Entropy> {
        Arc::new(Counting(0.into()))
    }

    #[test]
    fn a_secret_opens_only_where_it_was_sealed() {
        let vault = Vault::new(&[[7; 32]], dice());
        let sealed = vault.seal("accounts/a/komoju", "the key");
        assert_eq!(
            vault.open("accounts/a/komoju", &sealed).unwrap().expose(),
            "the key"
        );
        assert_eq!(
            vault.open("accounts/b/komoju", &sealed).unwrap_err(),
            VaultError::Damaged
        );
        assert!(!sealed.windows(3).any(|w| w == b"the"));
    }

    #[test]
    fn an_old_key_still_opens_after_rotation_and_a_dropped_one_does_not() {
        let old = Vault::new(&[[1; 32]], dice()).seal("p", "x");
        assert_eq!(
            Vault::new(&[[2; 32], [1; 32]], dice())
                .open("p", &old)
                .unwrap()
                .expose(),
            "x"
        );
        assert_eq!(
            Vault::new(&[[2; 32]], dice()).open("p", &old).unwrap_err(),
            VaultError::UnknownKey
        );
    }

    #[test]
    fn fingerprints_differ_by_content_and_by_key_and_survive_a_rotation() {
        let old = Vault::new(&[[1; 32]], dice());
        let rotated = Vault::new(&[[2; 32], [1; 32]], dice());
        assert_eq!(old.prints(b"a"), old.prints(b"a"));
        assert_ne!(old.prints(b"a"), old.prints(b"b"));
        assert_ne!(rotated.prints(b"a")[0], old.prints(b"a")[0]);
        assert_eq!(rotated.prints(b"a")[1], old.prints(b"a")[0]);
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let vault = Vault::new(&[[7; 32]], dice());
        let sealed = vault.seal("p", "text");
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(vault.open("p", &bent).is_err(), "byte {at}");
        }
        assert!(vault.open("p", &[]).is_err());
    }
}
