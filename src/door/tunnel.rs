//! Sites whose bytes are carried, not understood: `passthrough` unopened, `tcp` behind the opened TLS.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::config::site::Tunnel;
use crate::config::target::Target;
use crate::deadline::Deadline;
use crate::proxy::context::Context;
use crate::proxy::visit::{Leave, Step, Visit};
use crate::relay::relay;
use crate::upstream::dial::{self, Stream};

/// Carries a connection whose hello was read into `kept`.
pub(super) async fn passthrough(
    client: TcpStream,
    kept: Vec<u8>,
    to: &Tunnel,
    visit: &Visit,
    deadline: Deadline,
) {
    let Some(mut upstream) = reach(&visit.context, to, &deadline).await else {
        return;
    };
    if let Ok(Ok(())) = deadline.within(upstream.write_all(&kept)).await {
        carry(client, upstream, to, visit, &deadline).await;
    }
}

/// Carries what is inside an opened connection.
pub(super) async fn opened(
    client: TlsStream<TcpStream>,
    to: &Tunnel,
    visit: &Visit,
    deadline: Deadline,
) {
    if let Some(upstream) = reach(&visit.context, to, &deadline).await {
        carry(client, upstream, to, visit, &deadline).await;
    }
}

/// The first target that takes a connection, in turn.
async fn reach(context: &Context, to: &Tunnel, deadline: &Deadline) -> Option<Stream> {
    for target in context.in_turn(&to.targets) {
        deadline.arm(to.timeouts.connect);
        match deadline.within(dial::open(&target.address)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tell(target, &error),
            Err(expired) => tell(target, &expired),
        }
    }
    None
}

fn tell(target: &Target, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(%target, error, "no connection");
}

async fn carry(
    client: impl AsyncRead + AsyncWrite,
    upstream: Stream,
    to: &Tunnel,
    visit: &Visit,
    deadline: &Deadline,
) {
    let mut leave = Leave::of(visit);
    let stop = |cx: &mut std::task::Context<'_>| leave.poll(cx, visit) == Step::End;
    let scratch = &visit.context.scratch;
    let (carried, ending) = relay(
        scratch,
        deadline,
        to.timeouts.tunnel_idle,
        stop,
        client,
        upstream,
    )
    .await;
    tracing::debug!(peer = %visit.peer, ?carried, ?ending, "tunnel ended");
}
