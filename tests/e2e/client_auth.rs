//! `client_ca`: clients with certificates.
