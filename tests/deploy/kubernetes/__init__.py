"""Kubernetes: what the overlays build."""
