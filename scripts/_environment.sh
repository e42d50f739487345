# Sourced by lab and test with $root set to the checkout: makes $root/.venv, or brings it up to date, when needed.
#
# .venv/stamp is written last, so an environment without it is unfinished and is made anew. The stamp is a checksum of
# pyproject.toml and constraints/: when it differs, pip brings the environment up to date in place, because a long run
# may be importing from it. Delete .venv to start afresh, for instance with another Python.

fail() {
    echo "error: $1" >&2
    exit "$2"
}

stamp() { { echo "$root" && cat "$root/pyproject.toml" "$root"/constraints/*.txt; } | cksum; }

ready() { [ -x "$root/.venv/bin/python" ] && [ "$(cat "$root/.venv/stamp" 2>/dev/null)" = "$(stamp)" ]; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.12 python3.11 python3 python3.13 python3.14; fi
    for python; do
        "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && return
    done
    fail "no Python >= 3.11 with venv and pip (tried: $*); install one, or name it: PYTHON=/path/to/python" 2
}

install() {
    cd "$root" || exit
    if [ -e .venv/stamp ] && [ -x .venv/bin/python ]; then
        mv .venv/stamp .venv/stamp.old
    else
        "$python" -m venv --clear .venv >&2 || fail "could not make $root/.venv with $python" 1
    fi
    constraints=$(.venv/bin/python -c 'import sys; print("constraints/py%d%d.txt" % sys.version_info[:2])')
    if [ -e "$constraints" ]; then
        set -- --constraint "$constraints"
    else
        echo "no $constraints: installing the newest versions" >&2
        set --
    fi
    if ! .venv/bin/python -m pip install --disable-pip-version-check "$@" --editable '.[dev,export]' >.venv/install.log 2>&1
    then
        [ ! -e .venv/stamp.old ] || mv .venv/stamp.old .venv/stamp # pip gave up before it changed anything
        tail -n 5 .venv/install.log >&2
        fail "could not install the packages (full log: $root/.venv/install.log)" 1
    fi
    stamp >.venv/stamp && rm -f .venv/stamp.old
}

if ! ready; then
    find_python
    [ -e "$root/.venv/stamp" ] && what="updating .venv" || what="setting up .venv (first use, about a minute)"
    echo "$what ..." >&2
    # Only one set-up at a time. The lock belongs to the descriptor, which pip inherits, so it is held until the last of
    # them ends, however it ends. (Python takes it because not every system has a flock command.)
    (
        "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' && { ready || install; }
    ) 9>"$root/.venv.lock" || exit
fi
