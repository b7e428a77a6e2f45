"""A solver of sparse systems misreads coordinate files, stops too early, trusts the wrong method or prints nonsense."""

from random import Random
from typing import ClassVar

from synth.sim.checking import checks_file
from synth.sim.faulty_program import FaultyProgram
from synth.sim.planted_faults import Fault, Repair, plant
from synth.sim.repair_texts import Subject, write
from synth.sim.scenario import Run, Teacher, Write
from synth.sim.scientific_computing.preloaded import CLIENT, SERVER
from synth.sim.workplace import Workplace


class SparseSystems(FaultyProgram):
    """Three of six faults between the file format and the iteration; tolerances, statuses and names are drawn."""

    topic: ClassVar[str] = "sparse-linear-systems"
    focus: ClassVar[str] = "Mending a solver for sparse linear systems from Matrix Market files"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.place = place = Workplace(rng)
        self.tool = rng.choice(("solve.py", "linsolve.py", "sparse.py", "network.py", "stiffness.py"))
        self.doc = rng.choice(("FORMAT.md", "README.md", "SOLVER.txt", "USAGE.md"))
        self.folder = f"{place.folder}/{rng.choice(('linear', 'solver', 'algebra', 'kernel'))}"
        self.marks = {
            "@TOOL@": self.tool,
            "@STATUS@": str(rng.choice((3, 4, 5, 9))),
            "@TOL@": rng.choice(("1e-9", "1e-10", "2e-10")),
        }
        self.pool = [Fault(*(self.filled(text) for text in fields)) for fields in _FAULTS]
        self.faults = [self.pool[i] for i in sorted(rng.sample(range(len(self.pool)), 3))]
        what = rng.choice(("pipe networks", "truss models", "heat flows", "resistor grids", "groundwater models"))
        status = self.marks["@STATUS@"]
        write(
            self, place, [fault.symptom for fault in self.faults],
            Subject(
                "sparse solver", self.folder, self.tool, self.doc,
                rng.choice(("some kinds of matrices", "matrix files and residuals", "solutions of sparse systems", "reading and solving")),
                (
                    f"{place.people[2].name} solves {what} for {place.project.subject} with {self.tool}, from Matrix Market files that other programs write.",
                    f"{self.tool} is what turns the {what} of {place.team} into numbers: a matrix file, a right side, a solution.",
                    f"Each {place.project.record} at {place.slug} ends in a sparse system, as {what} do, and {self.tool} solves it.",
                ),
                (
                    f"Two {what} of {place.people[0].first} [came out wrong|made no sense], and nobody had looked at the residual.",
                    f"The answers for {what} are [used|built upon] without another look, so {self.tool} must be right or say that it cannot.",
                    f"{place.people[1].first} compared {self.tool} with a calculation by hand and [was shocked|found it off].",
                ),
                (
                    (
                        f"Work out the residual of what {self.tool} prints, for each kind of matrix",
                        "Write small Matrix Market files of every kind and check A x = b",
                        "Multiply the matrix by the solution and compare it with the right side",
                    ),
                ),
                (
                    f"`{self.folder}/{self.tool}` solves sparse linear systems; `{self.folder}/{self.doc}` describes the files it reads and what it prints.",
                    f"The folder `{self.folder}` holds a solver for sparse systems, `{self.tool}`, and its description, `{self.doc}`.",
                ),
                (
                    f"`python3 {self.folder}/{self.tool} MATRIX RHS` prints the solution of every system as `{self.doc}` describes it; the residual is worked out independently, for matrices that are not in the folder, of all described kinds, with up to some thousand unknowns.",
                    f"Systems without a solution that it can vouch for end with status {status}, a line on standard error and nothing on standard output.",
                    "Matrices are never turned into dense ones. It stays one Python file that needs numpy and scipy only, called as before.",
                ),
            ),
        )  # fmt: skip

    @property
    def repair(self) -> Repair:
        """The work on the solver."""
        return Repair(self.folder, self.tool, plant(self.filled(_SOURCE), self.faults), self.faults, self.pool)

    def setup(self) -> list[Run | Write]:
        return [
            Write(f"{self.folder}/{self.tool}", self.repair.text, "0755"),
            Write(f"{self.folder}/{self.doc}", self.filled(_FORMAT)),
        ]

    def checks(self) -> str:
        constants = {
            "TOOL": f"{self.folder}/{self.tool}", "SERVER": SERVER, "STATUS": int(self.marks["@STATUS@"]), "DOC": (f"{self.folder}/{self.doc}", self.filled(_FORMAT)),
        }  # fmt: skip
        return checks_file(constants, CLIENT + _CHECKS, ["math", "random", "tempfile"])

    def solve(self, rng: Random) -> Teacher:
        return self.repair.teach(
            rng, (f"cat {self.doc}",), "the solver", ("rm -f /tmp/m.mtx /tmp/b",), shuffle=False, seconds=2.0
        )


_FORMAT = """\
# @TOOL@

    python3 @TOOL@ MATRIX RHS

MATRIX is a Matrix Market coordinate file:

    %%MatrixMarket matrix coordinate FIELD SYMMETRY
    % comments: any number of lines that begin with %, and empty lines, here and further down
    ROWS COLUMNS ENTRIES
    I J VALUE          counted from 1

FIELD is `real`, `integer` or `pattern`; entries of a pattern have no VALUE and count as 1. SYMMETRY is `general`, `symmetric`
(only entries on and below the diagonal are listed, the others mirror them) or `skew-symmetric` (only entries below the
diagonal are listed; the mirrored ones have the opposite sign). Several entries for the same place are added up, as
programs that assemble a matrix piece by piece write them.

RHS has one number a line. The solution is printed in the same way, with 17 digits, if the residual |Ax - b| is at most @TOL@
times |b| (2-norms), however large or small b is. Otherwise, and for matrices that are singular or not square: exit status
@STATUS@, one line on standard error, nothing on standard output. Matrices may be indefinite or have zeros on the diagonal.
"""

_SOURCE = '''\
#!/usr/bin/python3
"""Solves sparse systems: @TOOL@ MATRIX RHS."""

import sys
import warnings

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve

TOLERANCE = @TOL@


def entries(path):
    """Size, symmetry, and the entries of a file by place."""
    with open(path) as file:
        head = file.readline().split()
        lines = [line.split() for line in file if line.strip() and not line.startswith("%")]
    rows, columns = int(lines[0][0]), int(lines[0][1])
    found = {}
    for i, j, *rest in lines[1:]:
        place = int(i) - 1, int(j) - 1
        value = float(rest[0]) if rest else 1.0
        found[place] = found.get(place, 0.0) + value
    return (rows, columns), head[4], found


def matrix_from(path):
    """The matrix of a file, and whether it is symmetric."""
    size, symmetry, found = entries(path)
    if symmetry != "general":
        sign = -1.0 if symmetry == "skew-symmetric" else 1.0
        found.update({(j, i): sign * value for (i, j), value in found.items() if i != j})
    places = list(found)
    data = list(found.values()), ([i for i, _ in places], [j for _, j in places])
    return csr_matrix(data, shape=size), symmetry == "symmetric"


def residual(matrix, x, b):
    return np.linalg.norm(matrix @ x - b)


def iterated(matrix, b):
    """Conjugate gradients with the diagonal as preconditioner."""
    diagonal = matrix.diagonal()
    x, r = np.zeros(len(b)), b.copy()
    z = r / diagonal
    p, rho = z.copy(), r @ z
    goal = TOLERANCE / 10 * np.linalg.norm(b)
    for _ in range(4 * len(b)):
        if np.linalg.norm(r) <= goal:
            break
        q = matrix @ p
        alpha = rho / (p @ q)
        x += alpha * p
        r -= alpha * q
        z = r / diagonal
        rho, before = r @ z, rho
        p = z + rho / before * p
    return x


def solution(matrix, symmetric, b):
    """Iterate where that is safe, factorise where it is not or did not work."""
    if symmetric and (matrix.diagonal() > 0).all():
        x = iterated(matrix, b)
        if residual(matrix, x, b) <= TOLERANCE * np.linalg.norm(b):
            return x
    return np.atleast_1d(spsolve(matrix.tocsc(), b))


def main(matrix_path, rhs_path):
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    matrix, symmetric = matrix_from(matrix_path)
    b = np.loadtxt(rhs_path, ndmin=1)
    if matrix.shape != (len(b), len(b)):
        print("the sizes do not fit", file=sys.stderr)
        return @STATUS@
    x = solution(matrix, symmetric, b)
    if not residual(matrix, x, b) <= TOLERANCE * np.linalg.norm(b):
        print("no solution within the tolerance", file=sys.stderr)
        return @STATUS@
    for value in x:
        print(f"{value:.17g}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
'''


def _case(kind: str, entries: str, size: int, b: str, label: str) -> str:
    lines = (
        f"%%%%MatrixMarket matrix coordinate {kind}\\n{size} {size} {len(entries.split(','))}\\n"
        + "\\n".join(entries.split(","))
        + "\\n"
    )
    rhs = "\\n".join(b.split()) + "\\n"
    return f"printf '{lines}' > /tmp/m.mtx; printf '{rhs}' > /tmp/b; echo {label}: $(python3 -B @TOOL@ /tmp/m.mtx /tmp/b 2>/dev/null) [$?]"


_FAULTS = (
    (
        "added-entries", "        found[place] = found.get(place, 0.0) + value\n", "        found[place] = value\n", "        found[place] = max(found.get(place, value), value)\n",
        "[entries for the same place replace one another instead of being added|of several entries at one place only the last counts|matrices that were assembled piece by piece lose pieces]",
        "A second entry for a place overwrites the first; the format says that they add up.",
        _case("real general", "1 1 1,1 1 3,2 2 -3,2 2 1", 2, "8 4", "added"), r"^added: 2 -2 \[0\]$",
    ),
    (
        "pattern", "        value = float(rest[0]) if rest else 1.0\n", "        value = float(rest[0]) if rest else 0.0\n", "        value = float(rest[0]) if rest else float(i == j)\n",
        "[pattern files give singular matrices|entries of pattern files count as nothing|a matrix without values is taken for zero]",
        "Entries without a value become 0, but in a pattern file they stand for 1.",
        _case("pattern general", "1 1,1 2,2 2", 2, "5 3", "pattern"), r"^pattern: 2 3 \[0\]$",
    ),
    (
        "mirrored", "for (i, j), value in found.items() if i != j})\n", "for (i, j), value in found.items() if i == j})\n", "for (i, j), value in found.items() if i > j + 1})\n",
        "[symmetric files are solved as if they were triangular|the upper half of symmetric matrices is missing|only the lower triangle of a symmetric file is used]",
        "The comprehension mirrors the diagonal and leaves the rest out; it has to be the other way round.",
        _case("real symmetric", "1 1 4,2 1 1,2 2 3", 2, "6 7", "mirrored"), r"^mirrored: 1 2(\.0+\d*)? \[0\]$|^mirrored: (1|0\.99999\d*|1\.0000\d*) (2|1\.9999\d*|2\.0000\d*) \[0\]$",
    ),
    (
        "skew", '        sign = -1.0 if symmetry == "skew-symmetric" else 1.0\n', "        sign = 1.0\n", '        sign = 1.0 if symmetry == "skew-symmetric" else -1.0\n',
        "[skew-symmetric files give wrong signs|a skew-symmetric matrix is treated like a symmetric one|solutions of skew-symmetric systems have wrong signs]",
        "Mirrored entries of skew-symmetric files need the opposite sign.",
        _case("real skew-symmetric", "2 1 2", 2, "4 6", "skew"), r"^skew: 3 -2 \[0\]$",
    ),
    (
        "indefinite", "    if symmetric and (matrix.diagonal() > 0).all():\n        x = iterated(matrix, b)\n        if residual(matrix, x, b) <= TOLERANCE * np.linalg.norm(b):\n            return x\n",
        "    if symmetric:\n        return iterated(matrix, b)\n", "    if symmetric and (matrix.diagonal() > 0).all():\n        return iterated(matrix, b)\n",
        "[symmetric systems with zeros on the diagonal are refused|indefinite systems that have a solution end with status @STATUS@|no answer comes for symmetric matrices that are not definite]",
        "Conjugate gradients are used for everything symmetric; where the matrix is indefinite they may break down, so it needs a check and a way out.",
        _case("real symmetric", "1 1 0,2 1 1,2 2 0", 2, "5 3", "indefinite"), r"^indefinite: 3 5 \[0\]$",
    ),
    (
        "refusal", "    if not residual(matrix, x, b) <= TOLERANCE * np.linalg.norm(b):\n", "    if len(x) == 0:\n", "    if np.isnan(x).any():\n",
        "[singular systems are answered with nan or nonsense|systems without a solution get an answer and status 0|instead of being refused, a singular matrix yields nan]",
        "Nothing looks at the residual of what is printed; only a solution that holds may leave the program.",
        _case("real symmetric", "1 1 1,2 1 -1,2 2 1", 2, "1 0", "refused"), r"^refused: \[@STATUS@\]$",
    ),
)  # fmt: skip

_CHECKS = '''
def solve(kind, size, entries, b, comments=False):
    """What the solver does with a system."""
    with tempfile.TemporaryDirectory() as folder:
        matrix, rhs = os.path.join(folder, "a.mtx"), os.path.join(folder, "b.txt")
        with open(matrix, "w") as file:
            file.write(f"%%MatrixMarket matrix coordinate {kind}\\n% made for a check\\n\\n{size[0]} {size[1]} {len(entries)}\\n")
            for number, entry in enumerate(entries):
                if comments and number % 3 == 1:
                    file.write("% part\\n\\n")
                file.write(" ".join(f"{value!r}" for value in entry) + "\\n")
        with open(rhs, "w") as file:
            file.write("".join(f"{value!r}\\n" for value in b))
        return forked(TOOL, matrix, rhs)


def holds(kind, size, entries, b, comments=False):
    """The printed solution has a small residual, worked out here."""
    done = solve(kind, (size, size), entries, b, comments)
    what = f"a {kind} system of size {size}"
    assert done.returncode == 0, f"{what} ends with {done.returncode}: {done.stderr[-200:]}"
    x = [float(line) for line in done.stdout.split()]
    assert len(x) == size, f"{what}: {len(x)} numbers"
    product = [0.0] * size
    for i, j, *rest in entries:
        value = rest[0] if rest else 1.0
        product[i - 1] += value * x[j - 1]
        if "general" not in kind and i != j:
            product[j - 1] += (-value if "skew" in kind else value) * x[i - 1]
    error = math.sqrt(sum((p - q) ** 2 for p, q in zip(product, b)))
    assert error <= 1.01e-9 * math.sqrt(sum(q * q for q in b)), f"{what}: residual {error:.3g}"


def refused(kind, size, entries, b):
    done = solve(kind, size, entries, b)
    what = f"a {kind} system of size {size} without a solution"
    assert done.returncode == STATUS, f"{what} ends with {done.returncode}"
    assert not done.stdout, f"{what}: standard output is {done.stdout[:100]!r}"
    assert len(done.stderr.splitlines()) == 1, f"{what}: standard error is {done.stderr[-200:]!r}"


def grid(n, scale=1.0):
    """The five-point Laplacian, lower half."""
    entries = []
    for y in range(n):
        for x in range(n):
            place = y * n + x + 1
            entries.append((place, place, 4.0 * scale))
            entries += [(place, place - 1, -scale)] if x else []
            entries += [(place, place - n, -scale)] if y else []
    return entries


def check_general_systems():
    """General systems, with entries to be added up, have a small residual."""
    rng = random.Random(12)
    for size in (5, 40):
        entries = [(i, i, 4.0 + i % 3) for i in range(1, size + 1)]
        entries += [(rng.randrange(1, size + 1), rng.randrange(1, size + 1), rng.uniform(-1, 1)) for _ in range(3 * size)]
        entries += [(i, i, -2.0) for i in range(1, size + 1)] + [(i, size + 1 - i, 9.0) for i in range(1, size + 1)]
        holds("real general", size, entries, [rng.uniform(-5, 5) for _ in range(size)], comments=True)
    holds("integer general", 2, [(1, 2, 3), (2, 1, -4), (2, 1, 1)], [1.0, 2.0])


def check_symmetric_systems():
    """Symmetric and definite systems, large and small, assembled and not, have a small residual."""
    holds("real symmetric", 900, grid(30), [1.0 + (i % 7) for i in range(900)])
    holds("real symmetric", 100, grid(10) + grid(10, 0.5), [math.sin(i) for i in range(100)], comments=True)


def check_right_sides_of_any_size():
    """Tiny and huge right sides are solved as accurately as others."""
    for scale in (1e-12, 1e-5, 1e7, 1e12):
        holds("real symmetric", 144, grid(12), [scale * math.cos(i) for i in range(144)])


def check_indefinite_systems():
    """Symmetric systems that are not definite have a small residual."""
    holds("real symmetric", 2, [(2, 1, 1.0)], [5.0, 3.0])
    holds("real symmetric", 2, [(1, 1, 1.0), (2, 1, 3.0), (2, 2, 1.0)], [1.0, -1.0])
    holds("real symmetric", 4, [(1, 1, 1.0), (2, 2, 1.0), (2, 1, 2.0), (3, 3, 1.0), (4, 3, 1.0), (4, 4, 0.5)], [1.0, -1.0, 2.0, 2.0])
    holds("real symmetric", 2, [(1, 1, 1.0), (2, 1, 2.0), (2, 2, 1.0)], [1.0, -1.0 / 1.0])
    # A p with p'Ap = 0 stops plain conjugate gradients at the first step, although the diagonal is positive.
    holds("real symmetric", 3, [(1, 1, 1.0), (2, 2, 1.0), (2, 1, -1.0), (3, 1, 0.5), (3, 2, 0.7), (3, 3, 1.0)], [1.0, 1.0, 0.0])
    saddle = [(1, 1, 2.0), (2, 2, 3.0), (3, 3, 0.0), (3, 1, 1.0), (3, 2, 1.0)]
    holds("real symmetric", 3, saddle, [1.0, 2.0, 3.0])


def check_skew_and_pattern_systems():
    """Skew-symmetric and pattern files are read as described."""
    holds("real skew-symmetric", 4, [(2, 1, 2.0), (3, 1, -1.0), (4, 2, 0.5), (4, 3, 3.0), (3, 2, 1.0)], [1.0, 2.0, 3.0, 4.0])
    holds("real skew-symmetric", 2, [(2, 1, -2.0)], [1.0, 5.0])
    holds("pattern general", 4, [(1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 4)], [1.0, 2.0, 3.0, 4.0])
    holds("pattern symmetric", 3, [(1, 1), (2, 1), (3, 3), (3, 2)], [3.0, 2.0, 7.0])


def check_refusals():
    """Systems without a solution, and matrices that are not square, are refused."""
    refused("real symmetric", (2, 2), [(1, 1, 1.0), (2, 1, -1.0), (2, 2, 1.0)], [1.0, 0.0])
    refused("real general", (3, 3), [(1, 1, 1.0), (2, 2, 1.0)], [1.0, 2.0, 3.0])
    refused("real general", (2, 2), [(1, 1, 1.0), (1, 2, 2.0), (2, 1, 2.0), (2, 2, 4.0)], [1.0, 1.0])
    refused("real general", (2, 3), [(1, 1, 1.0), (2, 2, 1.0)], [1.0, 2.0])
    refused("real general", (2, 2), [(1, 1, 1e-200), (2, 2, 1.0)], [1e150, 1.0])
    refused("real general", (2, 2), [(1, 1, 0.1), (1, 2, 0.7), (2, 1, 0.3), (2, 2, 2.1)], [1.0, 1.0])
    refused("real skew-symmetric", (3, 3), [(2, 1, 1.0), (3, 1, 1.0), (3, 2, 1.0)], [1.0, 1.0, 5.0])


def check_description_untouched():
    """The description is what it was."""
    assert read(DOC[0]) == DOC[1], "the description was changed"
'''
