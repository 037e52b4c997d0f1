//! `[trust]`: what trusted proxies say of the client, and what others say.
