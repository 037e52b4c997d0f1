//! The process: allocator, arguments, exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Else memory goes back to the system only while somebody asks for more. Where there is no such thread, that is how it stays.
    let _unsupported = tikv_jemalloc_ctl::background_thread::write(true);
    onedoor::cli::run()
}
