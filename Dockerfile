# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin onedoor \
    && install -m 755 target/release/onedoor /usr/local/bin/onedoor \
    && mkdir /data

# It has the CA certificates, the C library, and no shell.
FROM gcr.io/distroless/cc-debian12
COPY --from=build /usr/local/bin/onedoor /usr/local/bin/onedoor
COPY --from=build --chown=65532:65532 /data /data

# Ports below 1024 need no right in a container of Docker 20.10 or later; elsewhere set net.ipv4.ip_unprivileged_port_start=0.
USER 65532:65532

# Certificates, keys and accounts: mount something here that outlives the container.
ENV ONEDOOR_STORAGE=/data/onedoor
VOLUME /data

EXPOSE 80 443
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/onedoor", "health"]
ENTRYPOINT ["/usr/local/bin/onedoor"]
CMD ["up", "-c", "/etc/onedoor/proxy.toml"]
