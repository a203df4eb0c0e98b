"""Kubernetes: the documents that the overlays build."""
