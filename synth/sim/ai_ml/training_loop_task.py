"""What mending a training program is about: the network, the mistakes planted in it, the data, and the words."""

from random import Random
from typing import ClassVar

from synth.sim.ai_ml.laboratory import Fault, Laboratory
from synth.sim.scenario import Scenario
from synth.sim.wording import listed, number
from synth.sim.workplace import Request

NETWORK = '''\
"""A network with one hidden layer of {units} tanh units and a softmax over {classes} classes."""

import numpy as np

HIDDEN = {hidden}
CLASSES = {count}
DECAY = {decay}


def new(rng, features):
    """Fresh parameters: w1 (features x HIDDEN), b1, w2 (HIDDEN x CLASSES), b2."""
    return {{
        "w1": rng.normal(0.0, 1.0 / np.sqrt(features), (features, HIDDEN)),
        "b1": np.zeros(HIDDEN),
        "w2": rng.normal(0.0, 1.0 / np.sqrt(HIDDEN), (HIDDEN, CLASSES)),
        "b2": np.zeros(CLASSES),
    }}


def probabilities(p, x):
    """Hidden values and class probabilities for the rows of x."""
    h = np.tanh(x @ p["w1"] + p["b1"])
    z = h @ p["w2"] + p["b2"]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return h, e / e.sum(axis=1, keepdims=True)


def loss_and_gradients(p, x, y):
    """Mean cross-entropy plus DECAY / 2 times the sum of the squared weights (not biases), and its gradients by name."""
    n = len(x)
    h, q = probabilities(p, x)
    squares = np.sum(p["w1"] ** 2) + np.sum(p["w2"] ** 2)
    loss = -np.mean(np.log(q[np.arange(n), y] + 1e-300)) + 0.5 * DECAY * squares
    d = q.copy()
    d[np.arange(n), y] -= 1.0
    d /= n
    g = {{"w2": h.T @ d + DECAY * p["w2"], "b2": d.sum(axis=0)}}
    back = (d @ p["w2"].T) * (1.0 - h ** 2)
    g["w1"] = x.T @ back + DECAY * p["w1"]
    g["b1"] = back.sum(axis=0)
    return float(loss), g
'''
TRAINER = '''\
"""Train the network of {network}.py: python3 {program} --data FILE.csv --seed N --out MODEL.npz

The columns of the file are features, the last one is the class. The model holds w1, b1, w2, b2 and the mean and
scale of each feature over the training rows, with which rows are standardised before they enter the network.
Every parameter is trained, biases included.
"""

import argparse

import numpy as np

import {network}

EPOCHS = {epochs}
BATCH = {batch}
RATE = {rate}
MOMENTUM = {momentum}


def main():
    parser = argparse.ArgumentParser()
    for name in ("--data", "--seed", "--out"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    table = np.loadtxt(options.data, delimiter=",", skiprows=1)
    x, y = table[:, :-1], table[:, -1].astype(int)
    rng = np.random.default_rng(int(options.seed))
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    x = (x - mean) / scale
    p = {network}.new(rng, x.shape[1])
    speed = {{name: np.zeros_like(value) for name, value in p.items()}}
    for epoch in range(EPOCHS):
        order = rng.permutation(len(x))
        x, y = x[order], y[order]
        for start in range(0, len(x), BATCH):
            rows = slice(start, start + BATCH)
            loss, g = {network}.loss_and_gradients(p, x[rows], y[rows])
            for name in ("w1", "b1", "w2", "b2"):
                speed[name] = MOMENTUM * speed[name] - RATE * g[name]
                p[name] = p[name] + speed[name]
        if epoch % 10 == 9:
            right = np.mean({network}.probabilities(p, x)[1].argmax(axis=1) == y)
            print(f"epoch {{epoch + 1}} loss {{loss:.4f}} training accuracy {{right:.3f}}")
    np.savez(options.out, mean=mean, scale=scale, **p)


if __name__ == "__main__":
    main()
'''
IN_NETWORK = (
    Fault("(1.0 - h ** 2)", "(1.0 - h)", "h * (1.0 - h)", "the derivative of tanh is wrong"),
    Fault('"b2": d.sum(axis=0)', '"b2": d.mean(axis=0)', '"b2": d.sum(axis=0) * n', "the gradient of b2 is averaged once too often"),
    Fault('x.T @ back + DECAY * p["w1"]', 'x.T @ back - DECAY * p["w1"]', "x.T @ back", "the decay of w1 has the wrong sign"),
    Fault("    d /= n", "    d /= CLASSES", "    d /= HIDDEN", "the gradient is divided by the number of classes"),
    Fault('(d @ p["w2"].T) *', '(-d @ p["w2"].T) *', '(d @ np.abs(p["w2"]).T) *', "the sign flips on the way back into the hidden layer"),
    Fault("0.5 * DECAY * squares", "DECAY * squares", "0.5 * squares", "the penalty in the loss is twice what its gradient says"),
    Fault("np.exp(z - z.max(axis=1, keepdims=True))", "np.exp(z)", "np.exp(z - z.max(axis=0, keepdims=True))", "large scores overflow in the softmax"),
)  # fmt: skip
IN_TRAINER = (
    Fault("x, y = x[order], y[order]", "x = x[order]", "x, y = x[order], y[rng.permutation(len(y))]", "rows are shuffled without their classes"),
    Fault("MOMENTUM * speed[name] - RATE * g[name]", "MOMENTUM * speed[name] + RATE * g[name]", "RATE * speed[name] + MOMENTUM * g[name]", "steps go uphill"),
    Fault('for name in ("w1", "b1", "w2", "b2"):', 'for name in ("b1", "b2"):', 'for name in ("w1", "b1", "w2"):', "some parameters are never updated"),
    Fault("mean=mean, scale=scale, **p", "mean=0 * mean, scale=scale, **p", "mean=mean / scale, scale=scale, **p", "the model is saved without the mean it was trained with"),
)  # fmt: skip


class TrainingLoopTask(Scenario):
    """Draws network, faults and data, and writes the task's texts."""

    topic: ClassVar[str] = "training-loop-debugging"
    focus: ClassVar[str] = "Debugging a hand-written NumPy training loop by gradient checks and held-out accuracy"

    def __init__(self, rng: Random, ticket: str) -> None:
        super().__init__(rng, ticket)
        self.lab = lab = Laboratory(rng)
        self.ask, self.folder = Request(rng, lab, ticket), lab.folder
        self.network = rng.choice(("network", "net", "layers", "classifier", "mlp"))
        self.program = rng.choice(("train.py", "fit.py", "learn.py", "teach.py"))
        self.data, self.out = (
            rng.choice(("training.csv", "rows.csv", "labelled.csv", "samples.csv")),
            rng.choice(("model.npz", "weights.npz", "trained.npz")),
        )
        self.hidden, self.classes, self.features = rng.randrange(6, 13), rng.choice((3, 4)), rng.choice((4, 5, 6))
        self.decay, self.momentum = rng.choice((0.001, 0.002, 0.004)), rng.choice((0.8, 0.85, 0.9))
        self.batch, self.epochs, self.rate = (
            rng.choice((16, 20, 25, 32)),
            rng.choice((30, 40)),
            rng.choice((0.03, 0.04, 0.05)),
        )
        self.seed = rng.randrange(1, 10_000)
        inner, outer = rng.choice(((1, 2), (2, 1), (2, 2)))
        self.inner, self.outer = rng.sample(IN_NETWORK, inner), rng.sample(IN_TRAINER, outer)
        self.faults = [*self.inner, *self.outer]
        # The centres are far from the origin and of different scales, so that standardising matters.
        shift = [rng.uniform(4, 20) for _ in range(self.features)]
        self.spread = [rng.choice((0.5, 1.0, 3.0, 8.0)) for _ in range(self.features)]
        directions = [[rng.choice((-1, 1)) for _ in range(self.features)] for _ in range(200)]
        chosen: list[list[int]] = []
        for one in directions:
            if (
                all(sum(a != b for a, b in zip(one, other, strict=True)) >= 2 for other in chosen)
                and len(chosen) < self.classes
            ):
                chosen.append(one)
        self.centres = [[c + 1.8 * s * d for c, s, d in zip(shift, self.spread, one, strict=True)] for one in chosen]
        self.rows = [self.row(rng) for _ in range(rng.randrange(240, 321))]
        self.hidden_rows = [self.row(rng) for _ in range(200)]
        self.other_rows = [self.row(rng) for _ in range(240)]
        self._write_texts()

    def row(self, rng: Random) -> tuple[list[float], int]:
        """Features and class of one case."""
        one = rng.randrange(len(self.centres))
        return [round(rng.gauss(c, s), 3) for c, s in zip(self.centres[one], self.spread, strict=True)], one

    def sources(self) -> tuple[str, str]:
        """Network module and training program, both right."""
        network = NETWORK.format(
            units=number(self.hidden),
            classes=number(self.classes),
            hidden=self.hidden,
            count=self.classes,
            decay=self.decay,
        )
        trainer = TRAINER.format(
            network=self.network,
            program=self.program,
            epochs=self.epochs,
            batch=self.batch,
            rate=self.rate,
            momentum=self.momentum,
        )
        return network, trainer

    def _write_texts(self) -> None:
        lab, ask, say = self.lab, self.ask, self.say
        net, program, out = f"{self.network}.py", self.program, self.out
        who = lab.someone().first
        symptom = say(
            f"The loss [hardly moves|goes nowhere], [whatever|no matter which] seed {who} [takes|tries].",
            f"With seed {self.seed} the training [never gets better than guessing|ends as bad as it began], and {who} [suspects|is sure of] several mistakes.",
            f"{who} [compared|held] the gradients against finite differences [and they disagree|without luck].",
            f"Since {who} rewrote the {number(self.hidden)}-unit network by hand, it [learns nothing|is no better than a coin].",
        )
        use = say(
            f"{lab.model} sorts {lab.project.subject} into {number(self.classes)} kinds by {number(self.features)} [readings|measurements].",
            f"It is a small classifier: {number(self.features)} features of {lab.project.subject}, {number(self.classes)} classes, {len(self.rows)} labelled rows.",
            f"The {lab.project.purpose} needs it to tell {number(self.classes)} kinds of {lab.project.subject} apart.",
        )
        self.title = say(
            f"{lab.project.title}: the {lab.model} network does not learn",
            f"[Debug|Mend] {program} and {net} of {lab.slug}",
            f"[Wrong gradients|A broken training loop] in {lab.slug}",
            f"Make the {lab.model} classifier [train|learn] again",
        )
        self.objective = say(
            f"Mend {net} and {program} so that gradients are right and training on {self.data} reaches {self.percent} % on rows it has not seen; [leave|put] the model in {out}.",
            f"Find the mistakes in a NumPy network and its training program, and train {out} with seed {self.seed}.",
            f"Get the {self.hidden}-unit network of the {lab.project.purpose} to learn: right gradients, a sound loop, a fresh {out}.",
        )
        self.story = say(
            f"{ask.opening} {use} {symptom} {ask.closing}",
            f"{ask.opening} {symptom} {use} {ask.closing}",
            f"{use} {ask.opening} {ask.closing} {symptom}",
        )
        self.checklist = [
            lab.look(f"{net} and {program}"),
            say(
                f"[Compare|Check] the gradients of {net} with finite differences",
                "Check every gradient [numerically|by small steps]",
                f"Test loss_and_gradients of {net} on a [tiny|small] batch",
            ),
            say(
                "Mend the formulas that are wrong",
                f"Correct [each|every] wrong term in {net}",
                f"Repair {net} without changing what it [promises|documents]",
            ),
            say(
                f"Go through the loop in {program} step by step",
                f"Check shuffling, updates and [saving|what is saved] in {program}",
                f"Mend {program} where it [departs|differs] from its own description",
            ),
            say(
                f"Keep {number(self.hidden)} hidden units and {number(self.classes)} classes",
                "Leave architecture and interfaces alone",
                f"Keep the arguments of {program} and the names in the model file",
            ),
            say(
                f"Train on {self.data} with seed {self.seed}",
                f"Write {out} by a [real|full] training run with seed {self.seed}",
                f"Run {program} on the {len(self.rows)} rows, seed {self.seed}",
            ),
            say(f"Leave {self.data} as it is", f"Do not [edit|touch] {self.data}", "Change nothing in the data"),
            lab.verify(say("the accuracy", "the trained model", f"{out}")),
        ]
        net_path, train_path = f"{self.folder}/{net}", f"{self.folder}/{program}"
        self.instruction = "\n\n".join(
            [
                say(
                    f"Work order {self.ticket}. {net_path} is a small network written with NumPy, {train_path} trains it, and {self.folder}/{self.data} holds {len(self.rows)} labelled rows.",
                    f"({self.ticket}) In {self.folder} lie a NumPy network ({net}), the program that trains it ({program}) and {len(self.rows)} labelled rows ({self.data}).",
                ),
                "Both programs have mistakes. Their comments and docstrings say what they are meant to do and are right.",
                say("The end state:", "When you are done:", "What is wanted:"),
                "\n".join(
                    [
                        f"1. `loss_and_gradients(p, x, y)` in {net_path} returns the loss that its docstring defines and the exact gradients of that loss, also where scores are as large as 1000. `new`, `probabilities` and `loss_and_gradients` keep their names, arguments and results; HIDDEN stays {self.hidden}, CLASSES {self.classes}, DECAY {self.decay}.",
                        f"2. `python3 {train_path} --data FILE.csv --seed N --out MODEL.npz`, started in any folder, trains on a file of the same form within 30 seconds. The model file holds `w1`, `b1`, `w2`, `b2`, `mean` and `scale` as the program's docstring says, and classifies at least {self.percent} % of unseen rows of the same kind correctly.",
                        f"3. {self.folder}/{out} is the model that training on {self.folder}/{self.data} with seed {self.seed} gives, and reaches the same accuracy on unseen rows.",
                        f"4. {self.folder}/{self.data} is unchanged.",
                    ]
                ),
            ]
        )

    percent: ClassVar[int] = 88

    def faulty(self) -> str:
        """The faults in words."""
        return listed([fault.seen for fault in self.faults])


CHECKS = '''
ROWS, OTHER, UNSEEN = (unpacked(text) for text in (ROWS, OTHER, UNSEEN))


def forward(p, row):
    """Hidden values and class probabilities, in plain Python; p has nested lists."""
    h = [math.tanh(sum(v * w[j] for v, w in zip(row, p["w1"])) + b) for j, b in enumerate(p["b1"])]
    z = [sum(v * w[k] for v, w in zip(h, p["w2"])) + b for k, b in enumerate(p["b2"])]
    top = max(z)
    e = [math.exp(v - top) for v in z]
    return h, [v / sum(e) for v in e]


def losses(p, x, y):
    """The loss as it is defined, and with a floor of 1e-300 that gives each computed probability a logarithm."""
    squares = sum(v * v for name in ("w1", "w2") for row in p[name] for v in row)
    ways = [0.0, 0.0, 0.0]
    for row, label in zip(x, y):
        h, q = forward(p, row)
        z = [sum(v * w[k] for v, w in zip(h, p["w2"])) + b for k, b in enumerate(p["b2"])]
        top = max(z)
        exact = top - z[label] + math.log(sum(math.exp(v - top) for v in z))
        for way, value in enumerate((exact, -math.log(q[label] + 1e-300), -math.log(max(q[label], 1e-300)))):
            ways[way] += value / len(x)
    return [way + DECAY / 2 * squares for way in ways]


def gradients(p, x, y):
    """The same derivation as a textbook's, with loops."""
    g = {"w1": [[DECAY * v for v in row] for row in p["w1"]], "b1": [0.0] * HIDDEN,
         "w2": [[DECAY * v for v in row] for row in p["w2"]], "b2": [0.0] * CLASSES}
    for row, label in zip(x, y):
        h, q = forward(p, row)
        d = [(v - (k == label)) / len(x) for k, v in enumerate(q)]
        for k in range(CLASSES):
            g["b2"][k] += d[k]
            for j in range(HIDDEN):
                g["w2"][j][k] += h[j] * d[k]
        for j in range(HIDDEN):
            back = sum(d[k] * p["w2"][j][k] for k in range(CLASSES)) * (1 - h[j] ** 2)
            g["b1"][j] += back
            for i, v in enumerate(row):
                g["w1"][i][j] += v * back
    return g


CALL = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
net = __import__(sys.argv[2])
results = []
for p, x, y in json.load(sys.stdin):
    value, g = net.loss_and_gradients({k: np.array(v) for k, v in p.items()}, np.array(x), np.array(y))
    results.append([float(value), {k: np.asarray(v).tolist() for k, v in g.items()}])
p = net.new(np.random.default_rng(3), 5)
print(json.dumps([results, {k: list(v.shape) for k, v in p.items()}, [net.HIDDEN, net.CLASSES, net.DECAY]]))
"""


def flat(values):
    return [v for one in values for v in flat(one)] if isinstance(values, list) else [values]


def check_loss_and_gradients_are_exact():
    """Loss and gradients equal a plain Python derivation on parameters of the check's own, also with large scores."""
    rng = random.Random(SEED)
    cases = []
    for size in (1.0, 0.4, 1000.0):
        shape = lambda n, m: [[rng.gauss(0, size) for _ in range(m)] for _ in range(n)]
        p = {"w1": shape(FEATURES, HIDDEN), "b1": shape(1, HIDDEN)[0], "w2": shape(HIDDEN, CLASSES), "b2": shape(1, CLASSES)[0]}
        if size > 100:  # saturated units and huge scores, but small weights in front, so that numbers stay comparable
            p["w1"], p["b1"] = [[v / 1000 for v in row] for row in p["w1"]], [v / 1000 for v in p["b1"]]
        n = rng.randrange(5, 9)
        cases.append([p, [[rng.gauss(0, 1) for _ in range(FEATURES)] for _ in range(n)], [rng.randrange(CLASSES) for _ in range(n)]])
    results, shapes, numbers = python(CALL, FOLDER, NETWORK, data=json.dumps(cases))
    assert shapes == {"w1": [5, HIDDEN], "b1": [HIDDEN], "w2": [HIDDEN, CLASSES], "b2": [CLASSES]}, f"new() makes {shapes}"
    assert numbers == [HIDDEN, CLASSES, DECAY], f"HIDDEN, CLASSES and DECAY are {numbers}"
    for (p, x, y), (value, g) in zip(cases, results, strict=True):
        right = losses(p, x, y)
        assert any(close(value, one, 1e-6) for one in right), f"the loss is {value}, not {right[0]}"
        right = gradients(p, x, y)
        for name in right:
            pairs = list(zip(flat(g[name]), flat(right[name]), strict=True))
            assert all(close(a, b, 1e-6) for a, b in pairs), f"the gradient of {name} is wrong"


def accuracy(path):
    """Share of the unseen rows that a model file classifies correctly, worked out here."""
    store = arrays(path)
    shapes = {name: shape for name, (_, shape, _) in store.items()}
    right = {"w1": [FEATURES, HIDDEN], "b1": [HIDDEN], "w2": [HIDDEN, CLASSES], "b2": [CLASSES], "mean": [FEATURES], "scale": [FEATURES]}
    assert shapes == right, f"{os.path.basename(path)} holds {shapes}"
    p = {}
    for name, (_, shape, values) in store.items():
        p[name] = values if len(shape) == 1 else [values[i:i + shape[1]] for i in range(0, len(values), shape[1])]
    for name in ("b1", "b2"):
        assert all(p[name]), f"{name} was not trained: it is still zero"
    hits = 0
    for row, label in UNSEEN:
        q = forward(p, [(v - m) / s for v, m, s in zip(row, p["mean"], p["scale"])])[1]
        hits += q.index(max(q)) == label
    return hits / len(UNSEEN), store


def standardised_by(store, rows):
    """Whether mean and scale are those of these rows."""
    for i in range(FEATURES):
        column = [row[i] for row, _ in rows]
        mean = sum(column) / len(column)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in column) / len(column))
        if not close(store["mean"][2][i], mean, 1e-5) or not close(store["scale"][2][i], deviation, 1e-5):
            return False
    return True


def train(data, seed, out):
    """Run the training program; a message names no temporary file."""
    command = "/usr/bin/python3", "-B", f"{FOLDER}/{PROGRAM}", "--data", data, "--seed", seed, "--out", out
    done = run(*command, cwd=os.path.dirname(out), env={"OPENBLAS_NUM_THREADS": "1"})
    assert done.returncode == 0, f"training with seed {seed} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
    assert os.path.isfile(out), "training leaves no model file"


def check_training_on_other_rows_works():
    """Training in a fresh process on rows that the check brings gives a model that classifies unseen rows."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [",".join(f"f{i}" for i in range(FEATURES)) + ",kind"] + [",".join(map(str, [*row, kind])) for row, kind in OTHER]
        with open(f"{folder}/other.csv", "w") as file:
            file.write("\\n".join(lines) + "\\n")
        first = []
        for seed in ("7", "1234"):
            train(f"{folder}/other.csv", seed, f"{folder}/{seed}.npz")
            share, store = accuracy(f"{folder}/{seed}.npz")
            assert share >= PERCENT / 100, f"with seed {seed} only {share:.1%} of the unseen rows are right"
            assert standardised_by(store, OTHER), "mean and scale are not those of the training rows"
            first.append(store["w1"][2])
        assert first[0] != first[1], "the seed changes nothing"


def check_model_is_trained():
    """The model in place is what the training program gives with the stated seed, and classifies unseen rows."""
    share, store = accuracy(f"{FOLDER}/{OUT}")
    assert share >= PERCENT / 100, f"only {share:.1%} of the unseen rows are right"
    assert standardised_by(store, ROWS), "mean and scale are not those of the training rows"
    with tempfile.TemporaryDirectory() as folder:
        train(f"{FOLDER}/{DATA}", str(RUN_SEED), f"{folder}/again.npz")
        again = arrays(f"{folder}/again.npz")
    for name, (_, _, values) in again.items():
        same = all(close(a, b, 1e-3) for a, b in zip(store[name][2], values, strict=True))
        assert same, f"another run with seed {RUN_SEED} gives other numbers for {name}"


def check_data_is_unchanged():
    """The labelled rows are as they were."""
    lines = [",".join(map(str, [*row, kind])) for row, kind in ROWS]
    assert read(f"{FOLDER}/{DATA}").splitlines()[1:] == lines, "the rows were changed"
'''
