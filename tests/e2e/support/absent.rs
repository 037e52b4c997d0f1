//! An address at which nobody listens, and which nobody else gets meanwhile.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// Connections that wait in the kernel.
const BACKLOG: i32 = 128;

/// Who is there but does not listen: the port is bound, and refuses everybody.
pub(crate) struct Absent {
    socket: Socket,
    pub(crate) address: SocketAddr,
}

impl Absent {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { socket, address }
    }

    /// From now on it does.
    pub(crate) fn listens(self) -> TcpListener {
        self.socket.listen(BACKLOG).unwrap();
        self.socket.into()
    }
}

/// One that stays so until the test process ends.
pub(crate) fn nobody() -> SocketAddr {
    Box::leak(Box::new(Absent::new())).address
}
