//! Targets that are names: DNS, several addresses, happy eyeballs.
