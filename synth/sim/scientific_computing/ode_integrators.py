"""Integrators that do not reach their order of convergence, or do not end where they should."""

from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.faulty_program import FaultyProgram
from synth.sim.planted_faults import Fault, Repair, plant
from synth.sim.repair_texts import Subject, write
from synth.sim.scenario import Run, Teacher, Write
from synth.sim.workplace import Workplace


class OdeIntegrators(FaultyProgram):
    """Three of seven faults in tableaus, multi-step formulas, time arguments and the last step; names are drawn."""

    topic: ClassVar[str] = "ode-integrators"
    focus: ClassVar[str] = "Restoring the order of convergence of integrators for differential equations"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = place = Workplace(rng)
        self.module = rng.choice(("integrators", "steppers", "odes", "marching", "timestep", "flows"))
        self.doc = rng.choice(("METHODS.md", "README.md", "methods.txt", "THEORY.txt"))
        self.folder = f"{place.folder}/{rng.choice(('numerics', 'solver', 'model', 'core'))}"
        self.marks = {
            "@MODULE@": self.module, "@SOLVE@": rng.choice(("integrate", "solve", "march", "advance")),
            "@LEAP@": rng.choice(("leapfrog", "verlet", "orbit")),
        }  # fmt: skip
        self.pool = [Fault(*(self.filled(text) for text in fields)) for fields in _FAULTS]
        self.faults = [self.pool[i] for i in sorted(rng.sample(range(len(self.pool)), 3))]
        solve, quantity = (
            self.marks["@SOLVE@"],
            rng.choice(("concentrations", "temperatures", "positions", "currents", "populations", "pressures")),
        )
        write(
            self, place, [fault.symptom for fault in self.faults],
            Subject(
                "integrator library", self.folder, f"{self.module}.py", self.doc,
                rng.choice(("orders of convergence", "convergence", "the accuracy of some methods", "errors of some methods", "step sizes and errors")),
                (
                    f"{place.people[2].name} [computes|predicts] {quantity} for the {place.project.purpose} with {self.module}.py.",
                    f"The {quantity} that {place.team} [publishes|reports] for {place.project.subject} come from `{solve}` in {self.module}.py.",
                    f"{self.module}.py is the small library of methods with which {place.people[2].first} follows {quantity} through time.",
                ),
                (
                    f"Halving the step no longer [pays|helps] as it should, and {place.people[0].first}'s {quantity} [drift|are off].",
                    f"A paper on {place.project.subject} is [due|nearly finished], and its convergence table [looks wrong|cannot be right].",
                    f"{place.people[1].first} made the steps a hundred times smaller to get usable {quantity}, which takes all night.",
                ),
                (
                    (
                        "Measure the order of each method with order.py, with and without time in the right side",
                        f"Make a convergence table of all methods in {self.module}.py",
                        "Use order.py to tell good methods from bad ones",
                    ),
                ),
                (
                    f"`{self.folder}/{self.module}.py` holds integrators for ordinary differential equations; `{self.folder}/{self.doc}` says which methods they are and of which order. `order.py` beside it measures orders.",
                    f"In `{self.folder}` there is a library of integrators, `{self.module}.py`, its description, `{self.doc}`, and `order.py`, which measures orders of convergence.",
                ),
                (
                    f"Every method of `{self.folder}/{self.module}.py` is the one that `{self.doc}` describes and converges with its order, on problems that are mentioned nowhere: systems, right sides that depend on time, non-linear ones.",
                    f"`{solve}` and `{self.marks['@LEAP@']}` end exactly at the end time, also where it is no multiple of the step.",
                    "Names and arguments of the functions stay, methods that were right give the same numbers as before (up to rounding), and the library needs only Python's standard library. `order.py` stays as it is.",
                ),
            ),
        )  # fmt: skip

    @property
    def repair(self) -> Repair:
        """The work on the library."""
        return Repair(
            self.folder, f"{self.module}.py", plant(self.filled(_SOURCE), self.faults), self.faults, self.pool
        )

    def setup(self) -> list[Run | Write]:
        return [
            Write(f"{self.folder}/{self.module}.py", self.repair.text),
            Write(f"{self.folder}/{self.doc}", self.filled(_METHODS)),
            Write(f"{self.folder}/order.py", self.filled(_ORDER), "0755"),
        ]

    def checks(self) -> str:
        constants = {
            "FOLDER": self.folder, "MODULE": self.module, "SOLVE": self.marks["@SOLVE@"], "LEAP": self.marks["@LEAP@"],
            "REFERENCE": self.filled(_SOURCE), "PROBE": _PROBE,
            "KEPT": {f"{self.folder}/{self.doc}": self.filled(_METHODS), f"{self.folder}/order.py": self.filled(_ORDER)},
        }  # fmt: skip
        return checks_file(constants, _CHECKS, ["tempfile"])

    def solve(self, rng: Random) -> Teacher:
        ending = ("python3 -B order.py",)
        return self.repair.teach(rng, (f"cat {self.doc}", "cat order.py"), "the library", ending, shuffle=False)


_METHODS = """\
# @MODULE@

    @SOLVE@(method, f, start, y, end, step)       y' = f(t, y), y a list of numbers; gives y at `end`
    @LEAP@(a, start, x, v, end, step)        x'' = a(x), x and v lists of numbers; gives (x, v) at `end`

Steps have the length `step`; where the way from `start` to `end` is no multiple of it, the last one is shorter.

| method | what it is | order |
|---|---|---|
| `midpoint` | one step with nodes 0 and 1/2 | 2 |
| `ralston` | one step with nodes 0 and 2/3 | 2 |
| `heun3` | one step with nodes 0, 1/3 and 2/3; the second stage has no weight | 3 |
| `rk4` | the classical Runge-Kutta method | 4 |
| `eighths` | Kutta's 3/8 rule, nodes 0, 1/3, 2/3 and 1 | 4 |
| `adams3` | the explicit three-step method of Adams and Bashforth, started with `heun3` | 3 |
| `@LEAP@` | velocity Verlet: half a kick, a drift, half a kick at the new place | 2 |

The order is the power of the step with which the error at `end` falls, also where f depends on t.

    python3 order.py [METHOD PROBLEM]        measured orders; problems: decay, forced
"""

_SOURCE = '''\
"""Integrators for ordinary differential equations. See the table of methods."""

TABLEAUS = {
    # method: nodes, matrix, weights
    "midpoint": ([0, 1 / 2], [[], [1 / 2]], [0, 1]),
    "ralston": ([0, 2 / 3], [[], [2 / 3]], [1 / 4, 3 / 4]),
    "heun3": ([0, 1 / 3, 2 / 3], [[], [1 / 3], [0, 2 / 3]], [1 / 4, 0, 3 / 4]),
    "rk4": ([0, 1 / 2, 1 / 2, 1], [[], [1 / 2], [0, 1 / 2], [0, 0, 1]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
    "eighths": ([0, 1 / 3, 2 / 3, 1], [[], [1 / 3], [-1 / 3, 1], [1, -1, 1]], [1 / 8, 3 / 8, 3 / 8, 1 / 8]),
}
ADAMS = (23 / 12, -16 / 12, 5 / 12)


def moved(y, slopes, factors):
    """y plus the slopes, each times its factor."""
    return [value + sum(k * slope[i] for k, slope in zip(factors, slopes)) for i, value in enumerate(y)]


def one_step(method, f, t, y, h):
    """One step of a Runge-Kutta method."""
    nodes, matrix, weights = TABLEAUS[method]
    slopes = []
    for node, row in zip(nodes, matrix):
        slopes.append(f(t + node * h, moved(y, slopes, [h * a for a in row])))
    return moved(y, slopes, [h * weight for weight in weights])


def times(start, end, step):
    """Where the steps begin, and how long each is."""
    whole = int((end - start) / step + 1e-9)
    for n in range(whole):
        yield start + n * step, step
    rest = end - (start + whole * step)
    if rest > 1e-9 * step:
        yield start + whole * step, rest


def @SOLVE@(method, f, start, y, end, step):
    """y at the end."""
    past = []
    for t, h in times(start, end, step):
        if method == "adams3":
            past = [f(t, y), *past[:2]]
            if len(past) == 3 and h == step:
                y = moved(y, past, [h * factor for factor in ADAMS])
            else:
                y = one_step("heun3", f, t, y, h)
        else:
            y = one_step(method, f, t, y, h)
    return y


def @LEAP@(a, start, x, v, end, step):
    """Place and speed at the end."""
    for t, h in times(start, end, step):
        v = moved(v, [a(x)], [h / 2])
        x = moved(x, [v], [h])
        v = moved(v, [a(x)], [h / 2])
    return x, v
'''

_ORDER = '''\
#!/usr/bin/python3
"""Measures with which power of the step the errors of the integrators fall."""

import math
import sys

import @MODULE@ as library

PROBLEMS = {
    "decay": (lambda t, y: [-y[0]], [1.0], lambda t: math.exp(-t)),
    "forced": (lambda t, y: [math.cos(t) - y[0] + math.sin(t)], [0.0], math.sin),
}


def error(method, problem, steps):
    f, y, exact = PROBLEMS[problem]
    if method == "@LEAP@":
        return abs(library.@LEAP@(lambda x: [-x[0]], 0.0, [1.0], [0.0], 1.0, 1 / steps)[0][0] - math.cos(1.0))
    return abs(library.@SOLVE@(method, f, 0.0, y, 1.0, 1 / steps)[0] - exact(1.0))


def main(wanted):
    for method in [*library.TABLEAUS, "adams3", "@LEAP@"]:
        for problem in PROBLEMS:
            if not wanted or wanted == [method, problem]:
                order = math.log2(error(method, problem, 64) / error(method, problem, 128))
                print(f"{method} on {problem}: order {order:.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
'''


def _order(method: str, problem: str, power: int) -> tuple[str, str]:
    """Probe and what it has to show."""
    return (
        f"python3 -B order.py {method} {problem}",
        rf"^{method} on {problem}: order ({power - 1}\.[89]|{power}\.[0-2])$",
    )


_FAULTS = (
    (
        "nodes", "        slopes.append(f(t + node * h, moved(y, slopes, [h * a for a in row])))\n", "        slopes.append(f(t, moved(y, slopes, [h * a for a in row])))\n",
        "        slopes.append(f(t + h / 2, moved(y, slopes, [h * a for a in row])))\n",
        "[where the right side depends on time, every one-step method is of first order|problems with time in the right side converge slowly|only problems without time in them converge as they should]",
        "Every stage evaluates f at the beginning of the step; the nodes are not used at all.",
        *_order("rk4", "forced", 4),
    ),
    (
        "heun3", '[1 / 4, 0, 3 / 4]),\n    "rk4"', '[1 / 3, 1 / 3, 1 / 3]),\n    "rk4"', '[1 / 4, 1 / 2, 1 / 4]),\n    "rk4"',
        "[heun3 is no better than Euler's method|the error of heun3 falls only with the step itself|heun3 is far from third order]",
        "With nodes 0, 1/3, 2/3 and no weight on the second stage, the conditions sum(b c) = 1/2 and sum(b c^2) = 1/3 leave 1/4, 0, 3/4.",
        *_order("heun3", "decay", 3),
    ),
    (
        "ralston", "[1 / 4, 3 / 4]),\n", "[3 / 4, 1 / 4]),\n", "[1 / 2, 1 / 2]),\n",
        "[ralston is of first order only|ralston loses its second order|halving the step merely halves the error of ralston]",
        "The weights of ralston belong the other way round: 3/4 times the node 2/3 gives the 1/2 that order 2 asks for.",
        *_order("ralston", "decay", 2),
    ),
    (
        "eighths", "[1, -1, 1]], [1 / 8", "[1, 1, -1]], [1 / 8", "[-1, 1, 1]], [1 / 8",
        "[eighths does not reach fourth order|the 3/8 rule has errors like a method of second order|eighths is much worse than rk4]",
        "The last row of the 3/8 rule is 1, -1, 1; here the signs are on the wrong stages.",
        *_order("eighths", "decay", 4),
    ),
    (
        "adams", "ADAMS = (23 / 12, -16 / 12, 5 / 12)\n", "ADAMS = (3 / 2, -1 / 2, 0)\n", "ADAMS = (23 / 12, -4 / 3, 1 / 4)\n",
        "[adams3 converges like a two-step method|adams3 is of second order and not of third|the three-step method adams3 seems to use two steps only]",
        "These are the coefficients of the two-step method; the three-step one has 23/12, -16/12 and 5/12.",
        *_order("adams3", "decay", 3),
    ),
    (
        "last-step", "    if rest > 1e-9 * step:\n        yield start + whole * step, rest\n", "    if rest > 1e-9 * step:\n        yield start + whole * step, step\n", "    if rest > step / 2:\n        yield start + whole * step, rest\n",
        "[an end time that is no multiple of the step is overshot|results belong to a later time when the step does not fit|with a step of 0.3 a run to 1 ends at 1.2]",
        "The last step has full length even where less is left; it has to be the rest, however short.",
        "python3 -B -c 'import @MODULE@ as m; print(\"at\", *[round(m.@SOLVE@(\"midpoint\", lambda t, y: [1.0], 0.0, [0.0], 1.0, h)[0], 9) for h in (0.3, 0.4)])'", r"^at 1.0 1.0$",
    ),
    (
        "kicks",
        "        v = moved(v, [a(x)], [h / 2])\n        x = moved(x, [v], [h])\n        v = moved(v, [a(x)], [h / 2])\n", "        v = moved(v, [a(x)], [h])\n        x = moved(x, [v], [h])\n",
        "        kick = a(x)\n        v = moved(v, [kick], [h / 2])\n        x = moved(x, [v], [h])\n        v = moved(v, [kick], [h / 2])\n",
        "[@LEAP@ is of first order|@LEAP@ gives the speed at another time than the place|the error of @LEAP@ only halves with the step]",
        "A whole kick before the drift is the first-order scheme; velocity Verlet splits it, with the second half at the new place.",
        *_order("@LEAP@", "decay", 2),
    ),
)  # fmt: skip

_PROBE = """
import json, math, sys
sys.path.insert(0, sys.argv[1])
library = __import__(sys.argv[2])
solve, leap = getattr(library, sys.argv[3]), getattr(library, sys.argv[4])
METHODS = ["midpoint", "ralston", "heun3", "rk4", "eighths", "adams3"]
PROBLEMS = {
    "spiral": (lambda t, y: [-0.4 * y[0] - 2 * y[1], 2 * y[0] - 0.4 * y[1]], [1.0, 0.5], 0.3),
    "tides": (lambda t, y: [math.cos(3 * t) * y[1], math.sin(t) - y[0]], [0.7, -0.2], -0.4),
    "logistic": (lambda t, y: [y[0] * (2 - y[0]) * (1 + 0.5 * math.sin(2 * t))], [0.2], 1.0),
    "mixed": (lambda t, y: [y[1] * y[2], t - y[0], y[0] * y[1] + math.exp(-t)], [0.1, 0.4, 1.1], 0.0),
}
out = {}
for name, (f, y, start) in PROBLEMS.items():
    for method in METHODS:
        for h in (0.05, 0.025, 0.0125, 0.037):
            out[f"{method} on {name} with step {h}"] = solve(method, f, start, list(y), start + 1.0, h)
    out[f"exact {name}"] = solve("rk4", f, start, list(y), start + 1.0, 0.001)
for name, a, x, v in (("spring", lambda x: [-4 * x[0]], [1.0], [0.3]), ("planet", lambda x: [-c / (x[0] ** 2 + x[1] ** 2) ** 1.5 for c in x], [1.0, 0.0], [0.1, 1.1])):
    for h in (0.05, 0.025, 0.0125, 0.037):
        x1, v1 = leap(a, 0.0, list(x), list(v), 1.5, h)
        out[f"leap on {name} with step {h}"] = [*x1, *v1]
out["ends"] = [solve(method, lambda t, y: [1.0], 2.0, [0.0], end, h)[0] for method in METHODS for end, h in ((3.0, 0.3), (2.5, 0.4), (2.1, 0.25), (4.0, 0.5))]
print(json.dumps(out))
"""

_CHECKS = '''
def numbers(folder):
    done = run("/usr/bin/python3", "-I", "-B", "-c", PROBE, folder, MODULE, SOLVE, LEAP, seconds=50)
    assert done.returncode == 0, f"the library fails: {done.stderr[-300:]}"
    return json.loads(done.stdout)


def reference():
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, MODULE + ".py"), "w") as file:
            file.write(REFERENCE)
        return numbers(folder)


def check_orders():
    """Every method converges with its order on unseen problems."""
    got, want = numbers(FOLDER), reference()
    orders = {"midpoint": 2, "ralston": 2, "heun3": 3, "rk4": 4, "eighths": 4, "adams3": 3}
    for name in ("spiral", "tides", "logistic", "mixed"):
        exact = want[f"exact {name}"]
        for method, order in orders.items():
            coarse, fine = (max(abs(a - b) for a, b in zip(got[f"{method} on {name} with step {h}"], exact)) for h in (0.05, 0.0125))
            assert coarse > (4 ** (order - 0.5)) * fine or fine < 1e-11, f"{method} on {name}: error {coarse:.2e} with step 0.05, {fine:.2e} with 0.0125"


def check_methods_are_the_described_ones():
    """The numbers are those of the described methods, for steps that fit and steps that do not."""
    got, want = numbers(FOLDER), reference()
    for key, values in want.items():
        assert len(got[key]) == len(values), key
        for a, b in zip(got[key], values):
            assert abs(a - b) <= 1e-9 * (1 + abs(b)), f"{key}: {got[key]}, not {values}"


def check_other_files_untouched():
    """The description and order.py are what they were."""
    for path, text in KEPT.items():
        assert read(path) == text, f"{path} was changed"
'''
