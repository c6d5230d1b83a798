# The steps of `make run` up to the binary, in the builder; the binary and DPDK's libraries in the image.

FROM rust:1-bookworm AS build
WORKDIR /weir
COPY . .
RUN make build

FROM debian:12-slim
COPY scripts/setup.sh /tmp/setup.sh
RUN /tmp/setup.sh runtime && rm -rf /tmp/setup.sh /var/lib/apt/lists/*
COPY --from=build /weir/target/release/weir /usr/local/bin/weir
COPY configs /usr/share/weir/configs

# /run/weir holds the control socket and DPDK's own files.
RUN useradd --system --no-create-home --shell /usr/sbin/nologin weir && install -d -o weir -g weir /run/weir /etc/weir
ENV XDG_RUNTIME_DIR=/run/weir

# The user `weir` is enough for files as ports (net_pcap) and for a NIC handed in by vfio (--device /dev/vfio/…,
# --group-add, --ulimit memlock=-1). Interfaces of the kernel (net_af_packet, net_af_xdp, net_tap) need
#   --user root --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW --cap-add IPC_LOCK --network host
# and for net_af_xdp --cap-add BPF beside them.
USER weir
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["weir", "status", "--json"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["weir"]
CMD ["run", "--config", "/etc/weir/weir.yaml"]
