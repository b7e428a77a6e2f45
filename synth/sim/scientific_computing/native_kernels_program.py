"""The kernels in C and Fortran, the faults that are planted in them, and the checks."""

KERNEL = """\
# @TOOL@

`make` builds @LIB@ from @SOURCE@. The functions of @TOOL@ take anything that numpy can make an array of doubles from:
any memory layout, views, lists, integers. They never change their arguments.

- `@SMOOTH@(grid, weight, rounds)`: a new array of the grid's shape. In each round every cell becomes (1 - weight) times its
  value plus weight times the mean of its two to four neighbours (above, below, left, right; what is outside does not exist),
  all from the values before the round. With 0 rounds it is a copy.
- `@ENERGY@(grid)`: the sum of the squares of all cells, a Python float.
- `@TALLY@(values, low, high, bins)`: how many values fall into each of `bins` classes of equal width from low (included) to
  high (not included), an array of int64, and how many fall outside, an int; as a pair.
"""

MAKEFILE = "@LIB@: @SOURCE@\n\t@COMPILE@ -o $@ $<\n\nclean:\n\trm -f @LIB@\n"

C = """\
#include <stdint.h>

/* One round over a grid that lies in memory row by row. */
void @SMOOTH@(const double *in, double *out, int64_t rows, int64_t columns, double weight)
{
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < columns; x++) {
            const double *cell = in + y * columns + x;
            double sum = 0.0;
            int count = 0;
            if (y > 0) { sum += cell[-columns]; count++; }
            if (y < rows - 1) { sum += cell[columns]; count++; }
            if (x > 0) { sum += cell[-1]; count++; }
            if (x < columns - 1) { sum += cell[1]; count++; }
            out[y * columns + x] = count ? (1.0 - weight) * *cell + weight * sum / count : *cell;
        }
}

double @ENERGY@(const double *in, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += in[i] * in[i];
    return sum;
}

/* Adds to out; gives the number of values outside. */
int64_t @TALLY@(const double *values, int64_t count, double low, double high, int64_t bins, int64_t *out)
{
    int64_t outside = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t k = (int64_t)((values[i] - low) / (high - low) * (double)bins);
        if (values[i] < low || values[i] >= high)
            outside++;
        else
            out[k < bins ? k : bins - 1]++;
    }
    return outside;
}
"""

FORTRAN = """\
! The kernel. Grids lie in memory row by row, as C has them, so their first index here is the column.
subroutine @SMOOTH@(in, out, rows, columns, weight) bind(C, name="@SMOOTH@")
  use iso_c_binding
  implicit none
  integer(c_int64_t), value :: rows, columns
  real(c_double), value :: weight
  real(c_double), intent(in) :: in(columns, rows)
  real(c_double), intent(out) :: out(columns, rows)
  integer(c_int64_t) :: x, y
  real(c_double) :: total
  integer :: neighbours
  do y = 1, rows
    do x = 1, columns
      total = 0
      neighbours = 0
      if (y > 1) call take(in(x, y - 1))
      if (y < rows) call take(in(x, y + 1))
      if (x > 1) call take(in(x - 1, y))
      if (x < columns) call take(in(x + 1, y))
      out(x, y) = in(x, y)
      if (neighbours > 0) out(x, y) = (1 - weight) * in(x, y) + weight * total / neighbours
    end do
  end do
contains
  subroutine take(value)
    real(c_double), intent(in) :: value
    total = total + value
    neighbours = neighbours + 1
  end subroutine
end subroutine

function @ENERGY@(in, count) bind(C, name="@ENERGY@") result(total)
  use iso_c_binding
  implicit none
  integer(c_int64_t), value :: count
  real(c_double), intent(in) :: in(count)
  real(c_double) :: total
  integer(c_int64_t) :: i
  total = 0
  do i = 1, count
    total = total + in(i) * in(i)
  end do
end function

! Adds to out; gives the number of values outside.
function @TALLY@(values, count, low, high, bins, out) bind(C, name="@TALLY@") result(outside)
  use iso_c_binding
  implicit none
  integer(c_int64_t), value :: count, bins
  real(c_double), value :: low, high
  real(c_double), intent(in) :: values(count)
  integer(c_int64_t), intent(inout) :: out(bins)
  integer(c_int64_t) :: outside, i, k
  outside = 0
  do i = 1, count
    if (values(i) < low .or. values(i) >= high) then
      outside = outside + 1
    else
      k = min(int((values(i) - low) / (high - low) * bins, c_int64_t) + 1, bins)
      out(k) = out(k) + 1
    end if
  end do
end function
"""

WRAPPER = '''\
"""The kernel of @LIB@ for Python."""

import ctypes
import os

import numpy as np

library = ctypes.CDLL(os.path.join(os.path.dirname(os.path.abspath(__file__)), "@LIB@"))
POINTER, SIZE = ctypes.c_void_p, ctypes.c_int64
library.@SMOOTH@.argtypes = [POINTER, POINTER, SIZE, SIZE, ctypes.c_double]
library.@SMOOTH@.restype = None
library.@ENERGY@.argtypes = [POINTER, SIZE]
library.@ENERGY@.restype = ctypes.c_double
library.@TALLY@.argtypes = [POINTER, SIZE, ctypes.c_double, ctypes.c_double, SIZE, POINTER]
library.@TALLY@.restype = SIZE


def doubles(values):
    """Doubles, row by row without gaps, as the kernel wants them."""
    return np.ascontiguousarray(values, dtype=np.float64)


def @SMOOTH@(grid, weight, rounds):
    """The grid after some rounds."""
    now = np.array(doubles(grid))
    then = np.empty_like(now)
    for _ in range(rounds):
        library.@SMOOTH@(now.ctypes.data, then.ctypes.data, now.shape[0], now.shape[1], weight)
        now, then = then, now
    return now


def @ENERGY@(grid):
    """Sum of the squares."""
    grid = doubles(grid)
    return library.@ENERGY@(grid.ctypes.data, grid.size)


def @TALLY@(values, low, high, bins):
    """Counts by class, and how many are outside."""
    values = doubles(values)
    counts = np.zeros(bins, dtype=np.int64)
    outside = library.@TALLY@(values.ctypes.data, values.size, low, high, bins, counts.ctypes.data)
    return counts, outside
'''

PLAIN = '''\
"""The functions in plain Python, on lists: slow, and right."""


def @SMOOTH@(grid, weight, rounds):
    now = [list(row) for row in grid]
    for _ in range(rounds):
        then = []
        for y, row in enumerate(now):
            then.append([])
            for x, cell in enumerate(row):
                near = [now[v][u] for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)) if 0 <= v < len(now) and 0 <= u < len(row)]
                then[-1].append((1 - weight) * cell + weight * sum(near) / len(near) if near else cell)
        now = then
    return now


def @ENERGY@(grid):
    return sum(cell * cell for row in grid for cell in row)


def @TALLY@(values, low, high, bins):
    counts, outside = [0] * bins, 0
    for value in values:
        if low <= value < high:
            counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
        else:
            outside += 1
    return counts, outside
'''


def probe_of(label: str, expression: str, before: str = "") -> str:
    return f"python3 -B -c 'import numpy as np, @MODULE@ as k; {before}print(\"{label}\", {expression})'"


FAULTS = (
    (
        "weight", "library.@SMOOTH@.argtypes = [POINTER, POINTER, SIZE, SIZE, ctypes.c_double]\n", "library.@SMOOTH@.argtypes = [POINTER, POINTER, SIZE, SIZE, ctypes.c_float]\n",
        "library.@SMOOTH@.argtypes = [POINTER, POINTER, SIZE, SIZE, ctypes.c_longdouble]\n",
        "[the weight of @SMOOTH@ seems to be ignored|@SMOOTH@ smooths with another weight than the one given|whatever the weight is, @SMOOTH@ does nearly nothing or too much]",
        "The weight is declared as a single-precision number, and the kernel reads a double.",
        probe_of("weight", "k.@SMOOTH@([[8, 0], [0, 0]], 0.5, 1).tolist()"), r"^weight \[\[4.0, 2.0\], \[2.0, 0.0\]\]$",
    ),
    (
        "result", "        now, then = then, now\n    return now\n", "        now, then = then, now\n    return then\n", "        now, then = then, now\n    return then if rounds % 2 else now\n",
        "[@SMOOTH@ is always one round behind|the last round of @SMOOTH@ is missing|one round of @SMOOTH@ changes nothing]",
        "After the exchange the newest values are in now; then holds those before the last round.",
        probe_of("rounds", "k.@SMOOTH@([[8, 0], [0, 0]], 1.0, 1).tolist(), k.@SMOOTH@([[8, 0], [0, 0]], 0.0, 0).tolist()"), r"^rounds \[\[0.0, 4.0\], \[4.0, 0.0\]\] \[\[8.0, 0.0\], \[0.0, 0.0\]\]$",
    ),
    (
        "counts", "    counts = np.zeros(bins, dtype=np.int64)\n", "    counts = np.zeros(bins, dtype=np.int32)\n", "    counts = np.zeros(bins, dtype=np.float64)\n",
        "[@TALLY@ shows zeros between the counts or crashes|the counts of @TALLY@ are spread over the wrong classes|with many classes @TALLY@ writes past its memory]",
        "The kernel counts in 64 bits and the array has another type, half as long.",
        probe_of("counts", "k.@TALLY@([0.5, 1.5, 1.6, 3.5, 9.0], 0, 4, 4)"), r"^counts \(array\(\[1, 2, 0, 1\]\), 1\)$",
    ),
    (
        "layout", "    return np.ascontiguousarray(values, dtype=np.float64)\n", "    return np.asarray(values, dtype=np.float64)\n", '    return np.array(values, dtype=np.float64, order="K")\n',
        "[views such as grid.T or values with a stride give wrong results|every second value of an array is taken for its first half|transposed grids come out scrambled]",
        "The memory is handed over as it is: a view or a transposed array has gaps or another order. It has to be made contiguous, row by row.",
        probe_of("layout", "k.@TALLY@(np.arange(8.0)[::2], 0, 8, 4)[0].tolist(), k.@SMOOTH@(np.arange(6.0).reshape(2, 3).T, 0.0, 1).tolist()"),
        r"^layout \[1, 1, 1, 1\] \[\[0.0, 3.0\], \[1.0, 4.0\], \[2.0, 5.0\]\]$",
    ),
    (
        "energy-type", "library.@ENERGY@.restype = ctypes.c_double\n", "library.@ENERGY@.restype = ctypes.c_int\n", "library.@ENERGY@.restype = ctypes.c_float\n",
        "[@ENERGY@ returns whole numbers that have nothing to do with the grid|@ENERGY@ gives nonsense|the sum of squares is an int and wrong]",
        "The result of @ENERGY@ is declared as something else than the double that the kernel returns.",
        probe_of("sum of squares", "k.@ENERGY@([[1.5, 2.0], [0.5, 0.25]])"), r"^sum of squares 6.5625$",
    ),
    (
        "shape", "now.shape[0], now.shape[1], weight)\n", "now.shape[1], now.shape[0], weight)\n", "now.shape[0], now.shape[0], weight)\n",
        "[grids that are not square come out wrong from @SMOOTH@|@SMOOTH@ mixes up rows and columns|wide grids are smoothed across their edges]",
        "Rows and columns are passed in the wrong order; on square grids nobody notices.",
        probe_of("wide", "k.@SMOOTH@([[8, 0, 0], [0, 0, 0]], 0.5, 1).tolist()"), r"^wide \[\[4.0, 1.3333\d*, 0.0\], \[2.0, 0.0, 0.0\]\]$",
    ),
    (
        "argument", "    now = np.array(doubles(grid))\n", "    now = doubles(grid)\n", "    now = doubles(grid)[:]\n",
        "[the grid that is given to @SMOOTH@ is different afterwards|@SMOOTH@ changes its argument after two rounds|callers find their own grid overwritten]",
        "now is the caller's own memory where nothing had to be converted, and the second round writes into it; a slice is no copy either.",
        probe_of("argument", "k.@SMOOTH@(g, 1.0, 2) is not g, g.tolist()", "g = np.array([[8.0, 0.0], [0.0, 0.0]]); "), r"^argument True \[\[8.0, 0.0\], \[0.0, 0.0\]\]$",
    ),
)  # fmt: skip

PROBE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
kernel = __import__(sys.argv[2])
smooth, energy, tally = (getattr(kernel, name) for name in sys.argv[3:6])
plain = {}
exec(sys.stdin.read(), plain)
slow_smooth, slow_energy, slow_tally = (plain[name] for name in sys.argv[3:6])
rng = np.random.default_rng(5)
base = rng.uniform(-3, 3, (24, 31))
grids = [base, base.T, base[::2], base[:, ::3], base[::-1, 5:9], base[:1], base[:, :1], base[:1, :1], base.astype(np.float32).astype(np.float64)]
grids += [np.asfortranarray(base), (base * 5).astype(int), base.tolist(), [[1, 2, 3], [4, 5, 6]]]
verdict = {"smooth": [], "energy": [], "tally": [], "kept": []}
for number, grid in enumerate(grids):
    rows = np.asarray(grid, dtype=float).tolist()
    for weight, rounds in ((0.3, 0), (0.3, 1), (0.9, 2), (0.125, 5)):
        before = np.array(grid, dtype=float)
        got = smooth(grid, weight, rounds)
        want = np.array(slow_smooth(rows, weight, rounds))
        verdict["smooth"].append(isinstance(got, np.ndarray) and got.shape == want.shape and bool(np.allclose(got, want, rtol=1e-12, atol=1e-12)))
        verdict["kept"].append(bool((np.array(grid, dtype=float) == before).all()) and not (isinstance(grid, np.ndarray) and np.shares_memory(grid, got)))
    got = energy(grid)
    verdict["energy"].append(isinstance(got, float) and abs(got - slow_energy(rows)) <= 1e-11 * (1 + abs(got)))
for values in (base.ravel(), base.ravel()[::3], base[:, 4], [1, 2, 2, 3], np.arange(10), []):
    for low, high, bins in ((-2.0, 2.0, 7), (0, 3, 1), (-3.0, 3.0, 1000)):
        counts, outside = tally(values, low, high, bins)
        want = slow_tally([float(value) for value in values], low, high, bins)
        verdict["tally"].append((np.asarray(counts).tolist(), outside) == want and np.asarray(counts).dtype == np.int64)
print(json.dumps({name: all(results) for name, results in verdict.items()}))
"""

CHECKS = '''
def verdict():
    """What comparing with the plain version says, with a library that is built anew from the files as they lie there."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy")
        shutil.copytree(FOLDER, copy)
        output("make", "-B", "-s", cwd=copy, seconds=50)
        done = run("/usr/bin/python3", "-I", "-B", "-c", PROBE, copy, MODULE, *NAMES, data=PLAIN, seconds=50, env={"OPENBLAS_NUM_THREADS": "1"})
    # A wrong declaration lets the kernel read what happens to lie around, so what comes of it is not told.
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 and done.stdout else {}


def check_functions_agree_with_plain_version():
    """All functions give the plain version's numbers for arrays of all layouts, and change no argument."""
    assert verdict() == {"smooth": True, "energy": True, "tally": True, "kept": True}, "a function disagrees with the plain version, changes its argument, or fails"


def check_loops_stay_compiled():
    """The wrapper calls all three functions of the library."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy")
        shutil.copytree(FOLDER, copy)
        # A library whose functions do nothing must show in the results.
        with open(os.path.join(copy, "none.c"), "w") as file:
            file.write("".join(f"double {name}(void) {{ return 0; }}\\n" for name in NAMES))
        output("gcc", "-shared", "-fPIC", "-o", os.path.join(copy, LIBRARY), os.path.join(copy, "none.c"), seconds=50)
        code = (
            f"import sys; sys.path.insert(0, {copy!r}); import numpy as np, {MODULE} as k\\n"
            f"print((np.array(k.{NAMES[0]}([[8.0, 1.0], [2.0, 3.0]], 1.0, 1)) == [[1.5, 5.5], [5.5, 1.5]]).all(), k.{NAMES[1]}([[1.0, 2.0]]) == 5.0, list(k.{NAMES[2]}([0.5], 0, 2, 2)[0]) == [1, 0])"
        )
        said = run("/usr/bin/python3", "-I", "-B", "-c", code, seconds=50).stdout
        assert "True" not in said, "the wrapper works a result out without the library"


def check_other_files_untouched():
    """Kernel, makefile, plain version and description are what they were, and the library is built."""
    for path, text in KEPT.items():
        assert read(path) == text, f"{path} was changed"
    loads = "import ctypes, sys; [getattr(ctypes.CDLL(sys.argv[1]), name) for name in sys.argv[2:]]"
    built = run("/usr/bin/python3", "-I", "-B", "-c", loads, os.path.join(FOLDER, LIBRARY), *NAMES)
    assert built.returncode == 0, f"{LIBRARY} is not built"
'''
