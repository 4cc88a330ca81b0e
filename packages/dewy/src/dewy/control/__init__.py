"""How the commands of operators reach a running dewy: a socket that only its own user and root may use."""
