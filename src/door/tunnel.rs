//! Sites whose bytes are carried, not understood: `passthrough` unopened, `tcp` behind the opened TLS.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::config::site::Tunnel;
use crate::config::target::Target;
use crate::deadline::Deadline;
use crate::proxy::passage::Passage;
use crate::proxy::visit::{Leave, Step, Visit};
use crate::relay::{Carried, Ending, relay};
use crate::upstream::UpstreamError;
use crate::upstream::dial::{self, Stream};
use crate::upstream::group::Aim;
use crate::upstream::seating::{Busy, Seating};

/// Carries a connection whose hello was read into `kept`.
pub(super) async fn passthrough(
    client: TcpStream,
    kept: Vec<u8>,
    to: &Tunnel,
    visit: &Visit,
    deadline: Deadline,
) {
    let mut passage = Passage::begin(visit, to);
    let Some(mut upstream) = reach(visit, to, &deadline, &mut passage).await else {
        return;
    };
    let (mut carried, ending) = match deadline.within(upstream.write_all(&kept)).await {
        Ok(Ok(())) => carry(client, upstream, to, visit, &deadline).await,
        Ok(Err(_)) | Err(_) => return passage.ended(Carried::default(), Ending::Broken),
    };
    carried.forth += kept.len() as u64;
    passage.ended(carried, ending);
}

/// Carries what is inside an opened connection.
pub(super) async fn opened(
    client: TlsStream<TcpStream>,
    to: &Tunnel,
    visit: &Visit,
    deadline: Deadline,
) {
    let mut passage = Passage::begin(visit, to);
    if let Some(upstream) = reach(visit, to, &deadline, &mut passage).await {
        let (carried, ending) = carry(client, upstream, to, visit, &deadline).await;
        passage.ended(carried, ending);
    }
}

/// The first target that takes a connection.
async fn reach(
    visit: &Visit,
    to: &Tunnel,
    deadline: &Deadline,
    passage: &mut Passage<'_>,
) -> Option<Stream> {
    let groups = &visit.context.groups;
    let Aim { group, wish } = groups.aim(&to.backends, None, visit.peer.ip());
    let mut seating = Seating::new(groups, &visit.context.upstreams, group, wish);
    let connect = to.timeouts.connect;
    let prelude = visit.prelude(&to.backends, visit.peer.ip());
    let prelude = prelude.as_deref().unwrap_or_default();
    while let Some(seated) = seating.in_time(deadline, connect).await {
        let asking = match seated {
            Ok(asking) => asking,
            Err(Busy(asking)) => {
                tell(asking.target(), &UpstreamError::Busy);
                passage.missed(asking, Some(&UpstreamError::Busy));
                continue;
            }
        };
        deadline.arm(connect);
        let call = visit.context.upstreams.call(asking.endpoint(), prelude);
        match deadline.within(Box::pin(dial::open(call))).await {
            Ok(Ok(reached)) => {
                if reached.instead.is_some() {
                    asking.failed(&UpstreamError::ConnectTimedOut, groups.now());
                }
                passage.reached(asking);
                return Some(reached.stream);
            }
            Ok(Err(error)) => {
                tell(asking.target(), &error);
                passage.missed(asking, Some(&error));
            }
            Err(expired) => {
                tell(asking.target(), &expired);
                passage.missed(asking, None);
            }
        }
    }
    passage.ended_untried();
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
) -> (Carried, Ending) {
    let mut leave = Leave::of(visit);
    let stop = |cx: &mut std::task::Context<'_>| leave.poll(cx, visit) == Step::End;
    let scratch = &visit.context.scratch;
    let idle = to.timeouts.tunnel_idle;
    relay(scratch, deadline, idle, stop, client, upstream).await
}
