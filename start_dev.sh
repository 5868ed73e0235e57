#!/usr/bin/env bash
# The listener, a mock sensor and a client that prints the events, all at once; Ctrl+C ends all of them.
set -euo pipefail

# What runs inside a window or pane. "script" keeps a copy of what is said there, because a window that closes
# takes the reason with it; the program itself still has a terminal.
if [ "${1:-}" = --inside ]; then
    place=$2 log=$3 status=0
    printf -v line '%q ' "${@:4}"
    printf -v pid_file '%q' "$place.pid"
    SHELL=$BASH script --quiet --flush --return --command "echo \$\$ >$pid_file; exec $line" "$log" || status=$?
    echo "$status" >"$place.status"
    exit
fi

cd "$(dirname "$0")"
# shellcheck source=tests/setup.sh
. tests/setup.sh

usage() {
    cat <<'TEXT'
Usage: ./start_dev.sh [--windows | --tmux | --plain] [--seconds N]

  --windows    each program in a terminal window of its own (kitty, gnome-terminal or xterm)
  --tmux       each program in a tmux pane
  --plain      all in this terminal, the name of the program in front of each line
               (without any of these: the first that is possible here)
  --seconds N  end by itself after N seconds

The port is 8765, or what LES02_WEBSOCKET__PORT says. Other keys of config.toml are set in the same way. The CAN
workbench and the REST API (http://localhost:8000/docs) need the extra "api"; .venv has it, as part of "dev":

  LES02_API__ENABLED=true LES02_WORKBENCH__ENABLED=true ./start_dev.sh
TEXT
}

mode='' seconds=''
while [ $# -gt 0 ]; do
    case $1 in
        --windows | --tmux | --plain) mode=${1#--} ;;
        --seconds)
            [[ ${2:-} =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "--seconds needs a number"
            seconds=$2
            shift
            ;;
        -h | --help)
            usage
            exit
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done

PATH=$PATH:/usr/sbin:/sbin # Debian keeps ip and modprobe out of an ordinary user's way

# ---- The bus ----

as_root() {
    if is_root; then "$@"; else sudo -n "$@"; fi >/dev/null 2>&1
}

kernel_has_can() { "$python" -c 'import socket as s; s.socket(s.AF_CAN, s.SOCK_RAW, s.CAN_RAW)' 2>/dev/null; }

vcan0_is_up() {
    local flags
    flags=$(cat /sys/class/net/vcan0/flags 2>/dev/null) && ((flags & 1))
}

find_bus() {
    bus=vcan0
    vcan0_is_up && kernel_has_can && return
    as_root modprobe vcan || true # compiled into some kernels, so a failure proves nothing
    as_root ip link add dev vcan0 type vcan || true
    as_root ip link set vcan0 up || true
    if vcan0_is_up && kernel_has_can; then
        say "made vcan0"
        return
    fi
    bus=''
    if kernel_has_can; then
        say "vcan0 is missing and cannot be made here. To have it, type:" \
            "sudo modprobe vcan; sudo ip link add dev vcan0 type vcan; sudo ip link set vcan0 up"
    else
        say "this kernel has no CAN"
    fi
    say "so the listener runs with --demo: the mock is inside it"
}

# ---- The programs ----

# shellcheck disable=SC2034 # start_* read the run_* arrays by name
choose_programs() {
    local port=${LES02_WEBSOCKET__PORT:-8765}
    names=(listener debug)
    run_listener=("$python" -m listener.main --host localhost --port "$port")
    run_debug=("$python" -m listener.debug_ws_client --url "ws://localhost:$port/")
    if [ -n "$bus" ]; then
        names=(listener mock debug)
        run_listener+=(--interface socketcan --channel "$bus")
        run_mock=("$python" -m mock.mock_les02 --interface socketcan --channel "$bus")
    else
        run_listener+=(--demo)
    fi
}

declare -A pid=() # of each program; each leads a process group of its own
helpers=()        # windows, the tmux client, the clock: ended after the programs
prefixers=()      # end by themselves, when they have written the last line

is_alive() { kill -0 -- "$1" 2>/dev/null || kill -0 -- "-$1" 2>/dev/null; }

# A program that was started this very moment does not lead its group yet, hence both forms.
signal_all() {
    local name=$1 one
    shift
    for one; do
        kill "-$name" -- "$one" 2>/dev/null || true
        kill "-$name" -- "-$one" 2>/dev/null || true
    done
}

end_all() {
    local one deadline=$((SECONDS + $1))
    shift
    signal_all TERM "$@"
    for one; do
        while is_alive "$one" && ((SECONDS < deadline)); do sleep 0.05; done
    done
    signal_all KILL "$@"
}

finish() {
    trap '' INT TERM HUP
    trap - EXIT
    end_all 8 "${pid[@]}"
    [ "$mode" != tmux ] || in_tmux kill-server 2>/dev/null || true
    end_all 2 "${helpers[@]}"
    [ ${#prefixers[@]} = 0 ] || wait "${prefixers[@]}" || true
    rm -r "$room"
    [ -z "${last_words:-}" ] || printf '%s\n' "$last_words" >&2
    [ -z "${verdict:-}" ] || say "$verdict"
    exit "$1"
}

# $1 program, $2 exit code. Where a program has a terminal of its own, Ctrl+C there is a way to end everything.
ended() {
    verdict="$1 ended with exit code $2, so everything was ended"
    if [ "$mode" != plain ] && [[ $2 = 0 || $2 = 130 ]]; then
        finish 0
    fi
    finish $(($2 > 0 ? $2 : 1))
}

# $@: processes; returns when the first of them has ended: $first, with $status.
wait_for_first() {
    trap 'finish 0' INT TERM HUP
    [ -z "$early" ] || finish 0
    # A signal in the very moment before bash falls asleep is seen when it wakes up: so it does, each second.
    local tick
    while :; do
        sleep 1 <&- &>/dev/null &
        tick=$!
        status=0
        wait -n -p first "$@" "$tick" || status=$?
        [ "$first" = "$tick" ] || break
    done
    [ "$first" != "$clock" ] || finish 0
}

# ---- One terminal for all ----

start_plain() {
    local -n argv=run_$1
    local out
    # Ctrl+C reaches the whole terminal; the last lines come after it.
    exec {out}> >(
        trap '' INT TERM HUP
        exec stdbuf -oL sed "s/^/[$1] /"
    )
    prefixers+=($!)
    # pdeathsig: even when this script is killed outright, nothing stays behind.
    PYTHONUNBUFFERED=1 setsid setpriv --pdeathsig TERM "${argv[@]}" </dev/null >&"$out" 2>&1 &
    pid[$1]=$!
    exec {out}>&-
}

run_plain() {
    local name
    for name in "${names[@]}"; do start_plain "$name"; done
    wait_for_first "${pid[@]}" "${helpers[@]}"
    for name in "${names[@]}"; do
        [ "${pid[$name]}" != "$first" ] || ended "$name" "$status"
    done
}

# ---- A window or pane for each ----

# tmux and gnome-terminal start programs that are not children of this script, so files in $room tell their
# ids and exit codes. (tmux' own pane-died is no help: built with utempter it misses a child now and then.)

inside() {
    local -n argv=run_$1
    local log=$room/$1.log
    [ "$1" != debug ] || log=/dev/null # 500 lines a second
    within=("$BASH" "$PWD/start_dev.sh" --inside "$room/$1" "$log" "${argv[@]}")
}

# $1: program, $2: the process of its window, if it is known.
learn_pid() {
    local deadline=$((SECONDS + 10))
    until [ -s "$room/$1.pid" ]; do
        if ((SECONDS > deadline)) || { [ -n "${2:-}" ] && ! kill -0 "$2" 2>/dev/null; }; then
            verdict="the $mode mode does not work here; try --plain"
            finish 1
        fi
        sleep 0.05
    done
    pid[$1]=$(cat "$room/$1.pid")
}

wait_inside() {
    until compgen -G "$room/*.status" >/dev/null; do sleep 0.2; done &
    helpers+=($!)
    wait_for_first "${helpers[@]}"
    local name
    for name in "${names[@]}"; do
        [ -s "$room/$name.status" ] || continue
        [ ! -s "$room/$name.log" ] || last_words=$(grep -v '^Script ' "$room/$name.log" | tail -n 15)
        ended "$name" "$(cat "$room/$name.status")"
    done
    finish 0 # a window was closed, or tmux detached
}

# A server of its own: nothing of the user's is touched, and ending it ends exactly what was started here.
in_tmux() { env -u TMUX tmux -L "les02-$$" -f /dev/null "$@"; }

run_tmux() {
    local name how=(
        start-server ";" set-option -g mouse on ";" set-option -g status-left "" ";"
        set-option -g status-right " Ctrl+C ends everything " ";" set-option -g pane-border-status top ";"
        set-option -g pane-border-format " #{@program} " ";" set-option -g window-status-current-format "LES02" ";"
        new-session -d -s les02 -x "$(tput cols)" -y "$(tput lines)"
    )
    for name in "${names[@]}"; do
        inside "$name"
        in_tmux "${how[@]}" "${within[@]}" ";" set-option -p @program "$name" ";" select-layout even-vertical
        learn_pid "$name"
        how=(split-window -t les02)
    done
    in_tmux attach-session -t les02 <&0 &
    helpers+=($!)
    wait_inside
}

find_terminal() {
    if command -v kitty >/dev/null; then
        terminal=kitty
    elif command -v gnome-terminal >/dev/null; then
        terminal=gnome-terminal
    elif command -v xterm >/dev/null && [ -n "${DISPLAY:-}" ]; then
        terminal=xterm
    else
        return 1
    fi
}

run_windows() {
    local name
    for name in "${names[@]}"; do
        inside "$name"
        case $terminal in
            kitty) kitty --title "LES02 $name" "${within[@]}" & ;;
            gnome-terminal) gnome-terminal --wait --title="LES02 $name" -- "${within[@]}" & ;;
            xterm) xterm -T "LES02 $name" -e "${within[@]}" & ;;
        esac
        helpers+=($!)
        learn_pid "$name" $!
    done
    say "Ctrl+C here, or in one of the windows, ends everything"
    wait_inside
}

# ---- All together ----

has_terminal() { [ -t 0 ] && [ -t 1 ]; }

if [ -z "$mode" ]; then
    mode=plain
    if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && find_terminal; then
        mode=windows
    elif command -v tmux >/dev/null && has_terminal; then
        mode=tmux
    fi
fi
case $mode in
    windows) find_terminal || fail "no kitty, gnome-terminal or xterm here" ;;
    tmux)
        command -v tmux >/dev/null || fail "no tmux here. Type: sudo apt install tmux"
        has_terminal || fail "--tmux needs a terminal"
        ;;
esac

prepare_venv
build_page || true
find_bus
choose_programs

# A signal during the start is kept until everything that has to be ended is known.
early=''
trap early=1 INT TERM HUP
trap 'finish $?' EXIT
room=$(mktemp -d)
clock=none
if [ -n "$seconds" ]; then
    sleep "$seconds" &
    clock=$!
    helpers+=("$clock")
fi
"run_$mode"
