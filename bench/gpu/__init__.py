"""Whether a GPU is used as it can be: the provider, the answers, the kernel of attention, the share of its rate."""
