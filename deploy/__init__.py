"""Deployment: container image, load balancer, Kubernetes."""
