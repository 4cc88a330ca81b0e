"""``dewy demo``: a real deployment under real load, on a fresh machine, with no account and no network (R9).

``application`` is what is deployed, ``load`` the users, ``show`` the play and what a person sees of it.
"""
