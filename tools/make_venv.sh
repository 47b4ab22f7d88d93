#!/usr/bin/env bash
# Makes the virtual environment that the Makefile installs into, with a pinned uv in it.
#   tools/make_venv.sh VENV        PYTHON names the interpreter; without it the first fitting one is taken
# On a bare Debian machine, as root, it installs what the interpreter needs for that; elsewhere it says what is missing.
set -euo pipefail
venv=${1:?usage: tools/make_venv.sh VENV}
here=$(cd "$(dirname "$0")/.." && pwd)

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3}; do
        if fits "$candidate"; then echo "$candidate"; return; fi
    done
    return 1
}

install_debian_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 1; fi
    echo "Installing Debian packages: $*" >&2
    apt-get update -qq >/dev/null &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if ! python=$(find_python); then
    if [ -n "${PYTHON:-}" ]; then
        echo "PYTHON=$PYTHON is no Python 3.11 or later." >&2
        exit 1
    fi
    if ! install_debian_packages python3 python3-venv || ! python=$(find_python); then
        echo "posegen needs Python 3.11 or 3.12 (Debian: apt-get install python3 python3-venv; or: make PYTHON=/path/to/python)." >&2
        exit 1
    fi
fi

# Debian splits venv and ensurepip off the interpreter.
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if ! install_debian_packages "$package"; then
        echo "$python cannot make virtual environments. Install them: apt-get install $package" >&2
        exit 1
    fi
fi

"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    -r "$here/requirements-bootstrap.lock"
