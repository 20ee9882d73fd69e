# Three NATS servers with JetStream, which keep each stream as often as its settings say: `?replicas=3`.
# Everything else is as for one server.
# shellcheck shell=sh disable=SC2034,SC2154
# shellcheck source=/dev/null
. "$home/nats/broker.sh"

all_nodes="1 2 3"
service_variable=MSGSTREAM_NATS_CLUSTER_PORT

# The servers talk to one another on the three ports after those of their clients.
broker_command() {
    own=$(($1 + node - 1))
    exec "$server" --config "$home/nats/server.conf" --addr 127.0.0.1 --port "$own" --store_dir "$data" \
        --name "node-$node" --cluster_name tests --cluster "nats://127.0.0.1:$((own + 3))" \
        --routes "nats://127.0.0.1:$(($1 + 3)),nats://127.0.0.1:$(($1 + 4)),nats://127.0.0.1:$(($1 + 5))"
}

# Once it knows who leads, or leads itself.
broker_ready() {
    grep -qE 'new metadata leader|new JetStream cluster metadata leader' "$log"
}

broker_environment() {
    echo "export MSGSTREAM_NATS_CLUSTER_URL='nats://127.0.0.1:$1,127.0.0.1:$(($1 + 1)),127.0.0.1:$(($1 + 2))/?replicas=3'"
}
