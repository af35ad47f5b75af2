"""What people read: lists from the published mart, and the files they are written to and read back from."""
