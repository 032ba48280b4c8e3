"""The agent that tests/tests/python_agent.rs runs: actions that leave a trace, a place to be killed at, and acknowledgements that get lost."""

import asyncio
import os
import signal

import honk_ledger
import row_count
from honk_agent import Agent, Job, Reject, Retry

agent = Agent("checks")
agent.action("acme/row-count")(row_count.row_count)


def checkpoint(point: str) -> None:
    if point == os.environ.get("DIES_AT"):
        os.kill(os.getpid(), signal.SIGKILL)


honk_ledger.checkpoint = checkpoint
lost = int(os.environ.get("LOSES_ACKS", "0"))
settle = agent._settle


async def lossy_settle(msg, verb):
    global lost
    if verb == b"+ACK" and lost:
        lost -= 1
    else:
        await settle(msg, verb)


agent._settle = lossy_settle


@agent.action("acme/effect")
async def effect(job: Job) -> dict:
    with open(os.environ["EFFECTS"], "a") as effects:
        print(job.idempotency_key, job.attempt, file=effects)
    return {"key": job.idempotency_key, "before": job.outputs_of("before"), "with": job.with_}


@agent.action("acme/reject")
async def reject(job: Job) -> None:
    raise Reject("no rows\r\nHonk-Reason: none, ä")


@agent.action("acme/flaky")
async def flaky(job: Job) -> None:
    if job.attempt < 3:
        raise Retry(f"not at {job.attempt}")


@agent.action("acme/defect")
async def defect(job: Job) -> None:
    raise ValueError("a defect")


@agent.action("acme/slow")
async def slow(job: Job) -> dict:
    await effect(job)
    await asyncio.sleep(float(os.environ.get("SLOW", "600")))
    return {"slept": True}


@agent.action("acme/huge")
async def huge(job: Job) -> dict:
    return {"text": "x" * 1_000_000}


agent.serve()
