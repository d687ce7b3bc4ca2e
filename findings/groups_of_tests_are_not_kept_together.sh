#!/usr/bin/env bash
# pytest-xdist 3.8.0 with pytest 9.1.0 and with pytest 9.2.0: eight tests of one xdist_group, `-n 4 --dist loadgroup`.
#
# Expected: all eight run in one worker, as the documentation of loadgroup says, so that they share what is costly to
# start (a server, a broker) and do not run beside each other.
# Seen: one worker with pytest 9.1.0; several with pytest 9.2.0, without a warning.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/tests"
cat > "$place/tests/test_group.py" <<'P'
import os

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_which(number, record_property):
    with open(os.environ["SEEN"], "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
P
workers() {
    python3 -m venv "$place/$1"
    "$place/$1/bin/pip" install --quiet --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
    (cd "$place/tests" && SEEN="$place/seen-$1" "../$1/bin/pytest" -q -p no:cacheprovider -n 4 --dist loadgroup >/dev/null)
    sort -u "$place/seen-$1" | wc -l
}
before=$(workers 9.1.0)
after=$(workers 9.2.0)
echo "workers with pytest 9.1.0: $before, with pytest 9.2.0: $after"
[ "$before" -eq 1 ] && [ "$after" -gt 1 ]
echo "as seen before"
