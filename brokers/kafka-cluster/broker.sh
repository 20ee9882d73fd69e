# Three Kafka nodes, each broker and controller, with three replicas of each topic. Everything else is
# as for one node.
# shellcheck shell=sh disable=SC2034,SC2154
# shellcheck source=/dev/null
. "$home/kafka/broker.sh"

all_nodes="1 2 3"
service_variable=MSGSTREAM_KAFKA_CLUSTER_PORT

# The nodes' controllers have the three ports after those of their clients.
broker_command() {
    own=$(($1 + node - 1))
    {
        cat "$home/kafka/server.properties"
        echo "node.id=$node"
        echo "listeners=PLAINTEXT://127.0.0.1:$own,CONTROLLER://127.0.0.1:$((own + 3))"
        echo "advertised.listeners=PLAINTEXT://127.0.0.1:$own"
        echo "controller.quorum.voters=1@127.0.0.1:$(($1 + 3)),2@127.0.0.1:$(($1 + 4)),3@127.0.0.1:$(($1 + 5))"
        cat "$home/kafka-cluster/server.properties"
    } >"$folder/server.properties"
    kafka_server
}

broker_environment() {
    echo "export MSGSTREAM_KAFKA_CLUSTER_URL=kafka://127.0.0.1:$1,127.0.0.1:$(($1 + 1)),127.0.0.1:$(($1 + 2))"
}
