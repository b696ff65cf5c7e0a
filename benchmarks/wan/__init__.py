"""What it costs to bring a new version of an image to where an old one is held."""
