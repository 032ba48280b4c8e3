"""The run records over NATS: moved by compare-and-set, and what follows from each move published after it.

`honk_record` decides how a record moves; this file reads, writes and publishes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Awaitable, Callable

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

import honk_record as record
from honk_record import Json, Refused

log = logging.getLogger("honk")

RUNS, WORKFLOWS, CONTROL = "honk_runs", "honk_workflows", "honk_control"
CONFLICTS = {10071, 10164}  # the server's codes for an expectation that does not hold
MAX_RECORD_BYTES = 1_000_000 - 8 * 1024
KEEP = {"success": 30, "cancelled": 30, "failure": 90, "error": 90, "timeout": 90}  # days
PERSIST_SECONDS = 60.0


def checkpoint(point: str) -> None:
    """Does nothing. Tests put something here that ends the process at `point`."""


class Failed(Exception):
    """A failure as the contract has it."""

    def __init__(self, reason: str, fault: str, message: str, again: bool, after: float | None = None) -> None:
        super().__init__(message)
        self.reason, self.fault, self.message, self.again, self.after = reason, fault, message, again, after


class Malformed(Exception):
    """A message that is no job. `args` are the reason and the message."""


@dataclass
class Known:
    """A record as far as it is known; revision 0 if it is an excerpt, which must be read again before it is moved."""

    run: Json
    revision: int


def now() -> str:
    return record.stamp(datetime.now(timezone.utc))


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Ledger:
    """The run records: moved by compare-and-set, and what follows from each move published after it."""

    def __init__(self, nc: Client) -> None:
        self.nc, self.js = nc, nc.jetstream()

    async def last(self, bucket: str, key: str) -> Known | None:
        """A value with its revision; the key may have wildcards."""
        try:
            stored = await self.js.get_last_msg(f"KV_{bucket}", f"$KV.{bucket}.{key}")
        except NotFoundError:
            return None
        return Known(json.loads(stored.data), stored.seq or 0) if stored.data else None

    async def get(self, run: Json) -> Known:
        known = await self.last(RUNS, run_key(run))
        if known is None:  # forgotten: a run is kept for weeks after its end
            raise Refused("not-allowed")
        if known.run["v"] != 1:
            raise Malformed("message-version", f"the record has schema version {known.run['v']}; this agent reads version 1")
        return known

    async def move(self, known: Known, event: Json) -> tuple[Known, list[Json]]:
        """Moves a record; reads it again and decides again as often as another writer is faster."""
        while True:
            if known.revision == 0:
                known = await self.get(known.run)
            try:
                after, effects = record.apply(known.run, event, now())
            except Refused as refusal:
                if refusal.why == "already":
                    return known, record.due(known.run)
                raise
            try:
                return Known(after, await self.write(after, known.revision)), effects
            except APIError as error:
                if error.err_code not in CONFLICTS:
                    raise
            except asyncio.TimeoutError:
                pass  # it may have been written: the record tells
            known = Known(known.run, 0)

    async def write(self, run: Json, revision: int) -> int:
        payload, headers = dumps(run), {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        if len(payload) > MAX_RECORD_BYTES:
            raise Failed("outputs-invalid", "failure", f"the run's record would have {len(payload)} bytes", again=False)
        if run["state"] in KEEP:
            headers["Nats-TTL"] = f"{KEEP[run['state']] * 86_400}s"
        stored = await self.js.publish(f"$KV.{RUNS}.{run_key(run)}", payload, headers=headers)
        return int(stored.seq)

    async def advance(self, known: Known, event: Json, trace: str | None) -> Known:
        known, effects = await self.move(known, event)
        checkpoint("after-record")
        await self.publish(known, effects, trace)
        checkpoint("after-publish")
        return known

    async def publish(self, known: Known, effects: list[Json], trace: str | None) -> None:
        for effect in effects:
            if "dispatch" in effect:
                await self.dispatch(known, **effect["dispatch"], trace=trace)
            elif "finished" in effect:
                await self.nc.publish(f"honk.finished.{known.run['id']}", effect["finished"].encode())
            else:
                await self.promote({**known.run, "id": effect["promote"]}, trace)

    async def dispatch(self, known: Known, job: str, pool: str, generation: int, trace: str | None) -> None:
        headers = {"Nats-Expected-Last-Subject-Sequence": "0"} | ({"traceparent": trace} if trace else {})
        subject = f"honk.job.{pool}.{known.run['id']}.{job}.{generation}"
        try:
            await self.js.publish(subject, dumps(record.message(known.run, known.revision, job, generation)), headers=headers)
        except APIError as error:
            if error.err_code not in CONFLICTS:  # a conflict says that it was published before
                raise

    async def promote(self, waiting: Json, trace: str | None) -> None:
        try:
            known = await self.get(waiting)
            if "gate" in known.run or await self.last(CONTROL, "workflow." + known.run["workflow"]["name"].replace(".", "=")):
                await self.ask_to_begin(known.run)
                return
            known, effects = await self.move(known, {"type": "promoted"})
            await self.publish(known, effects, trace)
        except Refused:
            pass  # it was given up while it waited; intake looks after its own successor

    async def ask_to_begin(self, run: Json) -> None:
        """A run whose dataset is not all that counts is begun by intake, which sees its ticket."""
        ticket = {"run": run["id"], "dataset": run["dataset"], "workflow": run["workflow"]["name"], "created_at": run["created_at"]}
        if "group" in run.get("gate", {}):
            ticket["group"] = run["gate"]["group"]["key"]
        await self.js.publish(f"$KV.{CONTROL}.start.{run['id']}", dumps(ticket))

    async def write_letter(self, msg: Msg, subject: str, dataset: str | None, failed: Failed) -> None:
        meta, error = msg.metadata, " ".join(failed.message.split()).encode()[:2000].decode(errors="ignore")
        headers = {
            "Honk-Reason": failed.reason,
            "Honk-Fault": failed.fault,
            "Honk-Error": "".join(c if c.isprintable() else " " for c in error),
            "Honk-Attempts": str(meta.num_delivered),
            "Honk-Subject": msg.subject,
            "Honk-Sequence": str(meta.sequence.stream),
            "Nats-Msg-Id": f"dead.{msg.subject}.{meta.sequence.stream}",
        }
        headers |= {"Honk-Dataset": dataset} if dataset else {}
        headers |= {"traceparent": trace} if (trace := trace_of(msg)) else {}
        await self.js.publish(subject, msg.data, headers=headers)


def run_key(run: Json) -> str:
    return f"{run['dataset'].replace('.', '=')}.{run['id']}"


def trace_of(msg: Msg) -> str | None:
    return (msg.headers or {}).get("traceparent")


def decode(msg: Msg) -> Json:
    """The message, if it is a job, and the one that belongs under its subject: dispatches are told apart by that."""
    try:
        body: Json = json.loads(msg.data)
        versions = body["v"], body["run"]["v"]
        if versions != (1, 1):
            raise Malformed("message-version", f"schema versions {versions}; this agent reads version 1")
        said = msg.subject.split(".")[3:]
        if said != [body["run"]["id"], body["job"], str(body["generation"])]:
            raise Malformed("message-malformed", "it is about another job than its subject")
        if record.find(body["run"], body["job"]) is None:
            raise Malformed("message-malformed", f"the run has no job `{body['job']}`")
        return body
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed("message-malformed", f"not a job message: {error!r}") from error


async def persist(action: Callable[[], Awaitable[Any]]) -> Any:
    """Repeats `action` while the server does not answer, with growing pauses, for a bounded time."""
    clock, pause = asyncio.get_running_loop().time, 0.05
    limit = clock() + PERSIST_SECONDS
    while True:
        try:
            return await action()
        except (NatsError, asyncio.TimeoutError) as error:
            if clock() > limit:
                raise
            log.warning("trying again: %r", error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)


async def connect(name: str) -> Client:
    """As every service does: `HONK_NATS__URL`, and who to be."""

    def setting(key: str) -> str | None:
        return os.environ.get(f"HONK_NATS__{key}") or None

    async def note(error: Exception) -> None:
        log.warning("NATS: %r", error)

    who = {"user": setting("USER"), "password": setting("PASSWORD"), "token": setting("TOKEN")}
    return await nats.connect(
        servers=(setting("URL") or "nats://127.0.0.1:4222").split(","),
        name=name,
        user_credentials=setting("CREDENTIALS"),
        inbox_prefix=setting("INBOX_PREFIX") or "_INBOX",
        max_reconnect_attempts=-1,
        error_cb=note,
        **{key: value for key, value in who.items() if value},
    )
