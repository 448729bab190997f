"""The embedded demo service: a real HTTP service with real overload behaviour, in a process of its own."""
