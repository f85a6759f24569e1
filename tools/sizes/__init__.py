"""Which size fits: what a customer says of a body, what a body measures, and what a shop's charts make of it."""
