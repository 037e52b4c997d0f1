//! Whether a password fits a hash. Takes as long as the hash was made to take: never called on a data thread.

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;

use crate::config::guard::PasswordHash;

/// Compares in constant time.
pub(super) fn is_right(hash: &PasswordHash, password: &str) -> bool {
    match hash {
        // Beyond 72 octets bcrypt looks at nothing, as those who made the hash did not.
        PasswordHash::Bcrypt(hash) => bcrypt::verify(password, hash.reveal()).unwrap_or(false),
        PasswordHash::Argon2(hash) => {
            let checked = Argon2::default().verify_password(password.as_bytes(), hash.reveal());
            checked.is_ok()
        }
    }
}
