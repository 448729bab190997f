# Sourced by ci/demo and ci/test: keeps this checkout installed in a virtual environment.
#
#   ensure_venv EXTRA      EXTRA is "" or "test"
#
# Sets venv and bin. Installs again only when pyproject.toml, the Python or the place changed since: the install
# is an editable one, so the sources are always those of the checkout. LOADTOOL_VENV puts it elsewhere than .venv,
# PYTHON names the interpreter to make it with.

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 3
}

# Prints the first interpreter that is new enough and can make virtual environments.
find_python() {
  local candidate seen=""
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      seen="$seen $("$candidate" --version 2>&1 | tail -n 1 || true),"
      continue
    fi
    if ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
      seen="$seen $("$candidate" --version 2>&1) without venv (on Debian and Ubuntu: apt-get install python3-venv),"
      continue
    fi
    command -v "$candidate"
    return
  done
  seen=${seen%,}
  die "needs Python 3.11 or newer with venv; found:${seen:- none}. PYTHON=/path/to/python3 names another one"
}

ensure_venv() {
  local extra=$1 python stamp want have
  venv=${LOADTOOL_VENV:-$root/.venv}
  bin=$venv/bin
  stamp=$venv/loadtool-install

  # A virtual environment whose interpreter is gone, or that was moved, is made anew.
  if [ -e "$venv" ] && ! { [ -f "$venv/pyvenv.cfg" ] && "$bin/python" -c 'import pip' >/dev/null 2>&1; }; then
    [ -f "$venv/pyvenv.cfg" ] || die "$venv is in the way: it is not a virtual environment"
    rm -rf "$venv"
  fi
  if [ ! -e "$venv" ]; then
    python=$(find_python)
    echo "Making $venv with $("$python" --version)" >&2
    "$python" -m venv "$venv" || { rm -rf "$venv"; die "$python -m venv $venv failed"; }
  fi

  want="$("$bin/python" - "$root" <<'PY'
import hashlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
print(hashlib.sha256(f"{sys.version} {root} {sys.prefix}".encode() + (root / "pyproject.toml").read_bytes()).hexdigest())
PY
  )"
  have=$(cat "$stamp" 2>/dev/null || true)
  case $have in
    "$want test" | "$want $extra") return ;;
  esac
  echo "Installing loadtool into $venv (about a minute; the next time takes none)" >&2
  rm -f "$stamp"
  "$bin/python" -m pip install --quiet --disable-pip-version-check --editable "$root${extra:+[$extra]}" ||
    die "could not install loadtool into $venv: see pip's message above"
  echo "$want $extra" >"$stamp"
}
