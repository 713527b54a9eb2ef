"""Other APIs for chat: each is translated to chat completions and back."""
