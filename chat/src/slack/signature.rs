//! Whose words these are. Slack signs each request, and this program each button, with the same secret.
//!
//! Source: "Verifying requests from Slack" in Slack's documentation.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

/// How far a request's time may be from ours, either way. Older ones may be replays.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// The header that holds when Slack sent the request, in seconds since 1970.
pub const TIME_HEADER: &str = "x-slack-request-timestamp";
/// The header that holds the signature.
pub const SIGNATURE_HEADER: &str = "x-slack-signature";
/// The version of Slack's signature, the only one that there is.
const VERSION: &str = "v0";
/// How many hexadecimal digits a signature has.
const DIGITS: usize = 64;

/// What a request says of itself in its headers, well-formed. Nothing is proved by it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// When Slack says that it sent the request.
    pub sent: Timestamp,
    /// The signature's bytes.
    pub signature: [u8; 32],
}

/// Why a request is not Slack's, for the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// A header is not there.
    #[error("there is no signature or no time")]
    Absent,
    /// A header has another shape than Slack gives it.
    #[error("the signature or the time is malformed")]
    Malformed,
    /// It was sent more than five minutes ago, or will have been sent in the future.
    #[error("it was not sent within five minutes of now")]
    Stale,
    /// The signature is that of another secret, another time or another body.
    #[error("the signature does not fit")]
    Forged,
}

impl SignatureHeaders {
    /// Reads the two headers, and looks at the time. No secret is needed for this, so that noise costs nothing.
    ///
    /// # Errors
    /// If a header is missing or malformed, or the time is not within five minutes of now.
    pub fn read(time: Option<&str>, signature: Option<&str>, now: Timestamp) -> Result<Self, Unsigned> {
        let (Some(time), Some(signature)) = (time, signature) else {
            return Err(Unsigned::Absent);
        };
        let digits = signature.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('='));
        let signature = digits.and_then(unhex).ok_or(Unsigned::Malformed)?;
        // Digits alone: `parse` would take a sign, too.
        let seconds = Some(time).filter(|time| time.bytes().all(|byte| byte.is_ascii_digit()));
        let seconds = seconds.and_then(|time| time.parse().ok()).ok_or(Unsigned::Malformed)?;
        let sent = Timestamp::from_second(seconds).map_err(|_| Unsigned::Malformed)?;
        if now.duration_since(sent).abs() > WINDOW {
            return Err(Unsigned::Stale);
        }
        Ok(Self { sent, signature })
    }

    /// Whether the signature is that of this secret over this body, byte by byte as it came. Takes the same time whatever differs.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(&self, secret: &str, body: &[u8]) -> Result<(), Unsigned> {
        let signed = [VERSION.as_bytes(), b":", self.sent.as_second().to_string().as_bytes(), b":", body].concat();
        mac(secret, &signed).and_then(|mac| mac.verify_slice(&self.signature).ok()).ok_or(Unsigned::Forged)
    }
}

/// A text that only this program can have made, and only for that purpose: its signature, then the text itself.
#[must_use]
pub fn seal(secret: &str, purpose: &str, text: &str) -> Option<String> {
    let mac = mac(secret, &sealed(purpose, text))?.finalize().into_bytes();
    Some(hex::encode(mac) + text)
}

/// The text of a seal; `None` if this program has not made it, or for another purpose.
#[must_use]
pub fn unseal<'a>(secret: &str, purpose: &str, seal: &'a str) -> Option<&'a str> {
    let (digits, text) = seal.split_at_checked(DIGITS)?;
    mac(secret, &sealed(purpose, text))?.verify_slice(&unhex(digits)?).ok()?;
    Some(text)
}

/// What is signed for a button. It begins otherwise than all that Slack signs, so that neither passes for the other.
fn sealed(purpose: &str, text: &str) -> Vec<u8> {
    ["eks-break-glass", purpose, text].join("\n").into_bytes()
}

/// `None` for an empty secret, with which everybody could sign.
fn mac(secret: &str, text: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok().filter(|_| !secret.is_empty())?;
    mac.update(text);
    Some(mac)
}

/// 32 bytes from 64 hexadecimal digits in lower case.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    hex::decode_to_slice(text, &mut bytes).ok().filter(|()| lower_case)?;
    Some(bytes)
}
