"""The board as one static page."""
