"""Third-party encoders from local Hugging Face directories: their own code, with our attention.

Only safetensors are read, only code that ships with `transformers` is run, and nothing is fetched.
"""
