"""What a fleet shares through a cache: one question to the registry, one download, news of a new version (R42, R43).

What a host runs, has tried and holds is never among it.
"""
