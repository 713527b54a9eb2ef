"""Urgent work overtakes lazy work: a batch fills every slot, then a chat message comes in.

It needs OpenAI's package: pip install openai
Start `headway serve` (or `make serve`), then: python examples/tiers_and_deadlines.py
"""

import asyncio
import time

try:
    from openai import APIStatusError, AsyncOpenAI
except ModuleNotFoundError:
    raise SystemExit("this example needs OpenAI's package: pip install openai") from None

client = AsyncOpenAI(base_url="http://127.0.0.1:8080/v1", api_key="none", max_retries=0)


async def ask(name: str, text: str, max_tokens: int, **scheduling: str) -> None:
    """One request, and how it fared. `scheduling` goes into x-headway-* headers."""
    started = time.monotonic()
    try:
        answer = await client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": text}],
            max_tokens=max_tokens,
            extra_headers={
                f"x-headway-{key.replace('_', '-')}": value for key, value in scheduling.items()
            },
        )
    except APIStatusError as error:
        print(f"{name:8} {error.status_code} at once: {error.message}")
        return
    usage = answer.model_dump()["usage"]["headway"]
    print(
        f"{name:8} {time.monotonic() - started:5.1f} s in all, {usage['queue_ms'] / 1000:5.1f} s "
        f"waiting, {usage['output_tokens']} tokens, preempted {usage['preemptions']} times"
    )


async def main() -> None:
    """Twelve batch requests, then one urgent one and one with a hopeless deadline."""
    jobs = [
        asyncio.create_task(
            ask(f"batch {n}", f"Write an essay about the number {n}.", 200, tier="batch")
        )
        for n in range(12)
    ]
    await asyncio.sleep(2)
    await ask("chat", "Say hello.", 20, tier="interactive")
    await ask("hopeless", "Write a long essay.", 400, tier="batch", deadline_ms="500")
    await asyncio.gather(*jobs)


asyncio.run(main())
