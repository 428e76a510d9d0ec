"""Things that a user adds in a file of their own."""
