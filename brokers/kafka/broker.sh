# Kafka without ZooKeeper. Without docker, its libraries come from the registry of Java packages:
# 44 MB, once.
# shellcheck shell=sh disable=SC2034,SC2154

version=4.3.1
jars=$cache/kafka-$version
service_port=9092
service_variable=MSGSTREAM_KAFKA_PORT

client_needs() {
    needs cc gcc
    needs c++ g++
    needs make make
}

broker_fetch() {
    needs_java
    [ ! -d "$jars" ] || return 0
    say "fetching Kafka $version, 44 MB"
    mvn -B -q -ntp -f "$home/kafka/pom.xml" -Dkafka.version="$version" \
        dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars.part" &&
        mv "$jars.part" "$jars"
}

# Clients with a password have the port after the other clients', and the controller the one after
# that. If the state has a file `tls`, three more follow, with TLS: for any client, for one with a
# certificate, and for one with a password.
broker_command() {
    listeners=PLAINTEXT://127.0.0.1:$1,SASL://127.0.0.1:$(($1 + 1))
    {
        cat "$home/kafka/server.properties"
        if [ -f "$state/tls" ]; then
            listeners=$listeners,TLS://127.0.0.1:$(($1 + 3)),MUTUAL://127.0.0.1:$(($1 + 4)),SASLTLS://127.0.0.1:$(($1 + 5))
            # The server takes key and certificate from one file.
            cat "$home/tls/server.key" "$home/tls/server.pem" >"$state/server.pem"
            echo "ssl.keystore.type=PEM"
            echo "ssl.keystore.location=$state/server.pem"
            echo "ssl.truststore.type=PEM"
            echo "ssl.truststore.location=$home/tls/ca.pem"
        fi
        echo "listeners=$listeners,CONTROLLER://127.0.0.1:$(($1 + 2))"
        echo "advertised.listeners=$listeners"
        echo "controller.quorum.voters=1@127.0.0.1:$(($1 + 2))"
    } >"$folder/server.properties"
    kafka_server
}

# Replaces this shell by the server that server.properties describes, but for its folder.
kafka_server() {
    echo "log.dirs=$data" >>"$folder/server.properties"
    set -- "-Dlog4j2.configurationFile=$home/kafka/log4j2.properties" -cp "$jars/*"
    # The id is any 16 bytes, in base64.
    [ -f "$data/meta.properties" ] || java -Xmx128m "$@" kafka.tools.StorageTool format \
        --cluster-id bXNnc3RyZWFtLXRlc3RzMQ --config "$folder/server.properties" \
        --add-scram 'SCRAM-SHA-256=[name=scrammer,password=scrammer]'
    exec java -Xms128m -Xmx512m -XX:+UseSerialGC -XX:+PerfDisableSharedMem "$@" \
        kafka.Kafka "$folder/server.properties"
}

broker_ready() {
    grep -q 'Kafka Server started' "$log"
}

broker_sound() {
    cat >/dev/null
}

broker_environment() {
    echo "export MSGSTREAM_KAFKA_URL=kafka://127.0.0.1:$1"
    # The users there are in server.properties.
    is_docker || echo "export MSGSTREAM_KAFKA_SASL_ADDRESS=127.0.0.1:$(($1 + 1))"
}
