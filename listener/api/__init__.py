"""The REST API on its own port; needs the extra `api`."""
