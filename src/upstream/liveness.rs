//! Whether a connection on which nothing should come still stands, asked of the system itself: what the runtime knows of a stream is as
//! old as its last look at all of them.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::dial::Stream;

/// Whether it stands, and nothing came. A system call, so asked only where a wrong guess cannot be mended.
pub(super) fn is_standing(stream: &Stream) -> bool {
    match stream {
        Stream::Tcp(stream) => is_silent(stream),
        Stream::Unix(stream) => is_silent(stream),
        Stream::Tls(stream) => is_silent(stream.get_ref().0),
    }
}

/// Whether there is neither an octet, nor an end, nor an error to be read. Streams of the runtime never block.
fn is_silent(stream: impl AsFd) -> bool {
    let mut space = [0; 1];
    matches!(
        recv(stream, &mut space, RecvFlags::PEEK),
        Err(Errno::WOULDBLOCK)
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (Stream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        let far = far.unwrap().0.into_std().unwrap();
        far.set_nonblocking(false).unwrap();
        (Stream::Tcp(near.unwrap()), far)
    }

    /// Without a turn of the runtime in between.
    #[tokio::test(flavor = "local")]
    async fn an_end_is_known_at_once() {
        let (near, far) = pair().await;
        assert!(is_standing(&near));
        drop(far);
        assert!(!is_standing(&near));

        let (near, mut far) = pair().await;
        far.write_all(b"x").unwrap();
        assert!(!is_standing(&near));
    }
}
