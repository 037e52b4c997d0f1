//! An answer on its way from an upstream: its body, or what comes after a change of protocols.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::Stream;
use super::pool::Pool;
use super::shared::UnderWay;
use super::{UpstreamError, http1};

/// The body of an answer. Dropped before its end, it ends the exchange: an HTTP/1.1 connection is closed, an HTTP/2 stream reset.
/// At its end the connection serves the next request, if both messages ended cleanly.
#[derive(Debug)]
pub struct Incoming(Content);

#[derive(Debug)]
enum Content {
    Empty,
    Http1(Lease),
    Http2(hyper::body::Incoming, UnderWay),
}

/// The right to a connection while an answer is being read.
#[derive(Debug)]
struct Lease {
    connection: Box<http1::Connection>,
    pool: Rc<Pool>,
}

/// The upstream's stream once both sides left HTTP.
#[derive(Debug)]
pub struct Upgraded(Tunnel);

#[derive(Debug)]
enum Tunnel {
    /// With what was read of it before.
    Http1(BytesMut, Stream),
    Http2 {
        stream: TokioIo<hyper::upgrade::Upgraded>,
        _under_way: Option<UnderWay>,
    },
}

impl Incoming {
    /// What follows a head that `connection` read.
    pub(super) fn http1(connection: Box<http1::Connection>, pool: Rc<Pool>) -> Self {
        let mut body = Content::Http1(Lease { connection, pool });
        body.end_if_over();
        Self(body)
    }

    pub(super) fn http2(incoming: hyper::body::Incoming, under_way: UnderWay) -> Self {
        Self(Content::Http2(incoming, under_way))
    }
}

/// The stream behind an answer that changed protocols. None if the upstream did not, or went away.
pub async fn upgraded(response: &mut Response<Incoming>) -> Option<Upgraded> {
    let body = std::mem::replace(&mut response.body_mut().0, Content::Empty);
    Some(Upgraded(match body {
        Content::Http1(lease) => {
            let (stream, ahead) = lease.connection.into_switched()?;
            Tunnel::Http1(ahead, stream)
        }
        Content::Empty => tunnel(response, None).await?,
        Content::Http2(_, under_way) => tunnel(response, Some(under_way)).await?,
    }))
}

async fn tunnel(response: &mut Response<Incoming>, under_way: Option<UnderWay>) -> Option<Tunnel> {
    let upgraded = hyper::upgrade::on(response).await.ok()?;
    Some(Tunnel::Http2 {
        stream: TokioIo::new(upgraded),
        _under_way: under_way,
    })
}

impl Content {
    fn end_if_over(&mut self) {
        if matches!(self, Self::Http1(lease) if lease.connection.is_over())
            && let Self::Http1(lease) = std::mem::replace(self, Self::Empty)
        {
            lease.pool.keep(lease.connection);
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match &mut self.0 {
            Content::Empty => Poll::Ready(None),
            Content::Http1(lease) => {
                let frame = ready!(lease.connection.poll_frame(cx));
                self.0.end_if_over();
                Poll::Ready(frame)
            }
            Content::Http2(incoming, _) => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                Poll::Ready(
                    frame.map(|frame| frame.map_err(|error| UpstreamError::Cut(error.into()))),
                )
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Empty => true,
            Content::Http1(_) => false,
            Content::Http2(incoming, _) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Empty => SizeHint::with_exact(0),
            Content::Http1(lease) => lease.connection.size_hint(),
            Content::Http2(incoming, _) => incoming.size_hint(),
        }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Tunnel::Http1(ahead, _) if !ahead.is_empty() => {
                let octets = ahead.len().min(buffer.remaining());
                buffer.put_slice(&ahead[..octets]);
                ahead.advance(octets);
                Poll::Ready(Ok(()))
            }
            Tunnel::Http1(_, stream) => Pin::new(stream).poll_read(cx, buffer),
            Tunnel::Http2 { stream, .. } => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Tunnel::Http1(_, stream) => Pin::new(stream).poll_write(cx, octets),
            Tunnel::Http2 { stream, .. } => Pin::new(stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Tunnel::Http1(_, stream) => Pin::new(stream).poll_flush(cx),
            Tunnel::Http2 { stream, .. } => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Tunnel::Http1(_, stream) => Pin::new(stream).poll_shutdown(cx),
            Tunnel::Http2 { stream, .. } => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
