//! An upstream that dies and returns at the same address.

use std::io::{BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

use super::backend::{ok, read_request};

/// Connections that wait in the kernel.
const BACKLOG: i32 = 128;

/// Answers every request with its name, as long as it lives.
pub(crate) struct Mortal {
    pub(crate) address: SocketAddr,
    name: &'static str,
    served: Arc<AtomicUsize>,
    life: Option<Life>,
    /// Never listens: in life and death nobody else gets the port.
    _grave: Socket,
}

struct Life {
    ends: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    accepting: JoinHandle<()>,
}

impl Mortal {
    pub(crate) fn saying(name: &'static str) -> Self {
        let grave = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut mortal = Self {
            address: grave.local_addr().unwrap().as_socket().unwrap(),
            name,
            served: Arc::default(),
            life: None,
            _grave: grave,
        };
        mortal.rise();
        mortal
    }

    /// Requests that it answered, in all its lives.
    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// Closes everything; from now on connections are refused.
    pub(crate) fn die(&mut self) {
        let life = self.life.take().unwrap();
        life.ends.store(true, Ordering::SeqCst);
        // Wakes the one that accepts.
        let _woken = TcpStream::connect(self.address);
        life.accepting.join().unwrap();
        for stream in life.streams.lock().unwrap().drain(..) {
            // It may have ended by itself.
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes connections again.
    pub(crate) fn rise(&mut self) {
        let socket = bound(self.address);
        socket.listen(BACKLOG).unwrap();
        self.life = Some(self.live(socket.into()));
    }

    fn live(&self, listener: TcpListener) -> Life {
        let ends = Arc::new(AtomicBool::new(false));
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (ending, known) = (ends.clone(), streams.clone());
        let (name, served) = (self.name, self.served.clone());
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ending.load(Ordering::SeqCst) {
                    break;
                }
                known.lock().unwrap().push(stream.try_clone().unwrap());
                let served = served.clone();
                thread::spawn(move || serve(stream, name, &served));
            }
        });
        Life {
            ends,
            streams,
            accepting,
        }
    }
}

/// With others of this process, as long as only one of them listens.
fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

fn serve(stream: TcpStream, name: &str, served: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while read_request(&mut reader).is_some() {
        if writer.write_all(&ok(name)).is_err() {
            break;
        }
        served.fetch_add(1, Ordering::SeqCst);
    }
}
