# Sourced by the programs in ci/: keeps this checkout installed in virtual environments.
#
#   ensure_venv EXTRA              EXTRA is "" or "test"; the plain build
#   ensure_compiled_venv EXTRA     the compiled one
#   ensure_oldest_venv EXTRA       the plain one with the oldest libraries that pyproject.toml admits
#
# All set venv and bin. The plain ones are editable installs, so their sources are always those of the checkout; they
# are installed again only when pyproject.toml, the Python or the place changed since. The compiled one is built from
# a copy, so that no compiled module gets into the checkout, and again whenever a source changed. LOADTOOL_VENV puts
# them elsewhere than .venv (.venv-compiled, .venv-oldest), PYTHON names the interpreter to make them with.

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

# Makes the virtual environment $venv, unless it is there and works.
make_venv() {
  local python
  bin=$venv/bin

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
}

# Prints a digest of the Python, the place and the files (in the checkout) that are named.
digest() {
  "$bin/python" - "$root" "$@" <<'PY'
import hashlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
digest = hashlib.sha256(f"{sys.version} {root} {sys.prefix}".encode())
for pattern in sys.argv[2:]:
    for path in sorted(root.glob(pattern)):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(root)} ".encode() + path.read_bytes())
print(digest.hexdigest())
PY
}

# Whether what has this digest is installed, with EXTRA; forgets the stamp if not.
is_installed() {
  local extra=$1 want=$2 have
  have=$(cat "$venv/loadtool-install" 2>/dev/null || true)
  case $have in
    "$want test" | "$want $extra") return 0 ;;
  esac
  rm -f "$venv/loadtool-install"
  return 1
}

pip_install() {
  "$bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
    die "could not install loadtool into $venv: see pip's message above"
}

ensure_venv() {
  local extra=$1 want
  venv=${LOADTOOL_VENV:-$root/.venv}
  make_venv
  want=$(digest pyproject.toml)
  is_installed "$extra" "$want" && return
  echo "Installing loadtool into $venv (about a minute; the next time takes none)" >&2
  pip_install --editable "$root${extra:+[$extra]}"
  echo "$want $extra" >"$venv/loadtool-install"
}

# Prints each library that loadtool needs at its lowest version, as pip's constraints.
lowest_versions() {
  "$bin/python" - "$root/pyproject.toml" <<'PY'
import re, sys, tomllib
with open(sys.argv[1], "rb") as file:
    for line in tomllib.load(file)["project"]["dependencies"]:
        found = re.fullmatch(r"([\w.-]+)(?:\[[^]]*\])?>=([\w.]+)(?:,<[\w.]+)?", line)
        if not found:
            sys.exit(f"pyproject.toml: {line!r} has no lowest version: write it as name>=version")
        print(f"{found[1]}=={found[2]}")
PY
}

ensure_oldest_venv() {
  local extra=$1 want constraints
  venv=${LOADTOOL_VENV:-$root/.venv}-oldest
  make_venv
  want=$(digest pyproject.toml)
  is_installed "$extra" "$want" && return
  echo "Installing loadtool with the oldest libraries that it admits into $venv (a minute; the next time none)" >&2
  constraints=$(mktemp)
  lowest_versions >"$constraints" || { rm -f "$constraints"; exit 3; }
  (pip_install --editable "$root${extra:+[$extra]}" --constraint "$constraints") || { rm -f "$constraints"; exit 3; }
  rm -f "$constraints"
  echo "$want $extra" >"$venv/loadtool-install"
}

ensure_compiled_venv() {
  local extra=$1 want copy
  venv=${LOADTOOL_VENV:-$root/.venv}-compiled
  make_venv
  want=$(digest pyproject.toml setup.py 'loadtool/**/*')
  is_installed "$extra" "$want" && return
  echo "Compiling loadtool and installing it into $venv (two minutes; until a source changes it takes none)" >&2
  copy=$(mktemp -d)
  tar --create --directory "$root" --exclude=__pycache__ --exclude='*.so' \
    pyproject.toml setup.py README.md LICENSE loadtool | tar --extract --directory "$copy"
  (LOADTOOL_COMPILE=1 pip_install "$copy${extra:+[$extra]}") || { rm -rf "$copy"; exit 3; }
  rm -rf "$copy"
  echo "$want $extra" >"$venv/loadtool-install"
}
