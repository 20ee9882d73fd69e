# Pulsar standalone. Without docker, its libraries come from the registry of Java packages: 240 MB,
# once.
# shellcheck shell=sh disable=SC2034,SC2154

version=4.0.8
server=$cache/apache-pulsar-$version
service_port=6650
service_variable=MSGSTREAM_PULSAR_PORT

client_needs() {
    needs cc gcc
    one_at_a_time needs_protoc
}

broker_fetch() {
    needs_java
    needs curl curl
    [ ! -d "$server/lib" ] || return 0
    say "fetching Pulsar $version, 240 MB"
    mvn -B -q -ntp -f "$home/pulsar/pom.xml" -Dpulsar.version="$version" -Dunpack.into="$cache" \
        dependency:unpack
}

# If the state has a file `defaults`, the broker has its default settings for retention. The ports after the
# broker's are the admin interface's, the bookie's, and, if the state has a file
# `tls`, the broker's and the admin interface's with TLS.
broker_command() {
    {
        if [ -f "$state/defaults" ]; then
            # If a name is there twice, the bookie takes the first line, and the broker the last.
            awk -F= 'NR == FNR { if (!/^#/) named[$1]; print; next } !($1 in named)' \
                "$home/pulsar/defaults.conf" "$home/pulsar/standalone.conf"
        else
            cat "$home/pulsar/standalone.conf"
        fi
        echo "brokerServicePort=$1"
        echo "webServicePort=$(($1 + 1))"
        if [ -f "$state/tls" ]; then
            echo "brokerServicePortTls=$(($1 + 3))"
            echo "webServicePortTls=$(($1 + 4))"
            echo "tlsCertificateFilePath=$home/pulsar/tls.crt"
            echo "tlsKeyFilePath=$home/pulsar/tls.key"
        fi
    } >"$data/standalone.conf"
    pulsar_java -Xms128m -Xmx512m org.apache.pulsar.PulsarStandaloneStarter \
        --config "$data/standalone.conf" --no-functions-worker --no-stream-storage \
        --num-bookies 1 --bookkeeper-port $(($1 + 2)) --bookkeeper-dir "$data/bookkeeper" \
        --metadata-dir "$data/metadata" --advertised-address 127.0.0.1
}

# Replaces this shell by a program of Pulsar's: OPTIONS... CLASS ARGUMENTS...
pulsar_java() {
    cd "$data" || exit
    exec java -XX:MaxDirectMemorySize=512m -XX:+UseSerialGC \
        -XX:+ExitOnOutOfMemoryError -XX:+PerfDisableSharedMem -Djava.net.preferIPv4Stack=true \
        -Djute.maxbuffer=10485760 -Dio.netty.tryReflectionSetAccessible=true \
        -Dio.netty.leakDetectionLevel=disabled -Dpulsar.allocator.exit_on_oom=true \
        -Dlog4j.configurationFile="$home/pulsar/log4j2.xml" -Dlog4j2.is.webapp=false \
        -Dbookkeeper.metadata.bookie.drivers=org.apache.pulsar.metadata.bookkeeper.PulsarMetadataBookieDriver \
        -Dbookkeeper.metadata.client.drivers=org.apache.pulsar.metadata.bookkeeper.PulsarMetadataClientDriver \
        --add-opens java.base/java.io=ALL-UNNAMED --add-opens java.base/java.util.zip=ALL-UNNAMED \
        --add-opens java.base/java.nio=ALL-UNNAMED \
        --add-opens java.base/jdk.internal.misc=ALL-UNNAMED \
        --add-opens java.base/sun.net=ALL-UNNAMED \
        --add-opens java.base/jdk.internal.platform=ALL-UNNAMED \
        --add-opens java.management/sun.management=ALL-UNNAMED \
        --add-opens jdk.management/com.sun.management.internal=ALL-UNNAMED \
        -cp "$server/lib/*" "$@"
}

# Succeeds if a message arrives and the namespace exists, which is created last.
broker_ready() {
    api=http://127.0.0.1:$((port + 1))/admin/v2
    [ "$(curl -s -m 5 "$api/brokers/health" 2>/dev/null)" = ok ] &&
        curl -s -f -m 5 "$api/namespaces/public/default" >/dev/null 2>&1
}

# A server that was killed leaves the registration of its bookie behind, and the next one deletes it. If the next one
# is notified of that too late, it takes it for the loss of its own registration, which it then deletes and creates
# again without end, because what it finds never equals what it wrote. An orderly stop leaves no registration.
broker_sound() {
    ! grep -q 'Lock on resource /ledgers/available/.* was invalidated'
}

broker_environment() {
    if is_docker; then admin=$(compose port pulsar 8080); else admin=127.0.0.1:$(($1 + 1)); fi
    echo "export MSGSTREAM_PULSAR_URL='pulsar://127.0.0.1:$1/public/default?admin=http://$admin'"
}
