"""What ran when, on disk before anybody is told so."""
