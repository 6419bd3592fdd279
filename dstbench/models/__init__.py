"""The networks, and how one is copied or operated on."""
