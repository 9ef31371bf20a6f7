"""Component databases of a platform: each dumped on its own, kept on the server and in a store."""
