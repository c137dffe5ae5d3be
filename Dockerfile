# The image holds one static binary with the shipped configs and objects, nothing else.

FROM rust:1-bookworm AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gcc make pkg-config libelf-dev zlib1g-dev
WORKDIR /src
COPY . .
RUN make build

FROM scratch
COPY --from=build /src/target/release/bpftally /bpftally
COPY --from=build /src/configs /etc/bpftally
COPY --from=build /src/bpf-objects/*.bpf.o /etc/bpftally/
EXPOSE 9435
ENTRYPOINT ["/bpftally"]
