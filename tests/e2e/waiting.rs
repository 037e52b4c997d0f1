//! The page that waits for a local upstream.
