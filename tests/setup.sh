# Sourced by tests/run and start_dev.sh: a working .venv from nothing but python3 and git, and the page of web/.
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

# $@: for npm. What it says is of interest only if it fails: $page_log.
_npm() { page_log=$(npm --prefix web "$@" </dev/null 2>&1); }

_install_for_page() {
    # npm empties node_modules before it installs, so this is lost with what it stands for.
    local installed=web/node_modules/.installed-for-page
    cmp -s web/package-lock.json $installed && return
    say "installing what web/package-lock.json names into web/node_modules (once)"
    _npm ci --ignore-scripts --include=dev --prefer-offline && cp web/package-lock.json $installed
}

# Builds listener/page/index.html if web/ is not what it was built from. Everything but the page works without.
build_page() {
    local html=listener/page/index.html stamp=web/node_modules/.page sources lock status=0
    # shellcheck disable=SC2034 # tests/run shows it
    page_log="npm is missing"
    command -v npm >/dev/null || {
        [ -e $html ] || say "the listener will have no page, as there is no npm. Type: sudo apt install npm"
        return 1
    }

    exec {lock}<web
    flock "$lock" # two first runs at the same time

    sources=$(find web -name node_modules -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    if [ "$(cat $stamp 2>/dev/null)" != "$sources $(sha256sum $html 2>/dev/null)" ]; then
        if _install_for_page && _npm run build; then
            printf '%s\n' "$sources $(sha256sum $html)" >$stamp
            say "built the page"
        else
            say "the page could not be built; Node 18 or newer? To see why: (cd web && npm ci && npm run build)"
            status=1
        fi
    fi

    exec {lock}<&-
    return $status
}
