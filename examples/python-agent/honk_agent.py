"""An agent in Python: a pool, and its actions as async functions.

    agent = Agent("checks")

    @agent.action("acme/row-count")
    async def row_count(job: Job) -> dict:
        return {"rows": 12}

    agent.serve()

It does what docs/MESSAGES.md says under "Writing an agent": `honk_record` decides, `honk_ledger` moves records, and this file pulls, works and
settles. README.md says what it leaves out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import random
import signal
import socket
from dataclasses import dataclass, field
from typing import Any, Awaitable, Callable, NoReturn

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

import honk_ledger
import honk_record as record
from honk_ledger import CONTROL, RUNS, WORKFLOWS, Failed, Known, Ledger, Malformed, connect, decode, dumps, now, persist, trace_of
from honk_record import Json, Refused

log = logging.getLogger("honk")

STREAM = "HONK_JOBS"
PULL_SECONDS = 2.0  # how long one request stands, and so how long a stop can take
CANCEL_GRACE = 4.0
MOST_WORKFLOWS = 1_000  # versions kept in memory
PAUSE = 2.0  # before a job is delivered again that could not be begun


class Retry(Exception):
    """It may pass: try again as the workflow says, or after `after` seconds."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Reject(Exception):
    """It will not pass: dead-letter it now."""


class HandBack(Exception):
    """The agent stops, or another attempt has the job."""


@dataclass
class Job:
    """A job, as an action sees it. Its attempt is stopped by cancelling the action's task."""

    run: Json
    name: str
    generation: int
    attempt: int
    with_: Json = field(default_factory=dict)
    objects: int = 0
    objects_total: int = 0
    bytes: int = 0
    bytes_total: int = 0

    @property
    def dataset(self) -> str:
        return str(self.run["dataset"])

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt and every replay: what makes an effect recognisable as done before."""
        return f"{self.run['id']}.{self.name}"

    def outputs_of(self, name: str) -> Json:
        return dict((record.find(self.run, name) or {}).get("outputs", {}))


Action = Callable[[Job], Awaitable[Json | None]]


@dataclass
class Attempt:
    known: Known
    name: str
    generation: int
    delivered: int
    spec: Json

    def event(self, kind: str, **more: Any) -> Json:
        return {"type": kind, "job": self.name, "generation": self.generation, "attempt": self.delivered, **more}

    @property
    def handed_back(self) -> int:
        return int((record.find(self.known.run, self.name) or {}).get("handed_back", 0))


class Agent:
    """Serves a pool."""

    def __init__(self, pool: str) -> None:
        self.pool = pool
        self.name = f"{pool}@{socket.gethostname()}:{os.getpid()}"
        self.actions: dict[str, Action] = {}
        self.workflows: dict[str, Json] = {}
        self.wishes: dict[str, str] = {}
        self.ack_wait = 30.0

    def action(self, name: str) -> Callable[[Action], Action]:
        """Offers the function to workflows as `uses: OWNER/NAME`."""

        def offer(function: Action) -> Action:
            self.actions[name] = function
            return function

        return offer

    def serve(self) -> NoReturn:
        """The whole process, until SIGTERM."""
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        try:
            asyncio.run(self._serve())
        except (NatsError, OSError, asyncio.TimeoutError) as error:
            raise SystemExit(f"{self.pool}: cannot reach NATS at HONK_NATS__URL: {error!r}") from error
        raise SystemExit(0)

    async def _serve(self) -> None:
        self.soft_stop, self.hard_stop = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        nc = await asyncio.wait_for(connect(self.name), 10)
        self.nc, self.ledger = nc, Ledger(nc)
        try:
            info = await self.ledger.js.consumer_info(STREAM, self.pool)
            watching = await self._follow_wishes()
        except NotFoundError:
            raise SystemExit(f"the pool `{self.pool}` does not exist; make it with `honk provision --pool {self.pool}`") from None
        self.ack_wait = float(info.config.ack_wait or 30)
        log.info("serving the pool %s as %s", self.pool, self.name)
        slots = int(os.environ.get("HONK_AGENT__SLOTS") or 4)
        try:
            await asyncio.gather(*(self._slot() for _ in range(slots)))
        finally:
            watching.cancel()
            with contextlib.suppress(NatsError):  # without a connection there is nothing to send
                await nc.drain()

    def _stop(self) -> None:
        """Soft at first; hard when the time is up or when asked again."""
        if self.soft_stop.is_set():
            self.hard_stop.set()
        self.soft_stop.set()
        limit = float(os.environ.get("HONK_DRAIN__SECONDS") or 30)
        asyncio.get_running_loop().call_later(limit, self.hard_stop.set)

    async def _follow_wishes(self) -> asyncio.Task[None]:
        """Keeps a copy of what people wish of runs; returns when it is complete for the first time."""
        watcher = await (await self.ledger.js.key_value(CONTROL)).watch("run.*")
        complete = asyncio.Event()

        async def follow() -> None:
            async for entry in watcher:
                if entry is None:
                    complete.set()
                elif entry.operation in ("DEL", "PURGE") or not entry.value:
                    self.wishes.pop(entry.key.removeprefix("run."), None)
                else:
                    self.wishes[entry.key.removeprefix("run.")] = json.loads(entry.value)

        task = asyncio.create_task(follow())
        await asyncio.wait_for(complete.wait(), 10)
        return task

    async def _slot(self) -> None:
        """One job at a time, so that none waits in memory while its time runs."""
        pulled = await self.ledger.js.pull_subscribe_bind(consumer=self.pool, stream=STREAM)
        while not self.soft_stop.is_set():
            try:
                [msg] = await pulled.fetch(1, timeout=PULL_SECONDS)
            except asyncio.TimeoutError:
                continue
            except NatsError as error:
                log.warning("pulling: %r", error)
                await asyncio.sleep(1)
                continue
            if self.soft_stop.is_set():
                await self._settle(msg, b"-NAK")
            else:
                await self._deliver(msg)
        await pulled.unsubscribe()

    async def _deliver(self, msg: Msg) -> None:
        """Makes an attempt and settles the delivery. Whatever goes wrong here is no fault of the job."""
        try:
            try:
                await self._attempt(msg)
            except Malformed as error:
                await self._bury(msg, Failed(error.args[0], "failure", error.args[1], again=False))
        except Refused as refusal:
            log.warning("%s: %s", msg.subject, refusal.why)
            if refusal.why == "not-allowed":  # the run was given up; if it was fenced, the delivery belongs to somebody else
                await self._settle(msg, b"+ACK")
        except Exception:
            log.exception("%s could not be recorded; it will be done again", msg.subject)
            await self._give_back(msg, PAUSE)

    async def _attempt(self, msg: Msg) -> None:
        delivered, body = msg.metadata.num_delivered, decode(msg)
        known = Known(body["run"], body["revision"])
        if delivered > 1 or known.run["id"] in self.wishes:
            known = await self.ledger.get(known.run)
        name, generation = body["job"], body["generation"]
        beginning = record.beginning(known.run, name, generation)
        if beginning == "done":
            await persist(lambda: self.ledger.publish(known, record.due(known.run), trace_of(msg)))
            return await self._settle(msg, b"+ACK")
        spec = (await self._workflow(known.run)).get(name.split(":")[0])
        if beginning == "not-due" or spec is None:
            raise Malformed("message-malformed", f"by its own record the job `{name}` is not due")
        attempt = Attempt(known, name, generation, delivered, spec)
        if beginning == "held":
            return await self._conclude(msg, attempt, attempt.event("shelved"))
        if record.is_exhausted(delivered, attempt.handed_back, spec["retry"]):
            lost = f"{delivered - attempt.handed_back - 1} attempts ended without a result"
            return await self._die(msg, attempt, Failed("agent-lost", "error", lost, again=False))
        if delivered > 1:
            attempt.known, _ = await self.ledger.move(known, attempt.event("started", agent=self.name))
        honk_ledger.checkpoint("before-work")
        try:
            outputs = await self._work(msg, attempt)
            honk_ledger.checkpoint("after-work")
            await self._conclude(msg, attempt, attempt.event("completed", outputs=outputs))
        except HandBack:
            await self._return_later(msg, attempt, attempt.event("handed_back"), 0)
        except Failed as failed:
            await self._fail(msg, attempt, failed)

    async def _workflow(self, run: Json) -> dict[str, Json]:
        """The jobs of a workflow's version. A version never changes."""
        version = run["workflow"]["hash"]
        if version not in self.workflows:
            stored = await self.ledger.last(WORKFLOWS, f"hash.{version}")
            if stored is None:
                raise LookupError(f"version {version} of the workflow is not stored")
            if len(self.workflows) >= MOST_WORKFLOWS:
                self.workflows.clear()
            self.workflows[version] = {job["name"]: job for job in stored.run["jobs"]}
        return self.workflows[version]

    # --- work

    async def _work(self, msg: Msg, attempt: Attempt) -> Json:
        """Runs the steps and keeps watch beside them: signs of life, the deadline, the fence, the stop."""
        job = Job(attempt.known.run, attempt.name, attempt.generation, attempt.delivered)
        task = asyncio.create_task(self._steps(job, attempt.spec))
        clock, every = asyncio.get_running_loop().time, min(self.ack_wait / 3, 1.0)
        begun = beaten = clock()
        deadline, is_held, is_durable = begun + attempt.spec["timeout_ms"] / 1000, True, False
        stop: Exception = HandBack()
        while not task.done():
            await asyncio.wait({task}, timeout=max(0.0, min(every, deadline - clock())))
            if task.done():
                break
            if self.hard_stop.is_set() or not is_held:
                break
            if clock() >= deadline:
                stop = Failed("job-timeout", "timeout", f"not done within {attempt.spec['timeout_ms'] / 1000} s", again=True)
                break
            is_over = self.wishes.get(job.run["id"]) == "end"
            if beat := clock() - beaten + every > self.ack_wait / 3:
                beaten = clock()
                await self.nc.publish(msg.reply, b"+WPI")
            await self._show(job)
            is_old = clock() - begun >= min(1.0, 2 * every)
            if is_over or (is_old and (beat or not is_durable)):
                is_held, is_durable = await self._hold(attempt), True
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_GRACE)
            if not task.done() or task.cancelled() or task.exception() is not None:
                raise stop
        if task.cancelled():
            raise Failed("job-panicked", "failure", "the action cancelled itself", again=True)
        return task.result()

    async def _steps(self, job: Job, spec: Json) -> Json:
        """The outputs of all steps together. What this agent cannot do is rejected, never passed over."""
        unread: list[str] = [key for key in ("if", "strategy") if key in spec and not record.is_item(job.name)]
        outputs: Json = {}
        for step in spec["steps"]:
            uses = step["action"].get("uses")
            unread += [key for key in ("if", "continue_on_error") if step.get(key)]
            unread += ["run"] if uses is None else ["{{ … }}"] if "{{" in json.dumps(uses.get("with", {})) else []
            if unread:
                message = f"an agent in Python serves `{self.pool}`, which does not read {', '.join(f'`{key}`' for key in unread)}"
                raise Failed("action-unknown", "failure", message, again=False)
            if uses["action"] not in self.actions:
                message = f"the pool `{self.pool}` offers {', '.join(sorted(self.actions))}, not `{uses['action']}`"
                raise Failed("action-unknown", "failure", message, again=False)
        for step in spec["steps"]:
            uses = step["action"]["uses"]
            job.with_ = uses.get("with", {})
            outputs |= await self._call(uses["action"], job)
        return outputs

    async def _call(self, name: str, job: Job) -> Json:
        try:
            outputs = await self.actions[name](job) or {}
            if not isinstance(outputs, dict):
                raise Reject(f"`{name}` must return a dict, and returned {outputs!r}")
            dumps(outputs)  # what is no JSON is a defect of the action, and not of the record
            return outputs
        except Reject as error:
            raise Failed("action-rejected", "failure", str(error), again=False) from error
        except Retry as error:
            raise Failed("action-failed", "error", str(error), again=True, after=error.after) from error
        except Exception as error:
            log.exception("a defect in `%s`", name)
            raise Failed("job-panicked", "failure", f"the action raised {error!r}", again=True) from error

    async def _hold(self, attempt: Attempt) -> bool:
        """Puts the attempt on record, or looks whether it is still the latest there. An unanswered look is no harm."""
        try:
            latest = await self.ledger.get(attempt.known.run)
            attempt.known, _ = await self.ledger.move(latest, attempt.event("started", agent=self.name))
        except Refused as refusal:
            log.warning("stopping the work: %s", refusal.why)
            return False
        except (NatsError, asyncio.TimeoutError) as error:
            log.warning("the attempt is not on record: %r", error)
        return True

    async def _show(self, job: Job) -> None:
        names = ("attempt", "objects", "objects_total", "bytes", "bytes_total")
        progress = {"agent": self.name} | {name: getattr(job, name) for name in names}
        await self.nc.publish(f"honk.live.{job.run['id']}.{job.name}", dumps(progress))

    # --- ends: record, publish, settle

    async def _conclude(self, msg: Msg, attempt: Attempt, event: Json) -> None:
        await persist(lambda: self.ledger.advance(attempt.known, event, trace_of(msg)))
        await self._settle(msg, b"+ACK")
        honk_ledger.checkpoint("after-ack")

    async def _fail(self, msg: Msg, attempt: Attempt, failed: Failed) -> None:
        retry, number = attempt.spec["retry"], max(1, attempt.delivered - attempt.handed_back)
        if not failed.again or not record.may_retry(attempt.delivered, attempt.handed_back, retry):
            return await self._die(msg, attempt, failed)
        log.warning("%s will be tried again: %s: %s", msg.subject, failed.reason, failed.message)
        pause = record.delay(number, retry, random.random()) if failed.after is None else failed.after
        event = attempt.event("retrying", failure=self._failure(attempt, failed), counts=True)
        await self._return_later(msg, attempt, event, pause)

    async def _return_later(self, msg: Msg, attempt: Attempt, event: Json, pause: float) -> None:
        await persist(lambda: self.ledger.move(attempt.known, event))
        honk_ledger.checkpoint("after-record")
        await self._give_back(msg, pause)

    async def _die(self, msg: Msg, attempt: Attempt, failed: Failed) -> None:
        log.error("%s is dead-lettered: %s: %s", msg.subject, failed.reason, failed.message)
        run, event = attempt.known.run, attempt.event("died", failure=self._failure(attempt, failed))
        subject = f"honk.dead.{self.pool}.{run['id']}.{attempt.name}"

        async def bury() -> None:
            if not attempt.spec.get("continue_on_error"):  # a failure that the workflow tolerates is nobody's to repair
                await self.ledger.write_letter(msg, subject, run["dataset"], failed)
            honk_ledger.checkpoint("after-dead-letter")
            await self.ledger.advance(attempt.known, event, trace_of(msg))

        await persist(bury)
        await self._settle(msg, f"+TERM {failed.reason}".encode())

    async def _bury(self, msg: Msg, failed: Failed) -> None:
        """Dead-letters a message that nobody can make an attempt at. If its subject names a job that is due, the job is dead with it."""
        said, delivered = msg.subject.split("."), msg.metadata.num_delivered
        known = await self.ledger.last(RUNS, f"*.{said[3]}") if len(said) == 6 else None
        job = record.find(known.run, said[4]) if known is not None else None
        if known is None or job is None or job["state"] not in record.DUE or str(job["generation"]) != said[5]:
            reply = msg.reply.split(".")  # its time is finer there than in `metadata`
            stored = msg.metadata.sequence.stream, int(reply[7 if len(reply) == 9 else 9])
            key = hashlib.sha256(b"%d\0%d" % stored).hexdigest()[:16]
            await persist(lambda: self.ledger.write_letter(msg, f"honk.dead.message.{key}", None, failed))
        else:
            attempt = Attempt(known, said[4], int(said[5]), max(delivered, job.get("attempt", 0)), {})
            return await self._die(msg, attempt, failed)
        await self._settle(msg, f"+TERM {failed.reason}".encode())

    def _failure(self, attempt: Attempt, failed: Failed) -> Json:
        about = {"reason": failed.reason, "fault": failed.fault, "message": failed.message}
        return about | {"attempt": attempt.delivered, "at": now()}

    async def _give_back(self, msg: Msg, pause: float) -> None:
        await self._settle(msg, b"-NAK " + dumps({"delay": int(pause * 1e9)}) if pause else b"-NAK")

    async def _settle(self, msg: Msg, verb: bytes) -> None:
        """An acknowledgement that is lost is found out by the next delivery; of anything else the server must have heard."""
        try:
            if verb == b"+ACK":
                await self.nc.publish(msg.reply, verb)
            else:
                await self.nc.request(msg.reply, verb, timeout=5)
        except (NatsError, asyncio.TimeoutError) as error:
            log.warning("%s not settled, it comes back by itself: %r", msg.subject, error)
