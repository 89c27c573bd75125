# An image with the commands of this package: docker build -t rootless-net .
# docs/install.md has the options that a container needs to make namespaces.
FROM node:22-bookworm AS build
WORKDIR /src
COPY . .
# The native part of this build needs the C library of Debian 12, and the image has a later one.
RUN npm ci && npm run deb -- --built

FROM debian:trixie-slim
RUN --mount=type=bind,from=build,source=/src/prebuilt,target=/packages \
  apt-get update && \
  apt-get install --yes --no-install-recommends /packages/rootless-net_*.deb && \
  rm -rf /var/lib/apt/lists/* && \
  useradd --create-home --shell /bin/bash app
USER app
ENTRYPOINT ["rootless-run"]
CMD ["--help"]
