# Sourced by the benchmarks after lib.sh: a PostgreSQL server of our own, on loopback alone, as durable as it comes.

# start_postgres FOLDER [OPTION…]: makes a cluster in the folder and starts it; sets $pgbin and $pgport. Its superuser is
# postgres, without a password.
start_postgres() {
  pgfolder=$1
  shift
  pgbin=$(dirname "$(find /usr/lib/postgresql -name initdb | sort -V | tail -n 1)")
  pgport=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  chmod 755 "$(dirname "$pgfolder")"
  mkdir "$pgfolder"
  if [ "$(id -u)" = 0 ]; then chown postgres "$pgfolder"; fi
  as_postgres test -w "$pgfolder" || fail "the user postgres cannot reach $pgfolder: name a folder that others may pass through"
  as_postgres "$pgbin/initdb" -D "$pgfolder" --auth=trust -U postgres --encoding=UTF8 --locale=C.UTF-8 >/dev/null
  as_postgres "$pgbin/pg_ctl" -D "$pgfolder" -l "$pgfolder/log" -w start >/dev/null \
    -o "-p $pgport -c unix_socket_directories='' -c listen_addresses=127.0.0.1 -c fsync=on -c synchronous_commit=on -c max_connections=200 $*"
}

# stop_postgres: ends it, if it runs; what is in the folder is the caller's to delete.
stop_postgres() {
  if [ -f "${pgfolder:-/nowhere}/postmaster.pid" ]; then
    as_postgres "$pgbin/pg_ctl" -D "$pgfolder" -m immediate stop >/dev/null 2>&1 || true
  fi
}

# sql STATEMENT [DATABASE]: what psql prints for it.
sql() {
  "$pgbin/psql" -qXAt -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$pgport" -U postgres -d "${2:-postgres}" -c "$1"
}

# PostgreSQL does not run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}
