//! The signature of a presigned request, as STS checks it ("Create a signed AWS API request" in the IAM User Guide).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

/// What a query's names and values are encoded but for.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The names as they were signed: those of the URL were read in lower case.
const NAMES: [&str; 8] = [
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-SignedHeaders",
];

/// The signature that a token for a cluster would have with this secret; `None` where the request cannot be signed at all.
pub(super) fn of(secret: &str, host: &str, cluster: &str, parameters: &BTreeMap<String, String>) -> Option<String> {
    let parameter = |name: &str| parameters.get(name).map(String::as_str);
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let query: Vec<String> = NAMES
        .iter()
        .filter_map(|name| Some(format!("{}={}", encode(name), encode(parameter(&name.to_lowercase())?))))
        .collect();
    let signed = parameter("x-amz-signedheaders")?;
    let mut headers = String::new();
    for name in signed.split(';') {
        let value = match name {
            "host" => host,
            "x-k8s-aws-id" => cluster,
            _ => return None,
        };
        let _ = writeln!(headers, "{name}:{value}");
    }
    let request = format!("GET\n/\n{}\n{headers}\n{signed}\n{}", query.join("&"), hex(&Sha256::digest(b"")));
    let (date, credential) = (parameter("x-amz-date")?, parameter("x-amz-credential")?);
    let (_, scope) = credential.split_once('/')?;
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())));
    let key = scope.split('/').try_fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part))?;
    Some(hex(&mac(&key, &text)?))
}

fn mac(key: &[u8], text: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
