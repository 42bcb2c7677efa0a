# The broker: `mdp` in a small image, not as root. How to run it: docs/docker.md.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist -p mdp-cli

FROM debian:bookworm-slim
# Numbers, so that Kubernetes can see that it is not root. Keys that the broker makes are its own.
RUN groupadd --system --gid 10001 mdp \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin mdp \
    && install -d -o mdp -g mdp -m 0700 /var/lib/mdp \
    && install -d -m 0755 /etc/mdp /etc/mdp/allowed
COPY --from=build /src/target/dist/mdp /usr/local/bin/mdp
COPY deploy/mdp.toml /etc/mdp/mdp.toml
USER 10001:10001
VOLUME /var/lib/mdp
EXPOSE 5555
STOPSIGNAL SIGTERM
# By the shell, as the image has no program for HTTP.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9464 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r -u 3 _ code _ && [ \"$code\" = 200 ]"]
ENTRYPOINT ["mdp"]
# Health and metrics for this container alone. How to let others read them: docs/docker.md.
CMD ["broker", "--config", "/etc/mdp/mdp.toml", "--grace", "20", "--metrics", "127.0.0.1:9464"]
