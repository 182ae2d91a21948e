"""OpenAI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers import endpoint
from osmosis_synthesize.providers.base import BatchState, Reply
from osmosis_synthesize.providers.chat import ChatProvider, read_completion
from osmosis_synthesize.providers.http import make_client
from osmosis_synthesize.providers.remote import child, count, json_lines, text

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from osmosis_synthesize.providers.base import ProviderConfig, Request
    from osmosis_synthesize.providers.capabilities import Part


class OpenAIProvider(ChatProvider):
    """OpenAI's chat completions, or a gateway in front of them that the user chose."""

    limit_names: ClassVar[tuple[Part, ...]] = ("max_completion_tokens", "max_tokens")

    def __init__(self, config: ProviderConfig) -> None:
        checked = endpoint.resolve(config)
        if checked.own and config.api_key is None:
            raise ProviderSetupError(
                "The provider openai has no key.",
                hint="Set OPENAI_API_KEY in your environment, or choose another provider.",
            )
        super().__init__(config, checked, key_hint="Check OPENAI_API_KEY: https://platform.openai.com/api-keys")

    def _make_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        client = AsyncOpenAI(
            # Without one the SDK would look for a key by itself; a gateway that wants none ignores this.
            api_key=self._config.api_key.reveal() if self._config.api_key else "none",
            base_url=self._endpoint.url,
            max_retries=0,
            timeout=self._config.timeout,
            http_client=make_client(self._endpoint, timeout=self._config.timeout),
        )
        _ = client.chat.completions  # loads the modules behind it here, in the thread that may wait
        return client

    # Batches: https://platform.openai.com/docs/api-reference/batch

    async def submit_batch(self, requests: Mapping[str, Request]) -> str:
        """Hand in requests by their keys; gives the batch's name."""
        client = await self._started()
        lines = [
            json.dumps({"custom_id": key, "method": "POST", "url": _ENDPOINT, "body": self.body_of(request)})
            for key, request in requests.items()
        ]
        files: Any = client.files.with_raw_response
        given = ("descriptions.jsonl", "\n".join(lines).encode())
        file = text(self.json_in(await self._answer(files.create(file=given, purpose="batch"))), "id")
        batches: Any = client.batches.with_raw_response
        creating = batches.create(input_file_id=file, endpoint=_ENDPOINT, completion_window="24h")
        return text(self.json_in(await self._answer(creating)), "id")

    async def batch_state(self, batch: str) -> BatchState:
        """How far it is."""
        data = await self._batch(batch)
        counts = child(data, "request_counts")
        status = text(data, "status")
        answered = count(counts, "completed") + count(counts, "failed")
        return BatchState(status, status in _ENDED, answered, count(counts, "total"))

    async def batch_replies(self, batch: str) -> Mapping[str, Reply | str]:
        """Of a batch that has ended: by key the reply, or why there is none."""
        data = await self._batch(batch)
        files: Any = (await self._started()).files.with_raw_response
        replies: dict[str, Reply | str] = {}
        for name in ("output_file_id", "error_file_id"):
            file = text(data, name)
            if not file:
                continue
            answer = await self._answer(files.content(file))
            if not 200 <= answer.status < 300:
                self.json_in(answer)  # says what is wrong
            for line in json_lines(answer.body):
                response = child(line, "response")
                body = child(response, "body")
                reply = read_completion(body) if response.get("status_code") == 200 else None
                why = text(child(line, "error"), "message") or text(child(body, "error"), "message") or "no reply"
                replies[text(line, "custom_id")] = reply or why
        return replies

    async def _batch(self, batch: str) -> dict[str, Any]:
        batches: Any = (await self._started()).batches.with_raw_response
        return self.json_in(await self._answer(batches.retrieve(batch)))


_ENDPOINT: Final = "/v1/chat/completions"
_ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})
