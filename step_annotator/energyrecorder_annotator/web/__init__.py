"""The web page at ``/``: what is measured now, what runs, and what the last runs took."""
