"""The use case without HTTP: a typed request in, a typed result out."""
