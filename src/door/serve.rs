//! From an arrival to a visit: greet, decide, secure, then speak what was agreed.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};

use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::accept::Permit;
use super::arrival::{Arrival, From, Greeting, admit, introduce};
use super::handshake::{self, Protocol, speak};
use super::hello::{self, Hello, HelloReader, NotHello};
use super::stream::Stream;
use super::worker::Worker;
use super::{FAREWELL_TIME, READ_BYTES, tunnel};
use crate::certs::resolver::Sought;
use crate::config::site::Service;
use crate::deadline::Deadline;
use crate::observe::counters::Refused;
use crate::proxy::replies;
use crate::proxy::visit::Home;
use crate::routing::{Asked, Decision, Kind, Refusal};

/// Serves an arrival: to its end, or until a task of its own does.
pub(super) async fn serve(worker: Rc<Worker>, arrival: Arrival) {
    let Arrival {
        mut stream,
        mut from,
        permit,
    } = arrival;
    let mut deadline = None;
    let mut ahead = Vec::new();
    if worker.expects_preface(from.peer) {
        let limit = deadline.insert(worker.handshake_deadline());
        match Box::pin(introduce(&worker, &mut stream, from, limit)).await {
            Some((introduced, rest)) => (from, ahead) = (introduced, rest),
            None => return,
        }
    }
    let Some(permit) = admit(&worker, from, permit) else {
        return;
    };
    match from.socket.kind {
        Kind::Tls => {
            let deadline = deadline.unwrap_or_else(|| worker.handshake_deadline());
            secure(worker, stream, ahead, from, permit, deadline).await;
        }
        Kind::Plain => {
            let visit = from.visit(&worker, Greeting::default());
            let stream = Stream::Plain(stream);
            speak(stream, ahead.into(), Protocol::Http1, visit, permit);
        }
    }
}

async fn secure(
    worker: Rc<Worker>,
    mut stream: TcpStream,
    ahead: Vec<u8>,
    from: From,
    permit: Permit,
    deadline: Deadline,
) {
    let hello = match deadline.within(greet(&mut stream, ahead)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(fault)) => return Box::pin(refuse(&worker, stream, from, fault)).await,
        Err(_expired) => return worker.context.counters.refused(Refused::HelloTooSlow),
    };
    match decide(&worker, &hello, from) {
        Treatment::Answer(certificate) => {
            Box::pin(handshake::answer(
                worker,
                stream,
                hello,
                from,
                certificate,
                deadline,
            ))
            .await;
            drop(permit);
        }
        Treatment::Open(home) => {
            handshake::open(worker, stream, hello, from, home, permit, deadline).await
        }
        Treatment::Carry(home) => {
            let site = home.site.clone();
            let greeting = Greeting {
                name: hello.name,
                tls: None,
                home: Some(home),
                certificate: None,
            };
            let visit = from.visit(&worker, greeting);
            if let Service::Passthrough(to) = &site.service {
                let carrying = tunnel::passthrough(stream, hello.kept, to, &visit, deadline);
                Box::pin(carrying).await;
            }
            drop(permit);
        }
        Treatment::Seek(sought) => {
            Box::pin(seek(worker, stream, hello, from, sought, deadline)).await;
            drop(permit);
        }
        Treatment::Refuse => Box::pin(turn_away(&worker, stream, &hello, from)).await,
    }
}

async fn turn_away(worker: &Worker, mut stream: TcpStream, hello: &Hello, from: From) {
    worker.context.counters.refused(Refused::UnknownName);
    let name = hello.name.as_ref().map(tracing::field::display);
    tracing::debug!(peer = %from.peer, name, "unknown name");
    say(worker, &mut stream, &hello::UNRECOGNIZED_NAME).await;
}

/// Shows a CA what another host of the fleet has for it.
async fn seek(
    worker: Rc<Worker>,
    stream: TcpStream,
    hello: Hello,
    from: From,
    sought: Sought<Arc<CertifiedKey>>,
    deadline: Deadline,
) {
    match deadline.within(sought).await {
        Ok(Some(certificate)) => {
            handshake::answer(worker, stream, hello, from, certificate, deadline).await;
        }
        Ok(None) | Err(_) => turn_away(&worker, stream, &hello, from).await,
    }
}

enum Treatment {
    Open(Home),
    Carry(Home),
    /// Nobody serves the name.
    Refuse,
    Answer(Arc<CertifiedKey>),
    /// Another host may have the answer.
    Seek(Sought<Arc<CertifiedKey>>),
}

fn decide(worker: &Worker, hello: &Hello, from: From) -> Treatment {
    let current = worker.current();
    let routes = &current.table.routes;
    let Some(socket) = routes.socket(from.socket) else {
        return Treatment::Refuse;
    };
    let asked = Asked {
        name: hello.name.as_ref(),
        only_protocol: hello.only_protocol.as_deref(),
    };
    let decision = routes.decide(socket, from.local.ip(), asked);
    let home = |site, slot| Home {
        revision: routes.revision,
        site,
        slot,
    };
    match decision {
        Decision::Serve { site, slot } => Treatment::Open(home(site, slot)),
        Decision::Tunnel(site) => {
            let slot = site.first_slot;
            Treatment::Carry(home(site, slot))
        }
        Decision::Answer => {
            let name = hello.name.as_ref();
            let known = worker.answer(name).map(Treatment::Answer);
            let sought = || worker.seek_answer(name).map(Treatment::Seek);
            known.or_else(sought).unwrap_or(Treatment::Refuse)
        }
        Decision::Refuse(Refusal::UnknownName | Refusal::NoName) => Treatment::Refuse,
    }
}

/// Reads until the hello is complete. `ahead` was read of it before.
async fn greet(stream: &mut TcpStream, ahead: Vec<u8>) -> Result<Hello, Fault> {
    let mut reader = HelloReader::default();
    if let Some(hello) = reader.feed(&ahead).map_err(Fault::NotHello)? {
        return Ok(hello);
    }
    drop(ahead);
    poll_fn(|cx| {
        loop {
            // On the stack: in the future it would be carried about for every arrival.
            let mut space = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))
                .map_err(|_gone| Fault::Gone)?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(Fault::Gone));
            }
            let fed = reader.feed(buffer.filled()).map_err(Fault::NotHello)?;
            if let Some(hello) = fed {
                return Poll::Ready(Ok(hello));
            }
        }
    })
    .await
}

/// Why there is no hello.
enum Fault {
    Gone,
    NotHello(NotHello),
}

async fn refuse(worker: &Worker, mut stream: TcpStream, from: From, fault: Fault) {
    let counters = &worker.context.counters;
    match fault {
        Fault::Gone => counters.refused(Refused::BadHello),
        Fault::NotHello(NotHello::Garbage) => counters.refused(Refused::NotTls),
        Fault::NotHello(NotHello::TooLarge) => counters.refused(Refused::HelloTooLarge),
        Fault::NotHello(NotHello::PlainHttp) => {
            counters.refused(Refused::NotTls);
            say(worker, &mut stream, replies::PLAIN_HTTP_ON_TLS).await;
        }
        Fault::NotHello(NotHello::Refused { error, alert }) => {
            counters.refused(Refused::BadHandshake);
            tracing::debug!(peer = %from.peer, %error, "hello refused");
            say(worker, &mut stream, &alert).await;
        }
    }
}

/// Last words: sent, the sending side closed, and what the client still says read for a moment, or a reset could eat them.
pub(super) async fn say(worker: &Worker, stream: &mut TcpStream, bytes: &[u8]) {
    let deadline = worker.context.wheel.deadline_in(FAREWELL_TIME);
    let words = async {
        if stream.write_all(bytes).await.is_err() || stream.shutdown().await.is_err() {
            return;
        }
        let mut space = [0; READ_BYTES];
        while stream.read(&mut space).await.is_ok_and(|read| read > 0) {}
    };
    let _late = deadline.within(words).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every arrival costs this much until its handshake is over; and what is freed then should not be what an idle connection is
    /// given next, in the allocator's class of 16 KiB.
    const ARRIVAL_OCTETS_MAX: usize = 4096;

    fn future_size<A, B, F>(_make: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_arrival_is_small() {
        let size = future_size(serve);
        assert!(size <= ARRIVAL_OCTETS_MAX, "{size}");
    }
}
