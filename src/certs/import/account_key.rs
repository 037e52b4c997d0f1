//! Keys of accounts in the forms that tools keep them in, as PKCS#8.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::certs::import::fault::AccountFault;
use crate::certs::import::findings::AccountKey;
use crate::certs::pem::{Contents, Key};

/// Takes the first key out of PEM text.
///
/// # Errors
/// There is none, or none of use.
pub fn from_pem(text: &[u8]) -> Result<AccountKey, AccountFault> {
    let contents = Contents::parse(text).map_err(|_damaged| AccountFault::BrokenKey)?;
    match contents.key {
        Key::Plain(key) => from_der(key.secret_der()),
        Key::Encrypted => Err(AccountFault::EncryptedKey),
        Key::Absent => Err(AccountFault::NoKey),
    }
}

/// Takes PKCS#8, SEC1 or PKCS#1.
///
/// # Errors
/// It is none of these, or damaged.
pub fn from_der(der: &[u8]) -> Result<AccountKey, AccountFault> {
    let elliptic = |algorithm: &'static EcdsaSigningAlgorithm| {
        EcdsaKeyPair::from_private_key_der(algorithm, der).ok()
    };
    if let Some(pair) = elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING) {
        return pkcs8(&pair).map(AccountKey::P256);
    }
    if let Some(pair) = elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING) {
        return pkcs8(&pair).map(AccountKey::P384);
    }
    let rsa = RsaKeyPair::from_pkcs8(der).or_else(|_other| RsaKeyPair::from_der(der));
    if let Ok(pair) = rsa {
        return rsa_pkcs8(&pair);
    }
    if Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).is_ok() {
        return Ok(AccountKey::Other("Ed25519".to_owned()));
    }
    Err(AccountFault::BrokenKey)
}

/// Takes a private JSON web key (RFC 7517).
///
/// # Errors
/// It is none, or damaged.
pub fn from_jwk(json: &[u8]) -> Result<AccountKey, AccountFault> {
    let jwk: Jwk = serde_json::from_slice(json).map_err(|_other_shape| AccountFault::BrokenKey)?;
    match jwk {
        Jwk::Rsa(parts) => rsa(&parts),
        Jwk::Ec(parts) => elliptic(&parts),
        Jwk::Okp { crv } => Ok(AccountKey::Other(crv)),
    }
}

#[derive(Deserialize)]
#[serde(tag = "kty")]
enum Jwk {
    #[serde(rename = "RSA")]
    Rsa(RsaParts),
    #[serde(rename = "EC")]
    Ec(EcParts),
    #[serde(rename = "OKP")]
    Okp { crv: String },
}

#[derive(Deserialize)]
struct RsaParts {
    n: String,
    e: String,
    d: String,
    p: String,
    q: String,
    dp: String,
    dq: String,
    qi: String,
}

#[derive(Deserialize)]
struct EcParts {
    crv: String,
    x: String,
    y: String,
    d: String,
}

fn rsa(parts: &RsaParts) -> Result<AccountKey, AccountFault> {
    let components = KeyPairComponents {
        public_key: PublicKeyComponents {
            n: without_zeros(number(&parts.n)?),
            e: without_zeros(number(&parts.e)?),
        },
        d: number(&parts.d)?,
        p: number(&parts.p)?,
        q: number(&parts.q)?,
        dP: number(&parts.dp)?,
        dQ: number(&parts.dq)?,
        qInv: number(&parts.qi)?,
    };
    let pair = RsaKeyPair::from_components(&components)
        .map_err(|_inconsistent| AccountFault::BrokenKey)?;
    rsa_pkcs8(&pair)
}

fn elliptic(parts: &EcParts) -> Result<AccountKey, AccountFault> {
    let (algorithm, octets) = match parts.crv.as_str() {
        "P-256" => (&ECDSA_P256_SHA256_FIXED_SIGNING, 32),
        "P-384" => (&ECDSA_P384_SHA384_FIXED_SIGNING, 48),
        other => return Ok(AccountKey::Other(other.to_owned())),
    };
    let private = padded(number(&parts.d)?, octets)?;
    let mut point = vec![UNCOMPRESSED];
    point.extend(padded(number(&parts.x)?, octets)?);
    point.extend(padded(number(&parts.y)?, octets)?);
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, &point)
        .map_err(|_inconsistent| AccountFault::BrokenKey)?;
    let pkcs8 = pkcs8(&pair)?;
    Ok(match octets {
        32 => AccountKey::P256(pkcs8),
        _ => AccountKey::P384(pkcs8),
    })
}

/// What begins a point of which both coordinates follow (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

fn number(text: &str) -> Result<Vec<u8>, AccountFault> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_bad_base64| AccountFault::BrokenKey)
}

fn without_zeros(number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.into_iter().skip(zeros).collect()
}

fn padded(number: Vec<u8>, octets: usize) -> Result<Vec<u8>, AccountFault> {
    let number = without_zeros(number);
    let zeros = octets.checked_sub(number.len());
    let mut padded = vec![0; zeros.ok_or(AccountFault::BrokenKey)?];
    padded.extend(number);
    Ok(padded)
}

fn pkcs8(pair: &EcdsaKeyPair) -> Result<Vec<u8>, AccountFault> {
    pair.to_pkcs8v1()
        .map(|document| document.as_ref().to_vec())
        .map_err(|_unspecified| AccountFault::BrokenKey)
}

fn rsa_pkcs8(pair: &RsaKeyPair) -> Result<AccountKey, AccountFault> {
    pair.as_der()
        .map(|document| AccountKey::Rsa(document.as_ref().to_vec()))
        .map_err(|_unspecified| AccountFault::BrokenKey)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::certs::import::fixture::{EC_JWK, RSA_JWK, p256, pem, rsa};

    #[test]
    fn elliptic_keys_of_every_form_become_one() {
        let (pkcs8, sec1) = p256();
        assert_eq!(
            from_pem(sec1.as_bytes()),
            Ok(AccountKey::P256(pkcs8.clone()))
        );
        let again = pem("PRIVATE KEY", &pkcs8);
        assert_eq!(from_pem(again.as_bytes()), Ok(AccountKey::P256(pkcs8)));
    }

    #[test]
    fn rsa_keys_of_every_form_become_one() {
        let (pkcs8, pkcs1) = rsa();
        let key = AccountKey::Rsa(pkcs8.clone());
        assert_eq!(from_der(&pkcs8), Ok(key.clone()));
        assert_eq!(from_der(&pkcs1), Ok(key.clone()));
        assert_eq!(from_pem(pem("RSA PRIVATE KEY", &pkcs1).as_bytes()), Ok(key));
    }

    #[test]
    fn web_keys_on_a_curve_become_pkcs8() {
        let Ok(AccountKey::P256(pkcs8)) = from_jwk(EC_JWK.as_bytes()) else {
            panic!("no P-256 key");
        };
        assert!(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).is_ok());
        let curve = br#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#;
        assert_eq!(from_jwk(curve), Ok(AccountKey::Other("Ed25519".to_owned())));
    }

    #[test]
    fn a_web_key_whose_parts_do_not_fit_is_refused() {
        let other = RSA_JWK.replace("\"p\": \"83i-7", "\"p\": \"93i-7");
        assert_ne!(other, RSA_JWK);
        assert_eq!(from_jwk(other.as_bytes()), Err(AccountFault::BrokenKey));
        assert_eq!(from_jwk(b"{\"kty\":\"RSA\"}"), Err(AccountFault::BrokenKey));
    }

    #[test]
    fn what_is_no_key_says_so() {
        assert_eq!(from_pem(b"nothing"), Err(AccountFault::NoKey));
        let encrypted = pem("ENCRYPTED PRIVATE KEY", b"AAAA");
        assert_eq!(
            from_pem(encrypted.as_bytes()),
            Err(AccountFault::EncryptedKey)
        );
        let broken = pem("PRIVATE KEY", b"AAAA");
        assert_eq!(from_pem(broken.as_bytes()), Err(AccountFault::BrokenKey));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..400_usize) {
            let _ = (from_der(&bytes), from_pem(&bytes), from_jwk(&bytes));
            let (_, mut der) = rsa();
            let at = at % der.len();
            der[at] ^= 0x55;
            let _ = from_der(&der);
        }
    }
}
