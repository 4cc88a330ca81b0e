"""What operators may ask and learn of a host: of its running dewy (through :mod:`dewy.control`), or of its disk alone."""
