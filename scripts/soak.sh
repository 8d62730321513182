#!/bin/sh
# Kills the program at each of its steps and system calls, and then creates
# many orgs through faults in processes that are killed at random:
#
#	scripts/soak.sh [ORGS [SEED]]
#
# It takes a minute or two for 500 orgs on two cores. The last lines tell what
# there was in the end. The kills at system calls need strace; without it they
# are left out.
set -eu
cd "$(dirname "$0")/.."
orgs=${1:-500}
seed=${2:-0}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

if ! CGO_ENABLED=0 go test ./internal/onboard -count=1 -timeout=60m -v \
	-run '^(TestKilled|TestKilledAnytime|TestKilledAtSystemCalls|TestSoak)$' \
	-syscalls -soak "$orgs" -soakseed "$seed" >"$out" 2>&1; then
	cat "$out"
	exit 1
fi
grep -E '_test\.go:|^(ok|FAIL)|^--- ' "$out"
