# NATS with JetStream. Without docker, the server is built from its Go module, which takes a minute
# the first time.
# shellcheck shell=sh disable=SC2034,SC2154

version=v2.12.15
server=$cache/nats-$version/nats-server
service_port=4222
service_variable=MSGSTREAM_NATS_PORT

broker_fetch() {
    [ ! -x "$server" ] || return 0
    if ! command -v go >/dev/null; then
        if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && apt-get install -y -qq golang-go
        else
            fail "nats needs docker compose, or Go 1.21 or newer to build the server: install the package golang-go"
        fi
    fi
    GOBIN=$(dirname "$server") go install "github.com/nats-io/nats-server/v2@$version"
}

broker_command() {
    # A state folder may hold another configuration, for tests of one.
    config=$state/server.conf
    [ -f "$config" ] || config=$home/nats/server.conf
    exec "$server" --config "$config" --addr 127.0.0.1 --port "$1" --store_dir "$data"
}

broker_ready() {
    grep -q 'Server is ready' "$log"
}

broker_sound() {
    cat >/dev/null
}

broker_environment() {
    echo "export MSGSTREAM_NATS_URL=nats://127.0.0.1:$1"
}
