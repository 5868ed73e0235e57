# Sourced by tests/run and start_dev.sh: a working .venv from nothing but python3 and git.
# Expects the repository as the working directory; sets $python.
# shellcheck shell=bash

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() {
    say "$*"
    exit 1
}
is_root() { [ "$(id -u)" = 0 ]; }

# $@: Debian packages. Only root may; everybody else is told what to type by the caller.
install_debian() {
    is_root && command -v apt-get >/dev/null || return 1
    say "installing $* with apt-get"
    DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" </dev/null >&2
}

_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

_find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && _new_enough "$candidate"; then
            base_python=$candidate
            return
        fi
    done
    if command -v python3 >/dev/null; then
        fail "Python 3.11 or newer is needed; $(command -v python3) is $(python3 -V 2>&1)."
    fi
    fail "Python 3.11 or newer is needed, and there is no python3: sudo apt install python3 python3-venv"
}

_make_venv() {
    local base_python
    _find_python
    # Debian packs ensurepip separately; without it "python3 -m venv" leaves half an environment behind.
    if ! "$base_python" -c 'import ensurepip' 2>/dev/null; then
        install_debian python3-venv || true
        "$base_python" -c 'import ensurepip' 2>/dev/null ||
            fail "$base_python cannot make virtual environments yet. Type: sudo apt install python3-venv"
    fi
    say "making .venv with $("$base_python" -V)"
    "$base_python" -m venv --clear .venv || fail "making .venv failed, see above"
}

# Whoever has an environment of their own (Nix, a container) names it in LES02_VENV; nothing is installed into it.
prepare_venv() {
    if [ -n "${LES02_VENV:-}" ]; then
        python=$LES02_VENV/bin/python
        [ -x "$python" ] || fail "LES02_VENV=$LES02_VENV has no bin/python"
        return
    fi
    python=$PWD/.venv/bin/python
    local stamp=.venv/installed wanted lock
    # The path is part of it: an environment that was moved or copied still points to where it came from.
    wanted="$(sha256sum <pyproject.toml) $PWD"

    exec {lock}<.
    flock "$lock" # two first runs at the same time

    if [ "$(cat $stamp 2>/dev/null)" != "$wanted" ] || ! _new_enough "$python"; then
        if [ -e $stamp ] && [[ "$(cat $stamp)" != *" $PWD" ]]; then
            say ".venv was made in another place"
            _make_venv
        elif ! _new_enough "$python" || ! "$python" -m pip --version >/dev/null 2>&1; then
            _make_venv
        fi
        rm -f $stamp # written last, so that an interrupted installation is done again
        say "installing what pyproject.toml asks for into .venv (once, about a minute)"
        "$python" -m pip --disable-pip-version-check install --quiet --editable '.[dev]' >&2 ||
            fail "the installation failed, see above; the next start tries again"
        printf '%s\n' "$wanted" >$stamp
        say ".venv is ready"
    fi

    exec {lock}<&-
}
