# Sourced by the other scripts: says what happens, and gets the tools that a fresh machine lacks. Everything that is
# installed for the project alone goes to .tools; Debian packages only where we are root, else we say what to install.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

TOOLS=.tools

say() {
  printf '\n== %s\n' "$*"
}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# need COMMAND PACKAGE: makes sure that a command is there, from a Debian package where we may install one.
need() {
  command -v "$1" >/dev/null || install_package "$2" "$1 is not installed"
  command -v "$1" >/dev/null || fail "$1 is still not there after installing $2"
}

install_package() {
  local package=$1 reason=$2
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    fail "$reason. Install it first (Debian, Ubuntu: sudo apt-get install $package), then start again"
  fi
  say "installing the Debian package $package"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
}

# rust_component COMMAND COMPONENT: a part of the Rust toolchain that minimal installations leave out.
rust_component() {
  cargo "$1" --version >/dev/null 2>&1 && return
  command -v rustup >/dev/null || fail "cargo $1 is not installed: add the component $2 to your Rust toolchain"
  say "adding $2 to the Rust toolchain"
  rustup component add "$2"
}

# python_environment NAME REQUIREMENTS: a virtual environment under .tools with exactly what the file lists, made anew
# when the file or the interpreter has changed.
python_environment() {
  local venv=$TOOLS/$1 requirements=$2 wanted
  need python3 python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_package python3-venv 'Python has no venv module'
  wanted=$(python3 --version; cksum <"$requirements")
  [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ] && return
  say "installing $requirements into $venv"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
  printf '%s\n' "$wanted" >"$venv/installed"
}

# on_postgres COMMAND…: the command with a PostgreSQL server of its own, whose programs are installed where we may; without
# them it runs all the same, and what it passes over is said. FACTORD_NEEDS_POSTGRES makes that an error.
on_postgres() {
  if ! postgres_programs && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    install_package postgresql 'PostgreSQL is not installed'
  fi
  if postgres_programs; then
    FACTORD_TEST_POSTGRES_REQUIRED=1 python3 tests/harness/postgres.py "$@"
    return
  fi
  [ -z "${FACTORD_NEEDS_POSTGRES:-}" ] || fail 'PostgreSQL is not installed (Debian: postgresql)'
  say 'SKIPPED: whatever needs PostgreSQL, which is not installed (Debian, Ubuntu: sudo apt-get install postgresql)'
  "$@"
}

postgres_programs() {
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null
}

# may_install COMMAND PACKAGE: gets a Debian package that some tests need, where we may.
may_install() {
  if ! command -v "$1" >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    install_package "$2" "$1 is not installed"
  fi
}

# cluster_programs: the Debian packages that only the cluster tests need, where we may get them.
cluster_programs() {
  may_install faketime faketime
  may_install strace strace
  may_install patroni patroni
  may_install etcd etcd-server
  may_install haproxy haproxy
}
