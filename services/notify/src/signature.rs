//! Signatures as Standard Webhooks 1.0 prescribes them: HMAC-SHA256 over `id.timestamp.body`, one for each secret, so that
//! receivers keep verifying while a secret is replaced.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, Mac};
use honk_service::Secret;
use sha2::Sha256;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// The specification's bounds of a secret, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets come with and without padding.
const SECRET_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Signs webhooks with every secret.
#[derive(Clone, Default)]
pub struct Signer {
    keys: Vec<Hmac<Sha256>>,
}

/// A text that is no signing secret. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("secret {index} of `notify.secrets` is not `whsec_` and the base64 of 24 to 64 bytes")]
pub struct BadSecret {
    index: usize,
}

impl Signer {
    /// A signer with these secrets, `whsec_…` each, the newest first.
    pub fn new(secrets: &[Secret]) -> Result<Self, BadSecret> {
        let key = |(index, secret): (usize, &Secret)| key(secret.expose()).ok_or(BadSecret { index: index + 1 });
        Ok(Self { keys: secrets.iter().enumerate().map(key).collect::<Result<_, _>>()? })
    }

    /// The value of `webhook-signature`; nothing if there is no secret.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let signature = |key: &Hmac<Sha256>| {
            let mut mac = key.clone();
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        let signatures: Vec<String> = self.keys.iter().map(signature).collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }

    /// Whether there is a secret to sign with.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn key(secret: &str) -> Option<Hmac<Sha256>> {
    let bytes = SECRET_BASE64.decode(secret.trim().strip_prefix(PREFIX)?).ok()?;
    SECRET_BYTES.contains(&bytes.len()).then(|| Hmac::new_from_slice(&bytes).ok()).flatten()
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} secrets)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";

    fn signer(secrets: &[&str]) -> Result<Signer, BadSecret> {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        Signer::new(&secrets)
    }

    #[test]
    fn an_independent_implementation_makes_the_same_signature() {
        let theirs = standardwebhooks::Webhook::new(ONE).unwrap().sign("msg_1", 1_674_087_231, b"{\"a\":1}").unwrap();
        assert_eq!(signer(&[ONE]).unwrap().sign("msg_1", 1_674_087_231, b"{\"a\":1}"), Some(theirs));
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let both = signer(&[ONE, OTHER]).unwrap().sign("msg_1", 7, b"x").unwrap();
        let each = [ONE, OTHER].map(|secret| signer(&[secret]).unwrap().sign("msg_1", 7, b"x").unwrap());
        assert_eq!(both, each.join(" "));
        assert_eq!(signer(&[]).unwrap().sign("msg_1", 7, b"x"), None);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        for bad in ["hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let error = signer(&[ONE, bad]).unwrap_err();
            assert_eq!(error, BadSecret { index: 2 }, "{bad}");
            assert!(bad.len() < 7 || !error.to_string().contains(bad));
        }
        assert!(!format!("{:?}", signer(&[ONE]).unwrap()).contains("MfKQ"));
    }
}
