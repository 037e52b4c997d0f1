//! PROXY headers, with HAProxy and nginx at the other end.

mod balancer;
mod received;
