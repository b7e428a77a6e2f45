"""A small sound environment with all that a folder can have: what the defects are planted in."""

from envs.contract import Demand

SETUP = """\
set -e
mkdir -p /data /app
printf 'station,liters\\nnorth,12\\nsouth,30\\neast,5\\nnorth,8\\n' >/data/readings.csv
printf 'The pumps are read each morning.\\n' >/data/notes.txt
"""

READINGS = "The readings lie in `/data/readings.csv`, a line for each, with the columns `station` and `liters`."
TOTAL = "Write `/app/total.json`: a JSON object with `liters`, the sum of all, and `stations`, how many there are."
KEEP = "`/data/readings.csv` must stay as it is."
LOOK = "The object looks like this, with other numbers:"

EXAMPLE = '{"liters": 7, "stations": 2}'

INSTRUCTION = f"""\
{READINGS}

- {TOTAL}
- {KEEP}

{LOOK}

```json
{EXAMPLE}
```
"""

SOLUTION = """\
#!/bin/bash
set -e
liters=$(awk -F, 'NR > 1 { sum += $2 } END { print sum }' /data/readings.csv)
stations=$(tail -n +2 /data/readings.csv | cut -d, -f1 | sort -u | wc -l)
printf '{"liters": %d, "stations": %d}\\n' "$liters" "$stations" >/app/total.json
"""

ALTERNATIVE = """\
python3 - <<'END'
import csv, json
rows = list(csv.DictReader(open("/data/readings.csv")))
total = {"stations": len({row["station"] for row in rows}), "liters": sum(int(row["liters"]) for row in rows)}
json.dump(total, open("/app/total.json", "w"), indent=2)
END
"""

CHECKS = '''\
import csv
import hashlib
import json


def readings():
    with open("/data/readings.csv") as file:
        return list(csv.DictReader(file))


def truth():
    rows = readings()
    return {"liters": sum(int(row["liters"]) for row in rows), "stations": len({row["station"] for row in rows})}


def answer():
    with open("/app/total.json") as file:
        text = file.read()
    # another text is not accepted
    return json.loads(text)


def check_liters():
    """/app/total.json has the sum of the liters of all readings."""
    assert answer()["liters"] == truth()["liters"], "the sum of the liters is another"


def check_stations():
    """/app/total.json has the number of different stations."""
    assert answer()["stations"] == truth()["stations"], "the number of stations is another"


def check_readings():
    """/data/readings.csv is as it was."""
    with open("/data/readings.csv", "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert digest == "DIGEST", "the readings were changed"
'''.replace("DIGEST", "45b9047202e944b6c0bd1be0801a7da84c7e04eee1cc3f6f8ab945b46c9d329a")

WRONG = {
    "counts-lines": "printf '{\"liters\": 55, \"stations\": 4}' >/app/total.json\n",
    "leaves-one-out": "printf '{\"liters\": 43, \"stations\": 3}' >/app/total.json\n",
}
PARTIAL = {"liters-alone": "printf '{\"liters\": 55, \"stations\": 0}' >/app/total.json\n"}

CONTRACT = (
    Demand(text=READINGS, why="it says where the input is"),
    Demand(text=TOTAL, checks=("check_liters", "check_stations")),
    Demand(text=KEEP, checks=("check_readings",)),
    Demand(text=LOOK, checks=("check_liters", "check_stations")),
)

INPUTS = ("/data/readings.csv",)
