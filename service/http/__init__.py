"""How HTTP is spoken, whatever the dialect: bodies, keys, deadlines, and the path of a request."""
