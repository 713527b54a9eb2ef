"""Other chat APIs: each is translated to chat completions and back."""
