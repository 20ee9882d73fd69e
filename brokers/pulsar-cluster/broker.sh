# A Pulsar of two brokers, three bookies with two copies of each record, and one ZooKeeper, each with Pulsar's default
# settings where broker.conf and bookie.conf don't say otherwise. Everything else is as for one server.
# shellcheck shell=sh disable=SC2034,SC2154
# shellcheck source=/dev/null
. "$home/pulsar/broker.sh"

# ZooKeeper, the bookies, and the brokers.
all_nodes="1 2 3 4 5 6"
service_variable=MSGSTREAM_PULSAR_CLUSTER_PORT

# The brokers' ports for clients are the first two, and those for the admin interface the next two. ZooKeeper's and
# the bookies' follow.
broker_command() {
    first=$1
    zookeeper=127.0.0.1:$((first + 4))
    case $node in
    1) metadata_command ;;
    [234]) bookie_command ;;
    *) serving_command ;;
    esac
}

metadata_command() {
    {
        echo "dataDir=$data"
        echo "clientPortAddress=127.0.0.1"
        echo "clientPort=$((first + 4))"
        echo "admin.enableServer=false"
        # Sessions are to end soon after their clients.
        echo "tickTime=1000"
    } >"$folder/zookeeper.conf"
    pulsar_java -Xmx256m org.apache.zookeeper.server.ZooKeeperServerMain "$folder/zookeeper.conf"
}

# The first bookie tells ZooKeeper of the cluster, once, and the other nodes wait for that.
bookie_command() {
    if [ "$node" = 2 ] && [ ! -f "$state/described" ]; then
        rm -f "$state/undescribed"
        (
            pulsar_java -Xmx128m org.apache.pulsar.PulsarClusterMetadataSetup --cluster tests \
                --metadata-store "zk:$zookeeper" --configuration-metadata-store "zk:$zookeeper" \
                --web-service-url "http://127.0.0.1:$((first + 2)),127.0.0.1:$((first + 3))" \
                --broker-service-url "pulsar://127.0.0.1:$first,127.0.0.1:$((first + 1))"
        ) || {
            : >"$state/undescribed"
            exit 1
        }
        : >"$state/described"
    fi
    await_description
    {
        cat "$home/pulsar-cluster/bookie.conf"
        echo "metadataServiceUri=metadata-store:zk:$zookeeper"
        echo "bookiePort=$((first + 3 + node))"
        echo "journalDirectories=$data/journal"
        echo "ledgerDirectories=$data/ledgers"
    } >"$folder/bookie.conf"
    # A bookie that was killed is known until its session ends, and as long another one can't take its place.
    [ ! -d "$data/journal" ] || sleep 8
    pulsar_java -Xmx256m org.apache.bookkeeper.server.Main --conf "$folder/bookie.conf"
}

# A broker that finds no bookies ends.
serving_command() {
    await_description
    for bookie in 2 3 4; do
        wait_for is_started "$bookie"
    done
    own=$((first + node - 5))
    {
        cat "$home/pulsar-cluster/broker.conf"
        echo "metadataStoreUrl=zk:$zookeeper"
        echo "configurationMetadataStoreUrl=zk:$zookeeper"
        echo "brokerServicePort=$own"
        echo "webServicePort=$((own + 2))"
    } >"$folder/broker.conf"
    pulsar_java -Xmx384m org.apache.pulsar.PulsarBrokerStarter --broker-conf "$folder/broker.conf"
}

# A node that waits is no server yet, so nobody ends it: it ends by itself once its start was given up.
await_description() {
    me=$(exec sh -c 'echo "$PPID"')
    wait_for test -f "$state/described"
}

wait_for() {
    until "$@"; do
        sleep 0.1
        [ ! -f "$state/undescribed" ] || exit 1
        # Whoever started it may be about to write it down.
        is_current || sleep 5
        is_current || exit 1
    done
}

is_current() {
    [ "$(cat "$folder/pid" 2>/dev/null)" = "$me" ]
}

# Whether a bookie has begun to serve, the last time that it was started.
is_started() {
    grep -q 'Started component bookie-server' "$state/$1/log"
}

broker_ready() {
    case $node in
    1) grep -q 'binding to port' "$log" ;;
    [234]) is_started "$node" ;;
    *)
        api=http://127.0.0.1:$((port + node - 3))/admin/v2
        [ "$(curl -s -m 5 "$api/brokers/health" 2>/dev/null)" = ok ] &&
            curl -s -f -m 5 "$api/namespaces/public/default" >/dev/null 2>&1
        ;;
    esac
}

broker_environment() {
    admin=http://127.0.0.1:$(($1 + 2)),127.0.0.1:$(($1 + 3))
    echo "export MSGSTREAM_PULSAR_CLUSTER_URL='pulsar://127.0.0.1:$1,127.0.0.1:$(($1 + 1))/public/default?admin=$admin'"
}
