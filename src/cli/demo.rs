//! `onedoor demo`.

use super::{DemoArguments, Exit};

pub(super) fn run(_arguments: &DemoArguments) -> Exit {
    Exit::Failed
}
