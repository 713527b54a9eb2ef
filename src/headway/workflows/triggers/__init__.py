"""What starts runs: times, HTTP, files, the end of other runs, a short queue, a Redis stream."""

from headway.workflows.triggers.after import After
from headway.workflows.triggers.backlog import Backlog
from headway.workflows.triggers.files import Files
from headway.workflows.triggers.redis_stream import RedisStream
from headway.workflows.triggers.schedule import Cron, Every
from headway.workflows.triggers.webhook import Webhook

__all__ = ["After", "Backlog", "Cron", "Every", "Files", "RedisStream", "Webhook"]
