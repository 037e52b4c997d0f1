//! Which system this program runs on: the one place that asks the compiler. Whoever must behave differently decides by a [`System`]
//! that is an argument, so that every system's rules are tested on any.

/// The systems whose rules differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Linux,
    Darwin,
    OtherUnix,
}

impl System {
    /// The one this program runs on.
    pub const HERE: Self = if cfg!(target_os = "linux") {
        Self::Linux
    } else if cfg!(target_vendor = "apple") {
        Self::Darwin
    } else {
        Self::OtherUnix
    };
}
