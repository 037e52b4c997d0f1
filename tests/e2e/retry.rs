//! What is sent again, and what never is.
