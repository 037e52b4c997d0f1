//! `compress`: answers that are smaller on the way.
