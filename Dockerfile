# syntax=docker/dockerfile:1
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/reconciler ./cmd/reconciler \
 && mkdir -p /out/tmp /out/var/lib/reconciler/tokens

# Time zones and root certificates are inside the binary; nothing else is
# needed, and there is nothing else to attack.
FROM scratch
COPY --from=build /out/reconciler /reconciler
COPY --from=build --chown=65532:65532 /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/var/lib/reconciler /var/lib/reconciler
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/reconciler"]
CMD ["run", "--config", "/etc/reconciler/reconciler.yaml"]
