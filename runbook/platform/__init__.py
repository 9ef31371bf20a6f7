"""What a platform's own client exports and imports, and where it is kept."""
