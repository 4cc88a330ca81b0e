"""The backends that dewy brings itself: ``plugin`` declares them, each other module is one of them."""
