"""One file a command. Each is imported when its command is called, so that help answers at once."""
