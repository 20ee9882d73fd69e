# What `up`, `down`, `kill`, `restart`, `pause` and `resume` share. Each broker has a folder with a
# `broker.sh` that defines:
#
#   all_nodes             the numbers of a cluster's nodes; 1 where it isn't set
#   service_port          the port in the container that compose.yaml publishes
#   service_variable      the variable of compose.yaml that holds the port on this machine
#   client_needs          installs what its client is built with, where that is missing
#   broker_fetch          installs the server where it is missing
#   broker_command PORT   replaces this shell by the server, with its port on 127.0.0.1
#   broker_ready          succeeds once the server that was started last answers
#   broker_sound          fails if the server answers, but has to be started once more; reads what it
#                         wrote to its log since its start from standard input
#   broker_environment PORT   prints the lines to evaluate for tests
#
# They can use $home (this folder) and $state (the broker's); those for one node its number in $node and
# its files in $folder, $data and $log.
# shellcheck shell=sh disable=SC2034,SC2154

set -eu

home=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools.sh
. "$home/tools.sh"

# The broker that the command line names.
choose() {
    known=$(cd "$home" && for file in */broker.sh; do printf ' %s' "${file%/*}"; done)
    if [ $# -lt 1 ] || [ $# -gt 2 ] || [ ! -f "$home/$1/broker.sh" ]; then
        fail "usage: $0 NAME [NODE], where NAME is one of:$known"
    fi
    name=$1
    state=${MSGSTREAM_BROKERS_STATE:-${TMPDIR:-/tmp}/msgstream-brokers-$(id -u)}/$name
    ports=${TMPDIR:-/tmp}/msgstream-ports-$(id -u)
    all_nodes=1
    # shellcheck source=/dev/null
    . "$home/$name/broker.sh"
    nodes=${2:-$all_nodes}
    case " $all_nodes " in
    *" $nodes "*) ;;
    *) fail "$name has no node ${2:-}: its nodes are $all_nodes" ;;
    esac
}

# Runs a command for each node that the command line means, until one fails.
each() {
    for node in $nodes; do
        folder=$state
        [ "$all_nodes" = 1 ] || folder=$state/$node
        data=$folder/data
        log=$folder/log
        "$@" || return
    done
}

# Whether a docker engine answers. MSGSTREAM_BROKERS=process does without it.
has_docker() {
    [ "${MSGSTREAM_BROKERS:-}" != process ] && docker compose version >/dev/null 2>&1 &&
        docker info >/dev/null 2>&1
}

# The nodes of a cluster have one port after the other.
compose() {
    port=$(cat "$state/port")
    env "$service_variable=$port" "${service_variable}_2=$((port + 1))" "${service_variable}_3=$((port + 2))" \
        docker compose --file "$home/compose.yaml" --project-name "$(cat "$state/project")" "$@"
}

# A node as a service of compose.yaml.
service() {
    if [ "$all_nodes" = 1 ]; then echo "$name"; else echo "$name-$node"; fi
}

is_docker() {
    [ -f "$state/project" ]
}

# Whether the node's process lives. One that has ended may stay as a zombie until its parent reads its status.
is_alive() {
    [ -f "$folder/pid" ] || return 1
    case $(ps -o stat= -p "$(cat "$folder/pid")" 2>/dev/null) in
    '' | Z*) return 1 ;;
    esac
}

# Whether that is the server: its process id may belong to another program by now.
is_running() {
    is_alive && ps -o args= -p "$(cat "$folder/pid")" | grep -qF "$state"
}

# Waits up to 300 seconds for a command to succeed: on a busy machine both the server and the command may be slow.
await() {
    give_up=$(($(date +%s) + 300))
    until "$@"; do
        [ "$(date +%s)" -lt "$give_up" ] || return 1
        sleep 0.1
    done
}

is_gone() {
    ! is_running
}

# Ready, or dead.
is_settled() {
    broker_ready || ! is_alive
}

# Prints a free port: below those that the system assigns to connections, and not that of another
# broker of ours, which may be down for a moment.
any_port() {
    mkdir -p "$ports"
    until port=$((15000 + $(od -An -N2 -tu2 /dev/urandom) % 15000)) && mkdir "$ports/$port" 2>/dev/null; do
        [ -d "$ports" ] || fail "can't write to $ports, which notes the ports in use"
    done
    echo "$port"
}

# Prints what the servers have logged since their last start.
since_start() {
    # shellcheck disable=SC2046
    if is_docker; then compose logs --since "$began" $(each service); else each show_log; fi
}

show_log() {
    cat "$log"
}

show_end() {
    tail -n 20 "$log"
}

# Starts a node, unless it runs.
launch() {
    ! is_running || return 0
    mkdir -p "$data"
    : >"$log"
    # The server replaces the shell that is started here, and has its process id.
    (
        trap '' HUP
        broker_command "$port"
    ) >>"$log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
}

# Fails if the servers live but don't get ready.
start_processes() {
    needs ps procps
    one_at_a_time broker_fetch || fail "the server of $name can't be fetched: see the lines above"
    say "starting $name"
    tries=10
    while :; do
        if [ -f "$state/port" ]; then port=$(cat "$state/port"); else port=$(any_port); fi
        each launch
        each await is_settled || true
        ! each broker_ready || break
        if each is_alive; then
            echo "$port" >"$state/port"
            return 1
        fi
        tries=$((tries - 1))
        # Another program has the port: at the first start, take another one.
        if [ -f "$state/port" ] || [ "$tries" -eq 0 ] || ! each show_log | grep -qi 'already in use'; then
            each show_end >&2
            fail "$name doesn't start: see its log, $log"
        fi
        each slay
    done
    # Of a cluster several nodes may be starting at once, which read it.
    [ -f "$state/port" ] || echo "$port" >"$state/port"
}

start_once() {
    began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    if is_docker; then
        # shellcheck disable=SC2046
        compose up --detach --wait $(each service)
    else
        start_processes
    fi
}

# A server that was killed may start and never get ready, as a Pulsar that doesn't load its topics. Starting it once
# more helps.
start() {
    mkdir -p "$state"
    if ! start_once || ! since_start | broker_sound; then
        stop
        start_once || fail "$name started, but doesn't answer: see its log, $log"
    fi
}

# A cluster's nodes are killed: without a majority, the last ones wouldn't stop.
stop() {
    if is_docker; then
        # shellcheck disable=SC2046
        compose stop $(each service)
    elif [ "$all_nodes" = 1 ]; then
        each end
    else
        each slay
    fi
}

end() {
    ! is_running || {
        kill "$(cat "$folder/pid")"
        await is_gone || fail "$name was asked to stop, and still runs: see its log, $log"
    }
}

slay() {
    ! is_running || {
        kill -9 "$(cat "$folder/pid")"
        await is_gone || fail "$name was killed, and its process is still there"
    }
}

# Sends a signal to a node that runs.
signal() {
    is_running || fail "$name isn't running: start it with brokers/up $name"
    kill "-$1" "$(cat "$folder/pid")"
}
