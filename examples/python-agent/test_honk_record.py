"""Compares `honk_record` with the original, move by move: `python3 test_honk_record.py` (no package is needed)."""

import json
import unittest
from pathlib import Path
from typing import Any

import honk_record

MOVES = Path(__file__).parents[2] / "docs" / "conformance" / "moves.json"
# What this agent never does: it reads no conditions and no matrices, splits no work and puts none off.
LEFT_OUT = {"skipped", "fanned_out", "split", "postponed"}


class Moves(unittest.TestCase):
    def test_every_move_is_the_originals(self) -> None:
        checked, before = 0, dict[str, Any]()
        for number, case in enumerate(json.loads(MOVES.read_text())["moves"]):
            event, before = case["event"], case.get("before", before)
            known, before = before, case["after"] or before
            if event["type"] in LEFT_OUT:
                continue
            with self.subTest(number=number, event=event):
                try:
                    after, effects = honk_record.apply(known, event, case["now"])
                    self.assertEqual((after, effects, None), (case["after"], case["effects"], case["refused"]))
                    self.assertEqual(honk_record.due(after), case["due"])
                except honk_record.Refused as refusal:
                    self.assertEqual(refusal.why, case["refused"])
                checked += 1
        self.assertGreater(checked, 100)

    def test_delays_double_up_to_the_longest(self) -> None:
        retry = {"retry_count": 9, "initial_ms": 1000, "factor": 2.0, "max_ms": 5000}
        self.assertEqual([honk_record.delay(n, retry, 1.0) for n in range(1, 6)], [1, 2, 4, 5, 5])
        self.assertEqual(honk_record.delay(1, retry, 0.0), 0.5)
        self.assertEqual(honk_record.delay(5000, retry, 1.0), 5)


if __name__ == "__main__":
    unittest.main()
