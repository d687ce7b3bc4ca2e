"""What the SDK does for codecs and storages is left out where there is none, and only there."""

import asyncio
import zlib
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.bridge import worker as bridge
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.converter import PayloadCodec

from durable_orders.workers import unneeded
from durable_orders.workers.payloads import LONG, PayloadConverter, data_converter


class Stamp(PayloadCodec):
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(data=b"seen by the codec") for _ in payloads]


def activation() -> WorkflowActivation:
    job = WorkflowActivationJob()
    job.initialize_workflow.arguments.add().data = b"as it came"
    return WorkflowActivation(jobs=[job])


@pytest.mark.parametrize("codec", [None, Stamp()])
def test_a_payload_is_visited_for_a_codec_alone(codec: PayloadCodec | None) -> None:
    assert unneeded.leave_visits_out()
    came, converter = activation(), replace(data_converter, payload_codec=codec)
    metrics = asyncio.run(bridge.decode_activation(came, converter, decode_headers=False, storage_concurrency_limit=3))
    [argument] = came.jobs[0].initialize_workflow.arguments
    assert argument.data == (b"seen by the codec" if codec else b"as it came")
    assert metrics.payload_count == 0


def test_an_sdk_that_is_not_known_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(activation: object, converter: object) -> None:
        """Of another version, perhaps."""

    monkeypatch.setattr(bridge, "decode_activation", other)
    assert not unneeded.leave_visits_out()
    monkeypatch.setattr(unneeded, "KNOWN_VERSIONS", frozenset({"0.1"}))
    assert not unneeded.leave_visits_out()
    assert vars(bridge)["decode_activation"] is other


def test_what_is_long_travels_compressed() -> None:
    converter = PayloadConverter()
    values = ["a" * 1000, "ab" * LONG, None]
    short, long, _ = payloads = converter.to_payloads(values)
    assert short.metadata["encoding"] == b"json/plain"
    assert (long.metadata["encoding"], len(long.data) < LONG) == (b"binary/zlib", True)
    assert converter.from_payloads(payloads, [str, str, type(None)]) == values


RECORDED = (
    "eNrjEufiSM1Lzk/JzEsX4k7KzEssqtSvyslMElojVMH49sJuzgYDEYYDYUFREd5iBct+OCp9UtrRYLFT2uJgoXSMVND2o5euSVXP"
    "79t9tGTuUrf/dsl6xmw8EgYJBxoYmUcZo4xRxihjlDHKGGWMMoYho/F/4x/GtYfM9gMAkKMg/w=="
)
"""A payload of half a million letters as it stands in histories, from when a codec compressed it; packed for here."""


def test_what_is_compressed_in_a_history_is_read() -> None:
    payload = Payload.FromString(zlib.decompress(b64decode(RECORDED)))
    assert payload.metadata["encoding"] == b"binary/zlib"
    assert PayloadConverter().from_payloads([payload], [str]) == ["ab" * 256 * 1024]
