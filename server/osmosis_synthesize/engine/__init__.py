"""What fills a gap, in which order, and at what cost."""
