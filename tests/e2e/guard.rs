//! `allow`, `deny`, `rate` and `limits.connections_per_ip`.
