//! `auth`: htpasswd files and another server's word.
