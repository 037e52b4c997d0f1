//! `health`: targets that are asked how they are.
