"""Public traces: their addresses and licences. Nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublicTrace:
    """One public trace."""

    name: str
    holds: str
    address: str
    licence: str


PUBLIC_TRACES = (
    PublicTrace(
        "Azure LLM inference 2023 and 2024",
        "arrivals and lengths of production chat and code completion",
        "https://github.com/Azure/AzurePublicDataset",
        "CC-BY-4.0",
    ),
    PublicTrace(
        "Mooncake",
        "an hour of Kimi's conversations, tool and agent calls, with hashes of prompt blocks",
        "https://github.com/kvcache-ai/Mooncake",
        "Apache-2.0",
    ),
    PublicTrace(
        "Qwen-Bailian",
        "two hours of chats and API calls of a Qwen model, with hashes of prompt blocks",
        "https://github.com/alibaba-edu/qwen-bailian-usagetraces-anon",
        "Apache-2.0",
    ),
    PublicTrace(
        "BurstGPT",
        "months of ChatGPT and GPT-4 use on a campus: arrivals and lengths",
        "https://github.com/HPMLL/BurstGPT",
        "CC-BY-4.0",
    ),
    PublicTrace(
        "ServeGen",
        "statistics of Alibaba's production models, client by client, to draw requests from",
        "https://github.com/alibaba/ServeGen",
        "Apache-2.0",
    ),
    PublicTrace(
        "LMCache agent traces",
        "sessions of coding and customer service agents, step by step",
        "https://github.com/LMCache/lmcache-agent-trace",
        "Apache-2.0",
    ),
    PublicTrace(
        "AgentCgroup",
        "sessions of Claude Code on SWE tasks, with the time of every tool",
        "https://github.com/yunwei37/agentcgroup",
        "GPL-2.0",
    ),
)
