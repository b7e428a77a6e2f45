"""Tasks that are built although the judges turned them away, to see whether they were right (`judge.audit`)."""

from synth.ledger import Ledger
from taxonomy.task import Rejection


def audited(ledger: Ledger, task: str) -> bool:
    """Whether a task is one of them, by its id."""
    row = ledger.get(task, "judge")
    return row is not None and row.data.get("audited") is True


def no_row() -> Rejection:
    """Why a trajectory in such a task is no row: what it shows is how good the judges are."""
    return Rejection(
        stage="policy", reason="audited", detail="the judges found the task infeasible; it was built for an audit"
    )
