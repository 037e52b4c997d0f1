//! What requests are signed with: the cryptography of the rest of the program, as the library asks for it.

use aws_lc_rs::{digest, hmac};
use object_store::client::{
    CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm,
};
use object_store::{Error, Result};

/// SHA-256 and its HMAC; S3 asks for nothing else.
#[derive(Debug)]
pub(super) struct Signing;

struct Digesting {
    context: digest::Context,
    digest: Option<digest::Digest>,
}

struct Tagging {
    context: hmac::Context,
    tag: Option<hmac::Tag>,
}

impl CryptoProvider for Signing {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(Digesting {
                context: digest::Context::new(&digest::SHA256),
                digest: None,
            })),
            _ => Err(unknown()),
        }
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                Ok(Box::new(Tagging {
                    context: hmac::Context::with_key(&key),
                    tag: None,
                }))
            }
            _ => Err(unknown()),
        }
    }

    fn sign(&self, _algorithm: SigningAlgorithm, _pem: &[u8]) -> Result<Box<dyn Signer>> {
        Err(unknown())
    }
}

impl DigestContext for Digesting {
    fn update(&mut self, octets: &[u8]) {
        self.context.update(octets);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        let digest = self.context.clone().finish();
        let digest: &digest::Digest = self.digest.insert(digest);
        Ok(digest.as_ref())
    }
}

impl HmacContext for Tagging {
    fn update(&mut self, octets: &[u8]) {
        self.context.update(octets);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        let tag = self.context.clone().sign();
        let tag: &hmac::Tag = self.tag.insert(tag);
        Ok(tag.as_ref())
    }
}

fn unknown() -> Error {
    Error::NotSupported {
        source: "S3 is signed for with SHA-256 alone".into(),
    }
}
