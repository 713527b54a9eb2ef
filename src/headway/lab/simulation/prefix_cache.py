"""The prefix cache: which beginnings of prompts are still in KV memory."""

from __future__ import annotations

from collections import OrderedDict

from headway.lab.simulation.engine_request import EngineRequest
from headway.lab.simulation.trace import BLOCK_TOKENS


class PrefixCache:
    """Contexts and blocks of prompts, evicted in order of their last use.

    It holds what `shrink` leaves. An engine without a KV limit in its profile never calls that:
    all is kept, to the end of the run.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[object, int] = OrderedDict()
        self._tokens = 0

    def keep(self, key: object, tokens: int) -> None:
        """Keep `tokens` of KV memory under `key`."""
        self._tokens += tokens - self._kept.pop(key, 0)
        self._kept[key] = tokens

    def keep_blocks(self, hashes: tuple[int, ...], prompt_tokens: int) -> None:
        """Keep the blocks of a computed prompt."""
        left = prompt_tokens
        for block in hashes:
            self.keep(block, min(BLOCK_TOKENS, left))
            left -= BLOCK_TOKENS

    def found(self, request: EngineRequest) -> int:
        """Tokens of the request's context that are cached; marks them as used."""
        own = self._kept.pop(("own", request.number), 0)
        if own:
            self._tokens -= own
            return min(own, request.context_tokens)
        blocks = 0
        for block in request.hashes:
            tokens = self._use(block)
            if not tokens:
                break
            blocks += tokens
        context = 0
        if request.session is not None:
            context = min(self._use(request.session), request.shared_tokens)
        # Both are counted from the prompt's first token: the longer one holds the other.
        return min(max(blocks, context), request.context_tokens)

    def shrink(self, most_tokens: int) -> None:
        """Forget until no more than `most_tokens` are kept."""
        while self._tokens > most_tokens and self._kept:
            _, tokens = self._kept.popitem(last=False)
            self._tokens -= tokens

    def _use(self, key: object) -> int:
        tokens = self._kept.get(key, 0)
        if tokens:
            self._kept.move_to_end(key)
        return tokens
