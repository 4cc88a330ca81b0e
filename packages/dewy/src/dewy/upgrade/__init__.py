"""One dewy in place of another, in the same process: sockets, lock and the running application stay (SIGUSR2).

The old one writes down what it has (:mod:`dewy.upgrade.handover`), has the new one say whether it could take it, and then
becomes it (:mod:`dewy.upgrade.replace`).
"""
