"""Batches of requests in files, as OpenAI's Batch API has them: durable, on one machine."""
