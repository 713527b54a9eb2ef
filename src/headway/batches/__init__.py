"""Batches of requests in files, as OpenAI's Batch API has them: durable, and shared."""
