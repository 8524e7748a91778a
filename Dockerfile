# syntax=docker/dockerfile:1
# Fanfare in a container: one binary, no shell needed, an unprivileged user, a read-only root and one volume.
#
#   docker build -t fanfare .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -v fanfare:/data -p 8080:8080 fanfare

FROM rust:1.95-slim-bookworm AS build
# SQLite, the allocator and the TLS library are built from C.
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc g++ libc6-dev make cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# .cargo holds the allocator's settings, which are compiled in.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
COPY loadtest loadtest
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p fanfare --bin fanfare \
 && install -D target/release/fanfare /out/fanfare \
 && install -d -m 0700 /out/data

FROM debian:bookworm-slim
# A user without a name on the host. Roots of TLS are in the binary.
COPY --from=build /out/fanfare /usr/local/bin/fanfare
COPY --from=build --chown=10001:10001 /out/data /data
USER 10001:10001
# Everything that is written is below /data: without a configuration file, store and keys are in `data` of this folder.
WORKDIR /
VOLUME /data
# The environment has the last word, so this holds with a configuration file too; the health check relies on it.
ENV FANFARE__SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
# SIGTERM drains for server.drain_seconds (20); give the engine a longer grace period, such as `docker stop -t 30`.
STOPSIGNAL SIGTERM
# Alive rather than ready: a store that does not answer is no reason to restart this process.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["fanfare", "health"]
ENTRYPOINT ["fanfare"]
CMD ["serve", "--log-format", "json"]
