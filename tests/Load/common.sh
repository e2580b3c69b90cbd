# Shared by the recipes; sourced, not run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
gateway=${GATEWAY:-http://127.0.0.1:5080}
broken=0
untold=0

need() { for tool in "$@"; do command -v "$tool" >/dev/null || { echo "$tool is not installed." >&2; exit 2; }; done; }

# Only this machine is put under load.
local_only() { [[ $1 =~ ^http://(127\.0\.0\.1|localhost):[0-9]+$ ]] || { echo "$1 is not an address of this machine." >&2; exit 2; }; }

# check <condition in awk> <what was promised>
check() {
  if awk "BEGIN { exit !($1) }"; then echo "  kept: $2"; else echo "  BROKEN: $2"; broken=1; fi
}

# tell <condition in awk> <what the machine has to manage>: without it a run says nothing about the promises, good or bad.
tell() {
  if awk "BEGIN { exit !($1) }"; then echo "  reached: $2"; else echo "  NOT REACHED: $2"; untold=1; fi
}

# Exits with 0 when all is kept, 1 when something is broken, 2 when this machine could not tell.
verdict() {
  if ((broken)); then echo "BROKEN"; exit 1; fi
  if ((untold)); then echo "NOT TOLD: the load was not reached"; exit 2; fi
  echo "KEPT"
}

# fire <seconds> <requests a second, 0 = no pace> <method> <body or ''> <url>: sets accepted, refused, failed, other, noRetryAfter, broken_connections, us,
# p50 and p99 of refusals, p50all and p99all of all replies, in ms
fire() {
  local line threads=${THREADS:-24}
  line=$(METHOD=$3 BODY=$4 RATE=$2 THREADS=$threads bash -c '[[ $BODY ]] || unset BODY; exec "$@"' _ \
    wrk -t "$threads" -c "$threads" -d "${1}s" --timeout 10s -s "$here/refusals.lua" "$5" | grep '^RESULT ')
  # shellcheck disable=SC2163
  for pair in ${line#RESULT }; do declare -g "$pair"; done
}

# The processes of the system behind the gateway's port: the listener and its children.
pids_of() {
  local listener
  listener=$(ss -ltnpH "sport = :${gateway##*:}" | grep -o 'pid=[0-9]*' | head -1 | cut -d= -f2)
  [[ $listener ]] || { echo "Whose port ${gateway##*:} is cannot be seen; run this as the user who runs the AppHost." >&2; exit 2; }
  for pid in "$listener" $(pgrep -P "$listener" || true); do
    if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -Eq "/(Gateway|Worker)(\.dll|\.exe)?( |$)"; then echo "$pid"; fi
  done
}

# sample <pid>...: prints "pid KiB" for each, once a second, until it is ended.
sample() {
  while sleep 1; do
    for pid in "$@"; do awk -v pid="$pid" '/^VmRSS/ { print pid, $2 }' "/proc/$pid/status" 2>/dev/null || true; done
  done
}

# growth <file of samples>: prints what the process that grew most is to what it was, the last third of the run against its first:
# what is gained for good shows, what the collector has not yet given back does not.
growth() {
  awk '{ n[$1]++; kib[$1, n[$1]] = $2 }
    END { for (p in n) { t = int(n[p] / 3); a = b = 0; for (i = 1; i <= t; i++) { a += kib[p, i]; b += kib[p, n[p] - t + i] } if (t && b / a > most) most = b / a } printf "%.3f", most }' "$1"
}
