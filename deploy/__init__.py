"""How it is run by others than the one who writes it: images, balancers, clusters."""
