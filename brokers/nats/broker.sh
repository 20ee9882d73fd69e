# NATS with JetStream. Without docker, the server is built from its Go module, which takes a minute
# the first time.
# shellcheck shell=sh disable=SC2034,SC2154

version=v2.12.15
server=$cache/nats-$version/nats-server
service_port=4222
service_variable=MSGSTREAM_NATS_PORT

client_needs() {
    :
}

broker_fetch() {
    [ ! -x "$server" ] || return 0
    needs_go
    say "building NATS' server $version, which takes a minute"
    GOBIN=$(dirname "$server") go install "github.com/nats-io/nats-server/v2@$version"
}

broker_command() {
    # A test may put a configuration of its own into the state folder.
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
