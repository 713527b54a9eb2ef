"""The console: the files of its pages, and how they are packed for browsers."""
