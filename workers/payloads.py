"""How values travel through workflow history: as Pydantic's JSON."""

from dataclasses import replace

from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter, pydantic_data_converter
from temporalio.converter import CompositePayloadConverter, DefaultPayloadConverter, JSONPlainPayloadConverter

_PYDANTIC = PydanticJSONPlainPayloadConverter()


class PayloadConverter(CompositePayloadConverter):
    """The SDK's own Pydantic converter, with one cache of type adapters for all workflows.

    The SDK makes a converter for each workflow; without this, each builds the adapters of its types anew.
    """

    def __init__(self) -> None:
        defaults = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(_PYDANTIC if isinstance(one, JSONPlainPayloadConverter) else one for one in defaults))


data_converter = replace(pydantic_data_converter, payload_converter_class=PayloadConverter)
