//! How one of several targets is chosen, and that one which fails is left out.
