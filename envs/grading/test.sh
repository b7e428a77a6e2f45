#!/bin/bash
# The same for every task. Nothing of the agent's session reaches the checks: no variable, no working directory, no
# Python path. A verdict is there before they begin, also when Python itself does not start; what then is run takes the
# place of this shell, so that its end tells whether the verdict is its own.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
here=$(cd -- "${BASH_SOURCE[0]%/*}" && pwd)
cd /
mkdir -p /logs/verifier
rm -rf /logs/verifier/reward.json /logs/verifier/reward.txt
printf '{"reward": 0}\n' >/logs/verifier/reward.json
exec /usr/bin/env -i PATH="$PATH" LC_ALL=C.UTF-8 /usr/bin/python3 -ISB "$here/grade.py" "$here" /logs/verifier "$@"
