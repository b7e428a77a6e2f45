"""The rules, a right move generator, the faults that are planted in it, and the checks."""

RULES = """\
# @TOOL@

    python3 @TOOL@ @LIST@ FEN            the legal moves, one a line, sorted as text
    python3 @TOOL@ @COUNT@ DEPTH FEN     `N lines of DEPTH moves`: how many sequences of so many legal moves there are

FEN is the usual six-field description of a position, in quotes. A move is written as from@DASH@to, such as `e2@DASH@e4`; castling
is the king's move, and a promotion has the piece behind it: `e7@DASH@e8@PROMOTE@q`.

What must not be forgotten:

- A pawn may make two steps from its first row if both squares before it are free. On the last row it becomes a queen, rook,
  bishop or knight, as the player likes.
- A pawn that has just made two steps may be taken by a pawn as if it had made one, in the very next move only; it is then
  off the board.
- Castling needs the right to it, and nothing between king and rook; the king may not be in check, pass over an attacked
  square or arrive on one. The rook may. The right is lost for good when the king or that rook moves, or the rook is taken.
- No move may leave the own king attacked.
"""

SOURCE = '''\
#!/usr/bin/python3
"""Legal moves of chess: @TOOL@ @LIST@ FEN, or @TOOL@ @COUNT@ DEPTH FEN."""

import sys

STRAIGHT = ((1, 0), (-1, 0), (0, 1), (0, -1))
DIAGONAL = ((1, 1), (1, -1), (-1, 1), (-1, -1))
JUMPS = ((1, 2), (2, 1), (-1, 2), (-2, 1), (1, -2), (2, -1), (-1, -2), (-2, -1))
MOVERS = {"n": (JUMPS, False), "k": (STRAIGHT + DIAGONAL, False), "r": (STRAIGHT, True), "b": (DIAGONAL, True)}
MOVERS["q"] = (STRAIGHT + DIAGONAL, True)
ATTACKERS = (("n", JUMPS, False), ("k", STRAIGHT + DIAGONAL, False), ("rq", STRAIGHT, True), ("bq", DIAGONAL, True))
LOST = {(4, 0): "KQ", (0, 0): "Q", (7, 0): "K", (4, 7): "kq", (0, 7): "q", (7, 7): "k"}


class Position:
    """Squares are (file, rank), both from 0; pieces are the letters of the FEN."""

    def __init__(self, fen=""):
        self.board, self.castling, self.target = {}, set(), None
        if fen:
            rows, turn, castling, target = fen.split()[:4]
            for row, signs in enumerate(rows.split("/")):
                file = 0
                for sign in signs:
                    if sign.isdigit():
                        file += int(sign)
                    else:
                        self.board[file, 7 - row] = sign
                        file += 1
            self.white = turn == "w"
            self.castling = set(castling) - {"-"}
            self.target = None if target == "-" else ("abcdefgh".index(target[0]), int(target[1]) - 1)

    def attacked(self, square, white):
        """Whether that side attacks the square."""
        for pieces, steps, far in ATTACKERS:
            for dx, dy in steps:
                x, y = square[0] + dx, square[1] + dy
                while 0 <= x < 8 and 0 <= y < 8:
                    piece = self.board.get((x, y))
                    if piece:
                        if piece.lower() in pieces and piece.isupper() == white:
                            return True
                        break
                    if not far:
                        break
                    x, y = x + dx, y + dy
        pawn, row = ("P", square[1] - 1) if white else ("p", square[1] + 1)
        return pawn in (self.board.get((square[0] - 1, row)), self.board.get((square[0] + 1, row)))

    def king(self, white):
        """Square of that side's king."""
        return next(square for square, piece in self.board.items() if piece == ("K" if white else "k"))

    def pawn_moves(self, x, y):
        step, first, last = (1, 1, 7) if self.white else (-1, 6, 0)
        goals = []
        if (x, y + step) not in self.board:
            goals.append((x, y + step))
            if y == first and (x, y + 2 * step) not in self.board:
                goals.append((x, y + 2 * step))
        for side in (x - 1, x + 1):
            piece = self.board.get((side, y + step))
            if piece and piece.isupper() != self.white or (side, y + step) == self.target:
                goals.append((side, y + step))
        for goal in goals:
            for promotion in "qrbn" if goal[1] == last else [""]:
                yield (x, y), goal, promotion

    def castlings(self):
        row = 0 if self.white else 7
        for right, free, path in (("K", (5, 6), (4, 5, 6)), ("Q", (1, 2, 3), (4, 3, 2))):
            if (right if self.white else right.lower()) not in self.castling:
                continue
            if any((x, row) in self.board for x in free):
                continue
            if not any(self.attacked((x, row), not self.white) for x in path):
                yield (4, row), (path[-1], row), ""

    def candidates(self):
        """Moves that are legal but for the own king's safety."""
        for (x, y), piece in list(self.board.items()):
            if piece.isupper() != self.white:
                continue
            if piece in "Pp":
                yield from self.pawn_moves(x, y)
                continue
            steps, far = MOVERS[piece.lower()]
            for dx, dy in steps:
                goal = (x + dx, y + dy)
                while 0 <= goal[0] < 8 and 0 <= goal[1] < 8:
                    other = self.board.get(goal)
                    if not other or other.isupper() != self.white:
                        yield (x, y), goal, ""
                    if other or not far:
                        break
                    goal = (goal[0] + dx, goal[1] + dy)
        yield from self.castlings()

    def play(self, origin, goal, promotion):
        """The position after a move."""
        after = Position()
        after.board = dict(self.board)
        after.white = not self.white
        piece = after.board.pop(origin)
        if piece in "Pp" and goal == self.target:
            del after.board[goal[0], origin[1]]
        after.board[goal] = (promotion.upper() if self.white else promotion) or piece
        if piece in "Kk" and abs(goal[0] - origin[0]) == 2:
            rook = (7 if goal[0] == 6 else 0, goal[1])
            after.board[(origin[0] + goal[0]) // 2, goal[1]] = after.board.pop(rook)
        after.castling = self.castling - set(LOST.get(origin, "")) - set(LOST.get(goal, ""))
        if piece in "Pp" and abs(goal[1] - origin[1]) == 2:
            after.target = (origin[0], (origin[1] + goal[1]) // 2)
        return after

    def legal(self):
        """Moves with the positions that they lead to."""
        for move in self.candidates():
            after = self.play(*move)
            if not after.attacked(after.king(self.white), after.white):
                yield move, after


def name(move):
    (x, y), (goal_x, goal_y), promotion = move
    return f"{chr(97 + x)}{y + 1}@DASH@{chr(97 + goal_x)}{goal_y + 1}" + (f"@PROMOTE@{promotion}" if promotion else "")


def count(position, depth):
    if depth == 0:
        return 1
    if depth == 1:
        return sum(1 for _ in position.legal())
    return sum(count(after, depth - 1) for _, after in position.legal())


def main(arguments):
    if arguments[0] == "@LIST@":
        print("\\n".join(sorted(name(move) for move, _ in Position(arguments[1]).legal())))
    else:
        print(count(Position(arguments[2]), int(arguments[1])), "lines of", arguments[1], "moves")


if __name__ == "__main__":
    main(sys.argv[1:])
'''

POSITIONS = (
    ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", 2),
    ("r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1", 2),
    ("8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", 3),
    ("r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1", 2),
    ("r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1", 2),
    ("r3k2r/8/3Q4/8/8/5q2/8/R3K2R b KQkq - 0 1", 2),
    ("r3k2r/1b4bq/8/8/8/8/7B/R3K2R w KQkq - 0 1", 2),
    ("8/1p1p4/8/K1P1P2r/8/8/8/7k b - - 0 1", 3),
    ("8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1", 2),
    ("n1n5/PPPk4/8/8/8/8/4Kppp/5N1N b - - 0 1", 2),
    ("4k3/4p3/4R3/8/4r3/4P3/4P3/4K3 w - - 0 1", 3),
    ("1n2k3/4p3/4N3/8/8/p3n3/P3P3/RN2K2R w KQ - 0 1", 2),
    ("rn2k2r/8/8/8/8/8/6n1/RN2K1NR w KQkq - 0 1", 2),
    ("8/5k2/8/2pP4/8/1B6/8/4K3 w - c6 0 1", 3),
    ("2r1k3/1P6/8/8/8/8/1p6/2R1K3 w - - 0 1", 2),
    ("r3k2r/8/8/4b3/4B3/8/8/R3K2R w KQkq - 0 1", 2),
    ("4k2r/6P1/8/8/8/8/8/4K3 w k - 0 1", 3),
    ("4k3/8/8/8/3r4/4n3/3PP3/4K3 w - - 0 1", 2),
    ("k7/8/8/8/8/8/8/4K2R w K - 0 1", 3),
    ("r3k2r/8/8/8/4R3/8/8/4K3 b kq - 0 1", 2),
)

CHECKS = '''
REACH = {}


def reference():
    """The rules, as a module of their own."""
    if not REACH:
        exec(compile(REFERENCE, "reference", "exec"), REACH)
    return REACH


def flipped(fen):
    """The same position with the colours exchanged."""
    rows, turn, castling, target, *rest = fen.split()
    rows = "/".join(row.swapcase() for row in reversed(rows.split("/")))
    target = target if target == "-" else target[0] + str(9 - int(target[1]))
    castling = "".join(sorted(castling.swapcase())) if castling != "-" else "-"
    return " ".join([rows, "b" if turn == "w" else "w", castling, target, *rest])


def call(*arguments):
    done = run("/usr/bin/python3", "-I", "-B", TOOL, *arguments, seconds=40)
    assert done.returncode == 0, f"{' '.join(arguments)} ends with {done.returncode}: {done.stderr[-200:]}"
    return done.stdout


def listed(fen):
    rules = reference()
    return sorted(rules["name"](move) for move, _ in rules["Position"](fen).legal())


def positions():
    """Positions on the way of seeded random games from the given ones."""
    rng, found = random.Random(64), []
    for fen, _ in POSITIONS:
        found += [fen, flipped(fen)]
    return found


def check_moves():
    """The moves of many positions, of both colours, are exactly the legal ones."""
    for fen in positions():
        got, want = call(LIST, fen).split(), listed(fen)
        wrong, missing = sorted(set(got) - set(want)), sorted(set(want) - set(got))
        assert got == want, f"{fen}: not legal {wrong[:5]}, missing {missing[:5]}, or not sorted"


def check_counts():
    """The numbers of move sequences are right."""
    rules = reference()
    for number, (fen, depth) in enumerate(POSITIONS):
        fen = flipped(fen) if number % 2 else fen
        want = rules["count"](rules["Position"](fen), depth)
        got = call(COUNT, str(depth), fen).strip()
        assert got == f"{want} lines of {depth} moves", f"{COUNT} {depth} {fen} prints {got!r}, not {want}"


def check_document_untouched():
    """The description is what it was."""
    assert read(DOC[0]) == DOC[1], "the description was changed"
'''


def fault_of(
    name: str, right: str, wrong: str, mistake: str, symptom: str, thought: str, fen: str, depth: int, count: int
) -> tuple[str, ...]:
    probe = f"python3 @TOOL@ @COUNT@ {depth} '{fen}'"
    return name, right, wrong, mistake, symptom, thought, probe, rf"^{count} lines of {depth} moves"


FAULTS = (
    fault_of(
        "king-square", "            if not after.attacked(after.king(self.white), after.white):\n", "            if not after.attacked(self.king(self.white), after.white):\n",
        "            if not self.attacked(after.king(self.white), after.white):\n",
        "[kings walk into check|a king may step onto an attacked square|the king is safe only as long as it does not move]",
        "legal() asks for the king's square before the move; a king that moves is somewhere else afterwards, and the board is another.",
        "8/8/8/8/k2Pp2Q/8/8/3K4 b - - 0 1", 2, 136,
    ),
    fault_of(
        "double-step",
        "            goals.append((x, y + step))\n            if y == first and (x, y + 2 * step) not in self.board:\n                goals.append((x, y + 2 * step))\n",
        "            goals.append((x, y + step))\n        if y == first and (x, y + 2 * step) not in self.board:\n            goals.append((x, y + 2 * step))\n",
        "            goals.append((x, y + step))\n            if y == first:\n                goals.append((x, y + 2 * step))\n",
        "[pawns jump over a piece that stands right before them|a blocked pawn still makes two steps|a pawn on its first row leaps over what stands before it]",
        "The double step only looks at the far square; both squares have to be free.",
        "4k3/8/8/8/3r4/4n3/3PP3/4K3 w - - 0 1", 1, 3,
    ),
    fault_of(
        "promotion", '            for promotion in "qrbn" if goal[1] == last else [""]:\n', '            for promotion in "q" if goal[1] == last else [""]:\n',
        '            for promotion in "qn" if goal[1] == last else [""]:\n',
        "[pawns can become a queen and nothing else|a promotion to a knight is refused|nobody can promote to a rook, bishop or knight]",
        "Only the queen is offered at a promotion; all four pieces have to be.",
        "2r1k3/1P6/8/8/8/8/1p6/2R1K3 w - - 0 1", 1, 23,
    ),
    fault_of(
        "passing-pawn", "            del after.board[goal[0], origin[1]]\n", "            after.board.pop(goal, None)\n", "            after.board.pop((origin[0], goal[1]), None)\n",
        "[a pawn that was taken in passing stays on the board|after taking in passing the other pawn is still there|the victim of a capture in passing goes on standing there]",
        "play() removes a pawn from the wrong square after a capture in passing: it stands on the file of the goal and the rank of the origin.",
        "8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1", 2, 136,
    ),
    fault_of(
        "passing-target",
        "            after.target = (origin[0], (origin[1] + goal[1]) // 2)\n", "            after.target = goal\n", "            after.target = (origin[0], origin[1] + 1)\n",
        "[a pawn that has just made two steps cannot be taken in passing|captures in passing are never offered after a move|taking in passing works only right after loading a position]",
        "The target of a capture in passing is the square that was passed over, for both colours, and not where the pawn stands.",
        "8/1p1p4/8/K1P1P2r/8/8/8/7k b - - 0 1", 2, 96,
    ),
    fault_of(
        "attacked-path", '(("K", (5, 6), (4, 5, 6)),', '(("K", (5, 6), (4, 6)),', '(("K", (5, 6), (5, 6)),',
        "[the king castles over an attacked square|castling on the king's side passes through check|short castling is allowed although the rook's goal is attacked]",
        "For the short side the path leaves f1 out; start, passage and goal must not be attacked.",
        "r3k2r/8/8/8/8/5q2/8/R3K2R w KQkq - 0 1", 1, 20,
    ),
    fault_of(
        "blocked-castling", '("Q", (1, 2, 3), (4, 3, 2))', '("Q", (2, 3), (4, 3, 2))', '("Q", (1, 2, 3), (4, 3, 2, 1))',
        "[long castling jumps over a knight on the b file|castling on the queen's side ignores a piece beside the rook|the king castles long with a knight in between]",
        "Three squares have to be free for the long side, b included; only those that the king touches must not be attacked.",
        "rn2k2r/8/8/8/8/8/8/RN2K2R w KQkq - 0 1", 1, 25,
    ),
    fault_of(
        "taken-rook", "        after.castling = self.castling - set(LOST.get(origin, \"\")) - set(LOST.get(goal, \"\"))\n",
        "        after.castling = self.castling - set(LOST.get(origin, \"\"))\n", "        after.castling = self.castling - set(LOST.get(goal, \"\"))\n",
        "[the program crashes or castles with a rook that was taken|a taken rook can still castle|after the rook in the corner was taken, castling there is still offered]",
        "The right to castle survives the capture of the rook: what arrives on its square matters as much as what leaves it.",
        "r3k2r/8/8/4b3/4B3/8/8/R3K2R w KQkq - 0 1", 2, 1223,
    ),
)  # fmt: skip
