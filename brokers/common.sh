# What `up`, `down`, `kill` and `restart` share. Each broker has a folder with a `broker.sh` that
# defines:
#
#   service_port          the port in the container that compose.yaml publishes
#   service_variable      the variable of compose.yaml that holds the port on this machine
#   client_needs          installs what its client is built with, where that is missing
#   broker_fetch          installs the server where it is missing
#   broker_command PORT   replaces this shell by the server, with its port on 127.0.0.1
#   broker_ready          succeeds once the server that was started last answers
#   broker_sound          succeeds unless it answers and has to be started once more all the same; what it
#                         wrote to its log since it was started comes on standard input
#   broker_environment PORT   prints the lines to evaluate for tests
#
# They find $home (this folder), $state (the broker's), $data and $log.
# shellcheck shell=sh disable=SC2034,SC2154

set -eu

home=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools.sh
. "$home/tools.sh"

# The broker that the command line names.
choose() {
    known=$(cd "$home" && for file in */broker.sh; do printf ' %s' "${file%/*}"; done)
    if [ $# -ne 1 ] || [ ! -f "$home/$1/broker.sh" ]; then
        fail "usage: $0 NAME, where NAME is one of:$known"
    fi
    name=$1
    state=${MSGSTREAM_BROKERS_STATE:-${TMPDIR:-/tmp}/msgstream-brokers-$(id -u)}/$name
    data=$state/data
    log=$state/log
    ports=${TMPDIR:-/tmp}/msgstream-ports-$(id -u)
    # shellcheck source=/dev/null
    . "$home/$name/broker.sh"
}

# Whether a docker engine answers. MSGSTREAM_BROKERS=process does without it.
has_docker() {
    [ "${MSGSTREAM_BROKERS:-}" != process ] && docker compose version >/dev/null 2>&1 &&
        docker info >/dev/null 2>&1
}

compose() {
    env "$service_variable=$(cat "$state/port")" docker compose \
        --file "$home/compose.yaml" --project-name "$(cat "$state/project")" "$@"
}

is_docker() {
    [ -f "$state/project" ]
}

# Whether the process of the state folder lives. One that has ended may stay as a zombie where
# nobody collects it.
is_alive() {
    [ -f "$state/pid" ] || return 1
    case $(ps -o stat= -p "$(cat "$state/pid")" 2>/dev/null) in
    '' | Z*) return 1 ;;
    esac
}

# Whether that is the server: its number may be another's by now.
is_running() {
    is_alive && ps -o args= -p "$(cat "$state/pid")" | grep -qF "$state"
}

# Waits up to 120 seconds for a command to succeed: on a busy machine a server takes its time, and
# so may the command.
await() {
    give_up=$(($(date +%s) + 120))
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

# A port for nobody else: below those that the system gives to connections, and not that of another
# broker of ours, which may be down for a moment.
any_port() {
    mkdir -p "$ports"
    until port=$((15000 + $(od -An -N2 -tu2 /dev/urandom) % 15000)) && mkdir "$ports/$port" 2>/dev/null; do
        [ -d "$ports" ] || fail "no port can be noted in $ports"
    done
    echo "$port"
}

# What the server has written since it was started last.
since_start() {
    if is_docker; then compose logs --since "$began" "$name"; else cat "$log"; fi
}

# Fails where the server lives and doesn't get ready.
start_process() {
    needs ps procps
    broker_fetch || fail "$name can't be fetched"
    say "starting $name"
    mkdir -p "$data"
    tries=10
    while :; do
        if [ -f "$state/port" ]; then port=$(cat "$state/port"); else port=$(any_port); fi
        : >"$log"
        # The server takes the place of the shell that is started here, and its number.
        (
            trap '' HUP
            broker_command "$port"
        ) >>"$log" 2>&1 </dev/null &
        echo $! >"$state/pid"
        await is_settled || true
        ! broker_ready || break
        if is_alive; then
            echo "$port" >"$state/port"
            return 1
        fi
        tries=$((tries - 1))
        # Somebody else has the port: at the first start another one will do.
        if [ -f "$state/port" ] || [ "$tries" -eq 0 ] || ! grep -qi 'already in use' "$log"; then
            tail -n 20 "$log" >&2
            fail "$name doesn't start; its log is $log"
        fi
    done
    echo "$port" >"$state/port"
}

start_once() {
    began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    if is_docker; then
        compose up --detach --wait "$name"
    else
        start_process
    fi
}

# One that was killed may come back and never get ready, as a Pulsar that doesn't load its topics: the
# next start mends it.
start() {
    mkdir -p "$state"
    if ! start_once || ! since_start | broker_sound; then
        stop
        start_once || fail "$name doesn't get ready; its log is $log"
    fi
}

stop() {
    if is_docker; then
        compose stop "$name"
    elif is_running; then
        kill "$(cat "$state/pid")"
        await is_gone || fail "$name doesn't stop"
    fi
}
