"""Early cut-off: what reads a node that opted in is keyed by the value that it gave, not by how that was made.

So an edit that changes nothing in that value runs nothing after it. (Mokhov, Mitchell and Peyton Jones, Build Systems à
la Carte, ICFP 2018, call this a constructive trace.) The price: as long as the value is not known, neither are the keys
after it. Those steps are *open*: the plan can't tell about them, the run settles them one by one. They are walked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sdgraph.engine.encoding import encode
from sdgraph.engine.plan import Action, Plan, Step, is_open
from sdgraph.engine.reason import COVERED, same_value, stored_in
from sdgraph.engine.stores.base import Payloads


def output_digests(outputs: Mapping[str, Any], payloads: Payloads) -> dict[str, str]:
    """Digests of a node's outputs by port, hexadecimal; without those that can't be stored.

    Equal digests mean that the stored forms are equal, bit by bit, and so is what is read from them. Raises what codecs
    raise.
    """
    digests: dict[str, str] = {}
    for name, value in outputs.items():
        parts = payloads.encode(value)
        if parts is None:
            continue
        type_name, encoded = parts
        found = sha256(encode([type_name, encoded.meta, len(encoded.blobs)]))
        for blob_name, blob in sorted(encoded.blobs.items()):
            found.update(encode([blob_name, blob.dtype, blob.shape, len(blob.data)]))
            found.update(blob.data)
        digests[name] = found.hexdigest()
    return digests


def deciders(plan: Plan, step: Step) -> list[Step]:
    """The steps that have to end before the key of an open step can be made: those that cut off."""
    found: dict[int, Step] = {}
    seen: set[int] = set()
    pending = [step]
    while pending:
        for source in plan.keyed_sources(pending.pop()):
            if source.cuts_off:
                if source.digests is None:
                    found[id(source)] = source
            elif not source.has_key and id(source) not in seen:
                seen.add(id(source))
                pending.append(source)
    return list(found.values())


def make_key(plan: Plan, step: Step) -> None:
    """Give an open step its key, and the open steps before it theirs; its deciders have ended."""
    pending = [step]
    while pending:
        top = pending[-1]
        missing = [] if top.has_key else [source for source in plan.keyed_sources(top) if not source.has_key]
        if missing:
            pending += missing
            continue
        if not top.has_key:
            plan.give_key(top)
        pending.pop()


def settle(step: Step, tier: str | None) -> None:
    """Decide about an open step whose key was made, given the tier that has its result."""
    later = step.later
    assert later is not None
    later.settled = True
    step.tier = tier
    if tier is None:
        step.action, step.reason = Action.RUN, later.if_run
        return
    step.action = Action.HIT
    step.reason = stored_in(tier)
    if later.port and step.key.hex() == later.key_before:
        step.reason = same_value(later.port)


def cover(plan: Plan) -> None:
    """After a run: what might have been needed and was not, because all that reads it was found stored, is a hit.

    Open steps whose keys can be made get them, so that the next plan can compare.
    """
    if not plan.is_open:
        return
    for step in plan.steps.values():
        if not step.has_key and not is_open(plan, step):
            plan.give_key(step)
    stored: set[int] = set()
    for step in reversed(plan.steps.values()):
        if step.action is Action.MAYBE and id(step) in stored and step.has_key:
            step.action, step.reason = Action.COVERED, COVERED
        was_open = step.later is not None or id(step) in stored
        if was_open and step.action in (Action.HIT, Action.COVERED):
            stored.update(id(source) for source in plan.sources(step))
