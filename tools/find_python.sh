#!/bin/sh
# Print the Pythons of this machine that can run Anel, newest first, one a line: version, path.
#
# A Python fits when it is CPython 3.11 or newer and can make a virtual environment. 3.11 to 3.14
# are tried by name and come first; a newer `python3` is taken only when none of them is there,
# because not every dependency has wheels for it yet. Version managers put scripts on the PATH
# that cannot run, so each candidate is asked.
#
#   tools/find_python.sh            all that fit
#   tools/find_python.sh --first    the first one's path; explains itself and fails if there is none

ask='import platform, sys
fits = sys.version_info >= (3, 11) and platform.python_implementation() == "CPython"
sys.exit(0 if fits and not print("%d.%d" % sys.version_info[:2], sys.executable) else 1)'

candidates() {
    for version in 3.14 3.13 3.12 3.11; do
        command -v "python$version"
        ls "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/"python$version" 2>/dev/null
    done
    command -v python3
    command -v python
}

fitting() {
    candidates | while read -r candidate; do
        found=$("$candidate" -c "$ask" 2>/dev/null </dev/null) || continue
        version=${found%% *}
        case "$seen" in *" $version "*) continue ;; esac
        "${found#* }" -c "import ensurepip, venv" 2>/dev/null </dev/null || continue
        seen="$seen $version "
        echo "$found"
    done
}

if [ "$1" != "--first" ]; then
    fitting
    exit
fi

first=$(fitting | head -n 1)
if [ -n "$first" ]; then
    echo "${first#* }"
    exit
fi
found=$(candidates | while read -r c; do "$c" -c "$ask" 2>/dev/null </dev/null; done | head -n 1)
if [ -n "$found" ]; then
    echo "${found#* } cannot make virtual environments (ensurepip is missing). Install it:" >&2
    echo "    sudo apt-get install python${found%% *}-venv" >&2
else
    echo "Anel needs CPython 3.11 or newer with venv, and found none. Install it:" >&2
    echo "    sudo apt-get install python3 python3-venv" >&2
fi
exit 1
