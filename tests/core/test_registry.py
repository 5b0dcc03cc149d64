"""Packs: what is refused when they register."""

from typing import Any

import pytest

from sdgraph.core.node import Node
from sdgraph.core.pack import NodePack
from sdgraph.core.port import In, port
from sdgraph.core.porttype import PortType
from sdgraph.core.registry import Registry
from sdgraph.errors import RegistryError
from tests.core.toys import PACK, WAVE, Number, NumberOut, Stranger, Wave, registry


class Unlabelled(Node[NumberOut], type="Unlabelled"):
    pass


class Plain(Node[NumberOut], type="toy.plain"):
    value: int = 3


class Alien(Node[NumberOut], type="toy.alien"):
    value: In[bytearray]


class Unfit(Node[NumberOut], type="toy.unfit"):
    value: In[int] = port(3, ge=5)


class Untyped(Node[NumberOut], type="toy.untyped"):
    value: In[int] = port("three")


def _pack(*nodes: type[Node[Any]], name: str = "more", **parts: Any) -> NodePack:
    return NodePack(name, "1", nodes, **parts)


@pytest.mark.parametrize(
    ("pack", "code"),
    [
        (_pack(Number), "node-type-duplicate"),
        (_pack(Stranger, Stranger), "node-type-duplicate"),
        (_pack(Unlabelled), "node-type-id"),
        (_pack(Plain), "input-annotation"),
        (_pack(Alien), "port-type-unknown"),
        (_pack(Unfit), "port-default-invalid"),
        (_pack(Untyped), "port-default-invalid"),
        (_pack(port_types=(PortType("Wave", bytearray, "", ""),)), "port-type-duplicate"),
        (_pack(port_types=(PortType("Wave2", Wave, "", ""),)), "port-type-duplicate"),
        (_pack(port_types=(PortType("Int", bytearray, "", ""),)), "port-type-duplicate"),
        (_pack(name="toys"), "pack-duplicate"),
    ],
)
def test_a_pack_that_clashes_or_can_not_work_is_refused_as_a_whole(pack: NodePack, code: str) -> None:
    known = registry()
    before = dict(known.specs), dict(known.port_types)
    with pytest.raises(RegistryError) as caught:
        known.add(pack)
    assert caught.value.code == code
    assert (known.specs, known.port_types) == before


def test_two_packs_can_share_a_port_type_but_not_a_service() -> None:
    known = Registry([PACK, _pack(Stranger, port_types=(WAVE,), services={Wave: lambda: Wave(())})])
    assert known.specs["toy.stranger"].outputs["wave"].payload is WAVE
    with pytest.raises(RegistryError, match="service-duplicate"):
        known.add(_pack(name="third", services={Wave: lambda: Wave(())}))
