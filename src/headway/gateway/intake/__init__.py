"""From an HTTP request to a Work: what is asked, by whom, how urgent, how large."""
