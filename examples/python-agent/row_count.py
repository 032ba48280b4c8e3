"""An agent of the pool `checks` with one action, `acme/row-count`: counts the rows of a dataset's CSV file, as the example in Rust does."""

import asyncio
from pathlib import Path

from honk_agent import Agent, Job, Reject, Retry

agent = Agent("checks")


@agent.action("acme/row-count")
async def row_count(job: Job) -> dict[str, int]:
    # A dataset's name is one safe word, so the path stays in the folder.
    path = Path(job.with_["folder"]) / f"{job.dataset}.csv"
    try:
        rows = await asyncio.to_thread(count, path)
    except OSError as error:  # it may come late
        raise Retry(f"{path}: {error}") from error
    if rows < (expected := job.with_.get("at_least", 0)):
        raise Reject(f"{path} has {rows} rows, and at least {expected} are expected")
    return {"rows": rows}


def count(path: Path) -> int:
    with path.open() as lines:
        return max(sum(1 for _ in lines) - 1, 0)


if __name__ == "__main__":
    agent.serve()
