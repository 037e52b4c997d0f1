//! PROXY headers, received and sent.
