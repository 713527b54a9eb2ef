"""The official OpenAI client, unchanged, on Headway.

It needs OpenAI's package: pip install openai
Start `headway serve` (or `make serve`), then: python examples/openai_client.py
"""

try:
    from openai import OpenAI
except ModuleNotFoundError:
    raise SystemExit("this example needs OpenAI's package: pip install openai") from None

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="not needed on loopback")

answer = client.chat.completions.create(
    model="default",
    messages=[{"role": "user", "content": "Name three uses of a paper clip."}],
    max_tokens=120,
)
print(answer.choices[0].message.content)
print(answer.usage)  # its `headway` says how the request was scheduled

stream = client.chat.completions.create(
    model="default",
    messages=[{"role": "user", "content": "Tell me a very short story."}],
    max_tokens=120,
    stream=True,
)
for chunk in stream:
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="", flush=True)
print()
