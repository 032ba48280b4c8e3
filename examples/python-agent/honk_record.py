"""The contract's pure part: how a run record moves, and what follows from each move.

A port of `shared/protocol/src/run/` without I/O or clock, over the record's JSON as it is. Fields that this file does not know stay as
they are; fields that are empty are left out, as everywhere. `test_honk_record.py` compares it with `docs/conformance/moves.json`, which is
made by the original.
"""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any, Callable, Iterator

Json = dict[str, Any]

DUE = {"ready", "running"}
ENDED = {"success", "dead", "failed", "skipped", "cancelled"}
OPEN_RUNS = {"waiting", "running"}
FAULTS = ["failure", "timeout", "error"]  # the gravest last


class Refused(Exception):
    """The record does not move that way. `why` is `already`, `fenced` or `not-allowed`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


# --- reading


def is_item(name: str) -> bool:
    return ":" in name


def find(run: Json, name: str) -> Json | None:
    """The job of this name, or the item `JOB:NUMBER` of one."""
    job = next((job for job in run["jobs"] if job["name"] == name.split(":")[0]), None)
    if job is None or not is_item(name):
        return job
    return next((item for item in job.get("items", []) if item["name"] == name), None)


def fence(job: Json) -> tuple[int, int]:
    return job.get("generation", 0), job.get("attempt", 0)


def due(run: Json) -> list[Json]:
    """What should be on its way by now. Publishing it again changes nothing."""
    jobs = (one for job in run["jobs"] for one in (job, *job.get("items", [])))
    return [_dispatch(job) for job in jobs if job["state"] in DUE] + _ending(run)


def _dispatch(job: Json) -> Json:
    return {"dispatch": {"job": job["name"], "pool": job["pool"], "generation": job["generation"]}}


def _ending(run: Json) -> list[Json]:
    if run["state"] in OPEN_RUNS:
        return []
    return [{"finished": run["state"]}] + [{"promote": run["successor"]} for _ in [0] if "successor" in run]


def message(run: Json, revision: int, name: str, generation: int) -> Json:
    """The message of a dispatch. That of an item has an excerpt of the record, with no other item in it and revision 0."""
    if is_item(name):
        revision, run = 0, {**run, "jobs": [_excerpt(job, name) for job in run["jobs"]]}
    return {"v": 1, "revision": revision, "job": name, "generation": generation, "run": run}


def _excerpt(job: Json, item: str) -> Json:
    kept = [one for one in job.get("items", []) if one["name"] == item]
    rest = {key: value for key, value in job.items() if key != "items"}
    return {**rest, "items": kept} if kept else rest


# --- moving


def apply(run: Json, event: Json, now: str) -> tuple[Json, list[Json]]:
    """The record after `event`, and what follows from it. Raises `Refused`."""
    after = copy.deepcopy(run)
    _EDGES[event["type"]](after, event, now)
    after["updated_at"] = now
    known = due(run)
    return after, [effect for effect in due(after) if effect not in known]


def _attempted(run: Json, event: Json) -> Json:
    """The job, if the event's attempt is not older than what is on record; the attempt is recorded."""
    job = find(run, event["job"])
    if job is None:
        raise Refused("not-allowed")
    if (event["generation"], event["attempt"]) < fence(job):
        raise Refused("fenced")
    if job["state"] not in DUE or run["state"] != "running":
        raise Refused("already" if job["state"] in {"fanned", "success", "dead", "failed"} else "not-allowed")
    if event["generation"] != job["generation"]:
        raise Refused("not-allowed")
    job["attempt"] = event["attempt"]
    return job


def _started(run: Json, event: Json, now: str) -> None:
    known = fence(find(run, event["job"]) or {})
    job = _attempted(run, event)
    if job["state"] == "running" and fence(job) == known:
        raise Refused("already")
    job.update(state="running", agent=event["agent"], started_at=now)


def _handed_back(run: Json, event: Json, now: str) -> None:
    job = _attempted(run, event)
    job["handed_back"] = job.get("handed_back", 0) + 1


def _retrying(run: Json, event: Json, now: str) -> None:
    job = _attempted(run, event)
    job["failure"] = event["failure"]
    if not event["counts"]:
        job["handed_back"] = job.get("handed_back", 0) + 1


def _completed(run: Json, event: Json, now: str) -> None:
    job = _attempted(run, event)
    _end(job, "success", now)
    _put(job, "outputs", event["outputs"])
    if is_item(job["name"]):  # a record of a thousand items must stay small
        _forget(job, "agent", "started_at", "finished_at")
    _settle_graph(run, now)


def _shelved(run: Json, event: Json, now: str) -> None:
    _attempted(run, event)["state"] = "pending"
    _settle_graph(run, now)


def _died(run: Json, event: Json, now: str) -> None:
    job = _attempted(run, event)
    _end(job, "failed" if job.get("tolerated") else "dead", now)
    job["failure"] = event["failure"]
    _settle_graph(run, now)


def _promoted(run: Json, event: Json, now: str) -> None:
    if run["state"] != "waiting":
        raise Refused("not-allowed" if run["state"] == "cancelled" else "already")
    run["state"], run["begun_at"] = "running", now
    if "limit_ms" in run:
        run["deadline"] = stamp(datetime.fromisoformat(now) + timedelta(milliseconds=run["limit_ms"]))
    _settle_graph(run, now)


_EDGES: dict[str, Callable[[Json, Json, str], None]] = {
    "started": _started,
    "handed_back": _handed_back,
    "retrying": _retrying,
    "completed": _completed,
    "shelved": _shelved,
    "died": _died,
    "promoted": _promoted,
}


# --- the graph


def _settle_graph(run: Json, now: str) -> None:
    """Moves every job whose needs or items decide it, until none moves any more; then the run itself."""
    paused = run.get("paused", False)
    for job in run["jobs"]:
        if job["state"] == "fanned":
            _settle_items(job, paused, now)
    while (decided := next(_decided(run, paused), None)) is not None:
        job, state = decided
        if state == "ready":
            _dispatch_again(job)
        else:
            _end(job, state, now)
    if all(job["state"] in ENDED for job in run["jobs"]):
        faults = [job.get("failure", {}).get("fault", "failure") for job in run["jobs"] if _is_lost(job)]
        run["state"] = max(faults, key=FAULTS.index) if faults else "success"
        run["finished_at"] = now


def _decided(run: Json, paused: bool) -> Iterator[tuple[Json, str]]:
    for job in run["jobs"]:
        if job["state"] != "pending":
            continue
        needs = [need for name in job.get("needs", []) if (need := find(run, name)) is not None]
        is_bad = any(_is_lost(need) or need["state"] in {"skipped", "cancelled"} for need in needs)
        if is_bad and not job.get("regardless"):
            yield job, "skipped"
        elif not paused and all(need["state"] in ENDED for need in needs):
            yield job, "ready"


def _settle_items(job: Json, paused: bool, now: str) -> None:
    """Starts as many items as may be under way, and ends the job whose items have all ended."""
    fan, items = job["fan"], job["items"]
    if fan["fail_fast"] and any(_is_lost(item) for item in items):
        for item in items:
            if item["state"] not in ENDED:
                _end(item, "cancelled", now)
    if not paused:
        room = fan.get("max_parallel", len(items)) - sum(item["state"] in DUE for item in items)
        for item in [item for item in items if item["state"] == "pending"][: max(room, 0)]:
            _dispatch_again(item)
    if all(item["state"] in ENDED for item in items):
        _close(job, now)


def _close(job: Json, now: str) -> None:
    items, states = job["items"], {item["state"] for item in job["items"]}
    _end(job, next((state for state in ("dead", "failed", "cancelled") if state in states), "success"), now)
    failed = next((item for item in items if item["state"] != "success" and "failure" in item), None)
    if failed is None:
        _forget(job, "failure")
    else:
        job["failure"] = {**failed["failure"], "message": f"{failed['name']}: {failed['failure']['message']}"}
    if job["state"] == "success":  # each output becomes the list of what the items left by that name
        left = [item.pop("outputs", {}) for item in items]
        names = {name: None for outputs in left for name in outputs}
        gathered = {name: [outputs.get(name) for outputs in left] for name in names}
        if job["fan"].get("rejoins"):  # they were parts of its own work: it is dispatched once more
            job["memo"] = {**job.get("memo", {}), "parts": gathered}
            job["state"] = "pending"
            _forget(job, "finished_at", "outputs")
        else:
            _put(job, "outputs", gathered)


def _dispatch_again(job: Json) -> None:
    earlier = job.get("earlier_attempts", 0) + job.get("attempt", 0)
    # Counted on from its items as well: should it be fanned out again, their subjects must be new ones.
    last = max(one.get("generation", 0) for one in (job, *job.get("items", [])))
    _forget(job, "attempt", "handed_back", "agent", "started_at", "finished_at", "outputs", "fan", "items")
    job.update(state="ready", generation=last + 1)
    _put(job, "earlier_attempts", earlier)


def _is_lost(job: Json) -> bool:
    """Whether it failed, and nobody said that this may be."""
    return job["state"] in {"dead", "failed"} and not job.get("tolerated")


def _end(job: Json, state: str, now: str) -> None:
    job.update(state=state, finished_at=now)


def _put(job: Json, key: str, value: Any) -> None:
    if value:
        job[key] = value
    else:
        job.pop(key, None)


def _forget(job: Json, *keys: str) -> None:
    for key in keys:
        job.pop(key, None)


def stamp(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


# --- deliveries


def beginning(run: Json, name: str, generation: int) -> str:
    """What a delivery turns out to be: `do`, `held` (the run is paused), `done` already, or `not-due` by its own record."""
    job = find(run, name)
    if job is None:
        return "done"
    if job["state"] == "pending" and job.get("generation", 0) < generation:
        return "not-due"
    if job.get("generation", 0) > generation or job["state"] not in DUE:
        return "done"
    return "held" if run.get("paused") and job["state"] == "ready" else "do"


def is_exhausted(delivered: int, handed_back: int, retry: Json) -> bool:
    """Whether the attempts before this delivery used up what the workflow grants, so that it must not be begun."""
    return delivered - handed_back > int(retry["retry_count"]) + 1


def may_retry(delivered: int, handed_back: int, retry: Json) -> bool:
    return max(delivered - handed_back, 1) <= int(retry["retry_count"])


def delay(attempt: int, retry: Json, random: float) -> float:
    """Seconds after the failed attempt number `attempt`, from 1; `random` is uniform in 0..1."""
    longest = float(retry["max_ms"])
    try:
        grown = float(retry["initial_ms"]) * max(float(retry["factor"]), 1.0) ** (attempt - 1)
    except OverflowError:
        grown = longest
    return min(grown, longest) / 1000 * (0.5 + random / 2)
