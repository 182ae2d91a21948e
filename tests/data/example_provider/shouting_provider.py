"""A provider for osmosis-synthesize by somebody else: it asks nobody and says everything loudly."""

from __future__ import annotations

import json

from osmosis_synthesize.errors import ProviderSetupError
from osmosis_synthesize.providers.base import ProviderConfig, Reply, Request, Usage


class ShoutingProvider:
    """Answers a request from its subject, in capitals."""

    name = "shouting"
    local = True
    deterministic = True

    def __init__(self, config: ProviderConfig) -> None:
        if not config.model:
            raise ProviderSetupError("The provider shouting has no model.", hint="Set model to how loud it shall be.")
        self.model = config.model

    async def complete(self, request: Request) -> Reply:
        columns = request.subject.columns if request.subject else ()
        described = [{"name": c.name, "description": f"{c.name.upper()}!"} for c in columns if c.asked]
        text = json.dumps({"description": "", "columns": described})
        return Reply(text, usage=Usage(input_tokens=0, output_tokens=len(text) // 4), model=self.model)

    async def aclose(self) -> None:
        pass
