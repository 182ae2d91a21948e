"""What servers really say when they refuse a part of a request, or something else."""

from __future__ import annotations

import pytest

from osmosis_synthesize.providers.capabilities import Part, blame

SENT: tuple[Part, ...] = ("temperature", "max_tokens", "json_schema")


@pytest.mark.parametrize(
    ("complaint", "part"),
    [
        ("Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value", "temperature"),
        ("`temperature` is deprecated for this model.", "temperature"),
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'", "max_tokens"),
        ("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model", "json_schema"),
        ("'response_format.type' must be 'json_object' or 'text'", "json_schema"),
        ("output_config.format: Extra inputs are not permitted", "json_schema"),
        ('invalid format: expected "json" or a JSON schema', "json_schema"),
        ("Failed to initialize samplers: failed to parse grammar", "json_schema"),
        ("Extra inputs are not permitted body max_tokens", "max_tokens"),
        ("max_tokens is too large: 9999. This model supports at most 4096 completion tokens", None),
        ("max_tokens: 9999 > 4096, which is the maximum allowed number of output tokens", None),
        ("This model's maximum context length is 8192 tokens", None),
        ("Not enough information: the messages are empty", None),
        ("The model `gpt-9` does not exist", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_part_that_a_complaint_is_about_is_found(complaint: str, part: Part | None) -> None:
    assert blame(SENT, complaint) == part


def test_a_part_that_was_not_sent_is_never_to_blame() -> None:
    assert blame(("json_object",), "Unsupported parameter: 'temperature'") is None
